"""
UDP: a base class for protocols, and an echo server for testing C{DatagramSocket} programs.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol
from twisted.python.failure import Failure

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.coroutines import (
    HandlerResult,
    RunningHandler,
    isCancellation,
    startHandler,
)
from openfl_twisted.logs import LATE_TIMEOUT, logHandlerError, logLateHandler, packageLogger
from openfl_twisted.protocols.streamprotocol import missingHandler
from openfl_twisted.transports.lowest import clockOf

MAX_DATAGRAM = 65535
"""
Maximum length of a received datagram (bytes); UDP over IPv4 allows 65507.
"""

PREFIX = b"Echo -- "
"""
The prefix of an answer.
"""


# For type checkers, Twisted's datagramReceived would forbid handlers that are coroutine functions.
_Base: Any = DatagramProtocol


class AsyncDatagramProtocol(_Base):  # type: ignore[misc]
    """
    Receives datagrams one at a time: C{datagramReceived} can be a coroutine function, or
    return a Deferred. While it runs, no datagrams are read; the kernel drops datagrams when
    the buffer of the socket is full. When the port is closed, the handler is cancelled.
    """

    _handlerNames = ("datagramReceived",)
    noisy = False
    log = packageLogger()
    transport: Any

    # A subclass need not call __init__ of this class.
    _running: RunningHandler | None = None
    # The address of the sender of the datagram that is being handled.
    _sender: Any = None
    _timer: IDelayedCall | None = None

    def datagramReceived(self, datagram: bytes, addr: Any) -> HandlerResult:
        """
        Called with each datagram. Subclasses override this method.

        @param addr: the IP address and port of the sender.
        """
        raise missingHandler(self)

    def makeConnection(self, transport: Any) -> None:
        # The datagrams that were read together with the datagram that is being handled. A port
        # reads at most 256 KiB at a time.
        self._held: deque[tuple[bytes, Any]] = deque()
        super().makeConnection(transport)
        self._handle: Callable[[bytes, Any], HandlerResult] = self.datagramReceived
        # The port calls the attribute of the instance.
        self.datagramReceived = self._receive  # type: ignore[method-assign]

    def _receive(self, datagram: bytes, addr: Any) -> None:
        if self._running is not None:
            self._held.append((datagram, addr))
            return
        result = self._handle(datagram, addr)
        handler = None if result is None else startHandler(result)
        if handler is None:
            return
        handler.deferred.addErrback(self._failed, addr)
        if handler.isRunning:
            self._running = handler
            self._sender = addr
            if self._timer is None and hasattr(self.transport, "reactor"):
                # The timer is not stopped when the handler ends, because starting a timer for
                # each handler is slow.
                self._startTimer(handler)
            self.transport.stopReading()
            handler.deferred.addCallback(self._ended)

    def _startTimer(self, handler: RunningHandler) -> None:
        call = clockOf(self.transport).callLater
        self._timer = call(LATE_TIMEOUT, self._checkHandler, handler)

    def _checkHandler(self, handler: RunningHandler) -> None:
        """
        Warn if a handler still runs.
        """
        self._timer = None
        if self._running is handler:
            logLateHandler(
                self.log,
                handler,
                type(self),
                f"{self._sender[0]}:{self._sender[1]}",
                "no datagrams are read",
            )
        elif self._running is not None:
            self._startTimer(self._running)

    def _failed(self, reason: Failure, addr: Any) -> None:
        if self.transport is not None or not isCancellation(reason):
            logHandlerError(self.log, reason, f"{addr[0]}:{addr[1]}", "")

    def _ended(self, result: object) -> None:
        self._running = None
        while self._held and self._running is None:
            self._receive(*self._held.popleft())
        if self._running is None and self.transport is not None:
            self.transport.startReading()

    def doStop(self) -> None:
        """
        Call C{stopProtocol}, which subclasses can override. Cancel the running handler, and drop
        the held datagrams.
        """
        super().doStop()
        # Another port can still use the protocol.
        if self.numPorts:
            return
        self._held.clear()
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        running, self._running = self._running, None
        if running is not None:
            running.cancel(clockOrReactor(None))


class DatagramEchoProtocol(DatagramProtocol):
    """
    Answers each datagram with C{Echo -- } and the contents of the datagram, like the
    C{ServerSocketExample} in Adobe's ActionScript guide. Datagrams with this prefix are not
    answered, so that two echo servers do not answer each other indefinitely.

    @ivar answered: number of answered datagrams.
    @ivar dropped: number of unanswered datagrams: answers from other echo servers, and
        datagrams that are too long to be answered.
    """

    noisy = False
    log = packageLogger()

    def __init__(self) -> None:
        self.answered = 0
        self.dropped = 0

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        if datagram.startswith(PREFIX):
            self.dropped += 1
            return
        transport: Any = self.transport
        try:
            transport.write(PREFIX + datagram, addr)
        except OSError as error:
            self.dropped += 1
            self.log.debug("no answer sent to {address}: {error}", address=addr[0], error=error)
        else:
            self.answered += 1
