"""
The policy file for WebSockets: whether the page from which a connection comes
may connect.

A browser asks nobody before it opens a WebSocket, but says in the header
C{Origin} to which page it belongs (RFC 6454). So the server decides, and can do
so by the same rules as Flash Player.
"""

import re
from collections.abc import Callable

from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.rule import NULL_ORIGIN, parsePorts, portsMask

_origin = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[^\s/?#@:\[\],]*)(?::\d{1,5})?", re.I)

# A domain that only a rule for everybody matches.
_NOWHERE = ""


def originsOf(policyFile: PolicyFile, port: int | None) -> Callable[[str | None], bool]:
    """
    Make the rule for WebSockets out of a policy file.

    @param policyFile: who may connect.
    @param port: the port to which they connect; C{None} if there is none, as
        behind a UNIX socket: then the domains alone count.
    @return: decides about an C{Origin}. A program without one, such as a native
        client, may connect. The origin C{null}, which browsers send for
        sandboxed frames and files, needs a rule for the domain C{null} or a rule
        for everybody. Any other text that is not an origin needs a rule for
        everybody.
    """
    granting = []
    if port is None:
        granting = [rule for rule in policyFile.rules if rule.problem is None]
        # Any port at which a file with these rules would count.
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
