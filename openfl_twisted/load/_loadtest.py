"""
A load test: opens many connections, lets the bots act, and closes the connections.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from openfl_twisted.clocks import tookTooLong
from openfl_twisted.commandline import describeError
from openfl_twisted.load._connection import BotConnection, BotError, Statistics
from openfl_twisted.load._schedule import Schedule

MAX_REASONS = 20
"""
Maximum number of different reasons that are counted; further reasons are counted together.
"""

ANSWER_TIMEOUT = 5.0
"""
Maximum time to wait for the last answers at the end of the test (seconds).
"""

CLOSE_TIMEOUT = 5.0
"""
Maximum time to close the connections; then they are aborted (seconds).
"""

_OTHER = "other reasons"
_POLL_DELAY = 0.02
# In seconds; after abortConnection(), the reactor reports the loss in its next iteration.
_ABORT_TIMEOUT = 1.0


@dataclass(frozen=True)
class Plan:
    """
    The plan of a load test.

    @ivar clients: the number of bots.
    @ivar rate: calls of C{act} per second for each bot; 0 for none.
    @ivar duration: the time for which the bots act (seconds).
    @ivar connectRate: the number of connection attempts per second.
    @ivar connectTimeout: maximum time of a connection attempt (seconds).
    @ivar maxUnanswered: the number of unanswered requests at which a bot skips its next call.
    """

    clients: int
    rate: float
    duration: float
    connectRate: float = 100.0
    connectTimeout: float = 10.0
    maxUnanswered: int = 10


class Reasons:
    """
    Counts events by reason; at most L{MAX_REASONS} different ones.

    @ivar counts: the number of events by reason.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, reason: str) -> None:
        """
        Count an event under its reason, or with the other reasons.
        """
        if reason not in self.counts and len(self.counts) >= MAX_REASONS:
            reason = _OTHER
        self.counts[reason] = self.counts.get(reason, 0) + 1

    @property
    def total(self) -> int:
        """
        The number of all events.
        """
        return sum(self.counts.values())


class _WrapperFactory(Factory[BotConnection]):
    """
    Wraps each bot in a L{BotConnection}.
    """

    noisy = False

    def __init__(self, factory: IProtocolFactory, owner: "LoadTest") -> None:
        self._factory = factory
        self._owner = owner

    def buildProtocol(self, addr: Any) -> BotConnection:
        try:
            bot = self._factory.buildProtocol(addr)
        except Exception as problem:
            raise BotError(problem) from problem
        return BotConnection(bot, self._owner)


@dataclass
class Phase:
    """
    The progress of a load test.

    @ivar name: C{connecting}, C{running}, C{closing} or C{ended}.
    @ivar since: the time at which the phase has begun.
    """

    name: str = "connecting"
    since: float = 0.0


@dataclass(eq=False)
class LoadTest:
    """
    A load test.

    @ivar clock: the clock.
    @ivar now: returns the time for measurements (seconds).
    @ivar endpoint: the endpoint of the server.
    @ivar factory: creates the bots.
    @ivar plan: the plan.
    @ivar describe: describes the exception of a failed connection attempt.
    @ivar ready: called when all connection attempts have ended, before the bots act.
    @ivar statistics: the counters of all connections.
    @ivar connections: the open connections by number.
    @ivar connected: number of connections that were opened.
    @ivar failed: the failed connection attempts by reason.
    @ivar closed: the connections that were closed before the end, by reason.
    @ivar elapsed: the time for which the bots acted, after the test (seconds).
    @ivar late: number of calls of C{act} that were dropped because this process was late.
    @ivar lag: the longest time by which a call was late (seconds).
    @ivar unanswered: number of requests without an answer, after the test.
    @ivar phase: the progress of the test.
    @ivar maxUnanswered: C{maxUnanswered} of the plan.
    """

    clock: IReactorTime
    now: Callable[[], float]
    endpoint: IStreamClientEndpoint
    factory: IProtocolFactory
    plan: Plan
    describe: Callable[[Exception], str] = describeError
    ready: Callable[[], object] = lambda: None
    statistics: Statistics = field(default_factory=Statistics)
    connections: dict[int, BotConnection] = field(default_factory=dict)
    connected: int = 0
    failed: Reasons = field(default_factory=Reasons)
    closed: Reasons = field(default_factory=Reasons)
    elapsed: float = 0.0
    late: int = 0
    lag: float = 0.0
    unanswered: int = 0
    phase: Phase = field(default_factory=Phase)

    def __post_init__(self) -> None:
        self.maxUnanswered = self.plan.maxUnanswered
        self._wrapping = _WrapperFactory(self.factory, self)
        self._attempts: dict[int, Deferred[Any]] = {}
        self._stopping = False
        # The schedule or the wait of the current phase.
        self._stopPhase: Callable[[], object] = lambda: None
        self._allTried: Deferred[None] | None = None

    async def run(self) -> None:
        """
        Run the test. It ends early after L{stop}.
        """
        self._enter("connecting")
        await self._connectAll()
        self._enter("running")
        await self._act()
        self._enter("closing")
        await self._closeAll()
        self._enter("ended")

    def stop(self) -> None:
        """
        End the test early: the connections are closed without waiting for answers.
        """
        self._stopping = True
        self._stopPhase()

    def _enter(self, phase: str) -> None:
        self.phase = Phase(phase, self.now())

    @property
    def succeeded(self) -> bool:
        """
        Whether each bot has connected, and stayed connected to the end.
        """
        return self.connected == self.plan.clients and not self.closed.total

    # Connecting

    async def _connectAll(self) -> None:
        plan = self.plan
        schedule = Schedule(
            self.clock, self.now, self._connect, plan.clients, plan.connectRate, plan.clients
        )
        self._stopPhase = schedule.stop
        schedule.start()
        await schedule.ended
        if self._stopping:
            self._cancelAttempts()
        elif self._attempts:
            self._allTried = Deferred()
            self._stopPhase = self._cancelAttempts
            await self._allTried

    def _connect(self, number: int) -> None:
        attempt: Deferred[Any] = self.endpoint.connect(self._wrapping)
        self._attempts[number] = attempt
        attempt.addTimeout(self.plan.connectTimeout, self.clock, tookTooLong)
        attempt.addCallback(self._opened, number)
        attempt.addErrback(self._notOpened)
        attempt.addBoth(self._tried, number)

    def _opened(self, protocol: BotConnection, number: int) -> None:
        self.connected += 1
        protocol.number = number
        self.connections[number] = protocol

    def _notOpened(self, reason: Failure) -> None:
        if not self._stopping:
            self.failed.add(self.describe(cast("Exception", reason.value)))

    def _tried(self, _: object, number: int) -> None:
        self._attempts.pop(number, None)
        if not self._attempts and self._allTried is not None:
            allTried, self._allTried = self._allTried, None
            allTried.callback(None)

    def _cancelAttempts(self) -> None:
        for attempt in [*self._attempts.values()]:
            attempt.cancel()

    def connectionEnded(self, connection: BotConnection, reason: str) -> None:
        """
        Count a connection that is lost. The test ends when all connections are lost.

        @param connection: the connection.
        @param reason: the reason.
        """
        if self.connections.pop(connection.number, None) is None:
            return
        self.unanswered += len(connection.unanswered)
        if connection.hasFailed or not connection.ending:
            self.closed.add(reason)
        if not self.connections and self.phase.name == "running":
            self._stopPhase()

    # Acting

    async def _act(self) -> None:
        """
        Let the bots act for the planned time. Each bot acts in its turn, so the calls are spread
        evenly.
        """
        plan = self.plan
        if self._stopping or not self.connections:
            return
        self.ready()
        start = self.now()
        perSecond = plan.clients * plan.rate
        calls = round(perSecond * plan.duration)
        schedule = Schedule(
            self.clock, self.now, self._actOne, calls, perSecond or 1.0, plan.clients
        )
        over: Deferred[None] = Deferred()
        timer = self.clock.callLater(plan.duration, over.callback, None)

        def stop() -> None:
            if timer.active():
                timer.cancel()
                over.callback(None)

        self._stopPhase = stop
        schedule.start()
        await over
        schedule.catchUp()
        schedule.stop()
        self.elapsed = self.now() - start
        self.lag = schedule.latest
        self.late = schedule.dropped

    def _actOne(self, number: int) -> None:
        connection = self.connections.get(number % self.plan.clients)
        if connection is not None:
            connection.act()

    # Closing

    async def _closeAll(self) -> None:
        await self._wait(lambda: self._stopping or not self._isAwaited, ANSWER_TIMEOUT)
        for connection in [*self.connections.values()]:
            connection.close()
        await self._wait(lambda: not self.connections, CLOSE_TIMEOUT)
        for connection in [*self.connections.values()]:
            connection.abortConnection()
        await self._wait(lambda: not self.connections, _ABORT_TIMEOUT)

    @property
    def _isAwaited(self) -> bool:
        return any(connection.unanswered for connection in self.connections.values())

    async def _wait(self, condition: Callable[[], bool], timeout: float) -> None:
        end = self.now() + timeout
        while not condition() and self.now() < end:
            await deferLater(self.clock, _POLL_DELAY)
