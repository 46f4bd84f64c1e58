"""
A server to look at.
"""

from typing import Any

from twisted.internet.testing import MemoryReactorClock

from openfl_twisted.protocols.guard import GuardFactory
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.relay import RelayProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.relay import IRelay
from openfl_twisted.tls.server import ServerCertificates
from tests.protocols.test_callers import Client


class Server:
    """
    A relay for everybody, in memory.
    """

    def __init__(self, wrapped: Any = None, **limits: Any) -> None:
        self.clock = MemoryReactorClock()
        self.wrapped = wrapped or XMLSocketFactory(RelayProtocol)
        self.door = OnePortFactory(self.wrapped, clock=self.clock)
        self.factory = GuardFactory(self.door, clock=self.clock, **limits)
        self.lobby: Lobby | None = None
        self.relay: IRelay | None = None
        self.certificates: ServerCertificates | None = None

    def call(self, data: bytes = b"\0") -> Client:
        """
        Have a client connect and send something.
        """
        client = Client(self.factory, self.clock)
        client.send(data)
        return client
