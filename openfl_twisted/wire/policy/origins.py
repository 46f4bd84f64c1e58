"""
Policy files for WebSockets: which pages may connect.

A browser requests no policy file before it opens a WebSocket. The browser sends the page's
origin in the C{Origin} header field (RFC 6454), and the server decides. This module makes the
decision according to the rules of Flash Player.
"""

import re
from collections.abc import Callable

from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.rule import NULL_ORIGIN, parsePorts, portsMask

_origin = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[^\s/?#@:\[\],]*)(?::\d{1,5})?", re.I)

# A domain that is only matched by a rule for the domain "*".
_NOWHERE = ""


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
        found = _origin.fullmatch(origin)
        nowhere = NULL_ORIGIN if origin == NULL_ORIGIN else _NOWHERE
        scheme, domain = found.groups() if found else ("", nowhere)
        secure = scheme.lower() == "https"
        if port is not None:
            return policyFile.permits(domain, port, secure=secure, servedFrom=port)
        return any(rule.matchesDomain(domain) and secure >= rule.secure for rule in granting)

    return permitted
