"""
Tests for write coalescing, by inspecting the transports.
"""

import contextlib
import tracemalloc
from collections.abc import Callable
from errno import EWOULDBLOCK
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.interfaces import IListeningPort, IPushProducer
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Port
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.transports import tcp
from openfl_twisted.transports.tcp import ServerTransport, coalesceWrites
from openfl_twisted.transports.writebatch import currentBatch
from tests.reactors.conversations import Recorder
from tests.reactors.ways import HOST, WAYS, Peer, Way, way
from tests.support.sockets import TightSocket

OWN = ["openfl", "epoll, joined"]


class CountingSocket:
    """
    Counts the calls of a socket, except C{fileno}.
    """

    def __init__(self, own: Any, counts: dict[str, int]) -> None:
        self._own = own
        self._counts = counts

    def __getattr__(self, name: str) -> Any:
        if name != "fileno":
            self._counts[name] = self._counts.get(name, 0) + 1
        return getattr(self._own, name)


class CostTests(SynchronousTestCase):
    """
    The system calls of a message.
    """

    def count(self, name: str, react: Callable[[Any], object], answer: int) -> dict[str, int]:
        """
        Return the system calls for ten messages.

        @param react: the server's handler of a message.
        @param answer: length of an answer (bytes).
        """
        counts: dict[str, int] = {}
        with way(name) as own:
            server = Recorder()
            peer = own.meet(server)
            server.react = lambda data: react(server.transport)
            server.transport.socket = CountingSocket(server.transport.socket, counts)
            own.reactor._poller = poller = CountingSocket(own.reactor._poller, counts)
            for number in range(10):
                peer.send(b"x")
                own.until(lambda number=number: len(peer.received) == answer * (number + 1))  # type: ignore[misc]
            own.reactor._poller = poller._own
            server.transport.socket = server.transport.socket._own
        counts.pop("poll")
        return counts

    def test_oneSend(self) -> None:
        """
        A message costs one call to receive it, and one to send the answer, however many
        writes it consists of; epoll is not used for writing.
        """

        def answer(transport: Any) -> None:
            for _ in range(20):
                transport.write(b"piece")
            transport.writeSequence([b"a", b"b"])

        for name in OWN:
            self.assertEqual(self.count(name, answer, 102), {"recv": 10, "send": 10}, name)

    def test_streaming(self) -> None:
        """
        A producer that is not paused, as registered by wrappers, costs no further
        calls.
        """

        @implementer(IPushProducer)
        class Quiet:
            def pauseProducing(self) -> None:
                raise AssertionError

            resumeProducing = stopProducing = pauseProducing

        def answer(transport: Any) -> None:
            if transport.producer is None:
                transport.registerProducer(Quiet(), True)
            transport.write(b"answer")
            if len(received) == 9:
                transport.unregisterProducer()
            received.append(1)

        for name in OWN:
            received: list[int] = []
            self.assertEqual(self.count(name, answer, 6), {"recv": 10, "send": 10}, name)

    def test_others(self) -> None:
        """
        Data that a server writes to forty other connections during a read is sent in
        one call for each, at the end, without epoll.
        """
        for name in OWN:
            counts: dict[str, int] = {}
            with way(name) as own:
                made: list[Recorder] = []

                def make(made: list[Recorder] = made) -> Recorder:
                    made.append(Recorder())
                    return made[-1]

                port = own.listen(Factory.forProtocol(make))
                peers = [own.dial(port) for _ in range(40)]
                own.until(lambda made=made: len(made) == 40)  # type: ignore[misc]

                def tell(data: bytes, made: list[Recorder] = made) -> None:
                    for word in (b"hello ", b"all"):
                        for each in made:
                            each.transport.write(word)

                made[0].react = tell
                for each in made:
                    each.transport.socket = CountingSocket(each.transport.socket, counts)
                own.reactor._poller = poller = CountingSocket(own.reactor._poller, counts)
                peers[0].send(b"x")
                own.until(lambda peers=peers: all(peer.received for peer in peers))  # type: ignore[misc]
                self.assertEqual({bytes(peer.received) for peer in peers}, {b"hello all"})
                own.reactor._poller = poller._own
                for each in made:
                    each.transport.socket = each.transport.socket._own
            counts.pop("poll")
            self.assertEqual(counts, {"recv": 1, "send": 40}, name)

    def memoryOf(self, make: Callable[[], Protocol], use: Callable[[Any], object]) -> float:
        """
        Return the number of bytes of a connection and its protocol.

        @param make: makes the protocol.
        @param use: uses the connection.
        """
        reactor = SimpleNamespace(
            addReader=id, removeReader=id, addWriter=id, removeWriter=id, callLater=None
        )
        port: Any = SimpleNamespace(_realPortNumber=1)
        own: Any = EndlessSocket()

        def connect() -> ServerTransport:
            protocol = make()
            server = ServerTransport(own, protocol, ("127.0.0.1", 1), port, 1, reactor)
            protocol.makeConnection(server)
            use(server)
            return server

        def measure() -> float:
            tracemalloc.start()
            try:
                before, _ = tracemalloc.get_traced_memory()
                many = [connect() for _ in range(1000)]
                after, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            self.assertEqual(len(many), 1000)
            return (after - before) / 1000

        # The first of a class are larger.
        first = [connect() for _ in range(100)]
        self.assertEqual(len(first), 100)
        # Other allocations, for example of another thread, can only increase the result.
        return min(measure() for _ in range(3))

    def test_memory(self) -> None:
        """
        A connection uses little memory, also after it was used in or outside a read,
        with a slow peer, and behind a proxy: it has no instance dictionary.
        """

        class Answering(Protocol):
            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None
                self.transport.write(data)

        def slow(server: Any) -> None:
            server.socket.isFull = True
            server.doRead()
            server.socket.isFull = False
            server.doWrite()

        def fromATimer(server: Any) -> None:
            server.write(b"hello")
            server.doWrite()

        for use in (ServerTransport.doRead, slow, fromATimer):
            self.assertLess(self.memoryOf(Answering, use), 500)
            # It notes its connections.
            factory = XMLSocketFactory(EchoProtocol)
            build: Any = partial(factory.buildProtocol, None)
            self.assertLess(self.memoryOf(build, use), 600)
        # The pair of addresses comes on top of it.
        self.assertLess(
            self.memoryOf(Answering, lambda server: server.setAddresses(HOST, HOST)), 550
        )


class EndlessSocket:
    """
    A socket that always has a message.

    @cvar isFull: whether it accepts nothing.
    """

    __slots__ = ("isFull",)

    def __init__(self) -> None:
        self.isFull = False

    def setblocking(self, flag: bool) -> None:
        pass

    def fileno(self) -> int:
        return 7

    def recv(self, size: int) -> bytes:
        return b"hello\0"

    def send(self, data: bytes) -> int:
        if self.isFull:
            raise BlockingIOError(EWOULDBLOCK, "the buffer is full")
        return len(data)


class RoomTests(SynchronousTestCase):
    """
    Data that a socket does not accept is sent when the reactor calls C{doWrite}.
    """

    def setUp(self) -> None:
        """
        Create a connection, and a reactor that records its writers.
        """
        self.waiting: list[object] = []

        def addWriter(each: object) -> None:
            if each not in self.waiting:
                self.waiting.append(each)

        reactor: Any = SimpleNamespace(
            addReader=lambda each: None,
            removeReader=lambda each: None,
            addWriter=addWriter,
            removeWriter=self.waiting.remove,
        )
        self.socket = TightSocket()
        self.server = Recorder()
        port = SimpleNamespace(_realPortNumber=1)
        own: Any = self.socket
        self.transport = ServerTransport(
            own, self.server, (HOST, 1), cast("Any", port), 1, cast("Any", reactor)
        )
        self.server.makeConnection(self.transport)

    def test_full(self) -> None:
        """
        If a socket accepts no data, then a part, then all, each byte is sent once.
        """
        self.server.react = lambda data: self.transport.write(b"answer")
        self.assertIs(self.transport.doRead(), None)
        self.assertEqual(self.waiting, [self.transport])
        for room, sent in ((2, b"an"), (2, b"answ"), (9, b"answer")):
            self.socket.room = room
            self.assertIs(self.transport.doWrite(), None)
            self.assertEqual(self.socket.sent, sent)
        self.assertEqual(self.waiting, [])

    def test_part(self) -> None:
        """
        If a socket accepts a part of the data, the rest is sent before data written
        later.
        """
        self.server.react = lambda data: self.transport.write(b"answer")
        self.socket.room = 4
        self.transport.doRead()
        self.assertEqual(self.waiting, [self.transport])
        self.transport.doRead()
        self.assertEqual(self.socket.sent, b"answ")
        self.socket.room = 100
        self.transport.doWrite()
        self.assertEqual(self.socket.sent, b"answeranswer")
        self.assertEqual(self.waiting, [])

    def test_partAndEnd(self) -> None:
        """
        The connection is closed after the rest was sent, in a read or after it.
        """

        def end(data: bytes) -> None:
            self.transport.write(b"answer")
            self.transport.loseConnection()

        self.server.react = end
        self.socket.room = 2
        self.assertIs(self.transport.doRead(), None)
        self.assertEqual(self.waiting, [self.transport])
        self.socket.room = 100
        self.assertIs(self.transport.doWrite(), CONNECTION_DONE)

    def test_flushPartAndEnd(self) -> None:
        """
        The same for data written during a read of another connection.
        """
        self.patch(currentBatch, "waiting", [])
        self.transport.write(b"answer")
        self.transport.loseConnection()
        self.socket.room = 2
        currentBatch.flush()
        self.assertEqual((self.waiting, self.socket.sent), ([self.transport], b"an"))
        currentBatch.flush()
        self.socket.room = 100
        self.assertIs(self.transport.doWrite(), CONNECTION_DONE)

    def test_flushAndEnd(self) -> None:
        """
        If the socket accepts all data, it is sent and closed immediately.
        """
        self.patch(currentBatch, "waiting", [])
        self.transport.write(b"answer")
        self.transport.loseConnection()
        self.socket.room = 100
        currentBatch.flush()
        self.assertEqual(self.socket.sent, b"answer.")
        self.assertTrue(self.server.lost())

    def test_flushMuch(self) -> None:
        """
        Long data is passed to the socket in one call.
        """
        self.patch(currentBatch, "waiting", [])
        self.transport.write(b"x" * 1_000_000)
        self.socket.room = 1 << 20
        currentBatch.flush()
        self.assertEqual(len(self.socket.sent), 1_000_000)
        self.assertEqual(self.waiting, [])

    def test_longAndShort(self) -> None:
        """
        Long data is not joined with short data, but sent in the same call.
        """
        self.patch(currentBatch, "waiting", [])
        for length in (3, 100_000, 1):
            self.transport.write(bytes(length))
        self.socket.room = 1 << 20
        currentBatch.flush()
        self.assertEqual(self.socket.offered, [[3, 100_000, 1]])

    def test_onePieceOnly(self) -> None:
        """
        On systems without C{sendmsg}, chunks are joined.
        """
        self.patch(tcp, "_MAX_CHUNKS", 1)
        self.patch(currentBatch, "waiting", [])
        for length in (3, 100_000, 1):
            self.transport.write(bytes(length))
        self.socket.room = 1 << 20
        currentBatch.flush()
        self.assertEqual(self.socket.offered, [[100_004]])

    def test_manyAndLong(self) -> None:
        """
        Very many chunks are joined, however long they are together.
        """
        self.patch(currentBatch, "waiting", [])
        for _ in range(2000):
            self.transport.write(bytes(100))
        self.socket.room = 1 << 20
        currentBatch.flush()
        self.assertEqual(self.socket.offered, [[200_000]])

    @given(
        st.lists(st.integers(1, 9) | st.integers(65_000, 66_000), min_size=1, max_size=5),
        st.lists(st.integers(0, 10) | st.integers(60_000, 140_000), max_size=5),
    )
    def test_longInParts(self, lengths: list[int], rooms: list[int]) -> None:
        """
        Wherever a socket stops accepting data, the rest is sent later, each byte once
        and in order, before data written in the meantime.
        """
        self.setUp()
        self.patch(currentBatch, "waiting", [])
        written = b""
        for number, length in enumerate(lengths):
            written += bytes([number]) * length
            self.transport.write(bytes([number]) * length)
        currentBatch.flush()
        for room in [*rooms, 1 << 20]:
            self.socket.room = room
            if self.waiting:
                self.transport.doWrite()
            self.transport.write(b"!")
            written += b"!"
            currentBatch.flush()
        self.socket.room = 1 << 20
        while self.waiting:
            self.transport.doWrite()
        self.assertEqual(self.socket.sent, written)

    def test_resetMeanwhile(self) -> None:
        """
        Sending the rest to a reset connection reports the reset.
        """
        self.patch(currentBatch, "waiting", [])
        self.transport.write(b"answer")
        self.socket.room = 2
        currentBatch.flush()
        self.socket.room = None
        self.assertIs(self.transport.doWrite(), CONNECTION_LOST)

    def test_flushHalf(self) -> None:
        """
        A half-close is sent with the data written before it.
        """
        self.patch(currentBatch, "waiting", [])
        self.transport.write(b"answer")
        self.transport.loseWriteConnection()
        self.socket.room = 100
        currentBatch.flush()
        self.assertEqual(self.socket.sent, b"answer")
        self.assertEqual(self.waiting, [])
        self.assertFalse(self.server.lost())

    def test_reset(self) -> None:
        """
        A reset ends the connection, whichever call detects it.
        """
        self.server.react = lambda data: setattr(self.socket, "room", None)
        self.transport.doRead()
        self.assertIs(self.transport.doRead(), CONNECTION_LOST)
        self.patch(currentBatch, "waiting", [])
        self.transport.write(b"answer")
        currentBatch.flush()
        self.assertEqual(self.server.events[-1], ("lost", "ConnectionLost"))

    def test_nothing(self) -> None:
        """
        A read event without data is ignored.
        """

        def nothing(size: int) -> bytes:
            raise BlockingIOError

        self.patch(self.socket, "recv", nothing)
        self.assertIs(self.transport.doRead(), None)
        self.assertEqual(self.server.events, ["made"])


class CoalesceWritesTests(SynchronousTestCase):
    """
    Ports whose connections coalesce writes.
    """

    def test_ports(self) -> None:
        """
        Connections of Twisted's own TCP ports coalesce writes, unless the port has
        another transport class.
        """
        port = Port(0, Factory(), reactor=SimpleNamespace())
        self.assertIs(coalesceWrites(port), port)
        self.assertIs(port.transport, ServerTransport)
        special = Port(0, Factory(), reactor=SimpleNamespace())
        special.transport = cast("Any", object)
        coalesceWrites(special)
        self.assertIs(special.transport, object)

    def test_others(self) -> None:
        """
        Other ports are unchanged.
        """
        port = cast("IListeningPort", object())
        self.assertIs(coalesceWrites(port), port)

    def test_withinARead(self) -> None:
        """
        A server that runs the reactor in a read is still called.
        """
        with way("epoll, joined") as own:
            made: list[Recorder] = []

            def make() -> Recorder:
                made.append(Recorder())
                return made[-1]

            port = own.listen(Factory.forProtocol(make))
            one, two = own.dial(port), own.dial(port)
            own.until(lambda: len(made) == 2)

            def wait(data: bytes) -> None:
                two.send(b"inner")
                while b"inner" not in made[1].events:
                    own.turn()
                made[0].transport.write(b"done")

            made[0].react = wait
            made[1].react = lambda data: made[1].transport.write(b"heard")
            one.send(b"outer")
            own.until(lambda: one.received == b"done" and two.received == b"heard")


# Actions of a server in one call: the lengths of its writes, and whether to join them; or the end.
steps = st.lists(
    st.tuples(
        # Whether it does it within a read.
        st.booleans(),
        st.lists(
            st.one_of(
                st.integers(0, 200_000),
                st.sampled_from(["pause", "resume", "producer", "none", "lose", "abort"]),
            ),
            max_size=5,
        ),
        # How many bytes the peer reads then, and how often the reactor turns.
        st.integers(0, 300_000),
        st.integers(0, 2),
    ),
    max_size=12,
)

Step = tuple[bool, list[int | str], int, int]


class Script:
    """
    A server that executes commands, and computes which data must arrive.

    @ivar written: the data written before the end.
    @ivar promised: the number of bytes that must arrive after a graceful close.
    @ivar allowed: the number of bytes that may have been sent.
    """

    def __init__(self) -> None:
        self.server = Recorder()
        self.written = bytearray()
        self.promised: int | None = None
        self.allowed: int | None = None
        self._pieces = 0

    def do(self, things: list[int | str]) -> None:
        before = len(self.written)
        for each in things:
            if isinstance(each, int):
                self._write(each)
            else:
                getattr(self, f"do_{each}")()
            if each == "abort" and self.allowed is None:
                self.allowed = before

    def _write(self, size: int) -> None:
        if not self.server.transport.connected:
            return
        self._pieces += 1
        data = bytes([self._pieces % 251]) * size
        self.written += data
        if size % 2:
            self.server.transport.write(data)
        else:
            self.server.transport.writeSequence([data[:7], data[7:]])

    def do_pause(self) -> None:
        self.server.transport.pauseProducing()

    def do_resume(self) -> None:
        if self.server.transport.connected:
            self.server.transport.resumeProducing()

    def do_producer(self) -> None:
        if self.server.transport.producer is None:
            self.server.transport.registerProducer(self, True)

    def do_none(self) -> None:
        self.server.transport.unregisterProducer()

    def do_lose(self) -> None:
        if self.promised is None:
            self.promised = len(self.written)
        self.server.transport.loseConnection()

    def do_abort(self) -> None:
        self.server.transport.abortConnection()

    def pauseProducing(self) -> None:
        pass

    resumeProducing = stopProducing = pauseProducing


class OrderTests(SynchronousTestCase):
    """
    Any actions of a server, and of a peer that reads.
    """

    def play(self, own: Way, wanted: list[Step]) -> tuple[Script, Peer]:
        """
        Execute the steps, and close the connection.
        """
        script = Script()
        peer = own.meet(script.server, room=8192)
        end: Step = (False, ["none", "lose"], 0, 0)
        for within, things, size, turns in [*wanted, end]:
            if within:
                script.server.react = lambda data, things=things: script.do(things)  # type: ignore[misc]
                with contextlib.suppress(ConnectionError):
                    peer.send(b"x")
                    own.turn(2)
                script.server.react = lambda data: None
            else:
                script.do(things)
            own.turn(turns)
            peer.read(size)
        own.until(lambda: peer.end and script.server.lost())
        return script, peer

    @settings(deadline=None, max_examples=25)
    @given(steps)
    def check(self, name: str, wanted: list[Step]) -> None:
        """
        Check one variant.
        """
        with way(name) as own:
            script, peer = self.play(own, wanted)
        received = bytes(peer.received)
        self.assertEqual(received, bytes(script.written[: len(received)]))
        if script.allowed is not None:
            self.assertLessEqual(len(received), script.allowed)
        elif peer.end == "closed":
            # If not, the server has closed before it had read all; TCP then drops the rest.
            self.assertGreaterEqual(len(received), script.promised or 0)

    def test_order(self) -> None:
        """
        Bytes arrive in order. None is lost unless the connection was aborted; data
        written with an abort does not arrive.
        """
        for name in WAYS:
            self.check(name)
