"""
The endpoint C{openfl:}. What it does is imported when it is used, since this is
imported whenever somebody names an endpoint.
"""

from typing import Any

from twisted.internet.interfaces import IStreamServerEndpoint, IStreamServerEndpointStringParser
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(IPlugin, IStreamServerEndpointStringParser)
class _OpenFLParser:
    """
    Reads what stands behind C{openfl:}.
    """

    prefix = "openfl"

    def parseStreamServer(self, reactor: Any, *args: Any, **kwargs: Any) -> IStreamServerEndpoint:
        """
        Make the endpoint.
        """
        from openfl_twisted.endpoints import parseServer

        return parseServer(reactor, *args, **kwargs)


openfl = _OpenFLParser()
