"""
WebSockets on the TCP transports: what the doubles cannot show.
"""

from typing import Any

from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.streamprotocol import StreamFactory, StreamProtocol
from openfl_twisted.protocols.websocket import WebSocketFactory
from openfl_twisted.transports.guard import GuardFactory
from tests.doubles import RecordingProducer
from tests.frames import PING, PONG, REQUEST, RESPONSE, frame, framesIn
from tests.reactors.conversations import Recorder
from tests.reactors.ways import JOINING, Peer, Way, way


class Meeting:
    """
    A peer with an open WebSocket to a protocol.

    @ivar peer: the peer; it reads little at a time.
    @ivar guard: counts the connection.
    """

    def __init__(self, own: Way, protocol: Any) -> None:
        self.way = own
        factory = Factory.forProtocol(lambda: protocol)
        factory.noisy = False
        self.guard = GuardFactory(WebSocketFactory(factory, clock=own.reactor), clock=own.reactor)
        self.peer: Peer = own.dial(own.listen(self.guard), 4096)
        self.peer.send(REQUEST)
        own.until(lambda: len(self.peer.received) >= len(RESPONSE))
        del self.peer.received[: len(RESPONSE)]

    def fill(self, transport: Any) -> None:
        """
        Write until the socket accepts no more data, and less than the producer's limit
        is queued.
        """
        # The kernel enlarges the buffers of a new connection first.
        quiet = 0
        while quiet < 3:
            transport.write(bytes(20_000))
            self.way.turn(3)
            quiet = quiet + 1 if transport.pending else 0
        assert transport.pending < 65536


class FullTests(SynchronousTestCase):
    """
    A peer that does not read, with less in the send queue than what pauses a producer.
    """

    def test_ping(self) -> None:
        """
        A ping is answered although the queue is not empty.
        """
        for name in JOINING:
            with way(name) as own:
                server = Recorder()
                meeting = Meeting(own, server)
                meeting.fill(server.transport)
                meeting.peer.send(frame(PING, b"here"))
                own.turn(5)
                end = frame(PONG, b"here", mask=False)
                own.until(lambda peer=meeting.peer, end=end: peer.received.endswith(end))  # type: ignore[misc]

    def test_producer(self) -> None:
        """
        A push producer is paused, and resumed when the peer has read.
        """
        for name in JOINING:
            with way(name) as own:
                server = Recorder()
                meeting = Meeting(own, server)
                meeting.fill(server.transport)
                producer = RecordingProducer()
                server.transport.registerProducer(producer, True)
                while not producer.told:
                    server.transport.write(bytes(100_000))
                server.transport.write(b"further")
                own.turn()
                self.assertEqual(producer.told, ["pause"])
                own.until(lambda producer=producer: len(producer.told) > 1)  # type: ignore[misc]
                self.assertEqual(producer.told, ["pause", "resume"])

    def test_producerOutsideARead(self) -> None:
        """
        A push producer that is registered after a write that is not sent yet is not
        paused.
        """
        for name in JOINING:
            with way(name) as own:
                server = Recorder()
                Meeting(own, server)
                server.transport.write(b"hello")
                producer = RecordingProducer()
                server.transport.registerProducer(producer, True)
                own.turn(5)
                self.assertEqual(producer.told, [])


class Losing(StreamProtocol):
    """
    Writes and aborts, and records the dropped data.
    """

    def connectionMade(self) -> None:
        self.dropped: list[bytes] = []
        self.transport.write(b"a")
        self.transport.write(bytes(300))
        self.transport.abortConnection()

    def bytesReceived(self, data: bytes) -> None:
        raise NotImplementedError

    def sendQueueDropped(self, chunks: list[bytes]) -> None:
        self.dropped += chunks

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.factory.ended.append((type(reason.value).__name__, self.dropped))


class DroppedTests(SynchronousTestCase):
    """
    Messages that are not sent.
    """

    def test_aborted(self) -> None:
        """
        A protocol that writes and aborts in C{connectionMade} receives its dropped
        messages, without the response.
        """
        for name in JOINING:
            with way(name) as own:
                factory: Any = StreamFactory(Losing)
                factory.ended = []
                peer = own.dial(own.listen(WebSocketFactory(factory, clock=own.reactor)))
                peer.send(REQUEST)
                own.until(lambda factory=factory: factory.ended)  # type: ignore[misc]
                self.assertEqual(factory.ended, [("ConnectionAborted", [b"a", bytes(300)])])
                self.assertEqual(framesIn(bytes(peer.received)), [])
