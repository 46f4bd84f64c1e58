"""
Recordings of connections on an in-memory network.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame
from websockets.uri import parse_uri

from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.securesocket import SecureEndpoint
from openfl_twisted.protocols.websocket import WebSocketFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.sessions import _recorder
from openfl_twisted.sessions._recorder import Recorder
from openfl_twisted.sessions._recording import RecordingFactory
from openfl_twisted.sessions._session import Session
from openfl_twisted.sessions._writer import Event, SessionWriter
from openfl_twisted.testing import CertificateMaker, MemoryNetwork, Peer
from openfl_twisted.tls.server import ServerCertificates
from openfl_twisted.transports.tcp import coalesceWrites
from openfl_twisted.wire.dialects import DIALECTS
from tests.doubles import linesOf

CREDENTIALS = CertificateMaker().make()

SIZES = st.lists(st.integers(1, 40), max_size=30)
"""
Sizes of the segments of a stream.
"""


class DirectThread:
    """
    Writes the batches without a thread.

    @ivar isStuck: whether the disk accepts nothing.
    """

    isStuck = False

    def __init__(self, writer: SessionWriter) -> None:
        self._writer = writer
        self._held: list[tuple[list[Event], int]] = []
        self._done: list[Callable[[], object]] = []
        self.problem: Exception | None = None
        self.taken = 0

    def start(self) -> None:
        pass

    def put(self, events: list[Event], length: int) -> None:
        self._held.append((events, length))
        self.work()

    def work(self) -> None:
        """
        Write everything, unless the disk is stuck.
        """
        while self._held and not self.isStuck:
            events, length = self._held.pop(0)
            self._writer.write(events)
            self.taken += length
        if self._done and not self.isStuck:
            self._writer.close()
            self._done.pop()()

    @property
    def waiting(self) -> int:
        """
        The number of events that wait for the disk.
        """
        return sum(len(events) for events, _ in self._held)

    def stop(self, done: Callable[[], object]) -> None:
        self._done.append(done)
        self.work()


class WebSocketPeer(Peer):
    """
    A WebSocket client that can compress messages.

    @ivar messages: the received messages.
    """

    def __init__(self, *, compress: bool = False, path: str = "/") -> None:
        super().__init__()
        extensions = [ClientPerMessageDeflateFactory()] if compress else None
        self.frames = ClientProtocol(
            parse_uri(f"ws://localhost{path}"), extensions=extensions, max_size=None
        )
        self.messages: list[bytes] = []

    def connectionMade(self) -> None:
        self.frames.send_request(self.frames.connect())
        self._flush()

    def say(self, message: bytes) -> None:
        """
        Send a binary message in one frame.
        """
        self.frames.send_binary(message)
        self._flush()

    def sayGoodbye(self) -> None:
        """
        Send a Close frame with the code 1000.
        """
        self.frames.send_close(1000)
        self._flush()

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self.frames.receive_data(data)
        for event in self.frames.events_received():
            if isinstance(event, Frame) and event.opcode in (1, 2):
                self.messages.append(bytes(event.data))
        self._flush()

    def _flush(self) -> None:
        for data in self.frames.data_to_send():
            if data:
                self.transport.write(data)
            else:
                self.transport.loseConnection()


class TLSPeer(Peer):
    """
    A client that starts TLS when the test calls L{start}, and can close it.

    @ivar decrypted: the data received in TLS.
    @ivar isClosed: whether the server has closed TLS.
    """

    def __init__(self) -> None:
        super().__init__()
        self.decrypted = b""
        self.isClosed = False
        self._isHeld = False
        self._tls: SSL.Connection | None = None

    def start(self) -> None:
        """
        Send the first message of the TLS handshake.
        """
        self._tls = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        self._tls.set_connect_state()
        self._exchange()

    def say(self, data: bytes) -> None:
        """
        Encrypt data, and send it.
        """
        assert self._tls is not None
        self._tls.sendall(data)
        self._exchange()

    def hold(self) -> None:
        """
        Send nothing until L{release} is called.
        """
        self._isHeld = True

    def release(self) -> None:
        """
        Send the held data in one segment.
        """
        self._isHeld = False
        self._exchange()

    def sayGoodbye(self) -> None:
        """
        Close TLS, but not the connection.
        """
        assert self._tls is not None
        self._tls.shutdown()
        self._exchange()

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if self._tls is not None:
            self._tls.bio_write(data)
            self._exchange()

    def _exchange(self) -> None:
        assert self._tls is not None
        with suppress(SSL.WantReadError):
            self._tls.do_handshake()
        try:
            while True:
                self.decrypted += self._tls.recv(1 << 16)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.isClosed = True
            self._tls.shutdown()
        if not self._isHeld:
            with suppress(SSL.WantReadError):
                self.transport.write(self._tls.bio_read(1 << 20))


class Answering(XMLSocketProtocol):
    """
    Answers each message, and obeys C{close}, C{abort} and C{many}.
    """

    def messageReceived(self, message: str) -> None:
        match message:
            case "close":
                self.sendMessage("bye")
                self.transport.loseConnection()
            case "abort":
                self.transport.abortConnection()
            case "many":
                self.sendMessages(["one", "two", "three"])
            case _:
                self.sendMessage(f"<{message}>")


class RecordingCase(SynchronousTestCase):
    """
    Records the connections of a server in memory.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork.forTest(self.addCleanup)
        self.folder = Path(self.mktemp())
        self.patch(_recorder, "WriterThread", DirectThread)

    def record(self, dialect: str = "xml", **options: Any) -> Recorder:
        """
        Create and start a recorder of this network.
        """
        recorder = Recorder(
            self.folder,
            dialect,
            DIALECTS[dialect],
            clock=self.network.reactor,
            **options,
        )
        with capturedLogs():
            recorder.start()
        thread: Any = recorder._writer
        # A test may end without stopping the recorder.
        self.addCleanup(thread._writer.close)
        self.recorder = recorder
        return recorder

    def listen(self, factory: Any, *, coalesce: bool = True) -> int:
        """
        Serve a factory.

        @return: the port.
        """
        port = self.network.reactor.listenTCP(0, factory, interface="127.0.0.1")
        if coalesce:
            coalesceWrites(port)
        number: int = port.getHost().port
        return number

    def certificates(self) -> Any:
        """
        Return what creates the server's TLS connections.
        """
        path = Path(self.mktemp())
        CREDENTIALS.save(path)
        return ServerCertificates(str(path)).connectionCreator()

    def serve(
        self,
        factory: Any = Answering,
        *,
        coalesce: bool = True,
        tls: bool = False,
        compress: bool = False,
        **options: Any,
    ) -> int:
        """
        Serve a recorded factory on a shared port.

        @return: the port.
        """
        if isinstance(factory, type):
            factory = XMLSocketFactory(factory)
        clock = self.network.reactor
        recording = RecordingFactory(factory, self.recorder, clock=clock)

        def webSocket(wrapped: Any, **given: Any) -> WebSocketFactory:
            return WebSocketFactory(wrapped, compress=compress, **given)

        onePort = OnePortFactory(
            recording,
            clock=clock,
            tls=self.certificates() if tls else None,
            webSocket=webSocket,
            **options,
        )
        return self.listen(onePort, coalesce=coalesce)

    def connect(self, port: int, client: Any = None, *, tls: bool = False) -> Any:
        """
        Connect a client, before anything is sent.
        """
        client = Peer() if client is None else client
        endpoint: Any = TCP4ClientEndpoint(self.network.reactor, "127.0.0.1", port)
        if tls:
            endpoint = SecureEndpoint(
                endpoint, CREDENTIALS.host, CREDENTIALS.trust, clock=self.network.reactor
            )
        factory: Factory[Protocol] = Factory.forProtocol(lambda: client)
        return self.network.run(endpoint.connect(factory))

    def finish(self) -> list[Session]:
        """
        Stop the recorder.

        @return: the sessions.
        """
        stopped = self.recorder.stop()
        self.network.flush()
        self.successResultOf(stopped)
        return self.sessions()

    def paths(self) -> list[Path]:
        """
        Return the paths of the session files, in order.
        """
        assert self.recorder.folder is not None
        return sorted(self.recorder.folder.iterdir())

    def sessions(self) -> list[Session]:
        """
        Load all files, in the order of their names.
        """
        return [Session.load(path) for path in self.paths()]

    def bytesOnDisk(self) -> bytes:
        """
        Return the content of all files.
        """
        return b"".join(path.read_bytes() for path in self.paths())

    def warnings(self, do: Callable[[], object]) -> list[str]:
        """
        Call a function.

        @return: the lines of its warnings and errors.
        """
        with capturedLogs() as logs:
            do()
        serious = [log for log in logs if log["log_level"] >= LogLevel.warn]
        return linesOf(serious)


def told(session: Session) -> list[tuple[str, bytes]]:
    """
    Return the complete and incomplete messages of a session: the side and the data.
    """
    return [(message.side, message.data) for message in session.messages]


def dataOf(session: Session, side: str) -> bytes:
    """
    Return all data of one side.
    """
    return b"".join(data for each, data in told(session) if each == side)


def endOf(session: Session) -> str:
    """
    Return how a session has ended.
    """
    assert session.end is not None
    return session.end.how


def pairs(messages: list[str]) -> Iterator[tuple[str, bytes]]:
    """
    Return the messages of a client of L{Answering}, and the answers.
    """
    for message in messages:
        yield "client", f"{message}\0".encode()
        yield "server", f"<{message}>\0".encode()
