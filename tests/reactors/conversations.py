"""
Conversations between a server and a peer, each the same on every way.

Each gets a way and a server, plays the peer, and says what must have happened;
what the server and the peer have seen is compared by the test.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.reactors.ways import Peer, Way


class Boom(Exception):
    """
    An unexpected exception of a program.
    """


class Recorder(Protocol):
    """
    Records its calls.

    @ivar events: the recorded calls.
    @ivar react: called with received data.
    @ivar begin: called when the connection is made.
    """

    transport: Any

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.react: Callable[[bytes], object] = lambda data: None
        self.begin: Callable[[], object] = lambda: None

    def connectionMade(self) -> None:
        self.events.append("made")
        self.begin()

    def dataReceived(self, data: bytes) -> None:
        # Chunk boundaries do not matter.
        if self.events and isinstance(self.events[-1], bytes):
            self.events[-1] += data
        else:
            self.events.append(data)
        self.react(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.events.append(("lost", type(reason.value).__name__))
        # The event is not recorded.
        self.transport.write(b"late")

    def lost(self) -> bool:
        return isinstance(self.events[-1], tuple)


@implementer(IHalfCloseableProtocol)
class HalfRecorder(Recorder):
    """
    Supports half-closed connections.
    """

    def readConnectionLost(self) -> None:
        self.events.append("no more to read")
        self.react(b"")
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        self.events.append("no more to write")


class Producer:
    """
    Writes a number of chunks.
    """

    def __init__(self, server: Recorder, pieces: int) -> None:
        self.server = server
        self.left = pieces
        self.paused = False
        self.resumed = 0

    def resumeProducing(self) -> None:
        self.paused = False
        self.resumed += 1
        if not self.server.transport.streamingProducer:
            self.produce()
            return
        while self.left and not self.paused:
            self.produce()

    def produce(self) -> None:
        self.left -= 1
        self.server.transport.write(bytes([self.left % 256]) * 20_000)
        if not self.left:
            self.server.transport.unregisterProducer()
            self.server.transport.loseConnection()

    def pauseProducing(self) -> None:
        self.paused = True

    def stopProducing(self) -> None:
        self.server.events.append("stop producing")


def _meet(way: Way, server: Recorder, ask: bytes = b"", room: int | None = None) -> Peer:
    peer = way.meet(server, room)
    if ask:
        peer.send(ask)
    return peer


def echo(way: Way, server: Recorder) -> Peer:
    """
    Data is sent back a hundred times.
    """
    server.react = lambda data: server.transport.write(data)
    peer = _meet(way, server)
    for count in range(100):
        peer.send(b"hello")
        way.until(lambda count=count: len(peer.received) == 5 * (count + 1))  # type: ignore[misc]
    peer.close()
    way.until(server.lost)
    return peer


def manyWrites(way: Way, server: Recorder) -> Peer:
    """
    A thousand chunks, some empty, arrive in order.
    """

    def react(data: bytes) -> None:
        for number in range(1000):
            server.transport.write(b"%d," % number)
            server.transport.write(b"")
        server.transport.writeSequence([b"x", b"y"])

    server.react = react
    peer = _meet(way, server, b"go")
    way.until(lambda: peer.received.endswith(b"999,xy"))
    peer.reset()
    way.until(server.lost)
    return peer


def noBytes(way: Way, server: Recorder) -> Peer:
    """
    Writing an object that is not bytes raises, and the connection stays open.
    """

    def react(data: bytes) -> None:
        for bad in ("text", bytearray(b"x"), None):
            try:
                server.transport.write(bad)
            except TypeError as error:
                server.events.append(str(error))
        server.transport.write(type("Own", (bytes,), {})(b"own"))

    server.react = react
    peer = _meet(way, server, b"go")
    way.until(lambda: peer.received == b"own")
    return peer


def farewell(way: Way, server: Recorder) -> Peer:
    """
    Data written before the close arrives.
    """

    def react(data: bytes) -> None:
        server.transport.write(b"one")
        server.transport.loseConnection()
        server.transport.write(b"two")
        server.transport.loseConnection()

    server.react = react
    peer = _meet(way, server, b"go")
    way.until(lambda: peer.end and server.lost())
    return peer


def silentFarewell(way: Way, server: Recorder) -> Peer:
    """
    The server closes without data.
    """
    server.react = lambda data: server.transport.loseConnection()
    peer = _meet(way, server, b"go")
    way.until(lambda: peer.end and server.lost())
    return peer


def abort(way: Way, server: Recorder) -> Peer:
    """
    Data written before an abort is not sent.
    """

    def react(data: bytes) -> None:
        server.transport.write(b"one")
        server.transport.abortConnection()
        server.transport.write(b"two")
        server.transport.abortConnection()

    server.react = react
    peer = _meet(way, server, b"go")
    way.until(lambda: peer.end and server.lost())
    assert peer.received == b""
    assert peer.end == "reset"
    return peer


def failure(way: Way, server: Recorder) -> Peer:
    """
    If a protocol raises, its connection and its unsent data are lost.
    """

    def react(data: bytes) -> None:
        server.transport.write(b"one")
        raise Boom

    server.react = react
    peer = _meet(way, server, b"go")
    way.until(lambda: peer.end and server.lost())
    assert peer.received == b""
    assert server.events[-1] == ("lost", "Boom")
    return peer


def greeting(way: Way, server: Recorder) -> Peer:
    """
    The server sends first.
    """
    server.begin = lambda: server.transport.write(b"welcome")
    peer = _meet(way, server)
    way.until(lambda: peer.received == b"welcome")
    peer.close()
    way.until(server.lost)
    return peer


def greetingAndEnd(way: Way, server: Recorder) -> Peer:
    """
    The server sends first, and closes.
    """

    def begin() -> None:
        server.transport.write(b"daytime")
        server.transport.loseConnection()

    server.begin = begin
    peer = _meet(way, server)
    way.until(lambda: peer.end and server.lost())
    return peer


def later(way: Way, server: Recorder) -> Peer:
    """
    A timer and a thread write.
    """
    peer = _meet(way, server)
    way.reactor.callLater(0, lambda: server.transport.write(b"timer"))
    way.until(lambda: peer.received == b"timer")
    way.reactor.callFromThread(lambda: server.transport.write(b" thread"))
    way.until(lambda: peer.received == b"timer thread")
    way.reactor.callLater(0, server.transport.loseConnection)
    way.until(lambda: peer.end and server.lost())
    return peer


def peerHalfCloses(way: Way, server: Recorder) -> Peer:
    """
    The peer sends EOF; only some servers continue.
    """

    def react(data: bytes) -> None:
        if not data:
            server.transport.write(b"answer")
            server.transport.loseConnection()

    server.react = react
    peer = _meet(way, server, b"question")
    peer.halfClose()
    way.until(lambda: peer.end and server.lost())
    return peer


def halfClose(way: Way, server: Recorder) -> Peer:
    """
    The server closes its write side after its data.
    """

    def react(data: bytes) -> None:
        if data == b"go":
            server.transport.write(b"all")
            server.transport.loseWriteConnection()

    server.react = react
    peer = _meet(way, server, b"go")
    way.until(lambda: peer.end)
    server.transport.write(b"nobody hears it")
    peer.send(b"more")
    way.until(lambda: isinstance(server.events[-1], bytes) and server.events[-1].endswith(b"more"))
    server.transport.loseConnection()
    way.until(server.lost)
    return peer


def slowReader(way: Way, server: Recorder) -> Peer:
    """
    Ten megabytes before the close, to a peer that reads little at a time.
    """

    def react(data: bytes) -> None:
        server.transport.write(b"abcdefghij" * 1_000_000)
        server.transport.loseConnection()

    server.react = react
    peer = _meet(way, server, b"go", room=4096)
    for _ in range(20):
        way.turn()
        peer.read(1000)
    way.until(lambda: peer.end and server.lost())
    assert peer.received == b"abcdefghij" * 1_000_000
    return peer


def growing(way: Way, server: Recorder) -> Peer:
    """
    Data written while the queue is not empty is sent after it.
    """
    peer = _meet(way, server, room=4096)
    server.transport.write(b"a" * 5_000_000)
    way.turn(3)
    server.react = lambda data: server.transport.write(b"b" * 100)
    for _ in range(10):
        peer.send(b"x")
        way.turn(2)
    way.until(lambda: len(peer.received) == 5_001_000)
    assert peer.received == b"a" * 5_000_000 + b"b" * 1000
    server.events[1:] = [b"".join(server.events[1:])]
    return peer


def reset(way: Way, server: Recorder) -> Peer:
    """
    The peer disconnects while much data is queued.
    """
    server.react = lambda data: server.transport.write(b"x" * 10_000_000)
    peer = _meet(way, server, b"go", room=4096)
    way.until(lambda: len(peer.received) > 100_000)
    peer.reset()
    way.until(server.lost)
    peer.received.clear()
    return peer


def resetBeforeAnswer(way: Way, server: Recorder) -> Peer:
    """
    The peer has disconnected before the answer is written.
    """

    def react(data: bytes) -> None:
        peer.reset()
        server.transport.write(b"answer")

    server.react = react
    peer = way.meet(server)
    peer.send(b"go")
    way.until(server.lost)
    return peer


def push(way: Way, server: Recorder) -> Peer:
    """
    A push producer writes four megabytes, and is paused.
    """
    producer = Producer(server, 200)

    def react(data: bytes) -> None:
        server.transport.registerProducer(producer, True)
        producer.resumeProducing()

    server.react = react
    peer = _meet(way, server, b"go", room=4096)
    way.until(lambda: peer.end and server.lost())
    assert len(peer.received) == 200 * 20_000
    # It was not asked for all at once.
    assert producer.resumed > 10
    return peer


def pull(way: Way, server: Recorder) -> Peer:
    """
    A pull producer writes a megabyte.
    """
    producer = Producer(server, 50)
    server.react = lambda data: server.transport.registerProducer(producer, False)
    peer = _meet(way, server, b"go")
    way.until(lambda: peer.end and server.lost())
    assert len(peer.received) == 50 * 20_000
    assert producer.resumed == 50
    return peer


def producerFails(way: Way, server: Recorder) -> Peer:
    """
    An exception of a producer closes its connection.
    """
    producer = Producer(server, 50)

    def produce() -> None:
        if producer.left == 40:
            raise Boom
        Producer.produce(producer)

    producer.produce = produce  # type: ignore[method-assign]
    server.react = lambda data: server.transport.registerProducer(producer, False)
    peer = _meet(way, server, b"go")
    way.until(lambda: peer.end and server.lost())
    assert server.events[-1] == ("lost", "Boom")
    peer.received.clear()
    return peer


def producerAndEnd(way: Way, server: Recorder) -> Peer:
    """
    Unregistering the producer closes the connection.
    """
    producer = Producer(server, 50)

    def react(data: bytes) -> None:
        server.transport.registerProducer(producer, True)
        server.transport.write(b"one")
        server.transport.loseConnection()
        server.transport.unregisterProducer()

    server.react = react
    peer = _meet(way, server, b"go")
    way.until(lambda: peer.end and server.lost())
    return peer


def pause(way: Way, server: Recorder) -> Peer:
    """
    The server pauses reading for a while.
    """

    def react(data: bytes) -> None:
        server.transport.write(data)
        server.transport.pauseProducing()

    server.react = react
    peer = _meet(way, server, b"one")
    way.until(lambda: peer.received == b"one")
    peer.send(b" two")
    way.turn(5)
    assert server.events == ["made", b"one"]
    server.transport.resumeProducing()
    way.until(lambda: peer.received == b"one two")
    return peer


CONVERSATIONS: dict[str, Callable[[Way, Recorder], Peer]] = {
    each.__name__: each
    for each in (
        echo,
        manyWrites,
        noBytes,
        farewell,
        silentFarewell,
        abort,
        failure,
        greeting,
        greetingAndEnd,
        later,
        peerHalfCloses,
        halfClose,
        slowReader,
        growing,
        reset,
        resetBeforeAnswer,
        push,
        pull,
        producerFails,
        producerAndEnd,
        pause,
    )
}


def played(way: Way, name: str, make: Callable[[], Recorder]) -> tuple[object, ...]:
    """
    Run a conversation.

    @return: the events of the server and of the peer.
    """
    server = make()
    peer = CONVERSATIONS[name](way, server)
    return ([*server.events], bytes(peer.received), peer.end)
