"""
Tests for L{openfl_twisted.testing.pairs}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import error
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.binarysocket import BinarySocketFactory, BinarySocketProtocol
from openfl_twisted.protocols.guard import GuardFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.testing import (
    STATUSES,
    CertificateMaker,
    MemoryNetwork,
    Peer,
    connectedPair,
    everyByte,
)
from openfl_twisted.tls import HandshakeFailed


class Shouting(XMLSocketProtocol):
    """
    Answers in capitals.
    """

    def messageReceived(self, message: str) -> None:
        self.sendMessage(message.upper())


class PairTests(SynchronousTestCase):
    """
    Two protocols are connected.
    """

    def test_protocols(self) -> None:
        """
        Protocols are connected as they are.
        """
        client, server = Peer(), Peer()
        pair = connectedPair(client, server)
        self.assertEqual((pair.client, pair.server), (client, server))
        self.assertEqual(pair.network.connections, [pair.connection])
        client.send(b"ping")
        pair.network.flush()
        self.assertEqual(server.received, b"ping")
        self.assertEqual(pair.connection.toServer.delivered, 4)

    def test_factories(self) -> None:
        """
        Factories of this package build their protocols, and have said at first
        what they have to say.
        """

        class Greeting(BinarySocketProtocol):
            def connectionMade(self) -> None:
                super().connectionMade()
                self.writeUTF("welcome")
                self.flush()

        pair = connectedPair(Factory.forProtocol(Peer), BinarySocketFactory(Greeting))
        self.assertEqual(pair.client.received, b"\0\7welcome")
        self.assertIsInstance(pair.server, Greeting)

    def test_wrapped(self) -> None:
        """
        A guard can stand before the factory.
        """
        guard = GuardFactory(XMLSocketFactory(Shouting))
        pair = connectedPair(Peer(), guard)
        pair.client.send(b"hello\0")
        pair.network.flush()
        self.assertEqual(pair.client.received, b"HELLO\0")
        self.assertEqual(len(guard.protocols), 1)

    def test_network(self) -> None:
        """
        Many pairs can share a network.
        """
        network = MemoryNetwork()
        factory = XMLSocketFactory(Shouting)
        pairs = [connectedPair(Peer(), factory, network=network) for _ in range(3)]
        self.assertEqual(len(factory.connections), 3)
        self.assertEqual([pair.connection for pair in pairs], network.connections)

    def test_tls(self) -> None:
        """
        TLS can be between them, and the client judges the server.
        """
        maker = CertificateMaker()
        pair = connectedPair(Peer(), Peer(), tls=maker.make())
        pair.client.send(b"secret")
        pair.network.flush()
        self.assertEqual(pair.server.received, b"secret")
        self.assertIsInstance(pair.client.transport, TLSMemoryBIOProtocol)
        self.assertGreater(pair.connection.toServer.delivered, 100)
        for status in sorted({*STATUSES} - {"trusted", "unknown"}):
            with self.assertRaises(HandshakeFailed) as caught:
                connectedPair(Peer(), Peer(), tls=maker.make(status))
            self.assertEqual(caught.exception.verdict.status, status)
        # Without TLS it has nothing to judge, and waits until its time is over.
        with self.assertRaises(error.TimeoutError):
            connectedPair(Peer(), Peer(), tls=maker.make("unknown"))

    @given(
        st.lists(st.text("aé\U0001f600<>", max_size=5)), st.lists(st.integers(1, 9)), st.booleans()
    )
    def test_anyCut(self, messages: list[str], sizes: list[int], bytewise: bool) -> None:
        """
        However the stream is cut in both directions, the answers are the same.
        """
        pair = connectedPair(Peer(), XMLSocketFactory(Shouting))
        for flow in (pair.connection.toServer, pair.connection.toClient):
            flow.cut(everyByte() if bytewise else sizes)
        pair.client.send("".join(f"{message}\0" for message in messages).encode())
        pair.network.flush()
        answers = pair.client.received.decode().split("\0")
        self.assertEqual(answers, [*[message.upper() for message in messages], ""])
