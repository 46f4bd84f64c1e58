"""
A rule of a socket policy file, which grants content from a domain access to ports.
"""

import ipaddress
from dataclasses import dataclass, field
from functools import lru_cache

import idna

FIRST_UNPRIVILEGED_PORT = 1024
"""
The first unprivileged port. A policy file served from this port or a higher port cannot grant
a lower port.
"""

NULL_ORIGIN = "null"
"""
The C{Origin} of a page without an origin: a sandboxed C{iframe}, or a file. A rule with
this domain grants such pages explicitly.
"""

_ANY_PORT = (1, 65535)
_LONGEST_HOST = 253
_LONGEST_SHOWN = 80


class PolicyError(ValueError):
    """
    The data is not a valid socket policy file, so it grants nothing.
    """


def shown(text: str) -> str:
    """
    Quote text from a file or a program for a log line.

    @return: the beginning of the text in quotes, with control characters escaped.
    """
    return repr(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "\u2026")


def parsePorts(text: str) -> tuple[tuple[int, int], ...]:
    """
    Parse a list of ports: C{*}, C{80}, C{1000-2000}, or several such items, separated by
    commas.

    @param text: the list; spaces around its items are allowed.
    @return: the first and last port of each range.
    @raise PolicyError: if the list is invalid.
    """
    ranges = []
    for item in text.split(","):
        first, dash, last = item.strip().partition("-")
        if first == "*" and not dash:
            ranges.append(_ANY_PORT)
            continue
        last = last if dash else first
        # isdecimal() alone accepts the digits of all scripts.
        if not all(number.isascii() and number.isdecimal() for number in (first, last)):
            raise PolicyError(f"{shown(item.strip())} is not a port")
        low, high = (int(number.lstrip("0")[:6] or "0") for number in (first, last))
        if not 1 <= low <= high <= 65535:
            raise PolicyError(f"{shown(item.strip())} is not a range of ports from 1 to 65535")
        ranges.append((low, high))
    return tuple(ranges)


def portsMask(text: str) -> int:
    """
    Parse a list of ports into a bit mask with one bit for each port. Comparing two
    masks takes constant time.

    @param text: see L{parsePorts}.
    @return: the bit mask; bit 80 is port 80.
    @raise PolicyError: if the list is invalid.
    """
    mask = 0
    for low, high in parsePorts(text):
        mask |= (1 << high + 1) - (1 << low)
    return mask


@lru_cache(maxsize=1024)
def _punycode(host: str) -> str:
    """
    Convert a non-ASCII name to punycode. A name that is not valid is returned unchanged.
    """
    star = "*." if host.startswith("*.") else ""
    try:
        return star + idna.encode(host.removeprefix(star), uts46=True).decode("ascii")
    # Handle ImportError, because idna imports its tables late, which can fail after privileges are
    # dropped.
    except (UnicodeError, ImportError):
        return host


def asciiHost(host: str) -> str:
    """
    Convert a host name to the form that browsers send: lower case, and punycode
    (C{xn--}) for names that are not ASCII.

    @param host: a host name, a C{*} and a host name, or an address.
    @return: the converted name. A name that has no such form is only converted to lower case.
    """
    host = host.lower()
    return host if host.isascii() or len(host) > _LONGEST_HOST else _punycode(host)


def _isAddress(text: str) -> bool:
    """
    Check whether a domain is an IP address (IPv6 with or without brackets), or the end of an
    IP address.
    """
    if text.rpartition(".")[2].isdecimal():
        return True
    try:
        ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class AccessRule:
    """
    One C{allow-access-from} element.

    @ivar domain: the domain of the content: C{*}, a host name, an IP address, or C{*.} and a
        host name, which means this host and all subdomains. A scheme is accepted and ignored.
        A Unicode name and its punycode are equal. L{NULL_ORIGIN} represents pages without an
        origin.
    @ivar ports: the ports as written, see L{parsePorts}. C{None} if the attribute is
        missing; the rule then grants nothing.
    @ivar secure: whether the rule is only for content that was loaded over https.
    @ivar unknownSecure: the value of C{secure} in the file, if it is neither C{true}
        nor C{false}; it counts as C{false}.
    """

    domain: str
    ports: str | None = "*"
    secure: bool = False
    unknownSecure: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        ports = "" if self.ports is None else f" to-ports {shown(self.ports)}"
        return f"domain {shown(self.domain)}{ports}{' secure' if self.secure else ''}"

    @property
    def host(self) -> str:
        """
        The domain in the form used for comparisons: without a scheme, in ASCII.
        """
        return asciiHost(self.domain.strip().rpartition("://")[2])

    @property
    def problem(self) -> str | None:
        """
        The reason why this rule can grant nothing; C{None} if it can grant something.
        """
        if self.ports is None:
            return "it has no to-ports"
        try:
            parsePorts(self.ports)
        except PolicyError as error:
            return f"its to-ports are invalid: {error}"
        host = self.host
        if not host:
            return "its domain is empty"
        if host == "*." or not all(c.isprintable() and not c.isspace() for c in host):
            return f"its domain {shown(self.domain)} is not a valid domain"
        if "*" in host.removeprefix("*.") and host != "*":
            return (
                f"its domain {shown(self.domain)} is invalid: * must be alone, or the first label"
            )
        if host.startswith("*.") and _isAddress(host[2:]):
            return f"its domain {shown(self.domain)} is an IP address with a *"
        return None

    def matchesDomain(self, domain: str) -> bool:
        """
        Check whether this rule is for a domain.

        @param domain: the host in the URL of the content: a name or an IP address,
            case-insensitive. Names are not resolved.
        @return: whether the rule is for this domain. C{*} matches all domains. C{*.} and a
            name matches that name and its subdomains, but no IP address and not
            L{NULL_ORIGIN}.
        """
        host = self.host
        domain = asciiHost(domain)
        if host.startswith("*."):
            named = domain == host[2:] or domain.endswith(host[1:])
            return named and domain != NULL_ORIGIN and not _isAddress(domain)
        return host in ("*", domain)

    def refusal(self, domain: str, port: int, *, secure: bool, servedFrom: int) -> str | None:
        """
        Return why this rule does not permit a connection; see
        L{PolicyFile.permits<openfl_twisted.wire.policy.file.PolicyFile.permits>}.

        @param domain: the host from which the content was loaded; empty if there is no host.
        @param secure: whether the content was loaded over https.
        @param servedFrom: the port that served the file. A file served by port 1024 or
            higher cannot grant a port below 1024.
        @return: the reason; C{None} if the rule permits the connection.
        """
        if self.problem is not None or self.ports is None:
            return self.problem
        if not self.matchesDomain(domain):
            return (
                f"its domain does not match {domain!r}"
                if domain
                else "its domain does not match content without a domain"
            )
        if self.secure and not secure:
            return "it requires content loaded over HTTPS"
        if not any(low <= port <= high for low, high in parsePorts(self.ports)):
            return f"it does not list port {port}"
        if port < FIRST_UNPRIVILEGED_PORT <= servedFrom:
            return (
                f"a file from port {servedFrom} cannot grant ports below {FIRST_UNPRIVILEGED_PORT}"
            )
        return None

    def coversContent(self, other: "AccessRule") -> bool:
        """
        Check whether this rule applies to all content to which another rule applies,
        regardless of the ports.

        @param other: the other rule. Both rules must not have a L{problem}.
        @return: whether this rule applies to all content of the other rule.
        """
        if self.secure and not other.secure:
            return False
        whole = self.host == other.host or self.host == "*"
        # A domain with a "*" also covers subdomains; a host name covers only itself.
        below = self.host.startswith("*.") and self.matchesDomain(other.host.removeprefix("*."))
        return whole or below
