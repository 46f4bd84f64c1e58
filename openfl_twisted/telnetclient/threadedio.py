"""
Standard input and output for Windows, where Twisted's C{StandardIO} requires C{pywin32}.
"""

from threading import Event, Thread
from typing import Any

from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from twisted.internet.main import CONNECTION_DONE
from twisted.python.failure import Failure
from zope.interface import implementer

_CHUNK = 65536


def _openUnbuffered(descriptor: int, mode: str) -> Any:
    # For a console, open() converts between its encoding and UTF-8. The thread would still hold the
    # lock of a buffer at the end of the process.
    return open(descriptor, mode, buffering=0, closefd=False)


@implementer(ITransport, IPushProducer, IConsumer)
class ThreadedIO:
    """
    A transport that reads standard input in a thread. At most one chunk of 64 KiB is read ahead.
    Writing blocks until the output accepts the data, so the output needs no producer.
    """

    def __init__(self, protocol: Any, stdin: int, stdout: int, reactor: Any) -> None:
        """
        @param protocol: an C{IHalfCloseableProtocol} provider.
        @param stdin: the file descriptor of the input.
        @param stdout: the file descriptor of the output.
        @param reactor: an C{IReactorTime} and C{IReactorFromThreads} provider.
        """
        self._protocol = protocol
        self._reactor = reactor
        self._input = _openUnbuffered(stdin, "rb")
        self._output = _openUnbuffered(stdout, "wb")
        self._mayRead = Event()
        self._mayRead.set()
        self._isPaused = False
        self._held: bytes | None = None
        self._canWrite = True
        self._closed = False
        protocol.makeConnection(self)
        Thread(target=self._read, name="standard input", daemon=True).start()

    def _read(self) -> None:
        data = b"-"
        while data:
            self._mayRead.wait()
            self._mayRead.clear()
            try:
                data = self._input.read(_CHUNK) or b""
            except OSError:
                data = b""
            self._reactor.callFromThread(self._received, data)

    def _received(self, data: bytes) -> None:
        if self._closed:
            return
        if self._isPaused:
            self._held = data
        elif data:
            self._protocol.dataReceived(data)
            # The protocol can have paused the input, but the thread may read one chunk ahead.
            self._mayRead.set()
        else:
            self._protocol.readConnectionLost()

    def pauseProducing(self) -> None:
        self._isPaused = True

    def resumeProducing(self) -> None:
        self._isPaused = False
        if self._held is not None:
            data, self._held = self._held, None
            self._received(data)

    def stopProducing(self) -> None:
        self.loseConnection()

    def registerProducer(self, producer: object, streaming: bool) -> None:
        pass

    def unregisterProducer(self) -> None:
        pass

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left and self._canWrite:
                left = left[self._output.write(left) :]
        except OSError:
            self._canWrite = False
            self._protocol.writeConnectionLost()

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        if not self._closed:
            self._closed = True
            self._reactor.callLater(0, self._protocol.connectionLost, Failure(CONNECTION_DONE))

    def getPeer(self) -> Any:
        return None

    def getHost(self) -> Any:
        return None
