"""
Tests for L{openfl_twisted.dashboard.measuring}.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.dashboard import measuring
from openfl_twisted.dashboard.measuring import (
    Histogram,
    Measurements,
    MeasuringFactory,
    _counterOf,
)
from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.transports.tap import Tap
from openfl_twisted.wire.dialects import DIALECTS, Dialect
from tests.frames import BINARY, REQUEST, frame
from tests.segments import cuts
from tests.support.clients import IDENTITY, Client
from tests.tls.handshakes import Presenting


def sizes(*values: int) -> Histogram:
    """
    Return a histogram with a bucket for each size.
    """
    histogram = Histogram(range(200))
    for value in values:
        histogram.observe(value)
    return histogram


class HistogramTests(SynchronousTestCase):
    """
    L{Histogram}.
    """

    def test_observe(self) -> None:
        """
        A bucket contains the values up to its bound; the last one contains all others.
        """
        histogram = Histogram((1, 10))
        for value in (0, 1, 1.5, 10, 11, 500):
            histogram.observe(value)
        self.assertEqual((histogram.counts, histogram.total), ([2, 2, 2], 523.5))


class SizeTests(SynchronousTestCase):
    """
    The sizes of messages.
    """

    @given(st.data(), st.sampled_from(["xml", "lines", "u16", "u16self", "u32", "u32self"]))
    def test_sizes(self, data: st.DataObject, name: str) -> None:
        """
        The sizes of the messages in any stream are those of the dialect, with the terminator or the
        length, however the stream is split. An incomplete message is not counted.
        """
        dialect: Any = DIALECTS[name]
        contents = data.draw(st.lists(st.binary(max_size=40), max_size=6))
        stream = b"".join(map(dialect.frame, contents))
        cutter = dialect.cutter()
        stream += data.draw(st.binary(max_size=5))
        expected = [len(each) for each in dialect.split(cutter.feed(stream))]
        found = sizes()
        counter = _counterOf(dialect, found)
        for piece in data.draw(cuts(stream)):
            counter.take(piece)
        self.assertEqual((found.counts, found.total), (sizes(*expected).counts, sum(expected)))

    def test_otherDialects(self) -> None:
        """
        Without a terminator or a length, each chunk is counted.
        """
        for name in ("raw", "amf0", "amf3"):
            found = sizes()
            counter = _counterOf(DIALECTS[name], found)
            for piece in (b"abc", b"d"):
                counter.take(piece)
            self.assertEqual(found.counts, sizes(3, 1).counts)


class Slow(EchoProtocol):
    """
    Pauses reading at the first message.
    """

    def messagesReceived(self, messages: list[str]) -> None:
        if self.transport.bytesIn < 4:
            self.transport.pauseProducing()
        super().messagesReceived(messages)


class MeasuringTests(SynchronousTestCase):
    """
    L{MeasuringFactory}.
    """

    def open(
        self,
        protocol: type[XMLSocketProtocol] = EchoProtocol,
        dialect: Dialect = DIALECTS["xml"],
    ) -> None:
        """
        Make a server whose handlers take a second for each read.
        """
        self.clock = MemoryReactorClock()
        times: Iterator[int] = count()
        self.measurements = Measurements(self.clock, lambda: next(times))
        application = XMLSocketFactory(protocol, clock=self.clock)
        self.factory = MeasuringFactory(application, self.measurements, dialect)
        tls: Any = Presenting.of(IDENTITY)
        self.onePort = OnePortFactory(self.factory, tls=tls, clock=self.clock)
        self.guard = GuardFactory(self.onePort, clock=self.clock)

    def measured(self) -> tuple[float, float, float]:
        """
        Return the number of bytes in received and sent messages, and the seconds in handlers.
        """
        found = self.measurements
        return found.received.total, found.sent.total, found.handlers.total

    def test_clients(self) -> None:
        """
        The messages of all client types are measured, without the frames of a WebSocket.
        """
        for inTLS in (False, True):
            for handshake, data in ((b"", b"a\0bc\0"), (REQUEST, frame(BINARY, b"a\0bc\0"))):
                self.open()
                self.assertTrue(self.measurements.hasClients)
                client = Client(self.guard, self.clock, inTLS=inTLS)
                if handshake:
                    client.send(handshake)
                client.send(data)
                self.assertEqual(self.measured(), (5, 5, 1))
                self.assertEqual(sum(self.measurements.received.counts), 2)

    def test_held(self) -> None:
        """
        The time for data that was held is measured, too.
        """
        self.open(Slow)
        client = Client(self.guard, self.clock)
        for data in (b"a\0", b"b\0", b"c\0"):
            client.send(data)
        [protocol] = self.factory.wrappedFactory.connections
        protocol.transport.resumeProducing()
        self.clock.advance(0)
        client.exchange()
        self.assertEqual(client.received, b"a\0b\0c\0")
        self.assertEqual(self.measured()[:2], (6, 6))
        self.assertGreaterEqual(self.measured()[2], 3)

    def test_shared(self) -> None:
        """
        Other observers use the tap of the measurements. It stays when they are removed.
        """
        self.open()
        client = Client(self.guard, self.clock)
        client.send(b"a\0")
        seen: list[bytes] = []

        class Observer:
            def received(self, data: bytes) -> None:
                seen.append(data)

            written = received

            def ended(self, byPeer: bool, isLost: bool) -> None:
                pass

        [record] = self.guard.protocols
        observer = Observer()
        tap = Tap.attach(record.top, observer)
        client.send(b"b\0")
        tap.detach(observer)
        client.send(b"c\0")
        self.assertEqual(seen, [b"b\0", b"b\0"])
        self.assertEqual(self.measured(), (6, 6, 3))

    def test_lost(self) -> None:
        """
        The application is notified of the end of a measured connection.
        """
        self.open()
        client = Client(self.guard, self.clock)
        client.send(b"a\0")
        client.close()
        self.assertEqual(len(self.factory.wrappedFactory.connections), 0)
        self.assertEqual(len(self.guard.protocols), 0)

    def test_most(self) -> None:
        """
        The number of measured connections is limited. When one is lost, another can be measured.
        """
        self.patch(measuring, "_MAX_MEASURED", 2)
        self.open()
        clients = [Client(self.guard, self.clock) for _ in range(3)]
        for client in clients:
            client.send(b"a\0")
            self.assertEqual(client.received, b"a\0")
        self.assertEqual(self.measured(), (4, 4, 2))
        clients[0].close()
        clients[1].close()
        self.assertEqual(self.measurements.measured, 0)
        Client(self.guard, self.clock).send(b"b\0")
        self.assertEqual(self.measured(), (6, 6, 3))
        self.assertEqual(self.measurements.measured, 1)

    def test_alreadyLost(self) -> None:
        """
        A connection that is lost already does not count as measured.
        """
        self.open()
        client = Client(self.guard, self.clock)
        client.send(b"a\0")
        [record] = self.guard.protocols
        connection = record.top
        client.close()
        measuring._MeasuringTap(connection, self.measurements, DIALECTS["xml"])
        self.assertEqual(self.measurements.measured, 0)

    def test_refused(self) -> None:
        """
        A client that the application refuses is not measured.
        """
        self.open()
        self.patch(self.factory.wrappedFactory, "buildProtocol", lambda addr: None)
        self.assertIsNone(self.factory.buildProtocol(None))

    def test_logPrefix(self) -> None:
        """
        The log prefix is that of the application.
        """
        self.open()
        self.assertEqual(self.factory.logPrefix(), "XMLSocketFactory")

    def test_start(self) -> None:
        """
        The event-loop lag is measured from the start to the end.
        """
        self.open()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.measurements.start()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.measurements.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
