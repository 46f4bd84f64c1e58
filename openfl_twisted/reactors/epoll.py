"""
C{--reactor=openfl}: Twisted's epoll reactor with a faster loop, and with transports
that coalesce writes.

Any Twisted program can use this reactor. It calls the same methods in the same order as
Twisted's C{EPollReactor}. Data written by reads, timers and threads is sent at the end of the
reactor iteration, without registering the socket for writing first.
"""

import math
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from twisted.internet import tcp
from twisted.internet.error import ConnectionFdescWentAway
from twisted.internet.interfaces import IConnector, IListeningPort, IProtocolFactory
from twisted.internet.main import installReactor
from twisted.internet.protocol import AbstractDatagramProtocol, ClientFactory
from twisted.logger import Logger
from twisted.python import context, log

from openfl_twisted.reactors.udp import Port as DatagramPort
from openfl_twisted.transports.tcp import AcceptedTransport, CoalescingTransport
from openfl_twisted.transports.writebatch import currentBatch

try:
    from twisted.internet.epollreactor import EPOLLIN, EPollReactor
except ImportError:  # pragma: no cover  Tests run on Linux.
    raise ImportError("--reactor=openfl requires epoll (Linux): omit the option") from None

# Maximum number of events that are handled before timers run.
_MAX_EVENTS = 1024

_TCP = (socket.AF_INET, socket.AF_INET6)

# The reason with which a selectable without a file descriptor is removed.
_GONE = ConnectionFdescWentAway("File descriptor lost")


class EpollServerTransport(AcceptedTransport):
    """
    The transport of a connection accepted from a client.
    """


class EpollClientTransport(CoalescingTransport, tcp.Client):
    """
    The transport of a connection opened by this program.
    """


class Port(tcp.Port):
    """
    A port that accepts L{EpollServerTransport}s.

    @cvar transport: the class of the connections.
    """

    transport = EpollServerTransport


class Connector(tcp.Connector):
    """
    Creates an L{EpollClientTransport}.
    """

    def _makeTransport(self) -> EpollClientTransport:
        return EpollClientTransport(self.host, self.port, self.bindAddress, self, self.reactor)


class _EventContext:
    """
    The log context of the method calls that handle an event. The context is computed on
    demand, because few calls use it.

    @ivar selectable: the selectable of the event.
    @ivar made: the computed context.
    """

    __slots__ = ("_logContext", "made", "selectable")

    def __init__(self, logContext: dict[str, Any]) -> None:
        self._logContext = logContext
        self.made: dict[str, Any] | None = None
        self.selectable: Any = None

    def __getitem__(self, key: object) -> dict[str, Any]:
        """
        Return the log context, as C{log.callWithLogger} creates it.
        """
        if key is not log.ILogContext:
            raise KeyError(key)
        if self.made is None:
            self.made = self._logContext
            try:
                system = self.selectable.logPrefix()
            except Exception:
                system = "(buggy logPrefix method)"
                log.err(system=system)
            self.made = {**self._logContext, "system": system}
        return self.made


# Returns the number of references to an object. If the number is unknown, returns NaN, which equals
# no number.
_countHolders: Callable[[object], float] = getattr(sys, "getrefcount", lambda held: math.nan)


def _countOurs() -> float:
    """
    Return the number of references to a context that no callee has kept: the references from a
    list, from a variable and, in some Python versions, from the call of C{getrefcount}.
    """
    current = _EventContext({})
    contexts = [current]
    count = _countHolders(current)
    contexts.clear()
    return count


_OURS = _countOurs()


class _Descriptors:
    """
    A set of descriptors with the methods that Twisted uses. It needs one byte for each
    descriptor, because the kernel assigns the smallest free number.
    """

    def __init__(self, descriptors: Iterable[int]) -> None:
        self._flags = bytearray()
        for fd in descriptors:
            self.add(fd)

    def add(self, fd: int) -> None:
        flags = self._flags
        if fd >= len(flags):
            # Growing in large steps keeps the time per descriptor constant.
            flags.extend(bytes(max(fd + 1, 2 * len(flags)) - len(flags)))
        flags[fd] = 1

    def remove(self, fd: int) -> None:
        if fd not in self:
            raise KeyError(fd)
        self._flags[fd] = 0

    def discard(self, fd: int) -> None:
        if fd in self:
            self._flags[fd] = 0

    def __contains__(self, fd: int) -> bool:
        return 0 <= fd < len(self._flags) and self._flags[fd] == 1

    def __iter__(self) -> Iterator[int]:
        return (fd for fd, flag in enumerate(self._flags) if flag)


class OpenFLReactor(EPollReactor):
    """
    The reactor. A write batch is always active while the reactor runs.
    """

    _log = Logger(namespace="twisted.internet.base")

    def __init__(self) -> None:
        super().__init__()
        # The writers are kept in an ordinary set, because there are few.
        self._reads: Any = _Descriptors(self._reads)

    def mainLoop(self) -> None:
        """
        Run until C{stop} is called.
        """
        handler = self._log.failureHandler("Unexpected error in main loop")
        while self._started:
            with handler:
                while self._started:
                    self.runUntilCurrent()
                    timeout = self.timeout()
                    self.doIteration(self.running and timeout)
        currentBatch.waiting = None
        self._log.info("Main loop terminated.")

    def doPoll(self, timeout: float | None) -> None:
        """
        Send the data written by timers and threads, wait for events, handle them, and
        send the data written by their handlers.

        @param timeout: maximum time to wait (seconds); C{None} for no limit.
        """
        if currentBatch.waiting is None:
            currentBatch.waiting = []
        if currentBatch.waiting:
            currentBatch.flush()
            # Flushing may have scheduled a delayed call, or stopped the reactor.
            timeout = 0
        elif timeout is None:
            timeout = -1
        selectables = self._selectables
        # Python repeats poll() automatically after a signal.
        events = self._poller.poll(timeout, min(len(selectables), _MAX_EVENTS))
        if not events:
            return
        # log.callWithLogger, inlined; the context is created once for all events.
        contexts = context.theContextTracker.currentContext().contexts
        logContext = context.get(log.ILogContext)
        current = _EventContext(logContext)
        contexts.append(current)
        try:
            for fd, event in events:
                if fd not in selectables:
                    continue
                current.selectable = selectable = selectables[fd]
                current.made = None
                try:
                    if event == EPOLLIN:
                        # _doReadOrWrite, inlined for a read.
                        why: BaseException | None
                        inRead = False
                        try:
                            if (
                                selectable.__class__ is not EpollServerTransport
                                and selectable.fileno() == -1
                            ):
                                why = _GONE
                            else:
                                why = selectable.doRead()
                                inRead = True
                        except BaseException:
                            why = sys.exc_info()[1]
                            log.err()
                        if why:
                            self._disconnectSelectable(selectable, why, inRead)
                    else:
                        self._doReadOrWrite(selectable, fd, event)
                except KeyboardInterrupt:
                    raise
                except BaseException:
                    log.err()
                if _countHolders(current) != _OURS:
                    # A callee has kept the context, as the thread pool does, so the next event
                    # needs a new context.
                    contexts[-1] = current = _EventContext(logContext)
        finally:
            contexts.pop()
        if currentBatch.waiting:
            currentBatch.flush()

    doIteration = doPoll

    def iterate(self, delay: float = 0.0) -> None:
        """
        Run one iteration. First flush the write batch: this method may be called during a read
        by code that waits for the answer to data that it has written.
        """
        currentBatch.flush()
        super().iterate(delay)

    def _unsentOnly(self) -> list[CoalescingTransport]:
        """
        Return the connections whose unsent data is in the write batch, and which epoll does
        not watch for writing.
        """
        return [
            sender
            for sender in currentBatch.waiting or ()
            if isinstance(sender, CoalescingTransport) and sender.queued
        ]

    def getWriters(self) -> list[Any]:
        return [*super().getWriters(), *self._unsentOnly()]

    def removeAll(self) -> list[Any]:
        unsent = self._unsentOnly()
        currentBatch.waiting = None
        for connection in unsent:
            connection.queued = False
        removed: list[Any] = super().removeAll()
        return [*{*removed, *unsent}]

    def listenTCP(
        self, port: Any, factory: IProtocolFactory, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        listening = Port(port, factory, backlog, interface, self)
        listening.startListening()
        return listening

    def listenUDP(
        self,
        port: int,
        protocol: AbstractDatagramProtocol,
        interface: str = "",
        maxPacketSize: int = 8192,
    ) -> IListeningPort:
        listening = DatagramPort(port, protocol, interface, maxPacketSize, self)
        listening.startListening()
        return listening

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory
    ) -> IListeningPort:
        if addressFamily not in _TCP:
            return cast(
                "IListeningPort", super().adoptStreamPort(fileDescriptor, addressFamily, factory)
            )
        listening: Port = Port._fromListeningDescriptor(  # noqa: SLF001
            self, fileDescriptor, addressFamily, factory
        )
        listening.startListening()
        return listening

    def adoptStreamConnection(
        self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory
    ) -> Any:
        if addressFamily not in _TCP:
            return super().adoptStreamConnection(fileDescriptor, addressFamily, factory)
        return EpollServerTransport._fromConnectedSocket(  # noqa: SLF001
            fileDescriptor, addressFamily, factory, self
        )

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: ClientFactory[Any],
        timeout: float = 30.0,
        bindAddress: Any = None,
    ) -> IConnector:
        connector = Connector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector


def install() -> None:
    """
    Install the reactor of this process. Called for C{--reactor=openfl}.
    """
    installReactor(OpenFLReactor())
