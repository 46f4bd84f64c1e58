"""
Tests for L{openfl_twisted.testing._peers}.
"""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import error
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.net import Socket, XMLSocket
from openfl_twisted.protocols.binarysocket import BinarySocketFactory, BinarySocketProtocol
from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.testing import (
    EVERY_BYTE,
    STATUSES,
    CertificateMaker,
    EventRecorder,
    MemoryNetwork,
    Peer,
    ScriptedPeer,
    connectedPair,
)
from openfl_twisted.tls import HandshakeFailed
from openfl_twisted.transports.guard import GuardFactory

PORT = 8080


class ScriptTestCase(SynchronousTestCase):
    """
    Base class: a script and a client.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork()

    def meet(self, script: ScriptedPeer) -> Peer:
        """
        Connect to a server that follows a script.
        """
        script.listen(self.network, PORT)
        peer: Peer = self.network.run(self.connect())
        self.network.flush()
        return peer

    def connect(self) -> Any:
        """
        Connect a peer to the server.
        """
        endpoint = TCP4ClientEndpoint(self.network.reactor, "127.0.0.1", PORT)
        return endpoint.connect(Factory.forProtocol(Peer))

    def send(self, peer: Peer, data: bytes) -> None:
        """
        Send data, and flush the network.
        """
        peer.send(data)
        self.network.flush()

    def assertFails(self, script: ScriptedPeer, text: str) -> None:
        """
        The verification of a script fails with a text.
        """
        self.assertFalse(script.done)
        with self.assertRaises(AssertionError) as caught:
            script.verify()
        self.assertEqual(str(caught.exception), text)


class StepTests(ScriptTestCase):
    """
    L{ScriptedPeer} follows its script.
    """

    def test_steps(self) -> None:
        """
        Each step waits for the previous one.
        """
        script = ScriptedPeer().send(b"hello ").expect(b"one").send(b"two").expect(b"three").close()
        peer = self.meet(script)
        self.assertEqual(peer.received, b"hello ")
        self.send(peer, b"on")
        self.assertEqual(peer.received, b"hello ")
        self.send(peer, b"ethree")
        self.assertEqual(peer.received, b"hello two")
        self.assertIsInstance(peer.reason, error.ConnectionDone)
        self.assertTrue(script.done)
        script.verify()

    def test_empty(self) -> None:
        """
        A script can be empty.
        """
        script = ScriptedPeer()
        peer = self.meet(script)
        self.assertFalse(peer.closed)
        script.verify()

    def test_abort(self) -> None:
        """
        A script can reset the connection.
        """
        script = ScriptedPeer().expect(b"a").abort()
        peer = self.meet(script)
        self.send(peer, b"a")
        self.assertIsInstance(peer.reason, error.ConnectionLost)
        script.verify()

    def test_waitForClose(self) -> None:
        """
        A script can wait until the other side closes.
        """
        script = ScriptedPeer().expect(b"a").waitForClose()
        peer = self.meet(script)
        self.send(peer, b"a")
        self.assertFails(script, "step 2 of 2, waitForClose(), is pending: received nothing")
        peer.close()
        self.network.flush()
        script.verify()

    def test_client(self) -> None:
        """
        A script can be a client.
        """
        echo = XMLSocketFactory(EchoProtocol)
        self.network.reactor.listenTCP(PORT, echo, interface="127.0.0.1")
        script = ScriptedPeer().send(b"<a/>\0").expect(b"<a/>\0").close()
        self.network.run(script.connect(self.network, PORT))
        self.network.flush()
        script.verify()
        self.assertEqual(echo.connections, set())

    @given(
        st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=9)), max_size=8),
        st.lists(st.integers(1, 9)),
    )
    def test_anySplit(self, steps: list[tuple[bool, bytes]], sizes: list[int]) -> None:
        """
        Two matching scripts complete, however the stream is split.
        """
        network = MemoryNetwork()
        network.segments = sizes
        server, client = ScriptedPeer(), ScriptedPeer()
        for toServer, data in steps:
            sender, receiver = (client, server) if toServer else (server, client)
            sender.send(data)
            receiver.expect(data)
        client.close()
        server.waitForClose()
        server.listen(network, PORT)
        network.run(client.connect(network, PORT))
        network.flush()
        server.verify()
        client.verify()


class FailureTests(ScriptTestCase):
    """
    The verification of a failed script names the step, the expected and the
    received data.
    """

    def test_nobody(self) -> None:
        """
        No client has connected.
        """
        script = ScriptedPeer().expect(b"a")
        script.listen(self.network, PORT)
        self.assertFails(
            script,
            "step 1 of 1, expect(b'a'), is pending: no client has connected; call network.flush()"
            " before verify()",
        )

    def test_tooLittle(self) -> None:
        """
        The received data is incomplete.
        """
        script = ScriptedPeer().expect(b"abc")
        self.send(self.meet(script), b"ab")
        self.assertFails(script, "step 1 of 1, expect(b'abc'), is pending: received b'ab'")

    def test_wrong(self) -> None:
        """
        Unexpected data resets the connection.
        """
        script = ScriptedPeer().send(b"x").expect(b"abc").close()
        peer = self.meet(script)
        self.send(peer, b"a")
        self.send(peer, b"bd")
        self.assertTrue(peer.closed)
        self.assertFails(script, "step 2 of 3, expect(b'abc'), failed at byte 2: received b'abd'")

    def test_tooMuch(self) -> None:
        """
        Data after the last step is an error.
        """
        script = ScriptedPeer().expect(b"a")
        self.send(self.meet(script), b"abc")
        self.assertFails(script, "the script is complete, then received b'bc'")

    def test_beforeTheEnd(self) -> None:
        """
        Data instead of the end is an error.
        """
        script = ScriptedPeer().waitForClose()
        self.send(self.meet(script), b"a")
        self.assertFails(script, "step 1 of 1, waitForClose(), failed: received b'a'")

    def test_closed(self) -> None:
        """
        The end instead of data is an error.
        """
        script = ScriptedPeer().expect(b"a" * 100).send(b"b")
        peer = self.meet(script)
        peer.send(b"a" * 99)
        peer.close()
        self.network.flush()
        shown = f"{b'a' * 80!r}"
        self.assertFails(
            script,
            f"step 1 of 2, expect({shown} and 20 more bytes), failed: the connection was closed; "
            f"received {shown} and 19 more bytes",
        )

    def test_second(self) -> None:
        """
        A second connection is an error.
        """
        script = ScriptedPeer().waitForClose()
        self.meet(script)
        for _ in range(2):
            other = self.network.run(self.connect())
            self.network.flush()
            self.assertTrue(other.closed)
        self.assertFails(script, "a second client has connected")

    def test_closing(self) -> None:
        """
        No step can follow the end of the connection.
        """
        for script in (
            ScriptedPeer().close(),
            ScriptedPeer().abort(),
            ScriptedPeer().waitForClose(),
        ):
            error = self.assertRaises(ValueError, script.expect, b"a")
            self.assertIn("expect() cannot follow ", str(error))
            self.assertRaises(ValueError, script.close)


class RuffleTests(ScriptTestCase):
    """
    L{ScriptedPeer.fromRuffle} reads the scripts of Ruffle's tests.
    """

    def test_greeting(self) -> None:
        """
        A client writes and closes.
        """
        script = ScriptedPeer.fromRuffle(
            '[{"type": "Receive", "expected": [0, 6, 72, 101, 108, 108, 111, 33]},'
            ' {"type": "WaitForDisconnect"}]'
        )
        script.listen(self.network, PORT)
        socket = Socket(reactor=self.network.reactor)

        def connected(event: object) -> None:
            socket.writeUTF("Hello!")
            socket.flush()
            socket.close()

        socket.addEventListener("connect", connected)
        socket.connect("127.0.0.1", PORT)
        self.network.flush()
        script.verify()

    def test_messages(self) -> None:
        """
        A server sends and closes; the events are the same however the stream is
        split.
        """
        pieces = [b"\0First\0", b"Hello", b"World!", b"\0", b"\0\0", b"AA\0BB\0CC", b"DD\0"]
        text = json.dumps(
            [
                *[{"type": "Send", "payload": list(piece)} for piece in pieces],
                {"type": "Disconnect"},
            ]
        )
        for sizes in ((), (1, 2, 3), EVERY_BYTE):
            network = MemoryNetwork()
            network.segments = sizes
            script = ScriptedPeer.fromRuffle(text.encode())
            script.listen(network, PORT)
            socket = XMLSocket(reactor=network.reactor)
            recorder = EventRecorder(socket)
            socket.connect("127.0.0.1", PORT)
            network.flush()
            script.verify()
            self.assertEqual(
                [getattr(event, "data", event.type) for event in recorder.events],
                ["connect", "", "First", "HelloWorld!", "", "", "AA", "BB", "CCDD", "close"],
            )

    def test_noScript(self) -> None:
        """
        An invalid script is refused, with the position of the error.
        """
        for text, reason in [
            ("{", "Expecting property name"),
            ('{"type": "Send"}', "must be a list"),
            ("[1]", "event 1 is 1"),
            ('[{"type": "Disconnect"}, {"type": "Send"}]', "event 2 is {'type': 'Send'}"),
            ('[{"type": "Send", "payload": [256]}]', "event 1 is"),
            ('[{"type": "Send", "payload": ["a"]}]', "event 1 is"),
            ('[{"type": "Send", "payload": 5}]', "event 1 is"),
            ('[{"type": "Dance"}]', "event 1 is"),
            ('[{"type": []}]', "event 1 is"),
        ]:
            with self.assertRaises(ValueError) as caught:
                ScriptedPeer.fromRuffle(text)
            self.assertIn("invalid Ruffle script: ", str(caught.exception))
            self.assertIn(reason, str(caught.exception))


class Shouting(XMLSocketProtocol):
    """
    Answers in capitals.
    """

    def messageReceived(self, message: str) -> None:
        self.sendMessage(message.upper())


class PairTests(SynchronousTestCase):
    """
    L{connectedPair} connects two protocols.
    """

    def test_protocols(self) -> None:
        """
        Protocols are used unchanged.
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
        Factories build the protocols, whose first data has arrived.
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
        A factory can be wrapped in a guard.
        """
        guard = GuardFactory(XMLSocketFactory(Shouting))
        pair = connectedPair(Peer(), guard)
        pair.client.send(b"hello\0")
        pair.network.flush()
        self.assertEqual(pair.client.received, b"HELLO\0")
        self.assertEqual(len(guard.protocols), 1)

    def test_network(self) -> None:
        """
        Several pairs can share a network.
        """
        network = MemoryNetwork()
        factory = XMLSocketFactory(Shouting)
        pairs = [connectedPair(Peer(), factory, network=network) for _ in range(3)]
        self.assertEqual(len(factory.connections), 3)
        self.assertEqual([pair.connection for pair in pairs], network.connections)

    def test_tls(self) -> None:
        """
        With TLS the client verifies the server.
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
    def test_anySplit(self, messages: list[str], sizes: list[int], bytewise: bool) -> None:
        """
        The answers are the same however the stream is split in both directions.
        """
        pair = connectedPair(Peer(), XMLSocketFactory(Shouting))
        for flow in (pair.connection.toServer, pair.connection.toClient):
            flow.split(EVERY_BYTE if bytewise else sizes)
        pair.client.send("".join(f"{message}\0" for message in messages).encode())
        pair.network.flush()
        answers = pair.client.received.decode().split("\0")
        self.assertEqual(answers, [*[message.upper() for message in messages], ""])
