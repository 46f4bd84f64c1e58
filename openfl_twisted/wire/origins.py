"""
The policy file for WebSockets: whether the page from which a connection comes
may connect.

A browser asks nobody before it opens a WebSocket, but says in the header
C{Origin} to which page it belongs (RFC 6454). So the server decides, and can do
so by the same rules as Flash Player.
"""

import re
from collections.abc import Callable

from openfl_twisted.wire.policy import PolicyFile

_origin = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[^\s/?#@:\[\],]*)(?::\d{1,5})?", re.I)

# A domain that only a rule for everybody matches.
_NOWHERE = ""


def originsOf(policyFile: PolicyFile, port: int) -> Callable[[str | None], bool]:
    """
    Make the rule for WebSockets out of a policy file.

    @param policyFile: who may connect.
    @param port: the port to which they connect.
    @return: decides about an C{Origin}. Without one, as from programs that are
        not in a browser, everybody may connect. C{null}, by which a browser says
        that it does not tell, and what is no origin at all, is no domain: then
        only a rule for everybody will do.
    """

    def permitted(origin: str | None) -> bool:
        if origin is None:
            return True
        found = _origin.fullmatch(origin)
        scheme, domain = found.groups() if found else ("", _NOWHERE)
        return policyFile.permits(domain, port, secure=scheme.lower() == "https", servedFrom=port)

    return permitted
