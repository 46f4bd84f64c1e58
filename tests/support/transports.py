"""
Transports with a socket or with a request path.
"""

import socket

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.testing import StringTransport
from zope.interface import alsoProvides

from tests.doubles import MessageTransport


class SocketTransport(StringTransport):
    """
    A transport with a real socket that is not connected.
    """

    def __init__(self, family: socket.AddressFamily) -> None:
        super().__init__(peerAddress=UNIXAddress(b"/socket"))
        alsoProvides(self, ITCPTransport)
        self.socket = socket.socket(family)

    def getHandle(self) -> socket.socket:
        return self.socket


class PathTransport(MessageTransport):
    """
    A WebSocket with a request path.
    """

    requestPath = "/"
