"""
Tests for L{openfl_twisted.transports.tap}.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IHandshakeListener
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols import tls
from zope.interface import implementer

from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.testing import Peer
from openfl_twisted.transports.connection import Connection
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.transports.tap import Tap
from tests.sessions.recordings import Answering, RecordingCase, TLSPeer, WebSocketPeer
from tests.support.upgrading import UpgradingProtocol


class Log:
    """
    An observer that records its calls.

    @ivar act: called after each call.
    """

    def __init__(self, act: Callable[[], object] = lambda: None) -> None:
        self.told: list[Any] = []
        self.act = act

    def received(self, data: bytes) -> None:
        self.told.append(("in", data))
        self.act()

    def written(self, data: bytes) -> None:
        self.told.append(("out", data))
        self.act()

    def ended(self, byPeer: bool, isLost: bool) -> None:
        self.told.append(("end", byPeer, isLost))
        self.act()


A = [("in", b"a\0"), ("out", b"<a>\0")]
B = [("in", b"b\0"), ("out", b"<b>\0")]


class Kept(Answering):
    """
    Remembers the protocols.
    """

    made: list["Kept"]

    def connectionMade(self) -> None:
        self.made.append(self)


class TapTests(RecordingCase):
    """
    Tests with each type of connection.
    """

    def setUp(self) -> None:
        super().setUp()
        Kept.made = []

    def serveGuarded(self, factory: Any, *, coalesce: bool = True, tls: bool = False) -> int:
        """
        Serve a factory on a shared port, with a guard.

        @return: the port.
        """
        clock = self.network.reactor
        onePort = OnePortFactory(
            factory, clock=clock, tls=self.certificates() if tls else None, greetingDelay=0.5
        )
        self.guard = GuardFactory(onePort, clock=clock)
        return self.listen(self.guard, coalesce=coalesce)

    def forEach(self, check: Callable[[Any, Any, Any], object]) -> None:
        """
        Connect a client of each type.

        @param check: called with a function that sends a message, the protocol and the client.
        """
        for number in range(8):
            self.setUp()
            isTLS, coalesce, isWebSocket = (bool(number & bit) for bit in (1, 2, 4))
            port = self.serveGuarded(XMLSocketFactory(Kept), coalesce=coalesce, tls=isTLS)
            client = self.connect(port, WebSocketPeer() if isWebSocket else Peer(), tls=isTLS)
            self.network.flush()
            self.network.advance(1)
            say = partial(self.say, client.say if isWebSocket else client.send)
            say(b"x\0")
            with self.subTest(isTLS=isTLS, coalesce=coalesce, isWebSocket=isWebSocket):
                check(say, Kept.made[0], client)

    def say(self, send: Callable[[bytes], object], message: bytes) -> None:
        """
        Send a message, and wait for the answer.
        """
        send(message)
        self.network.flush()

    def stateOf(self, connection: Any) -> tuple[Any, ...]:
        """
        Return what an observer changes.
        """
        lowest = Tap(connection)._base
        return connection.protocol, connection.tap, lowest.guard

    def test_attach(self) -> None:
        """
        Observers are called from L{Tap.attach} until L{Tap.detach}. After the last one, nothing
        remains.
        """

        def check(say: Any, protocol: Any, _client: Any) -> None:
            connection = protocol.transport
            before = self.stateOf(connection)
            one, two = Log(), Log()
            tap = Tap.attach(connection, one)
            say(b"a\0")
            self.assertIs(Tap.attach(connection, two), tap)
            say(b"b\0")
            tap.detach(one)
            say(b"a\0")
            tap.detach(one)
            tap.detach(two)
            self.assertEqual(self.stateOf(connection), before)
            say(b"b\0")
            self.assertEqual((one.told, two.told), (A + B, B + A))

        self.forEach(check)

    def test_again(self) -> None:
        """
        A tap without observers can be used again.
        """

        def check(say: Any, protocol: Any, _client: Any) -> None:
            log = Log()
            before = self.stateOf(protocol.transport)
            tap = Tap.attach(protocol.transport, log)
            for _ in range(2):
                say(b"a\0")
                tap.detach(log)
                say(b"b\0")
                tap.add(log)
            tap.detach(log)
            self.assertEqual((log.told, self.stateOf(protocol.transport)), (A + A, before))

        self.forEach(check)

    def test_end(self) -> None:
        """
        A tap notifies observers of the end before the protocol. After it, nothing remains.
        """

        def check(_say: Any, protocol: Any, client: Any) -> None:
            connection = protocol.transport
            log = Log(lambda: self.assertFalse(protocol._isLost))
            Tap.attach(connection, log)
            client.close()
            self.network.flush()
            self.assertTrue(protocol._isLost)
            [end] = log.told
            self.assertEqual(end[0], "end")
            self.assertIn(connection.protocol, (None, protocol))
            self.assertIsNone(connection.tap)
            self.assertEqual(self.guard.connections, 0)

        self.forEach(check)

    def test_afterEnd(self) -> None:
        """
        An observer that is attached to a lost connection is never called, and changes nothing.
        """

        def check(_say: Any, protocol: Any, client: Any) -> None:
            connection = protocol.transport
            client.abort()
            self.network.flush()
            before = connection.protocol, connection.tap
            log = Log()
            tap = Tap.attach(connection, log)
            self.assertEqual((connection.protocol, connection.tap), before)
            tap.detach(log)
            self.assertEqual((connection.protocol, connection.tap, log.told), (*before, []))

        self.forEach(check)

    def test_inConnectionLost(self) -> None:
        """
        An observer that is attached in C{connectionLost} is never called.
        """
        log = Log()

        class Late(Kept):
            def connectionLost(self, reason: Any = None) -> None:
                super().connectionLost(reason)
                Tap.attach(self.transport, log)

        client = self.connect(self.serveGuarded(XMLSocketFactory(Late)))
        client.send(b"a\0")
        self.network.flush()
        client.close()
        self.network.flush()
        self.assertEqual(log.told, [])
        self.assertEqual(self.guard.connections, 0)

    def test_detachInCallback(self) -> None:
        """
        Observers that are detached during a call are not called again, not even with the same
        data.
        """

        def check(say: Any, protocol: Any, _client: Any) -> None:
            connection = protocol.transport
            before = self.stateOf(connection)
            two, three = Log(), Log()

            def leave() -> None:
                tap.detach(one)
                tap.detach(two)

            one = Log(leave)
            tap = Tap.attach(connection, one)
            Tap.attach(connection, two)
            Tap.attach(connection, three)
            say(b"a\0")
            self.assertEqual((one.told, two.told, three.told), (A[:1], [], A))
            four = Log(lambda: tap.detach(four))
            tap.detach(three)
            tap = Tap.attach(connection, four)
            say(b"b\0")
            self.assertEqual((four.told, three.told), (B[:1], A))
            self.assertEqual(self.stateOf(connection), before)

        self.forEach(check)

    def test_detachWhileWriting(self) -> None:
        """
        An observer can detach itself and others when data is written, or at the end.
        """

        def check(say: Any, protocol: Any, client: Any) -> None:
            connection = protocol.transport

            def leave() -> None:
                if len(one.told) > 1:
                    tap.detach(one)
                    tap.detach(two)

            one, two = Log(leave), Log()
            tap = Tap.attach(connection, one)
            Tap.attach(connection, two)
            say(b"a\0")
            self.assertEqual((one.told, two.told), (A, A[:1]))
            three = Log(lambda: tap.detach(three))
            tap = Tap.attach(connection, three)
            client.abort()
            self.network.flush()
            self.assertEqual(three.told, [("end", False, True)])
            self.assertEqual(self.guard.connections, 0)

        self.forEach(check)

    def test_attachInCallback(self) -> None:
        """
        An observer that is attached during a call is called with the following data.
        """

        def check(say: Any, protocol: Any, _client: Any) -> None:
            two = Log()

            def replace() -> None:
                tap.detach(one)
                Tap.attach(protocol.transport, two)

            one = Log(replace)
            tap = Tap.attach(protocol.transport, one)
            say(b"a\0")
            say(b"b\0")
            self.assertEqual((one.told, two.told), (A[:1], A[1:] + B))

        self.forEach(check)

    def test_duringDetection(self) -> None:
        """
        While the client type is unknown, the protocol of a client that waits for a greeting can be
        observed. The policy request is not observed.
        """
        port = self.serveGuarded(XMLSocketFactory(Kept))
        client = self.connect(port)
        self.network.advance(1)
        [protocol] = Kept.made
        before = self.stateOf(protocol.transport)
        log, other = Log(), Log()
        tap = Tap.attach(protocol.transport, log)
        protocol.sendMessage("hello")
        client.send(b"<polic")
        self.network.flush()
        tap.detach(log)
        self.assertEqual(self.stateOf(protocol.transport), before)
        Tap.attach(protocol.transport, other)
        client.send(b"y\0")
        self.network.flush()
        self.assertEqual(log.told, [("out", b"hello\0")])
        self.assertEqual(other.told, [("in", b"<policy\0"), ("out", b"<<policy>\0")])
        self.assertEqual(client.received, b"hello\0<<policy>\0")

    def test_interfaces(self) -> None:
        """
        A tap provides the interfaces of the protocol.
        """

        @implementer(IHandshakeListener)
        class Listener(Protocol):
            transport: Any

            def connectionMade(self) -> None:
                Tap.attach(self.transport, Log())
                taps.append(self.transport.protocol)

            def handshakeCompleted(self) -> None:
                pass

        taps: list[Any] = []
        for factory in (Factory.forProtocol(Listener), XMLSocketFactory(Kept)):
            self.connect(self.serveGuarded(factory)).send(b"a\0")
            self.network.flush()
        Tap.attach(Kept.made[0].transport, Log())
        taps.append(Kept.made[0].transport.protocol)
        provided = [
            [each.providedBy(tap) for each in (IHandshakeListener, IHalfCloseableProtocol)]
            for tap in taps
        ]
        self.assertEqual(provided, [[True, False], [False, True]])
        self.assertEqual([tap.logPrefix() for tap in taps], ["Listener", "Kept"])

    def test_nestedGuard(self) -> None:
        """
        If the factory of the protocol is wrapped again, the protocol is observed.
        """
        self.record()
        inner = GuardFactory(XMLSocketFactory(Kept), clock=self.network.reactor)
        client = self.connect(self.serve(inner))
        client.send(b"a\0")
        self.network.flush()
        client.close()
        self.network.flush()
        [session] = self.finish()
        self.assertEqual(
            [(message.side, message.data) for message in session.messages],
            [("client", b"a\0"), ("server", b"<a>\0")],
        )
        self.assertEqual(inner.closed, {("plain", "peer"): 1})


class StartTLSTests(RecordingCase):
    """
    Tests with TLS that is started on an open connection.
    """

    def test_attach(self) -> None:
        """
        An observer can be attached before and after the start of TLS. After the last one is
        detached, nothing remains.
        """
        self.patch(tls, "_get_default_clock", lambda: self.network.reactor)
        made: list[XMLSocketProtocol] = []

        class Upgrading(UpgradingProtocol):
            def connectionMade(self) -> None:
                made.append(self)

        for isEarly in (False, True):
            port = self.listen(
                GuardFactory(XMLSocketFactory(Upgrading), clock=self.network.reactor)
            )
            client = self.connect(port, TLSPeer())
            early, late = Log(), Log()
            self.network.flush()
            below: Any = made[-1].transport
            guard = below.guard
            taps = [Tap.attach(below, early)] if isEarly else []
            client.send(b"tls\0")
            self.network.flush()
            client.start()
            self.network.flush()
            inTLS: Connection = made[-1].transport
            taps.append(Tap.attach(inTLS, late))
            client.say(b"a\0")
            self.network.flush()
            if isEarly:
                self.assertIs(taps[0], taps[1])
                self.assertEqual(early.told, [("in", b"tls\0"), ("out", b"go\0"), *A])
                taps[0].detach(early)
            self.assertEqual(late.told, A)
            taps[-1].detach(late)
            self.assertEqual((inTLS.tap, below.tap, below.guard), (None, None, guard))
            self.assertIs(below.protocol.wrappedProtocol, made[-1])
            client.say(b"b\0")
            self.network.flush()
            self.assertEqual(client.decrypted, b"<a>\0<b>\0")
