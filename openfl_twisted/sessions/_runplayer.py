"""
Plays the clients of recorded sessions.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.protocols.streamprotocol import StreamProtocol
from openfl_twisted.sessions._masks import Known, MaskError, Masks
from openfl_twisted.sessions._player import Result
from openfl_twisted.sessions._script import MAX_PAUSE, Difference, Script
from openfl_twisted.sessions._session import CLIENT, Session
from openfl_twisted.types import AnyClock
from openfl_twisted.wire.dialects import Dialect

ANSWER_TIMEOUT = 5.0
"""
Default maximum time to wait for a message of the server: 5 seconds.
"""

_Connect = Callable[[Session, Factory[Any]], Deferred[Any]]


class _Step(NamedTuple):
    """
    A step of a run.

    @ivar n: the position in the run.
    @ivar pause: the recorded time since the previous step of the client (seconds).
    @ivar player: the client.
    @ivar kind: C{open}, C{send}, C{receive}, C{close} or C{closed}.
    @ivar need: the amount that the client must have received after the step, see L{Script.got}.
    """

    n: int
    pause: float
    player: "_Client"
    kind: str
    need: int = 0


class RunPlayer:
    """
    Plays the clients of the sessions of a run against a server. A message is sent when everything
    that was recorded before it, on any connection, has happened.

    @ivar problems: the descriptions of the differences, in the order in which they were found. A
        later one can be a consequence of an earlier one.
    """

    def __init__(
        self,
        sessions: Sequence[Session],
        connect: _Connect,
        masks: Masks | None = None,
        *,
        given: Mapping[str, str] | None = None,
        masksOf: Mapping[str, Masks] | None = None,
        speed: float = 0.0,
        timeout: float = ANSWER_TIMEOUT,
        dialect: Dialect | None = None,
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param sessions: the sessions of one run.
        @param connect: called with a session and a factory; connects to the server, and returns a
            Deferred that fires with the protocol.
        @param masks: the parts of messages that may differ.
        @param given: values of variables, by name.
        @param masksOf: the masks of single sessions, by the name of the session.
        @param speed: see L{PlayerFactory<openfl_twisted.sessions.PlayerFactory>}.
        @param timeout: maximum time to wait for a message of the server (seconds).
        @param dialect: the dialect (default: the dialect of each session).
        @param clock: the clock (default: the global reactor).
        @raise ValueError: if a session cannot be played, see L{Script}; or if a hidden value is
            needed, but not given.
        """
        self._connect = connect
        self._clock: Any = clockOrReactor(clock)
        self._speed = speed
        self._timeout = timeout
        known = Known(given)
        self._clients = []
        for session in sessions:
            own = (masksOf or {}).get(session.name, masks)
            self._clients.append(
                _Client(self, Script(session, CLIENT, own, known.forSession(), dialect))
            )
        learned = set().union(*(client.script.learned() for client in self._clients))
        for client in self._clients:
            missing = client.script.missing() - learned
            if missing:
                name, title = min(missing), client.script.session.name
                raise ValueError(
                    f"{title} needs a value for {name}: --set {name}=..., or compute in the masks"
                )
        self.problems: list[str] = []
        self._steps = self._makeSteps()
        self._at = 0
        self._timer: IDelayedCall | None = None
        self._isAdvancing = False
        self._isPaused = False
        self._hasPaused = False
        self._finished: Deferred[list[Result]] | None = None

    def _makeSteps(self) -> list[_Step]:
        steps: list[_Step] = []
        for client in self._clients:
            turns = client.script.turns
            session = client.script.session
            n = turns[0][0].n if turns else 0
            latest = 0.0
            steps.append(_Step(n, 0.0, client, "open"))
            for message, need in turns:
                # The order within a session is that of its lines, also without numbers.
                n = max(n, message.n)
                kind = "send" if message.side == CLIENT else "receive"
                steps.append(_Step(n, message.t - latest, client, kind, need))
                latest = max(latest, message.t)
            end = session.end
            if end is None or end.how in (CLIENT, "lost"):
                pause = 0.0 if end is None else end.t - latest
                n = n if end is None else max(n, end.n)
                steps.append(_Step(n, pause, client, "close"))
            else:
                n = max(n, end.n)
            steps.append(_Step(n, 0.0, client, "closed"))
        return sorted(steps, key=attrgetter("n"))

    @property
    def results(self) -> list[Result]:
        """
        The results so far, in the order of the sessions.
        """
        return [client.result for client in self._clients]

    def start(self) -> Deferred[list[Result]]:
        """
        Play the sessions.

        @return: fires with the results when all sessions have been played. Fails if a connection
            attempt fails.
        """
        self._finished = Deferred()
        self._clock.callLater(0, self.proceed)
        return self._finished

    def proceed(self) -> None:
        """
        Execute the steps that are possible now. Called by clients.
        """
        if self._isAdvancing or self._isPaused or self._finished is None:
            return
        self._isAdvancing = True
        before = self._at
        try:
            while self._at < len(self._steps) and self._execute(self._steps[self._at]):
                self._at += 1
        finally:
            self._isAdvancing = False
        if self._at == len(self._steps):
            self._stopTimer()
            finished, self._finished = self._finished, None
            finished.callback(self.results)
        elif not self._isPaused and (self._timer is None or self._at > before):
            self._stopTimer()
            self._timer = self._clock.callLater(self._timeout, self._timedOut)

    def _execute(self, step: _Step) -> bool:
        """
        Execute a step.

        @return: whether the step has been completed.
        """
        client = step.player
        if client.hasFailed:
            self._hasPaused = False
            return True
        match step.kind:
            case "open":
                return client.open(self._connect, self._connectFailed)
            case "send":
                if self._waits(step):
                    return False
                client.send()
                return True
            case "receive":
                return client.script.got >= step.need
            case "close":
                if self._waits(step):
                    return False
                client.close()
                return True
            case _:
                return client.isClosed

    def _waits(self, step: _Step) -> bool:
        """
        Start the timer for a step, unless it has just expired.
        """
        if self._hasPaused or not self._speed:
            self._hasPaused = False
            return False
        pause = min(MAX_PAUSE, step.pause)
        if pause <= 0:
            return False
        self._isPaused = True
        self._stopTimer()
        self._timer = self._clock.callLater(pause / self._speed, self._pauseEnded)
        return True

    def _pauseEnded(self) -> None:
        self._timer = None
        self._isPaused = False
        self._hasPaused = True
        self.proceed()

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _timedOut(self) -> None:
        self._timer = None
        self._steps[self._at].player.timedOut(self._timeout)
        self.proceed()

    def _connectFailed(self, reason: Failure) -> None:
        self._stopTimer()
        finished, self._finished = self._finished, None
        for client in self._clients:
            client.abort()
        if finished is not None:
            finished.errback(reason)


class _Client:
    """
    The client of a session.

    @ivar script: the script.
    @ivar problem: the description of the difference; C{None} if nothing differs.
    @ivar isClosed: whether the connection is closed.
    """

    def __init__(self, run: RunPlayer, script: Script) -> None:
        self._run = run
        self.script = script
        self.problem: str | None = None
        self.isClosed = False
        self._protocol: _ClientProtocol | None = None
        self._isOpening = False
        self._isClosing = False

    @property
    def hasFailed(self) -> bool:
        return self.problem is not None

    @property
    def result(self) -> Result:
        done, total = self.script.progress
        return Result(self.script.session.name, done, total, self.problem)

    def open(self, connect: _Connect, failed: Callable[[Failure], object]) -> bool:
        """
        Connect. Return whether the connection is open.
        """
        if not self._isOpening:
            self._isOpening = True
            factory = Factory.forProtocol(lambda: _ClientProtocol(self))
            factory.noisy = False
            maybeDeferred(connect, self.script.session, factory).addErrback(failed)
        return self._protocol is not None

    def opened(self, protocol: "_ClientProtocol") -> None:
        self._protocol = protocol
        if self.hasFailed:
            self.abort()
        self._run.proceed()

    def send(self) -> None:
        try:
            data = self.script.take()
        except MaskError as problem:
            self.fail(str(problem))
            return
        assert self._protocol is not None  # noqa: S101 - for the type checker
        self._protocol.transport.write(data)

    def received(self, data: bytes) -> None:
        if self.hasFailed:
            return
        try:
            self.script.receive(data)
        except Difference as problem:
            self.fail(str(problem))
        self._run.proceed()

    def fail(self, problem: str) -> None:
        self.problem = problem
        self._run.problems.append(problem)
        self.abort()

    def abort(self) -> None:
        if self._protocol is not None and not self.isClosed:
            self._protocol.transport.abortConnection()

    def close(self) -> None:
        self._isClosing = True
        if self._protocol is not None and not self.isClosed:
            self._protocol.transport.loseConnection()

    def closed(self) -> None:
        self.isClosed = True
        if not self.hasFailed:
            try:
                self.script.peerClosed()
            except Difference as problem:
                self.fail(str(problem))
            else:
                if not self.script.isComplete:
                    name = self.script.session.name
                    self.fail(f"{name}: the server closed the connection too early")
        self._run.proceed()

    def timedOut(self, timeout: float) -> None:
        name = self.script.session.name
        if self._protocol is None:
            self.fail(f"{name}: the server had not accepted the connection within {timeout:g} s")
            return
        if self._isClosing:
            # The server need not close the connection, too.
            self.abort()
            return
        try:
            self.script.checkComplete(f"within {timeout:g} s")
        except Difference as problem:
            self.fail(str(problem))
        else:
            self.fail(f"{name}: the server had not closed the connection within {timeout:g} s")


class _ClientProtocol(StreamProtocol):
    def __init__(self, client: _Client) -> None:
        self._client = client

    def connectionMade(self) -> None:
        self._client.opened(self)

    def bytesReceived(self, data: bytes) -> None:
        self._client.received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._client.closed()
