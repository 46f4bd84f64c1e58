"""
Tests for L{openfl_twisted.transports.lowest}.
"""

from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.streamprotocol import StreamProtocol
from openfl_twisted.transports.lowest import clockOf, lowestTransport
from openfl_twisted.transports.writebatch import currentBatch
from tests.transports.lines import (
    Actor,
    BufferedLine,
    BufferedWebSocketLine,
    TCPLine,
    WebSocketLine,
    WrapperLine,
)


class LowestTests(SynchronousTestCase):
    """
    The transport of the socket is found below all layers.
    """

    def test_layers(self) -> None:
        """
        A WebSocket, a wrapper and a buffered transport are layers.
        """
        for make in (TCPLine, WebSocketLine, BufferedLine, WrapperLine, BufferedWebSocketLine):
            self.addCleanup(setattr, currentBatch, "waiting", None)
            actor = Actor()
            line = make(actor)
            self.assertIs(lowestTransport(actor.transport), line.transport)

    def test_clock(self) -> None:
        """
        Without a clock of its factory, a protocol uses the reactor of its connection.
        """
        actor = Actor()
        line = TCPLine(actor)
        self.assertIs(StreamProtocol.getClock(actor), line.reactor)
        self.assertIs(clockOf(actor.transport), line.reactor)

    def test_unknown(self) -> None:
        """
        A transport without a reactor has the global one.
        """
        from twisted.internet import reactor

        transport: Any = StringTransport()
        self.assertIs(lowestTransport(transport), transport)
        self.assertIs(clockOf(transport), reactor)
        transport.reactor = Clock()
        self.assertIs(clockOf(transport), transport.reactor)
