"""
C{--reactor=openfl}: Twisted's epoll reactor with a leaner loop, and with
transports that join what is written.

Any Twisted program can run on it. It does what Twisted's C{EPollReactor} does,
in the same order; what is written, by a read, a timer or a thread, is sent at
the end of the turn without asking C{epoll} first.
"""

import math
import socket
import sys
from collections.abc import Callable
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
    raise ImportError("it needs epoll, which only Linux has; without it, leave it out") from None

# So many events are taken from epoll at once; timers get their turn in between.
_MAX_EVENTS = 1024

_TCP = (socket.AF_INET, socket.AF_INET6)

# What becomes of a selectable that has no descriptor any more.
_GONE = ConnectionFdescWentAway("File descriptor lost")


class EpollServerTransport(AcceptedTransport):
    """
    A connection that a client has made.
    """


class EpollClientTransport(CoalescingTransport, tcp.Client):
    """
    A connection that this program has made.
    """


class Port(tcp.Port):
    """
    A port whose connections are L{EpollServerTransport}s.

    @cvar transport: the class of the connections.
    """

    transport = EpollServerTransport


class Connector(tcp.Connector):
    """
    Makes an L{EpollClientTransport}.
    """

    def _makeTransport(self) -> EpollClientTransport:
        return EpollClientTransport(self.host, self.port, self.bindAddress, self, self.reactor)


class _EventContext:
    """
    The context of what an event calls. Few ask for it, so what it says is made
    when somebody does.

    @ivar selectable: whose event it is.
    @ivar made: what was made for it.
    """

    __slots__ = ("_logContext", "made", "selectable")

    def __init__(self, logContext: dict[str, Any]) -> None:
        self._logContext = logContext
        self.made: dict[str, Any] | None = None
        self.selectable: Any = None

    def __getitem__(self, key: object) -> dict[str, Any]:
        """
        Get the log context, as C{log.callWithLogger} makes it.
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


# Says how many hold something; where nobody knows, a number that is never the expected one.
_countHolders: Callable[[object], float] = getattr(sys, "getrefcount", lambda held: math.nan)


def _countOurs() -> float:
    """
    Count who holds the context of an event that nobody has kept: a list, a
    variable, and, with some versions of Python, the call that asks.
    """
    current = _EventContext({})
    contexts = [current]
    count = _countHolders(current)
    contexts.clear()
    return count


_OURS = _countOurs()


class _Descriptors(dict[int, None]):
    """
    A set of descriptors, as far as Twisted uses one; it takes up to a quarter of
    the memory.
    """

    def add(self, fd: int) -> None:
        """
        Put one in.
        """
        self[fd] = None

    remove = dict.__delitem__


class OpenFLReactor(EPollReactor):
    """
    The reactor. While it runs there is always a write batch.
    """

    _log = Logger(namespace="twisted.internet.base")

    def __init__(self) -> None:
        super().__init__()
        # Only what wakes the reactor is there so far. Few wait to write, so those stay in a set.
        self._reads: Any = _Descriptors.fromkeys(self._reads)

    def mainLoop(self) -> None:
        """
        Run until somebody calls C{stop}.
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
        Send what timers and threads have written, wait for events, deal with
        them, and send what that has made anybody write.

        @param timeout: how long to wait, in seconds; C{None} for as long as it
            takes.
        """
        if currentBatch.waiting is None:
            currentBatch.waiting = []
        if currentBatch.waiting:
            currentBatch.flush()
            # That may have scheduled a call, or stopped the reactor.
            timeout = 0
        elif timeout is None:
            timeout = -1
        selectables = self._selectables
        # Since Python 3.5 it goes on by itself after a signal.
        events = self._poller.poll(timeout, min(len(selectables), _MAX_EVENTS))
        if not events:
            return
        # What log.callWithLogger does, with what is the same for all done once.
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
                        # What _doReadOrWrite comes to then.
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
                    # Somebody has kept it for later, as the thread pool does.
                    contexts[-1] = current = _EventContext(logContext)
        finally:
            contexts.pop()
        if currentBatch.waiting:
            currentBatch.flush()

    doIteration = doPoll

    def iterate(self, delay: float = 0.0) -> None:
        """
        Do one turn. Who is within a read and waits for an answer to what it has
        written, waits for something that has left.
        """
        currentBatch.flush()
        super().iterate(delay)

    def _unsentOnly(self) -> list[CoalescingTransport]:
        """
        Return the connections that C{epoll} does not watch for writing, although they
        have data to send.
        """
        return [
            sender
            for sender in currentBatch.waiting or ()
            if isinstance(sender, CoalescingTransport) and sender.queued
        ]

    def getWriters(self) -> list[Any]:
        """
        Get what has something to send.
        """
        return [*super().getWriters(), *self._unsentOnly()]

    def removeAll(self) -> list[Any]:
        """
        Forget everything but what is the reactor's own.

        @return: what was forgotten.
        """
        unsent = self._unsentOnly()
        currentBatch.waiting = None
        for connection in unsent:
            connection.queued = False
        removed: list[Any] = super().removeAll()
        return [*{*removed, *unsent}]

    def listenTCP(
        self, port: Any, factory: IProtocolFactory, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """
        Listen on a TCP port.
        """
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
        """
        Listen on a UDP port.
        """
        listening = DatagramPort(port, protocol, interface, maxPacketSize, self)
        listening.startListening()
        return listening

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory
    ) -> IListeningPort:
        """
        Listen on a socket that is there already.
        """
        if addressFamily not in _TCP:
            return cast(
                "IListeningPort", super().adoptStreamPort(fileDescriptor, addressFamily, factory)
            )
        # As in Twisted's own.
        listening: Port = Port._fromListeningDescriptor(  # noqa: SLF001
            self, fileDescriptor, addressFamily, factory
        )
        listening.startListening()
        return listening

    def adoptStreamConnection(
        self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory
    ) -> Any:
        """
        Go on with a connection that is there already.
        """
        if addressFamily not in _TCP:
            return super().adoptStreamConnection(fileDescriptor, addressFamily, factory)
        # As in Twisted's own.
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
        """
        Connect to a TCP port.
        """
        connector = Connector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector


def install() -> None:
    """
    Make it the reactor of this process; what C{--reactor=openfl} calls.
    """
    installReactor(OpenFLReactor())
