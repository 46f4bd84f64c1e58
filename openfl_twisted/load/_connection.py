"""
The connection of a bot.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet import error
from twisted.internet.interfaces import (
    IReactorTime,
    ITransport,
)
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.commandline import describeError
from openfl_twisted.coroutines import RunningHandler, isCancellation, startHandler
from openfl_twisted.load._bots import TimedBot, terminatorOf
from openfl_twisted.load._histogram import Histogram
from openfl_twisted.protocols.streamprotocol import StreamProtocol
from openfl_twisted.protocols.websocketclient import WebSocketClosed
from openfl_twisted.transports.connection import Connection
from openfl_twisted.transports.layer import Layer

_CLOSED_BY_SERVER = "the server closed the connection"
_CLOSED_BY_BOT = "the bot closed the connection"


class BotError(Exception):
    """
    A bot has raised an exception. The text describes the exception.
    """

    def __init__(self, problem: Exception) -> None:
        """
        @param problem: the exception.
        """
        super().__init__(f"error in the bot: {describeError(problem)}")


class Statistics:
    """
    The counters of all connections.

    @ivar answers: the answer times.
    @ivar requests: number of requests.
    @ivar messagesIn: number of messages received.
    @ivar messagesOut: number of messages sent.
    @ivar bytesIn: number of bytes received.
    @ivar bytesOut: number of bytes sent.
    @ivar skipped: number of calls of C{act} that were skipped, because the bot had too many
        unanswered requests.
    """

    def __init__(self) -> None:
        self.answers = Histogram()
        self.requests = self.skipped = 0
        self.messagesIn = self.messagesOut = self.bytesIn = self.bytesOut = 0


class ConnectionOwner(Protocol):
    """
    The load test to which a connection belongs.

    @ivar statistics: the counters of all connections.
    @ivar maxUnanswered: the number of unanswered requests at which a bot skips its next call.
    @ivar clock: the clock.
    """

    clock: IReactorTime
    statistics: Statistics
    maxUnanswered: int

    def now(self) -> float:
        """
        Return the time for measurements (seconds).
        """

    def connectionEnded(self, connection: "BotConnection", reason: str) -> None:
        """
        Called when a connection is lost.

        @param connection: the connection.
        @param reason: the reason, as one line.
        """


class BotConnection(Layer):
    """
    Wraps a bot: counts its messages, and measures the answer times. For the bot, it is the
    transport. An exception in the bot closes its connection, and is the reason for its end.

    @ivar bot: the protocol of the bot.
    @ivar unanswered: the times of the unanswered requests, oldest first.
    @ivar ending: whether the load test has closed the connection.
    @ivar hasFailed: whether the bot has raised an exception.
    @ivar number: the number of the bot.
    """

    transport: Any

    def __init__(self, bot: Any, owner: ConnectionOwner) -> None:
        self.bot = bot
        self.unanswered: deque[float] = deque()
        self.ending = False
        self.hasFailed = False
        self.number = -1
        self._owner = owner
        self._statistics = owner.statistics
        self._terminator = terminatorOf(bot)
        self._timed = isinstance(bot, TimedBot)
        self._acting: RunningHandler | None = None
        self._isLost = False
        # The number of messages that were sent during a call of act().
        self._sent = 0
        # The reason if this side closes the connection.
        self._reason = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    # Called by the transport

    def makeConnection(self, transport: ITransport) -> None:
        self.connected = 1
        self.transport = transport
        # Send small messages immediately.
        setNoDelay = getattr(transport, "setTcpNoDelay", None)
        if setNoDelay is not None:
            setNoDelay(True)
        if self._timed:
            self.bot.onAnswer = self._answered
        if isinstance(self.bot, StreamProtocol):
            # Otherwise, the bot would log its exceptions.
            self.bot.handlerFailed = self._failed  # type: ignore[method-assign]
        self._call(self.bot.makeConnection, self)

    def dataReceived(self, data: bytes) -> None:
        statistics, unanswered = self._statistics, self.unanswered
        messages = data.count(self._terminator) if self._terminator else 1
        statistics.bytesIn += len(data)
        statistics.messagesIn += messages
        if unanswered and not self._timed:
            answers = min(messages, len(unanswered)) if self._terminator else len(unanswered)
            now = self._owner.now()
            for _ in range(answers):
                statistics.answers.add(now - unanswered.popleft())
        if not self._reason:
            self._call(self.bot.dataReceived, data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._reason = self._reason or _describeLoss(reason)
        self._isLost = True
        if self._acting is not None:
            self._acting.cancel(self._owner.clock)
        self._call(self.bot.connectionLost, reason)
        if self._timed:
            self.bot.onAnswer = None
        self._owner.connectionEnded(self, self._reason)

    def _call(self, method: Callable[..., object], *arguments: object) -> object:
        """
        Call a method of the bot. An exception ends the connection.
        """
        try:
            return method(*arguments)
        except Exception:
            self._failed(Failure())
            return None

    def _failed(self, reason: Failure) -> None:
        """
        End the connection because of an exception of the bot.
        """
        if not isinstance(reason.value, Exception):
            reason.raiseException()
        self.hasFailed = True
        self._reason = str(BotError(reason.value))
        self.transport.abortConnection()

    # Called by the load test

    def act(self) -> None:
        """
        Let the bot send its next request. This is skipped if too many requests are unanswered,
        or if the server does not read.
        """
        if self._reason or self.ending:
            return
        statistics, transport = self._statistics, self.bot.transport
        isConnection = isinstance(transport, Connection)
        if len(self.unanswered) >= self._owner.maxUnanswered or (isConnection and transport.isFull):
            statistics.skipped += 1
            return
        if self._acting is not None:
            statistics.skipped += 1
            return
        self._sent = 0
        now = self._owner.now()
        result = self._call(self.bot.act)
        if result is not None:
            self._actLater(result)
        if isConnection:
            # In a write batch, the message would be sent later, and would not be counted here.
            transport.flush()
        requests = min(self._sent, 1) if self._timed else self._sent
        if requests:
            statistics.requests += requests
            self.unanswered.extend([now] * requests)

    def _actLater(self, result: object) -> None:
        """
        Wait for an C{act} that is a coroutine function. Meanwhile, the bot skips its requests.
        """
        handler = startHandler(result)
        if handler is None:
            return
        self._acting = handler
        handler.deferred.addErrback(self._actFailed)
        handler.deferred.addCallback(self._acted)

    def _actFailed(self, reason: Failure) -> None:
        if not (self._isLost and isCancellation(reason)):
            self._failed(reason)

    def _acted(self, result: object) -> None:
        self._acting = None

    def close(self) -> None:
        """
        Close the connection because the test has ended.
        """
        self.ending = True
        self._call(self.bot.transport.loseConnection)

    def _answered(self) -> None:
        if self.unanswered:
            self._statistics.answers.add(self._owner.now() - self.unanswered.popleft())

    # Called by the bot

    def write(self, data: bytes) -> None:
        messages = data.count(self._terminator) if self._terminator else 1
        self._sent += messages
        self._statistics.messagesOut += messages
        self._statistics.bytesOut += len(data)
        self.transport.write(data)

    def loseConnection(self) -> None:
        self._reason = self._reason or _CLOSED_BY_BOT
        self.transport.loseConnection()

    def abortConnection(self) -> None:
        """
        Close the connection immediately. The report counts it as closed by the bot.
        """
        self._reason = self._reason or _CLOSED_BY_BOT
        self.transport.abortConnection()


def _describeLoss(reason: Failure) -> str:
    """
    Return the reason for a connection that this side has not closed.
    """
    match reason.value:
        case WebSocketClosed():
            return f"{_CLOSED_BY_SERVER}: {reason.value}"
        case error.ConnectionDone():
            return _CLOSED_BY_SERVER
        case _:
            return "the connection was reset or lost"
