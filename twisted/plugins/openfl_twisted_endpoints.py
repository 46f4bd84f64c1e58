"""
The endpoint C{openfl:}. Its implementation is imported at the first use, since this
module is imported whenever an endpoint string is parsed.
"""

from typing import Any

from twisted.internet.interfaces import IStreamServerEndpoint, IStreamServerEndpointStringParser
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(IPlugin, IStreamServerEndpointStringParser)
class _OpenFLParser:
    """
    Parses the description of an C{openfl:} endpoint.
    """

    prefix = "openfl"

    def parseStreamServer(self, reactor: Any, *args: Any, **kwargs: Any) -> IStreamServerEndpoint:
        from openfl_twisted.endpoints import parseServer

        return parseServer(reactor, *args, **kwargs)


openfl = _OpenFLParser()
