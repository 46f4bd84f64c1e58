"""
Tests for C{startTLS} on a bound TCP connection.
"""

import contextlib
from tempfile import TemporaryDirectory
from typing import Any

import trustme
from OpenSSL import SSL
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.protocols import tls
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.addresses import describe
from openfl_twisted.protocols.binarysocket import BinarySocketProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol
from openfl_twisted.testing._certificates import CertificateMaker
from openfl_twisted.tls.server import ServerCertificates, ServerConnectionCreator
from openfl_twisted.transports.buffered import BufferedTransport
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.transports.writebatch import currentBatch
from tests.doubles import RecordingProducer
from tests.segments import everyCut
from tests.transports.lines import Actor, EpollLine, TCPLine

CREDENTIALS = CertificateMaker().make()


class Upgrading(Actor):
    """
    Starts TLS when it receives C{S}.
    """

    context: Any = CREDENTIALS

    def byteReceived(self, byte: bytes) -> None:
        if byte == b"S":
            self.received += byte
            self.transport.write(b"go")
            self.transport.startTLS(self.context)
        else:
            super().byteReceived(byte)


class Client:
    """
    The peer, which speaks TLS after C{go}.

    @ivar received: the bytes received in TLS.
    @ivar isClosed: whether TLS was closed by the server.
    """

    def __init__(self, line: TCPLine) -> None:
        self.line = line
        self.received = b""
        self.isClosed = False
        self._taken = 0
        self._tls = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        self._tls.set_connect_state()

    def start(self) -> None:
        """
        Complete the TLS handshake.
        """
        assert self.line.sent.startswith(b"go"), self.line.sent
        self._taken = 2
        self.exchange()

    def send(self, data: bytes) -> None:
        self._tls.sendall(data)
        self.exchange()

    def close(self, data: bytes = b"") -> None:
        """
        Close TLS; with data, in the same segment.
        """
        if data:
            self._tls.sendall(data)
        self._tls.shutdown()
        self.exchange()

    def exchange(self) -> None:
        """
        Send and receive until nothing happens.
        """
        for _ in range(8):
            with contextlib.suppress(SSL.WantReadError):
                self._tls.do_handshake()
            try:
                while True:
                    self.received += self._tls.recv(1 << 14)
            except SSL.WantReadError:
                pass
            except SSL.ZeroReturnError:
                self.isClosed = True
            with contextlib.suppress(SSL.WantReadError):
                while True:
                    self.line.socket.incoming.append(self._tls.bio_read(1 << 14))
            self.line.turn(2)
            sent = self.line.sent[self._taken :]
            self._taken += len(sent)
            if sent:
                self._tls.bio_write(sent)


class StartTLSTests(SynchronousTestCase):
    """
    The owner receives another connection with the same settings.
    """

    line: type[TCPLine] = TCPLine

    def setUp(self) -> None:
        """
        Leave any write batch.
        """
        self.patch(currentBatch, "waiting", None)

    def connect(self, actor: Any = None) -> tuple[Any, TCPLine, Client]:
        """
        Connect a protocol.
        """
        actor = actor or Upgrading()
        line = self.line(actor)
        # Twisted's TLS joins small writes with a timer.
        self.patch(tls, "_get_default_clock", lambda: line.clock)
        return actor, line, Client(line)

    def test_sends(self) -> None:
        """
        Data written before C{startTLS} is sent in plaintext, and the rest in TLS.
        """
        actor, line, client = self.connect()
        line.arrive(b"S")
        client.start()
        client.send(b"abc")
        self.assertIsInstance(actor.transport, BufferedTransport)
        self.assertEqual((client.received, actor.received), (b"abc", b"Sabc"))
        client.send(b"deL")
        self.assertEqual(client.received, b"abcde")
        self.assertTrue(client.isClosed)
        client.close()
        self.assertEqual(actor.ends, ["ConnectionDone"])

    def test_notWhileHeld(self) -> None:
        """
        C{startTLS} raises while plaintext is queued; the connection is unchanged.
        """
        actor, line, _ = self.connect()
        line.socket.room = 1
        line.arrive(b"ab")
        before = actor.transport
        self.assertRaises(RuntimeError, before.startTLS, CREDENTIALS)
        self.assertIs(actor.transport, before)
        line.arrive(b"c")
        line.read()
        self.assertEqual(line.sent, b"abc")

    def test_producer(self) -> None:
        """
        A producer stays registered: it is paused and stopped as before.
        """
        actor, line, client = self.connect()
        producer = RecordingProducer()
        actor.transport.registerProducer(producer, True)
        line.arrive(b"S")
        client.start()
        line.socket.room = 0
        actor.transport.write(b"x" * 200_000)
        line.turn(2)
        actor.transport.write(b"y")
        self.assertIn("pause", producer.told)
        line.read()
        client.exchange()
        self.assertEqual(producer.told[-1], "resume")
        self.assertEqual(len(client.received), 200_001)
        line.reset()
        line.turn(2)
        self.assertEqual((producer.told[-1], producer.told.count("stop")), ("stop", 1))

    def test_ownProducer(self) -> None:
        """
        A connection that is its own producer remains so inside TLS.
        """
        actor, line, client = self.connect()
        actor.transport.registerProducer(actor.transport, True)
        line.arrive(b"S")
        client.start()
        client.send(b"a")
        line.socket.room = 0
        actor.transport.write(b"x" * 200_000)
        line.turn(2)
        actor.transport.write(b"y")
        self.assertFalse(line.isReading)
        line.read()
        client.exchange()
        self.assertTrue(line.isReading)
        client.send(b"L")
        client.close()
        self.assertEqual(actor.ends, ["ConnectionDone"])

    def test_lastAnswer(self) -> None:
        """
        A client that closes TLS with its last message receives the answer, if the context
        is one of this package.
        """
        upgrading = Upgrading()
        with TemporaryDirectory() as folder:
            path = f"{folder}/server.pem"
            identity = trustme.CA().issue_cert("localhost")
            identity.private_key_and_cert_chain_pem.write_to_path(path)
            certificates = ServerCertificates(path)
        upgrading.context = ServerConnectionCreator(certificates, clock=Clock())
        _, _, client = self.connect(upgrading)
        client.line.arrive(b"S")
        client.start()
        client.close(b"last")
        self.assertEqual(client.received, b"last")

    def test_tap(self) -> None:
        """
        The tap receives the data written in TLS.
        """
        actor, line, client = self.connect()
        tapped: list[bytes] = []
        actor.transport.tap = tapped.append
        line.arrive(b"S")
        client.start()
        client.send(b"a")
        self.assertEqual((tapped, client.received), ([b"go", b"a"], b"a"))

    def test_limit(self) -> None:
        """
        The limit of the send queue holds in TLS.
        """
        actor, line, client = self.connect()
        line.arrive(b"S")
        client.start()
        line.socket.room = 0
        for _ in range(400):
            actor.transport.write(b"x" * 400)
            line.turn()
        self.assertEqual(actor.exceeded, 1)
        line.turn(2)
        # As with Twisted's own transports.
        self.assertEqual(actor.ends, ["ConnectionLost"])

    def test_plaintext(self) -> None:
        """
        Plaintext that follows the request to start TLS is never delivered, however the
        stream is split; the connection is closed, and not aborted twice.
        """
        for chunks in everyCut(b"aSbcd"):
            with self.subTest(chunks=chunks):
                actor, line, _ = self.connect()
                line.arrive(*chunks)
                # TLS waits for the rest of a record.
                line.arrive(b"efghijklm")
                line.turn(6)
                self.assertEqual(actor.received, b"aS")
                self.assertTrue(line.isClosed)
                self.assertEqual(len(actor.ends), 1)
                self.assertEqual(line.clock.errors, [])

    def test_plaintextIsLogged(self) -> None:
        """
        The reason of the abort is logged in one line.
        """
        actor, line, _ = self.connect()
        with capturedLogs() as events:
            line.arrive(b"aSbcd")
            line.turn(3)
        expected = (
            f"{describe(line.connection.getPeer())} aborted: plaintext was received between the "
            "request to start TLS and the TLS handshake"
        )
        logged = [formatEvent(event) for event in events if event["log_level"] >= LogLevel.warn]
        self.assertEqual(logged, [expected])
        self.assertTrue(line.isClosed)
        self.assertEqual(len(actor.ends), 1)

    def test_heldPlaintext(self) -> None:
        """
        Plaintext that is held because the protocol has paused is not delivered either.
        """
        for text in (b"PaSbcd", b"aPSbcd", b"PaSbPcd"):
            with self.subTest(text=text):
                actor, line, _ = self.connect()
                line.arrive(text)
                self.assertTrue(actor.received.endswith(b"P"))
                actor.transport.resumeProducing()
                line.turn(6)
                self.assertTrue(actor.received.endswith(b"S"), actor.received)
                self.assertEqual(actor.ends, ["ConnectionAborted"])

    def test_startsWhilePlaintextIsHeld(self) -> None:
        """
        A paused protocol cannot start TLS while it has not received all plaintext: the
        connection is aborted. Nothing is written without TLS afterwards.
        """
        actor, line, _ = self.connect()
        line.arrive(b"aPbc")
        actor.transport.startTLS(CREDENTIALS)
        actor.transport.write(b"secret")
        actor.transport.resumeProducing()
        line.turn(3)
        self.assertEqual((actor.received, line.sent), (b"aP", b"a"))
        self.assertEqual(actor.ends, ["ConnectionAborted"])

    def test_plaintextForAnyProtocol(self) -> None:
        """
        Plaintext held for a protocol that has not bound the connection is delivered to
        TLS, which closes the connection.
        """
        received: list[bytes] = []

        class Pausing(Protocol):
            transport: Any

            def dataReceived(self, data: bytes) -> None:
                received.append(data)

        protocol = Pausing()
        line = self.line(protocol)
        self.patch(tls, "_get_default_clock", lambda: line.clock)
        protocol.transport.pauseProducing()
        protocol.transport.deliver(b"GET / HTTP/1.0")
        protocol.transport.startTLS(CREDENTIALS)
        protocol.transport.resumeProducing()
        line.turn(6)
        self.assertEqual(received, [])
        self.assertTrue(line.isClosed)

    def test_partialMessage(self) -> None:
        """
        A message that begins in plaintext cannot end inside TLS, however the stream is
        split.
        """

        class Messages(XMLSocketProtocol):
            def __init__(self) -> None:
                self.messages: list[str] = []

            def messageReceived(self, message: str) -> None:
                self.messages.append(message)
                if message == "S":
                    self.sendMessage("go")
                    self.transport.startTLS(CREDENTIALS)

            def getClock(self) -> Any:
                return line.clock

        for chunks in everyCut(b"a\0S\0bc"):
            with self.subTest(chunks=chunks):
                protocol = Messages()
                line = self.line(protocol)
                self.patch(tls, "_get_default_clock", lambda line=line: line.clock)
                line.arrive(*chunks, b"defghijk")
                line.turn(6)
                self.assertEqual(protocol.messages, ["a", "S"])
                self.assertTrue(line.isClosed)
        protocol = Messages()
        line = self.line(protocol)
        line.arrive(b"S\0b")
        line.turn(3)
        self.assertTrue(line.isClosed)

    def test_unreadBytes(self) -> None:
        """
        TLS cannot start while bytes received in plaintext are unread.
        """

        class Reader(BinarySocketProtocol):
            def socketDataReceived(self, bytesLoaded: int) -> None:
                if self.readUTFBytes(1) == "S":
                    self.transport.startTLS(CREDENTIALS)

            def getClock(self) -> Any:
                return line.clock

        protocol = Reader()
        line = self.line(protocol)
        self.patch(tls, "_get_default_clock", lambda: line.clock)
        line.arrive(b"Sb")
        line.turn(3)
        self.assertEqual(protocol.bytesAvailable, 0)
        self.assertTrue(line.isClosed)

    def test_eofIsNotPlaintext(self) -> None:
        """
        An EOF that is held does not count as plaintext: TLS starts, and is then closed.
        """
        actor, line, _ = self.connect()
        line.arrive(b"P", b"")
        with capturedLogs() as events:
            actor.transport.startTLS(CREDENTIALS)
            actor.transport.resumeProducing()
            line.turn(4)
        self.assertEqual([formatEvent(each) for each in events if "aborted" in str(each)], [])
        self.assertEqual(len(actor.ends), 1)

    def test_restIsDropped(self) -> None:
        """
        Data that was received together with the request to start TLS is not delivered
        after the protocol has closed the connection.
        """

        class Closing(Upgrading):
            def byteReceived(self, byte: bytes) -> None:
                super().byteReceived(byte)
                if byte == b"S":
                    self.transport.loseConnection()

        actor, line, _ = self.connect(Closing())
        line.arrive(b"Sabc")
        line.reset()
        line.turn(3)
        self.assertEqual(actor.received, b"S")
        self.assertEqual(len(actor.ends), 1)

    def test_paused(self) -> None:
        """
        A protocol that starts TLS and pauses receives the rest when it resumes.
        """

        class Pausing(Upgrading):
            def byteReceived(self, byte: bytes) -> None:
                super().byteReceived(byte)
                if byte == b"S":
                    self.transport.pauseProducing()

        actor, line, client = self.connect(Pausing())
        line.arrive(b"S")
        client.start()
        self.assertFalse(line.isReading)
        actor.transport.resumeProducing()
        client.exchange()
        client.send(b"abPcd")
        self.assertEqual(actor.received, b"SabP")
        actor.transport.resumeProducing()
        client.exchange()
        self.assertEqual((actor.received, client.received), (b"SabPcd", b"abcd"))

    def test_guard(self) -> None:
        """
        A guard closes a connection in TLS gracefully, and tells its owner that an operator
        closes it.
        """
        told: list[str] = []

        class Told(Upgrading):
            def disconnectedByOperator(self) -> None:
                told.append("operator")

        actor = Told()
        factory = Factory.forProtocol(lambda: actor)
        factory.noisy = False
        guard = GuardFactory(factory, clock=Clock())
        line = self.line(actor, top=lambda clock: guard.buildProtocol(None))
        self.patch(tls, "_get_default_clock", lambda: line.clock)
        client = Client(line)
        line.arrive(b"S")
        client.start()
        client.send(b"a")
        self.assertIs(next(iter(guard.protocols)).top, actor.transport)
        self.assertTrue(guard.kick(1, "test"))
        client.exchange()
        self.assertEqual(told, ["operator"])
        self.assertTrue(client.isClosed)
        client.close()
        self.assertEqual((actor.ends, guard.connections), (["ConnectionDone"], 0))


class EpollStartTLSTests(StartTLSTests):
    line = EpollLine
