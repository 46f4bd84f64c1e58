"""
The socket policy file: parser, serializer, and access decisions.
"""

import codecs
from dataclasses import dataclass, field
from typing import Self
from xml.etree.ElementTree import Element, SubElement, tostring

from openfl_twisted.wire import strictxml
from openfl_twisted.wire.policy.rule import (
    FIRST_UNPRIVILEGED_PORT,
    AccessRule,
    PolicyError,
    parsePorts,
    portsMask,
    shown,
)

MAX_POLICY_LENGTH = 64 * 1024
"""
Maximum length of a policy file (bytes): 64 KiB.
"""

MASTER_PORT = 843
"""
The port of the master policy file.
"""

SITE_CONTROLS = ("none", "master-only", "all")
"""
The meta-policies that a socket policy file can have.
"""

# The limits of a policy file in addition to its length. MAX_POLICY_LENGTH is enough for 1,500
# rules.
_XML_LIMITS = strictxml.XMLLimits(markup=5000, attributes=5000, qualified=5000)

_ROOT = "cross-domain-policy"
_RULE = "allow-access-from"
_CONTROL = "site-control"
_LONGEST_TAG = 60
_LONGEST_HOST = 253
_MAX_COMPARED = 20


class _Contents:
    """
    The contents of a policy file, collected while it is parsed.

    @ivar root: the name of the root element.
    @ivar rules: the attributes of each rule.
    @ivar control: the attributes of the first C{site-control}.
    @ivar misplaced: number of rules that are not directly below the root.
    @ivar hasText: whether the file contains text other than white space.
    """

    root = ""
    control: dict[str, str] | None = None
    misplaced = 0
    hasText = False

    def __init__(self) -> None:
        self.rules: list[dict[str, str]] = []

    def addElement(self, depth: int, name: str, attributes: dict[str, str]) -> None:
        """
        Called for each element, see L{strictxml.walk}.
        """
        if depth == 1:
            self.root = name
        if name == _RULE:
            if depth == 2:
                self.rules.append(attributes)
            else:
                self.misplaced += 1
        elif name == _CONTROL and depth == 2 and self.control is None:
            self.control = attributes

    def addText(self, text: str) -> None:
        """
        Called for the text between the tags.
        """
        self.hasText = self.hasText or bool(text.strip())


def _parse(data: bytes) -> _Contents:
    """
    Parse the XML of a policy file.

    @raise PolicyError: if the data cannot be parsed.
    """
    if len(data) > MAX_POLICY_LENGTH:
        raise PolicyError(f"the file is longer than {MAX_POLICY_LENGTH} bytes")
    # In little-endian UTF-16, every file ends with a zero byte, which belongs to the last
    # character.
    if not data.startswith(codecs.BOM_UTF16_LE):
        data = data.removesuffix(b"\0")
    contents = _Contents()
    try:
        strictxml.walk(data, contents.addElement, contents.addText, _XML_LIMITS)
    except strictxml.NotWellFormed as error:
        raise PolicyError(f"the file is {error}") from None
    except strictxml.XMLError as error:
        raise PolicyError(f"the file cannot be parsed: {error}") from None
    return contents


def _hostsAbove(host: str) -> set[str]:
    """
    Return the domains whose rules can make a rule for a given domain redundant.
    """
    found = {host, "*"}
    # Limit the length, because the loop takes quadratic time. No host name is longer.
    if len(host) <= _LONGEST_HOST:
        labels = host.removeprefix("*.").split(".")
        found |= {"*." + ".".join(labels[n:]) for n in range(len(labels))}
    return found


def _ruleOf(attributes: dict[str, str]) -> AccessRule:
    written = attributes.get("secure", "false")
    secure = written.strip().lower()
    return AccessRule(
        attributes.get("domain", ""),
        attributes.get("to-ports"),
        secure == "true",
        None if secure in ("true", "false") else written,
    )


@dataclass(frozen=True)
class PolicyFile:
    """
    A socket policy file.

    @ivar rules: the rules. One rule that permits the connection is sufficient; the order of
        the rules has no effect.
    @ivar siteControl: the meta-policy, one of L{SITE_CONTROLS}; C{None} if the file has no
        meta-policy, which means C{all}. The meta-policy counts only in the file that is served
        from port 843.
    @ivar misplaced: number of rules that are not directly below the root; players
        ignore them.
    """

    rules: tuple[AccessRule, ...] = ()
    siteControl: str | None = None
    misplaced: int = field(default=0, compare=False)

    @classmethod
    def forPort(cls, port: int) -> Self:
        """
        Return a policy file that grants all domains access to one port.
        """
        return cls((AccessRule("*", str(port)),))

    @classmethod
    def fromXML(cls, data: bytes) -> Self:
        """
        Parse a policy file.

        Nothing is fetched and no entity is expanded. Unknown elements, and rules that are not
        directly below the root, are ignored.

        @param data: the file; it may end with a NUL byte.
        @raise PolicyError: if the data is not well-formed, has another root element,
            contains text between its elements, or exceeds L{MAX_POLICY_LENGTH} or a limit on
            elements and attributes.
        """
        found = _parse(data)
        if found.root != _ROOT:
            name = shown(found.root[:_LONGEST_TAG])[1:-1]
            raise PolicyError(f"the root element is <{name}>, not <{_ROOT}>")
        if found.hasText:
            raise PolicyError("the file has text between its elements")
        rules = tuple(map(_ruleOf, found.rules))
        control = found.control
        return cls(
            rules,
            None if control is None else control.get("permitted-cross-domain-policies"),
            found.misplaced,
        )

    def toXML(self) -> bytes:
        """
        Serialize the file.

        @return: the file in ASCII, without the NUL byte that terminates it on the wire.
        """
        root = Element(_ROOT)
        if self.siteControl is not None:
            attribute = {"permitted-cross-domain-policies": self.siteControl}
            SubElement(root, _CONTROL, attribute)
        for rule in self.rules:
            attributes = {"domain": rule.domain}
            if rule.ports is not None:
                attributes["to-ports"] = rule.ports
            if rule.secure:
                attributes["secure"] = "true"
            SubElement(root, _RULE, attributes)
        # This conversion imports nothing, so it works after privileges are dropped.
        text = tostring(root, "unicode").encode("ascii", "xmlcharrefreplace")
        return b'<?xml version="1.0"?>\n' + text

    def metaPolicy(self, servedFrom: int = MASTER_PORT) -> str:
        """
        Return the meta-policy that this file defines for its host.

        @param servedFrom: the port that served this file. The meta-policy of a file
            from a port other than 843 is ignored.
        @return: one of L{SITE_CONTROLS}. An unknown value counts as C{none}.
        """
        if servedFrom != MASTER_PORT or self.siteControl is None:
            return "all"
        return self.siteControl if self.siteControl in SITE_CONTROLS else "none"

    def permits(
        self, domain: str, port: int, *, secure: bool = False, servedFrom: int = MASTER_PORT
    ) -> bool:
        """
        Decide whether content may connect. For the reasons, see
        L{openfl_twisted.wire.policy.decision.decide}.

        @param domain: the host from which the content was loaded: a name (case-insensitive) or
            an IP address (IPv6 in brackets).
        @param secure: whether the content was loaded over https.
        @param servedFrom: the port that served this file. A file from a port below 1024 can
            grant any port; a file from another port can grant only ports 1024 and higher.
        @return: whether a rule grants the connection and the meta-policy is not C{none}.
        """
        return self.metaPolicy(servedFrom) != "none" and any(
            rule.refusal(domain, port, secure=secure, servedFrom=servedFrom) is None
            for rule in self.rules
        )

    def problems(
        self, servedFrom: int | None = None, *, tls: bool = False, isTarget: bool = False
    ) -> list[str]:
        """
        List probable mistakes in this file.

        @param servedFrom: the port that serves the file; C{None} if the port is unknown.
        @param tls: whether programs can connect with TLS.
        @param isTarget: whether programs connect to the port that serves the file.
        @return: one sentence for each mistake.
        """
        found = [
            f"rule {number} {problem}"
            for number, rule in enumerate(self.rules, 1)
            for problem in self._problemsOf(rule, servedFrom, tls)
        ]
        found += self._unreached()
        if not self.rules:
            found.append("the file has no rules and grants nothing")
        if isTarget and servedFrom is not None and not self._grantsPort(servedFrom):
            found.append(f"no rule grants port {servedFrom}, which serves the file")
        if self.siteControl is not None:
            if self.siteControl not in SITE_CONTROLS:
                found.append(
                    f"its site-control {shown(self.siteControl)} is treated as none: must be "
                    f"one of {', '.join(SITE_CONTROLS)}"
                )
            if servedFrom is not None and servedFrom != MASTER_PORT:
                found.append(f"its site-control has an effect only on port {MASTER_PORT}")
            elif self.rules and self.metaPolicy() == "none":
                found.append(
                    "its site-control forbids all policy files of this host, including this one"
                )
        return found

    def _problemsOf(self, rule: AccessRule, servedFrom: int | None, tls: bool) -> list[str]:
        if rule.problem is not None or rule.ports is None:
            return [f"grants nothing: {rule.problem}"]
        found = []
        if rule.unknownSecure is not None:
            found.append(
                f"has secure={shown(rule.unknownSecure)}, which is treated as false: "
                "write true or false"
            )
        # Do not report a rule for all ports, which is rarely meant for ports below 1024.
        if servedFrom is not None and servedFrom >= FIRST_UNPRIVILEGED_PORT and rule.ports != "*":
            low = [each for each, _ in parsePorts(rule.ports) if each < FIRST_UNPRIVILEGED_PORT]
            if low:
                found.append(
                    f"grants ports below {FIRST_UNPRIVILEGED_PORT}, but a file "
                    f"from port {servedFrom} cannot"
                )
        if rule.secure and not tls:
            found.append(
                'has secure="true": on a port without TLS, this excludes content loaded over HTTP '
                "and encrypts nothing"
            )
        return found

    def _grantsPort(self, port: int) -> bool:
        """
        Check whether a rule grants a port to any content.
        """
        return any(
            rule.problem is None
            and any(low <= port <= high for low, high in parsePorts(rule.ports or ""))
            for rule in self.rules
        )

    def _unreached(self) -> list[str]:
        """
        Report the rules that have no effect because of other rules. Each rule is compared with
        a limited number of other rules, so that the time is proportional to the number of
        rules.
        """
        found = []
        able = [(n, rule) for n, rule in enumerate(self.rules, 1) if rule.problem is None]
        masks = {number: portsMask(rule.ports or "") for number, rule in able}
        byHost: dict[str, list[tuple[int, AccessRule]]] = {}
        for number, rule in able:
            group = byHost.setdefault(rule.host, [])
            if len(group) <= _MAX_COMPARED:
                group.append((number, rule))

        def covers(one: tuple[int, AccessRule], other: tuple[int, AccessRule]) -> bool:
            ports = masks[other[0]]
            return ports & masks[one[0]] == ports and one[1].coversContent(other[1])

        for each in able:
            number, rule = each
            groups = (byHost.get(host, ()) for host in _hostsAbove(rule.host))
            others = [other for group in groups for other in group if other[0] != number]
            # Of two equal rules, only the second rule is redundant.
            for other in sorted(others, key=lambda other: other[0])[:_MAX_COMPARED]:
                if covers(other, each) and (other[0] < number or not covers(each, other)):
                    found.append(
                        f"rule {number} has no effect: rule {other[0]} grants all of its access"
                    )
                    break
        if self.misplaced:
            found.append(
                f"{self.misplaced} <{_RULE}> elements are ignored: they must be directly below "
                "the root"
            )
        return found

    @property
    def grantsNothing(self) -> bool:
        """
        Whether no rule of this file can grant anything.
        """
        return all(rule.problem is not None for rule in self.rules)
