"""
TCP transports that send what was written during a read in one go, at its end.

Twisted's own transports only put down what is written, ask the reactor to say
when the socket takes bytes, and send then: two C{epoll_ctl} calls and a second
turn for each message, although the socket nearly always takes them at once. With
these, one C{recv} and one C{send} is all that a message costs.

What a program sees stays the same:

  - What was written in one read leaves joined. C{write(x); abortConnection()}
    sends nothing, and neither does a C{dataReceived} that raises after it.
  - What does not fit into the socket stays in Twisted's own buffer, and leaves
    in Twisted's own way.
  - Producers are paused, resumed and waited for as Twisted does it, in turns of
    their own, so one that never ends does not keep the others waiting.
  - Application code is called in the log context of its own connection.

Only one thing is seen earlier: the bytes, and the end of a connection that was
closed, do not wait for another turn.
"""

import socket
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Self, TypeVar, cast

from twisted.internet import tcp
from twisted.internet.interfaces import IListeningPort, IProtocol
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python import log
from twisted.python.failure import Failure

P = TypeVar("P", bound=IListeningPort)

# What has been written if nothing has; Twisted has a list for each connection, and puts one back
# when it has sent what did not fit.
_NOTHING: Any = ()

# Pieces of more than this, in bytes, are sent as they are: it costs less than to join them.
_LONG = 64 * 1024

# So many pieces are sent in one call, where there is one for it; IOV_MAX of Linux is 1024.
_MAX_PIECES = 64 if hasattr(socket.socket, "sendmsg") else 1


class Joining(tcp.Connection):
    """
    What joins the writes of a TCP transport: a mixin for those of Twisted.

    It only decides when to send, by C{startWriting}: at the end of the read of
    this connection that is under way, together with what L{enqueue} collects, or
    else when the reactor says that the socket takes bytes.

    @cvar joinsWrites: says so to who would else join writes himself.
    @ivar queued: whether it has something to send without asking the reactor.
    @ivar _reading: whether a read of this connection is under way.
    @ivar _writing: whether the reactor was asked.
    """

    # Twisted has defaults for these in its classes. As slots, what is asked for each message is
    # found much faster, and no connection has a dictionary of its own.
    __slots__ = (
        "TLS",
        "_aborting",
        "_reading",
        "_tempDataBuffer",
        "_tempDataLen",
        "_writeDisconnected",
        "_writeDisconnecting",
        "_writing",
        "connected",
        "dataBuffer",
        "disconnecting",
        "producer",
        "producerPaused",
        "protocol",
        "queued",
        "reactor",
        "socket",
        "streamingProducer",
    )

    joinsWrites = True

    # What Twisted's classes have without saying so to a type checker.
    reactor: Any
    _tempDataBuffer: list[bytes]
    _tempDataLen: int

    def __new__(cls, *args: object, **named: object) -> Self:
        """
        Make one that is not connected yet.
        """
        self = super().__new__(cls)
        # Those that Twisted itself sets are missing until it does: it asks whether they are there.
        self.connected = self.disconnecting = 0
        self.TLS = self.queued = self._reading = self._writing = self._aborting = False
        self._writeDisconnecting = self._writeDisconnected = False
        self.producerPaused = self.streamingProducer = False
        self.producer = None
        self.dataBuffer = b""
        return self

    def enqueue(self) -> bool:
        """
        Have L{flush} called soon, if somebody is there who will.

        @return: whether somebody is.
        """
        raise NotImplementedError

    def doRead(self) -> Any:
        """
        Receive what has come, and send what was written meanwhile.
        """
        try:
            data = self.socket.recv(self.bufferSize)
        except BlockingIOError:
            return None
        except OSError:
            return CONNECTION_LOST
        if not data:
            return CONNECTION_DONE
        self._reading = True
        try:
            self.protocol.dataReceived(data)
        except BaseException:
            # The reactor ends the connection, and what waits is dropped, as it is in Twisted.
            self._reading = self.queued = False
            raise
        self._reading = False
        if self.queued:
            self.queued = False
            if not self._sendAll():
                return self._endRead()
        return None

    def _endRead(self) -> Any:
        """
        Do what there is to do besides sending, at the end of a read.

        @return: what the reactor makes of it.
        """
        why = self.doWrite()
        if why is CONNECTION_DONE:
            # From a read, this would say that it was the peer who has closed.
            self._end(why)
            return None
        if self.dataBuffer:
            self._ask()
        return why

    def flush(self) -> None:
        """
        Send what was written; called by whom L{enqueue} has told.
        """
        if self.queued:
            self.queued = False
            if not self._sendAll():
                log.callWithLogger(self, self._write)

    def _write(self) -> None:
        """
        Do what there is to do besides sending, as the reactor does it when the
        socket takes bytes.
        """
        why = self.doWrite()
        if why:
            self._end(why)
        elif self.dataBuffer:
            self._ask()

    def _end(self, why: Any) -> None:
        """
        Lose the connection.
        """
        self.stopReading()
        self.stopWriting()
        self.connectionLost(Failure(why))

    def _sendAll(self) -> bool:
        """
        Send everything in one go, or leave it to the reactor: what the socket does
        not take, and whatever a producer has to be told or asked.

        @return: whether this was all; if not, there is something to close.
        """
        length = self._tempDataLen
        if (
            not length
            or self.dataBuffer
            or self.disconnecting
            or self._writeDisconnecting
            or self._aborting
            or (self.producer is not None and not self.streamingProducer)
        ):
            if self.producer is None:
                return False
            self._ask()
            return True
        pieces = self._tempDataBuffer
        apart = 1 < len(pieces) <= _MAX_PIECES and length > _LONG
        data = pieces[0] if len(pieces) == 1 or apart else b"".join(pieces)
        try:
            sent = self.socket.sendmsg(pieces) if apart else self.socket.send(data)
        except BlockingIOError:
            self._ask()
            return True
        except OSError:
            # Twisted's own code tries again, and says what it means.
            return False
        # TLS adds to it without asking us.
        self._tempDataBuffer = [] if self.TLS else _NOTHING
        self._tempDataLen = 0
        if sent < length:
            self._keepRest(pieces if apart else [data], sent)
            self._ask()
        elif self.producerPaused:
            self._ask()
        return True

    def _keepRest(self, pieces: list[bytes], sent: int) -> None:
        """
        Keep what the socket has not taken.

        @param sent: how many bytes of the pieces it has taken.
        """
        at = 0
        while sent >= len(pieces[at]):
            sent -= len(pieces[at])
            at += 1
        self.dataBuffer, self.offset = pieces[at], sent
        rest = pieces[at + 1 :]
        if rest:
            self._tempDataBuffer = rest
            self._tempDataLen = sum(map(len, rest))

    def writeSomeData(self, data: bytes | memoryview) -> Any:
        """
        Send all that the socket takes; Twisted's own hands it no more than
        128 KiB at once. If something comes behind it, the last bytes wait, and
        leave with that: alone it could be kept back until the peer has
        acknowledged what is before it (RFC 896).

        @param data: the bytes.
        @return: how many it has taken; or why the connection is lost.
        """
        if self._tempDataLen and len(data) > _LONG:
            data = memoryview(data)[:-_LONG]
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            # It tries again with less, and says what it means.
            return super().writeSomeData(bytes(data[:_LONG]))

    def _beginBuffer(self) -> None:
        """
        Have what Twisted's own code adds to.
        """
        if self._tempDataBuffer is _NOTHING:
            self._tempDataBuffer = []

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        """
        Go on in TLS.
        """
        self._beginBuffer()
        super().startTLS(ctx, normal)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """
        Send several pieces of bytes.
        """
        self._beginBuffer()
        super().writeSequence(iovec)

    def doWrite(self) -> Any:
        """
        Send what the socket takes, in Twisted's own way.
        """
        self._beginBuffer()
        return super().doWrite()

    def _ask(self) -> None:
        """
        Leave what there is to do to the reactor, for when the socket takes bytes.
        """
        self._writing = True
        self.reactor.addWriter(self)

    def startWriting(self) -> None:
        """
        See to it that what was written is sent: at the end of this read, or when
        L{flush} is called, or when the reactor says so.
        """
        if self.queued:
            return
        # Before it is connected, this is how it learns of it.
        if self.connected and not self._writing and (self._reading or self.enqueue()):
            self.queued = True
        else:
            self._ask()

    def stopWriting(self) -> None:
        """
        There is nothing to send any more.
        """
        self.queued = False
        if self._writing:
            self._writing = False
            self.reactor.removeWriter(self)

    def write(self, data: bytes) -> None:
        """
        Send bytes; see C{twisted.internet.abstract.FileDescriptor.write}, which
        this is in fewer steps.
        """
        if self.TLS or data.__class__ is not bytes:
            self._beginBuffer()
            super().write(data)
        elif data and self.connected and not self._writeDisconnected:
            if self._tempDataBuffer:
                self._tempDataBuffer.append(data)
            else:
                self._tempDataBuffer = [data]
            self._tempDataLen += len(data)
            if (
                self.producer is not None
                and len(self.dataBuffer) + self._tempDataLen > self.bufferSize
            ):
                self._maybePauseProducer()
            if not self.queued:
                # This is startWriting, without the price of it.
                if not self._writing and (self._reading or self.enqueue()):
                    self.queued = True
                else:
                    self._ask()


def _noFileno() -> int:
    """
    Say that there is no descriptor any more.
    """
    return -1


@lru_cache(maxsize=256)
def _share(prefix: str, protocol: str, port: int) -> tuple[str, str, int]:
    """
    Keep the names once that all connections of a port have.
    """
    return prefix, protocol, port


class Accepted(Joining, tcp.Server):
    """
    A connection that somebody has made to us. Twisted gives each some attributes
    that are made of others: two texts, for the log and for C{repr}, and two
    shortcuts. These make them when somebody asks.
    """

    __slots__ = ("_names", "client", "server", "sessionno")

    def __init__(
        self,
        sock: socket.socket,
        protocol: IProtocol,
        client: tuple[Any, ...],
        server: tcp.Port | None,
        sessionno: int,
        reactor: Any,
    ) -> None:
        """
        Begin as C{twisted.internet.tcp.Server} does.

        @param sock: the socket.
        @param protocol: what receives.
        @param client: the address of the other side, as C{accept} gives it.
        @param server: the port; C{None} for a connection that was there already.
        @param sessionno: which connection of the port it is.
        @param reactor: the reactor.
        """
        # As they are now: the protocol may be another one later.
        self._names = _share(
            str(self._getLogPrefix(protocol)),
            type(protocol).__name__,
            # As in Twisted's own.
            sock.getsockname()[1] if server is None else server._realPortNumber,  # noqa: SLF001
        )
        # A connection that was there already has no port; Twisted's own code allows it.
        super().__init__(sock, protocol, client, cast("tcp.Port", server), sessionno, reactor)
        self._tempDataBuffer = _NOTHING

    def _getLogstr(self) -> str:
        """
        The prefix of what is logged for this connection.
        """
        prefix, _, _ = self._names
        return f"{prefix},{self.sessionno},{self.hostname}"

    def _getRepstr(self) -> str:
        """
        What C{repr} says.
        """
        _, protocol, port = self._names
        return f"<{protocol} #{self.sessionno} on {port}>"

    def _getFileno(self) -> Callable[[], int]:
        """
        Asks for the descriptor: -1 once the connection is lost.
        """
        try:
            return self.socket.fileno
        except AttributeError:
            # The connection is lost.
            return _noFileno

    def _leaveOut(self, *made: object) -> None:
        """
        Do without what Twisted has made; and so there is nothing to delete.
        """

    def _getHostname(self) -> Any:
        """
        The address of the other side, without the port.
        """
        return self.client[0]

    fileno = property(_getFileno, _leaveOut, _leaveOut)
    hostname = property(_getHostname, _leaveOut)
    logstr = property(_getLogstr, _leaveOut)
    repstr = property(_getRepstr, _leaveOut)


class _Read:
    """
    The read that is under way, if there is one: the connections that wait for
    its end to send.

    There is one for the whole process, since a reactor calls one protocol at a
    time.
    """

    def __init__(self) -> None:
        self.waiting: list[Joining] | None = None


_read = _Read()


class Server(Accepted):
    """
    A connection to a server, under any reactor.

    What a read makes the program write to other connections of this kind is
    sent at its end too. What is written outside a read of such a connection, by
    a timer for instance, leaves in Twisted's own way.
    """

    def enqueue(self) -> bool:
        """
        Wait for the end of the read that is under way.
        """
        if _read.waiting is None:
            return False
        _read.waiting.append(self)
        return True

    def doRead(self) -> Any:
        """
        Receive what has come, and send what it has made anybody write.
        """
        if _read.waiting is not None:
            # The program has called the reactor within a read.
            return super().doRead()
        waiting: list[Joining] = []
        _read.waiting = waiting
        try:
            return super().doRead()
        finally:
            _read.waiting = None
            for connection in waiting:
                connection.flush()


def joinWrites(port: P) -> P:
    """
    Have the connections of a port join their writes, see L{Server}; those that
    are there already stay what they are.

    Only a port of C{twisted.internet.tcp} can, which is what nearly all reactors
    have for TCP and for TLS over it. Any other stays as it is.

    @param port: the port.
    @return: the port.
    """
    if isinstance(port, tcp.Port) and port.transport is tcp.Server:
        port.transport = Server
    return port
