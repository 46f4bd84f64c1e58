"""
Tests for L{openfl_twisted.protocols.oneport}.
"""

from collections.abc import Callable
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.protocols.policies import WrappingFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.transports.wrapper import ConnectionWrapper
from openfl_twisted.wire.firstbytes import ALL_TYPES, ClientType, Signature, recognize
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.request import REQUEST
from openfl_twisted.wire.policy.rule import AccessRule
from tests.doubles import TightTransport, linesOf
from tests.frames import REQUEST as UPGRADE
from tests.segments import cuts, cutStreams
from tests.support.greeters import Closer, Greeter, GreeterFactory, done

POLICY = PolicyFile((AccessRule("*", "80"),))
PEER = "192.168.1.1:54321"
TIMED_OUT = (
    "protocol detection timed out after an incomplete request; treating it as a plain client"
)
REPLY = POLICY.toXML() + b"\0"


@implementer(IHalfCloseableProtocol)
class HalfGreeter(Greeter):
    """
    Also supports half-closed connections.
    """

    def readConnectionLost(self) -> None:
        self.told.append("read lost")

    def writeConnectionLost(self) -> None:
        self.told.append("write lost")


class CountingClock(Clock):
    """
    A clock that limits the number of timers.
    """

    timers = 0

    def callLater(self, *arguments: Any, **named: Any) -> Any:
        self.timers += 1
        assert self.timers < 10, "too many timers"
        return super().callLater(*arguments, **named)


class OnePortTestCase(SynchronousTestCase):
    """
    Protocol detection that wraps L{Greeter}s.
    """

    def connect(self, inner: type[Greeter] = Greeter) -> tuple[ConnectionWrapper, TightTransport]:
        """
        Connect a client.
        """
        self.clock = Clock()
        self.wrapped = GreeterFactory(inner)
        self.factory = OnePortFactory(self.wrapped, policy=POLICY, clock=self.clock)
        protocol = self.factory.buildProtocol(None)
        assert protocol is not None
        transport = TightTransport(protocol, 1000)
        protocol.makeConnection(transport)
        return protocol, transport

    @property
    def greeter(self) -> Greeter:
        """
        The only wrapped protocol.
        """
        [greeter] = self.wrapped.made
        return greeter

    def assertNothingWaits(self) -> None:
        """
        Assert that no timer is left.
        """
        self.assertEqual(self.clock.getDelayedCalls(), [])


class PolicyTests(OnePortTestCase):
    """
    Policy requests are answered without the wrapped protocol.
    """

    @given(cuts(REQUEST))
    def test_anyCut(self, pieces: list[bytes]) -> None:
        """
        A request is answered however it is split, without a greeting.
        """
        protocol, transport = self.connect()
        for piece in pieces:
            protocol.dataReceived(piece)
        self.assertEqual(transport.drainAll(), REPLY)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(self.wrapped.made, [])
        self.assertNothingWaits()
        protocol.dataReceived(b"more")
        protocol.connectionLost(done)
        self.assertEqual(self.wrapped.made, [])

    def test_counted(self) -> None:
        """
        Requests are counted by their outcome, and logged. A UNIX socket has no port for
        which a file could exist.
        """
        answered = f"{PEER} received the policy file"
        unanswered = f"{PEER} requested the policy file, but none exists for unix:/a"
        for address, line in [(None, answered), (UNIXAddress(b"/a"), unanswered)]:
            protocol, transport = self.connect()
            self.factory.policy = PolicyFile.forPort
            if address is not None:
                transport.hostAddr = address
            with capturedLogs() as logs:
                protocol.dataReceived(REQUEST)
            self.assertEqual(linesOf(logs), [line])
            counted = (self.factory.answered, self.factory.unanswered)
            self.assertEqual(counted, (int(line == answered), int(line == unanswered)))
            self.assertTrue(transport.disconnecting)

    def test_slowRequest(self) -> None:
        """
        Each chunk restarts the delay.
        """
        protocol, transport = self.connect()
        for byte in REQUEST:
            self.clock.advance(0.4)
            protocol.dataReceived(bytes([byte]))
        self.assertEqual(transport.drainAll(), REPLY)

    def test_withoutEnd(self) -> None:
        """
        A request that lacks only its NUL byte is answered after C{greetingDelay}, or at
        EOF.
        """
        protocol, transport = self.connect()
        protocol.dataReceived(REQUEST[:-1])
        self.clock.advance(0.5)
        self.assertEqual(transport.drainAll(), REPLY)
        protocol, transport = self.connect()
        protocol.dataReceived(REQUEST[:-1])
        protocol.readConnectionLost()
        self.assertEqual(transport.drainAll(), REPLY)
        self.assertNothingWaits()

    def test_lateRequest(self) -> None:
        """
        A request after C{greetingDelay} is answered, too; the wrapped protocol, which
        has sent its greeting, is only notified of the end.
        """
        protocol, transport = self.connect()
        self.clock.advance(0.5)
        protocol.dataReceived(REQUEST[:5])
        protocol.dataReceived(REQUEST[5:])
        protocol.dataReceived(b"further")
        self.assertEqual(transport.drainAll(), b"hello" + REPLY)
        self.assertEqual((self.greeter.told, self.greeter.received), (["made", "lost"], b""))
        self.assertNothingWaits()


class PlainTests(OnePortTestCase):
    """
    Plain clients are served by the wrapped protocol.
    """

    def test_silence(self) -> None:
        """
        A client without data is greeted after C{greetingDelay}, not before.
        """
        protocol, transport = self.connect()
        self.clock.advance(0.4)
        self.assertEqual(transport.writes, [])
        self.clock.advance(0.1)
        self.assertEqual(transport.writes, [b"hello"])
        self.assertNothingWaits()
        protocol.dataReceived(b"abc")
        protocol.dataReceived(REQUEST)
        self.assertEqual(self.greeter.received, b"abc" + REQUEST)
        self.assertNothingWaits()

    @given(
        cutStreams(
            st.tuples(st.sampled_from([b"", b"<", b"<policy", REQUEST[:-1]]), st.binary(min_size=1))
            .map(b"".join)
            .filter(lambda data: recognize(data) is Signature.NONE)
        )
    )
    def test_anyCut(self, cut: tuple[bytes, list[bytes]]) -> None:
        """
        All bytes are delivered to the wrapped protocol, once and in order, and it sends
        one greeting.
        """
        stream, pieces = cut
        protocol, transport = self.connect()
        for piece in pieces:
            protocol.dataReceived(piece)
        protocol.connectionLost(done)
        self.assertEqual(self.greeter.received, stream)
        self.assertEqual(self.greeter.told, ["made", "lost"])
        self.assertEqual(transport.writes, [b"hello"])
        self.assertNothingWaits()

    def test_incompleteRequest(self) -> None:
        """
        An incomplete request, followed by 10 seconds without data, is treated as plain,
        with a log line.
        """
        protocol, _ = self.connect()
        with capturedLogs() as logs:
            protocol.dataReceived(b"<pol")
            self.clock.pump([0.5, 9.4])
            self.assertEqual(self.wrapped.made, [])
            self.clock.advance(0.1)
        self.assertEqual(self.greeter.received, b"<pol")
        self.assertEqual(
            linesOf(logs),
            [f"{PEER}: {TIMED_OUT}"],
        )
        self.assertNothingWaits()

    def test_lostUndetected(self) -> None:
        """
        Inspected bytes of a lost connection are delivered to the wrapped protocol if it
        is already connected; otherwise it is not connected.
        """
        protocol, _ = self.connect()
        self.clock.advance(0.5)
        protocol.dataReceived(b"<pol")
        protocol.connectionLost(done)
        self.assertEqual((self.greeter.told, self.greeter.received), (["made", "lost"], b"<pol"))
        for begun in [b"", b"<pol"]:
            protocol, _ = self.connect()
            protocol.dataReceived(begun)
            protocol.connectionLost(done)
            self.assertEqual(self.wrapped.made, [])
            self.assertNothingWaits()

    def test_paused(self) -> None:
        """
        A paused wrapped protocol receives the data when it resumes.
        """

        class Pausing(Greeter):
            def connectionMade(self) -> None:
                super().connectionMade()
                cast("IPushProducer", self.transport).pauseProducing()

        protocol, transport = self.connect(Pausing)
        protocol.dataReceived(b"abc")
        self.assertEqual((self.greeter.received, transport.producerState), (b"", "paused"))
        protocol.dataReceived(b"def")
        cast("IPushProducer", self.greeter.transport).resumeProducing()
        self.assertEqual((self.greeter.received, transport.producerState), (b"abcdef", "producing"))
        protocol.dataReceived(b"ghi")
        self.assertEqual(self.greeter.received, b"abcdefghi")

    def test_pausedForGood(self) -> None:
        """
        A wrapped protocol that pauses again, or closes, receives no further data.
        """

        class Shy(Greeter):
            def connectionMade(self) -> None:
                super().connectionMade()
                cast("IPushProducer", self.transport).pauseProducing()

            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                cast("IPushProducer", self.transport).pauseProducing()

        protocol, transport = self.connect(Shy)
        protocol.dataReceived(b"abc")
        cast("IPushProducer", self.greeter.transport).resumeProducing()
        self.assertEqual((self.greeter.received, transport.producerState), (b"abc", "paused"))

    def test_halfClosedWhilePaused(self) -> None:
        """
        The EOF of a client is delivered after the data held for a paused protocol.
        """

        class Pausing(HalfGreeter):
            def connectionMade(self) -> None:
                super().connectionMade()
                cast("IPushProducer", self.transport).pauseProducing()

        protocol, _ = self.connect(Pausing)
        protocol.dataReceived(b"<pol")
        protocol.readConnectionLost()
        self.assertEqual((self.greeter.received, self.greeter.told), (b"", ["made"]))
        cast("IPushProducer", self.greeter.transport).resumeProducing()
        self.assertEqual(
            (self.greeter.received, self.greeter.told), (b"<pol", ["made", "read lost"])
        )

    def test_resumedAfterTheEnd(self) -> None:
        """
        Resuming a lost connection does nothing.
        """
        protocol, _ = self.connect()
        protocol.dataReceived(b"abc")
        protocol.pauseProducing()
        protocol.connectionLost(done)
        protocol.resumeProducing()
        self.assertEqual(self.wrapped.made[0].received, b"abc")

    def test_faultOutsideARead(self) -> None:
        """
        An exception outside a read aborts the connection, too.
        """
        _, transport = self.connect()

        def fault(addr: object) -> Greeter:
            raise ValueError("a fault of the user's")

        self.wrapped.buildProtocol = fault  # type: ignore[method-assign]
        self.clock.advance(0.5)
        self.assertTrue(transport.closed)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_pausedBeforeItIsKnown(self) -> None:
        """
        A wrapped protocol that was connected after C{greetingDelay} can pause, too.
        """
        protocol, _ = self.connect()
        self.clock.advance(0.5)
        protocol.pauseProducing()
        protocol.dataReceived(b"<pol")
        protocol.resumeProducing()
        self.assertEqual(self.greeter.received, b"")
        protocol.dataReceived(b"ite>")
        self.assertEqual(self.greeter.received, b"<polite>")

    def test_pausedAfterItIsReplaced(self) -> None:
        """
        A wrapped protocol that pauses when it is disconnected for a late HTTP request
        does not pause the connection of the next protocol.
        """

        class Silent(Greeter):
            def connectionMade(self) -> None:
                pass

            def connectionLost(self, reason: Failure = done) -> None:
                super().connectionLost(reason)
                cast("IPushProducer", self.transport).pauseProducing()

        protocol, transport = self.connect(Silent)
        self.clock.advance(0.5)
        protocol.dataReceived(b"GET / HT")
        protocol.dataReceived(b"TP/1.1\r\n")
        protocol.dataReceived(b"Host: h\r\n\r\n")
        self.assertEqual(self.greeter.told, ["lost"])
        self.assertTrue(transport.drainAll().startswith(b"HTTP/1.1 426 "))

    def test_closedImmediately(self) -> None:
        """
        A wrapped protocol that closes the connection in C{connectionMade} receives no
        data.
        """
        protocol, transport = self.connect(Closer)
        protocol.dataReceived(b"abc")
        self.assertEqual(self.greeter.received, b"")
        self.assertEqual(transport.drainAll(), b"hello")

    def test_noDelay(self) -> None:
        """
        With C{greetingDelay} 0, a client without data is greeted in the next reactor iteration.
        """
        clock = Clock()
        wrapped = GreeterFactory(Greeter)
        factory = OnePortFactory(wrapped, policy=POLICY, greetingDelay=0, clock=clock)
        protocol = factory.buildProtocol(None)
        assert protocol is not None
        transport = TightTransport(protocol, 1000)
        protocol.makeConnection(transport)
        clock.advance(0)
        self.assertEqual(transport.writes, [b"hello"])

    def test_delayOfZero(self) -> None:
        """
        With C{greetingDelay} 0, incomplete requests and clients that must send first
        still have the detection timeout, with few timers.
        """
        for accept, first in ((ALL_TYPES, b"POST /a"), ({ClientType.WEBSOCKET}, b"")):
            clock = CountingClock()
            factory = OnePortFactory(
                GreeterFactory(Greeter), policy=None, accept=accept, greetingDelay=0, clock=clock
            )
            protocol = factory.buildProtocol(None)
            assert protocol is not None
            transport = TightTransport(protocol, 1000)
            protocol.makeConnection(transport)
            if first:
                protocol.dataReceived(first)
            clock.advance(9.9)
            self.assertFalse(transport.disconnecting)
            clock.advance(0.1)
            self.assertTrue(transport.disconnecting)
            self.assertEqual(clock.getDelayedCalls(), [])

    def test_floodedWhileClosing(self) -> None:
        """
        Data received while the connection closes is neither held nor delivered, even if
        the client was not detected.
        """
        protocol, transport = self.connect(Closer)
        self.clock.advance(0.5)
        for _ in range(3):
            protocol.dataReceived(b"x" * 1000)
        self.assertEqual(protocol.protocol.received, b"")
        transport.drainAll()
        self.assertEqual((self.greeter.told, self.greeter.received), (["made", "lost"], b""))
        self.assertNothingWaits()

    def test_refused(self) -> None:
        """
        If the wrapped factory returns no protocol, the connection is closed.
        """
        protocol, transport = self.connect()
        self.wrapped.buildProtocol = lambda addr: None  # type: ignore[method-assign,assignment,return-value]
        protocol.dataReceived(b"abc")
        protocol.dataReceived(b"def")
        self.assertTrue(transport.closed)
        self.assertNothingWaits()


class HalfCloseTests(OnePortTestCase):
    """
    Clients that send EOF.
    """

    def test_unaware(self) -> None:
        """
        If the wrapped protocol does not support half-close, the connection is closed
        after its data is sent.
        """
        protocol, transport = self.connect()
        protocol.dataReceived(b"abc")
        protocol.readConnectionLost()
        protocol.writeConnectionLost()
        self.assertTrue(transport.disconnecting)
        self.assertEqual(transport.drainAll(), b"hello")
        self.assertEqual(self.greeter.told, ["made", "lost"])

    def test_undetected(self) -> None:
        """
        An undetected client is treated as plain at EOF.
        """
        protocol, transport = self.connect()
        protocol.dataReceived(b"<pol")
        protocol.readConnectionLost()
        self.assertEqual(self.greeter.received, b"<pol")
        self.assertTrue(transport.disconnecting)

    def test_silent(self) -> None:
        """
        A client that sends only EOF is greeted and disconnected.
        """
        protocol, transport = self.connect()
        protocol.readConnectionLost()
        self.assertEqual(transport.drainAll(), b"hello")
        self.assertEqual((self.greeter.told, self.greeter.received), (["made", "lost"], b""))
        self.assertNothingWaits()

    def test_aware(self) -> None:
        """
        A wrapped protocol that supports half-close is notified, and decides.
        """
        protocol, transport = self.connect(HalfGreeter)
        protocol.dataReceived(b"abc")
        protocol.readConnectionLost()
        protocol.writeConnectionLost()
        self.assertEqual(self.greeter.told, ["made", "read lost", "write lost"])
        self.assertFalse(transport.disconnecting)

    def test_wrappers(self) -> None:
        """
        Wrapper factories, Twisted's and ours, support half-close if the wrapped
        protocol does.
        """

        def guard(factory: Any) -> GuardFactory:
            return GuardFactory(factory, clock=Clock())

        stacks: list[list[Callable[[Any], Any]]] = [
            [WrappingFactory],
            [guard],
            [guard, WrappingFactory],
            [WrappingFactory, guard],
        ]
        for stack in stacks:
            made = GreeterFactory(Greeter)
            wrapped: Any = made
            for wrap in stack:
                wrapped = wrap(wrapped)
            connection = OnePortFactory(wrapped, clock=Clock()).buildProtocol(None)
            transport = TightTransport(connection, 1000)
            connection.makeConnection(transport)
            connection.dataReceived(b"abc")
            connection.readConnectionLost()
            connection.writeConnectionLost()
            self.assertEqual(transport.drainAll(), b"hello")
            self.assertEqual(made.made[0].told, ["made", "lost"])


class NestedGuardTests(SynchronousTestCase):
    """
    A L{GuardFactory} inside a L{OnePortFactory}.
    """

    def test_webSocket(self) -> None:
        """
        WebSockets are counted until they are lost, also by a guard in front of the
        L{OnePortFactory}.
        """
        clock = Clock()
        inner = GuardFactory(GreeterFactory(Greeter), clock=clock)
        outer = GuardFactory(OnePortFactory(inner, policy=None, clock=clock), clock=clock)
        protocol = outer.buildProtocol(None)
        protocol.makeConnection(TightTransport(protocol, 1000))
        protocol.dataReceived(UPGRADE)
        self.assertEqual((inner.connections, outer.connections), (1, 1))
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((inner.connections, outer.connections), (0, 0))
        self.assertEqual(inner.closed, {("websocket", "peer"): 1})
        self.assertEqual(outer.closed, inner.closed)
        self.successResultOf(inner.closeAll(1))
        self.assertEqual(clock.getDelayedCalls(), [])


class FactoryTests(OnePortTestCase):
    """
    The factory starts and stops the wrapped factory.
    """

    def test_startAndStop(self) -> None:
        """
        The wrapped factory is started and stopped.
        """
        self.connect()
        self.factory.doStart()
        self.assertEqual(self.wrapped.started, 1)
        self.factory.doStop()
        self.assertEqual(self.wrapped.started, 0)

    def test_logPrefix(self) -> None:
        """
        The log prefix contains the wrapped factory.
        """
        protocol, _ = self.connect()
        self.assertEqual(protocol.logPrefix(), "GreeterFactory (one port)")
