"""
Socket policy files: the request, the file, and what it permits.

A Flash program may open a socket only if a policy file permits it. The player
asks for the file on a connection of its own: it sends
C{<policy-file-request/>} and a zero byte, gets the file and a zero byte, and the
connection is closed. OpenFL and Ruffle never ask.

The rules are those of Adobe's I{Cross Domain Policy File Specification} 2.0 and
of Flash Player 10, for socket policy files only.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml.ElementTree import DefusedXMLParser

REQUEST = b"<policy-file-request/>\0"
"""
What a player sends.
"""

MAX_REQUEST_LENGTH = 64
"""
The most bytes that a request can have if nobody says otherwise: white space is
allowed before it and before its slash.
"""

MAX_POLICY_LENGTH = 64 * 1024
"""
The longest policy file that is read, in bytes: 64 KiB.
"""

MASTER_PORT = 843
"""
The port on which a player looks for the policy file of a whole host.
"""

FIRST_UNPRIVILEGED_PORT = 1024
"""
A policy file from this port or above cannot grant a port below it.
"""

_ANY_PORT = (1, 65535)
_request = re.compile(rb"\s*<policy-file-request\s*/>\0")
_beforeSlash = b"<policy-file-request"


class PolicyError(ValueError):
    """
    What was given is not a socket policy file, and so it permits nothing.
    """


# The request


def requestLength(data: bytes, maxLength: int = MAX_REQUEST_LENGTH) -> int:
    """
    Count the bytes of the policy request with which C{data} begins.

    @param maxLength: the most bytes that a request can have.
    @return: the length with its zero byte; 0 if C{data} does not begin with a
        whole request.
    """
    found = _request.match(data, 0, maxLength)
    return found.end() if found else 0


def isRequest(message: bytes, maxLength: int = MAX_REQUEST_LENGTH) -> bool:
    """
    Say whether a message, as an C{XMLSocket} sees it, is a policy request.

    @param message: the message without its zero byte.
    @param maxLength: the most bytes that a request can have, its zero byte
        among them.
    """
    request = message + b"\0"
    return requestLength(request, maxLength) == len(request)


def mayBecomeRequest(data: bytes, maxLength: int = MAX_REQUEST_LENGTH) -> bool:
    """
    Say whether C{data} is a beginning of a policy request whose rest has not
    come. One that lacks only its zero byte is such a beginning.

    The first byte that does not fit decides; so does length.

    @param maxLength: the most bytes that a request can have.
    """
    if len(data) >= maxLength:
        return False
    begun = data.lstrip()
    if len(begun) <= len(_beforeSlash):
        return _beforeSlash.startswith(begun)
    if not begun.startswith(_beforeSlash):
        return False
    return begun[len(_beforeSlash) :].lstrip() in (b"", b"/", b"/>")


# The file


def parsePorts(text: str) -> tuple[tuple[int, int], ...]:
    """
    Read a list of ports: C{*}, C{80}, C{1000-2000}, or several with commas.

    @param text: the list; spaces around its items are allowed.
    @return: the ranges, each with its first and last port.
    @raise PolicyError: if it is not such a list.
    """
    ranges = []
    for item in text.split(","):
        first, dash, last = item.strip().partition("-")
        if first == "*" and not dash:
            ranges.append(_ANY_PORT)
            continue
        last = last if dash else first
        # isdecimal() alone takes the digits of every script.
        if not all(number.isascii() and number.isdecimal() for number in (first, last)):
            raise PolicyError(f"{item.strip()!r} is not a port")
        low, high = (int(number.lstrip("0")[:6] or "0") for number in (first, last))
        if not 1 <= low <= high <= 65535:
            raise PolicyError(f"{item.strip()!r} is not a range of ports from 1 to 65535")
        ranges.append((low, high))
    return tuple(ranges)


def _isAddress(text: str) -> bool:
    """
    Say whether a domain is an IP address or the end of one; IPv6 in brackets or
    not.
    """
    if text.rpartition(".")[2].isdecimal():
        return True
    try:
        ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


class _Parser(DefusedXMLParser):
    """
    A parser that takes no declarations from the file itself: neither entities
    nor attributes that a rule does not show.
    """

    def __init__(self) -> None:
        super().__init__()
        self.parser.StartDoctypeDeclHandler = self._beginDoctype

    def _beginDoctype(
        self, name: str, system: str | None, public: str | None, hasOwn: bool
    ) -> None:
        if hasOwn:
            raise PolicyError("it has declarations of its own")


@dataclass(frozen=True)
class AccessRule:
    """
    One C{allow-access-from}.

    @ivar domain: whose content may connect: C{*}, a host name, an IP address,
        or C{*.} and a host name, which means this host and all below it. A
        scheme in front is accepted and ignored.
    @ivar ports: the ports as written, see L{parsePorts}; C{None} if the rule
        has none, and then it grants nothing.
    @ivar secure: only for content that came by https.
    """

    domain: str
    ports: str | None = "*"
    secure: bool = False

    @property
    def _host(self) -> str:
        return self.domain.strip().rpartition("://")[2].lower()

    @property
    def problem(self) -> str | None:
        """
        Why this rule grants nothing at all; C{None} if it can grant something.
        """
        if self.ports is None:
            return "it has no to-ports"
        try:
            parsePorts(self.ports)
        except PolicyError as error:
            return f"its to-ports are wrong: {error}"
        host = self._host
        if not host:
            return "its domain is empty"
        if host == "*." or not all(c.isprintable() and not c.isspace() for c in host):
            return f"its domain {self.domain!r} is not one"
        if "*" in host.removeprefix("*.") and host != "*":
            return f"its domain {self.domain!r} has a * elsewhere than alone or in front"
        if host.startswith("*.") and _isAddress(host[2:]):
            return f"its domain {self.domain!r} is an address with a *"
        return None

    def matchesDomain(self, domain: str) -> bool:
        """
        Say whether this rule is for a domain.

        @param domain: a host name or an IP address, as it stands in the
            address of the content; names are not resolved.
        """
        host = self._host
        domain = domain.lower()
        if host.startswith("*."):
            named = domain == host[2:] or domain.endswith(host[1:])
            return named and not _isAddress(domain)
        return host in ("*", domain)

    def grants(self, domain: str, port: int, *, secure: bool, servedFrom: int) -> bool:
        """
        Say whether this rule alone lets content connect; see
        L{PolicyFile.permits}.
        """
        if self.problem is not None or self.ports is None:
            return False
        if self.secure and not secure:
            return False
        if port < FIRST_UNPRIVILEGED_PORT <= servedFrom:
            return False
        inPorts = any(low <= port <= high for low, high in parsePorts(self.ports))
        return inPorts and self.matchesDomain(domain)


SITE_CONTROLS = ("none", "master-only", "all")
"""
The meta-policies that a socket policy file can have.
"""


@dataclass(frozen=True)
class PolicyFile:
    """
    A socket policy file.

    @ivar rules: the rules; one that grants is enough, and their order does not
        matter.
    @ivar siteControl: the meta-policy, one of L{SITE_CONTROLS}; C{None} if the
        file has none, which means C{all}. It counts only in the file that is
        served from port 843.
    """

    rules: tuple[AccessRule, ...] = ()
    siteControl: str | None = None

    @classmethod
    def forPort(cls, port: int) -> Self:
        """
        Make the file that lets everybody connect to one port and to no other.

        @param port: the port.
        """
        return cls((AccessRule("*", str(port)),))

    @classmethod
    def fromXML(cls, data: bytes) -> Self:
        """
        Read a policy file.

        Nothing is fetched and no entity is expanded. Unknown elements are
        ignored, so are rules that are not directly below the root.

        @param data: the file; a zero byte at its end is allowed.
        @raise PolicyError: if it is not a policy file: not well formed, with
            another root, with text between its elements, or over
            L{MAX_POLICY_LENGTH} bytes.
        """
        if len(data) > MAX_POLICY_LENGTH:
            raise PolicyError(f"it is longer than {MAX_POLICY_LENGTH} bytes")
        parser = _Parser()
        try:
            parser.feed(data.removesuffix(b"\0"))
            root = parser.close()
        except PolicyError:
            raise
        except ParseError as error:
            raise PolicyError(f"it is not well-formed XML: {error}") from None
        except (LookupError, ValueError) as error:
            raise PolicyError(f"its text cannot be read: {error}") from None
        if root.tag != "cross-domain-policy":
            raise PolicyError(f"its root is <{root.tag}>, not <cross-domain-policy>")
        if any(text and text.strip() for text in root.itertext()):
            raise PolicyError("it has text between its elements")
        control = root.find("site-control")
        return cls(
            tuple(
                AccessRule(
                    rule.get("domain", ""),
                    rule.get("to-ports"),
                    rule.get("secure", "false").strip().lower() == "true",
                )
                for rule in root.findall("allow-access-from")
            ),
            None if control is None else control.get("permitted-cross-domain-policies"),
        )

    def toXML(self) -> bytes:
        """
        Write the file.

        @return: the file in ASCII, without the zero byte that ends it on the
            wire.
        """
        root = Element("cross-domain-policy")
        if self.siteControl is not None:
            attribute = {"permitted-cross-domain-policies": self.siteControl}
            SubElement(root, "site-control", attribute)
        for rule in self.rules:
            attributes = {"domain": rule.domain}
            if rule.ports is not None:
                attributes["to-ports"] = rule.ports
            if rule.secure:
                attributes["secure"] = "true"
            SubElement(root, "allow-access-from", attributes)
        # Nothing is imported for this, so it works in a process that has given up its rights.
        text = tostring(root, "unicode").encode("ascii", "xmlcharrefreplace")
        return b'<?xml version="1.0"?>\n' + text

    def permits(
        self, domain: str, port: int, *, secure: bool = False, servedFrom: int = MASTER_PORT
    ) -> bool:
        """
        Decide whether content may connect.

        @param domain: the host from which the content came: a name, or an
            address, IPv6 in brackets. Case does not matter.
        @param port: the port to which it wants to connect.
        @param secure: whether the content came by https.
        @param servedFrom: the port from which this file came. One below 1024
            may grant any port, another only ports from 1024 on.
        @return: whether any of the rules grants it.
        """
        return any(
            rule.grants(domain, port, secure=secure, servedFrom=servedFrom) for rule in self.rules
        )

    def problems(self, servedFrom: int | None = None) -> list[str]:
        """
        Say what in this file does not do what its author will have meant.

        @param servedFrom: the port from which it is served, if that is known.
        @return: one sentence for each; none for a file that is in order.
        """
        found = []
        for number, rule in enumerate(self.rules, 1):
            if rule.problem is not None:
                found.append(f"rule {number} grants nothing: {rule.problem}")
            elif (
                servedFrom is not None
                and servedFrom >= FIRST_UNPRIVILEGED_PORT
                and rule.ports not in (None, "*")
                and any(low < FIRST_UNPRIVILEGED_PORT for low, _ in parsePorts(rule.ports or ""))
            ):
                found.append(
                    f"rule {number} grants ports below {FIRST_UNPRIVILEGED_PORT}, which a file "
                    f"from port {servedFrom} cannot"
                )
        if not self.rules:
            found.append("it has no rules, so it grants nothing")
        if self.siteControl is not None:
            if self.siteControl not in SITE_CONTROLS:
                found.append(
                    f"its site-control {self.siteControl!r} counts as none; "
                    f"there are {', '.join(SITE_CONTROLS)}"
                )
            if servedFrom is not None and servedFrom != MASTER_PORT:
                found.append(f"its site-control counts only on port {MASTER_PORT}")
        return found

    @property
    def grantsNothing(self) -> bool:
        """
        Whether this file refuses everybody everything.
        """
        return all(rule.problem is not None for rule in self.rules)
