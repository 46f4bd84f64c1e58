"""
Tests for C{startTLS} on a bound TCP connection.
"""

import contextlib
from typing import Any

from OpenSSL import SSL
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.protocols import tls
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.testing.certificates import CertificateMaker
from openfl_twisted.transports.buffered import BufferedTransport
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.transports.writebatch import currentBatch
from tests.doubles import RecordingProducer
from tests.transports.lines import Actor, EpollLine, TCPLine

CREDENTIALS = CertificateMaker().make()


class Upgrading(Actor):
    """
    Starts TLS when it receives C{S}.
    """

    def byteReceived(self, byte: bytes) -> None:
        if byte == b"S":
            self.received += byte
            self.transport.write(b"go")
            self.transport.startTLS(CREDENTIALS)
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
        Shake hands.
        """
        assert self.line.sent.startswith(b"go"), self.line.sent
        self._taken = 2
        self.exchange()

    def send(self, data: bytes) -> None:
        self._tls.sendall(data)
        self.exchange()

    def close(self) -> None:
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
    The owner gets another connection, which is the old one for everything it has set.
    """

    line: type[TCPLine] = TCPLine

    def setUp(self) -> None:
        """
        Be outside any batch.
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
        The protocol is sent what was written before TLS without it, and the rest in TLS.
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
        TLS cannot start while the peer has not read what was written before; the
        connection stays as it was.
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
        A connection that is its own producer is so in TLS, too.
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

    def test_tap(self) -> None:
        """
        The tap receives what is written in TLS.
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
