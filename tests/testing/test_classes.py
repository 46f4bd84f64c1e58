"""
Tests of OpenFL's classes and the factories of this package on a network in memory.
"""

from typing import Any

from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import errors
from openfl_twisted.net import DatagramSocket, ServerSocket, Socket, XMLSocket
from openfl_twisted.protocols.binarysocket import BinarySocketFactory, BinarySocketProtocol
from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.testing import EventRecorder, MemoryNetwork, Peer
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.request import REQUEST


class Greeting(BinarySocketProtocol):
    """
    Sends a greeting to each client.
    """

    def connectionMade(self) -> None:
        super().connectionMade()
        self.writeUTF("welcome")
        self.flush()


class MeetingTests(SynchronousTestCase):
    """
    OpenFL's classes and the factories of this package work in memory.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.reactor = self.network.reactor

    def test_sockets(self) -> None:
        """
        A L{Socket} connects to a L{ServerSocket}.
        """
        server = ServerSocket(reactor=self.reactor)
        server.bind(0, "127.0.0.1")
        server.listen()
        accepted: list[Socket] = []
        server.addEventListener("connect", lambda event: accepted.append(event.socket))
        client = Socket(reactor=self.reactor)
        recorder = EventRecorder(client)
        client.connect("localhost", server.localPort)
        self.network.flush()
        self.assertEqual(recorder.types, ["connect"])
        self.assertEqual(client.remotePort, accepted[0].localPort)
        accepted[0].writeUTF("grüße")
        accepted[0].flush()
        self.network.flush()
        self.assertEqual(client.readUTF(), "grüße")
        recorder.clear()
        accepted[0].close()
        self.network.flush()
        self.assertEqual(recorder.types, ["close"])
        self.network.run(server.close())
        client.connect("127.0.0.1", 49152)
        self.network.flush()
        self.assertEqual(recorder.types, ["close", "ioError"])

    def test_taken(self) -> None:
        """
        A L{ServerSocket} cannot bind to a port in use, or to a foreign address.
        """
        one, other = ServerSocket(reactor=self.reactor), ServerSocket(reactor=self.reactor)
        one.bind(80, "127.0.0.1")
        one.listen()
        self.assertRaises(errors.IOError, other.bind, 80, "127.0.0.1")
        self.assertRaises(errors.IOError, other.bind, 80, "192.0.2.1")

    def test_datagrams(self) -> None:
        """
        A L{DatagramSocket} sends to another.
        """
        receiver, sender = (DatagramSocket(reactor=self.reactor) for _ in range(2))
        receiver.bind(0, "127.0.0.1")
        receiver.receive()
        recorder = EventRecorder(receiver)
        sender.send(b"abc", 0, 0, "127.0.0.1", receiver.localPort)
        self.assertRaises(errors.IOError, sender.send, bytes(65508), 0, 0, "127.0.0.1", 1)
        self.network.flush()
        [event] = recorder.events
        data: Any = event
        self.assertEqual((data.data, data.srcPort), (b"abc", sender.localPort))

    def test_onePort(self) -> None:
        """
        A guarded one-port server works in memory, with the network's clock.
        """
        game = XMLSocketFactory(EchoProtocol)
        guard = GuardFactory(
            OnePortFactory(game, policy=PolicyFile.forPort, clock=self.reactor),
            idleTimeout=10,
            clock=self.reactor,
        )
        self.reactor.listenTCP(8080, guard, interface="127.0.0.1")
        asking, playing = Socket(reactor=self.reactor), XMLSocket(reactor=self.reactor)
        recorder = EventRecorder(playing)
        for socket in (asking, playing):
            socket.connect("127.0.0.1", 8080)
        self.network.flush()
        asking.writeUTFBytes(REQUEST.decode())
        playing.send("<hello/>")
        self.network.flush()
        self.assertFalse(asking.connected)
        self.assertEqual(recorder.types, ["connect", "data"])
        self.network.advance(9)
        self.assertEqual(recorder.types, ["connect", "data"])
        # A guard looks four times in this time.
        self.network.advance(3.5)
        self.assertEqual(recorder.types, ["connect", "data", "close"])
        self.network.check()

    def test_endpoints(self) -> None:
        """
        Endpoints from descriptions work in memory, with the network's clock.
        """
        server = serverFromString(
            self.reactor, "openfl:greetingDelay=5:tcp:8080:interface=127.0.0.1"
        )
        self.network.run(server.listen(BinarySocketFactory(Greeting)))
        client = clientFromString(self.reactor, "tcp:localhost:8080")
        peer: Any = self.network.run(client.connect(Factory.forProtocol(Peer)))
        self.network.advance(4.9)
        self.assertEqual(peer.received, b"")
        self.network.advance(0.1)
        self.assertEqual(peer.received, b"\0\7welcome")
