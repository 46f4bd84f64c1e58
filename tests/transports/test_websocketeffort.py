"""
The work and memory of a WebSocket, from the transport to the wrapped protocol and back.
The counts do not depend on time.
"""

import gc
import tracemalloc
from functools import partial
from typing import Any

from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport

from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.transports.wrapper import ConnectionWrapper
from tests.costs import costsOf
from tests.frames import BINARY, REQUEST, TEXT, frame, framesIn
from tests.transports.websocketcase import WebSocketTestCase


class Echo(Protocol):
    """
    Writes what it receives.
    """

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class Nowhere:
    """
    A transport that uses little memory.
    """

    __slots__ = ()

    def write(self, data: bytes) -> None:
        pass

    def registerProducer(self, producer: object, streaming: bool) -> None:
        pass

    def getPeer(self) -> None:
        pass

    getHost = getPeer


class EffortTests(WebSocketTestCase):
    """
    A browser on a port with protocol detection.
    """

    def reach(self, factory: IProtocolFactory, transport: Any) -> ConnectionWrapper:
        """
        Open a WebSocket.
        """
        connection = OnePortFactory(factory, clock=self.clock).buildProtocol(None)
        connection.makeConnection(transport)
        connection.dataReceived(REQUEST)
        return connection

    def test_calls(self) -> None:
        """
        A message that is received alone and answered needs few calls, on each kind of
        port; so does a message in a read of many.
        """
        plain = Factory.forProtocol(Echo)
        messages = XMLSocketFactory(EchoProtocol)
        cases: list[tuple[IProtocolFactory, int, int, float]] = [
            (plain, BINARY, 18, 0.1),
            (plain, TEXT, 24, 0.1),
            (messages, BINARY, 27, 4.1),
            (messages, TEXT, 33, 9.1),
        ]
        for factory, opcode, ofRead, ofMessage in cases:
            connection = self.reach(factory, Nowhere())
            data = frame(opcode, b"x" * 63 + b"\0")
            connection.dataReceived(data)
            one = costsOf(partial(connection.dataReceived, data)).calls
            many = costsOf(partial(connection.dataReceived, data * 101)).calls
            self.assertLessEqual(one, ofRead, (factory, opcode))
            self.assertLessEqual((many - one) / 100, ofMessage, (factory, opcode))

    def test_oneWrite(self) -> None:
        """
        All answers to one read are sent in one write, each as one message.
        """

        class Counting(StringTransport):
            writes = 0

            def write(self, data: bytes) -> None:
                super().write(data)
                self.writes += 1

        transport = Counting()
        connection = self.reach(XMLSocketFactory(EchoProtocol), transport)
        transport.clear()
        transport.writes = 0
        connection.dataReceived(b"".join(frame(BINARY, b"%d\0" % each) for each in range(300)))
        self.assertEqual(transport.writes, 1)
        self.assertEqual(
            framesIn(transport.value()), [(BINARY, b"%d\0" % each) for each in range(300)]
        )

    def test_memory(self) -> None:
        """
        An idle WebSocket holds few objects, before its first message and after;
        Twisted's transport is not counted.
        """
        factory = OnePortFactory(Factory.forProtocol(Echo), clock=self.clock)
        connections = []
        nowhere: Any = Nowhere()

        def connect() -> None:
            connection = factory.buildProtocol(None)
            connection.makeConnection(nowhere)
            connection.dataReceived(REQUEST)
            connection.dataReceived(frame(BINARY, b"a") * 3)
            connections.append(connection)

        connect()
        gc.collect()
        tracemalloc.start()
        try:
            for _ in range(200):
                connect()
            gc.collect()
            held = tracemalloc.take_snapshot().statistics("filename")
        finally:
            tracemalloc.stop()
        self.assertLess(sum(each.count for each in held) / 200, 12)
        # Python gives attributes more room once any object of their class has had more of them.
        self.assertLess(sum(each.size for each in held) / 200, 1300)
