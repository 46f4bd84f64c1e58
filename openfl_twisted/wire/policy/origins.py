"""
Policy files for WebSockets: which pages may connect.

A browser requests no policy file before it opens a WebSocket. The browser sends the page's
origin in the C{Origin} header field (RFC 6454), and the server decides. This module makes the
decision according to the rules of Flash Player.
"""

import re
from collections.abc import Callable

from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.rule import NULL_ORIGIN, AccessRule, parsePorts, portsMask, shown

_origin = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[^\s/?#@:\[\],]*)(?::\d{1,5})?", re.I)

# A domain that is only matched by a rule for the domain "*".
_NOWHERE = ""

# Maximum number of rules in an explanation.
_MAX_NAMED = 3


def _contentOf(origin: str) -> tuple[str, bool]:
    """
    Return the domain of an origin, and whether the page was loaded over HTTPS.
    """
    found = _origin.fullmatch(origin)
    nowhere = NULL_ORIGIN if origin == NULL_ORIGIN else _NOWHERE
    scheme, domain = found.groups() if found else ("", nowhere)
    return domain, scheme.lower() == "https"


def originsOf(policyFile: PolicyFile, port: int | None) -> Callable[[str | None], bool]:
    """
    Create a check of the C{Origin} header field from a policy file.

    @param port: the port to which pages connect; C{None} for a UNIX socket, for which only the
        domains count.
    @return: a function that returns whether an C{Origin} may connect. A client that sends no
        C{Origin}, such as a native client, may connect. The origin C{null}, which browsers
        send for sandboxed frames and files, requires a rule for the domain C{null} or C{*}.
        Any other text that is not an origin requires a rule for C{*}.
    """
    granting = []
    if port is None:
        granting = [rule for rule in policyFile.rules if rule.problem is None]
        # Any port from which a policy file with these rules would be valid.
        lows = {low for rule in granting for low, _ in parsePorts(rule.ports or "")}
        known = sum(1 << low for low in lows if policyFile.metaPolicy(low) != "none")
        granting = [rule for rule in granting if portsMask(rule.ports or "") & known]

    def permitted(origin: str | None) -> bool:
        if origin is None:
            return True
        domain, secure = _contentOf(origin)
        if port is not None:
            return policyFile.permits(domain, port, secure=secure, servedFrom=port)
        return any(rule.matchesDomain(domain) and secure >= rule.secure for rule in granting)

    return permitted


def explainOrigin(policyFile: PolicyFile, port: int | None, origin: str | None) -> str:
    """
    Explain why a policy file does not permit an C{Origin}, for the log: name the rules for its
    domain.

    @param port: see L{originsOf}.
    @param origin: the C{Origin}, which L{originsOf} does not permit.
    @return: the explanation, without the C{Origin}.
    """
    domain, secure = _contentOf(origin or "")
    if port is not None and policyFile.metaPolicy(port) == "none":
        return f"site-control {shown(policyFile.siteControl or '')} forbids all policy files"
    named = [
        f"rule {number} ({rule}) does not grant access: {_refusal(rule, domain, port, secure)}"
        for number, rule in enumerate(policyFile.rules, 1)
        if rule.matchesDomain(domain)
    ]
    return "; ".join(named[:_MAX_NAMED]) or "no rule of the policy file is for its domain"


def _refusal(rule: AccessRule, domain: str, port: int | None, secure: bool) -> str:
    """
    Return why a rule for a domain does not permit the connection.
    """
    if port is not None:
        reason = rule.refusal(domain, port, secure=secure, servedFrom=port)
    elif rule.secure and not secure:
        reason = "it requires content loaded over HTTPS"
    else:
        reason = rule.problem
    return reason or "it lists no port that this file can grant"
