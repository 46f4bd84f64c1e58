"""
The interface of a reactor whose endpoints use an inherited socket.
"""

# The methods of an interface have no self.

from twisted.internet.interfaces import IStreamServerEndpoint
from zope.interface import Interface


class IInheritingReactor(Interface):
    """
    The reactor of an endpoint in a worker process: its listening methods use a socket that the
    supervisor has opened.
    """

    def inheritedEndpoint() -> IStreamServerEndpoint:
        """
        Return an endpoint for the inherited socket. This endpoint replaces a C{systemd:}
        endpoint, whose file descriptor only the supervisor has.

        @return: the endpoint.
        """
