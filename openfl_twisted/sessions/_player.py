"""
Plays the server of recorded sessions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.protocols.streamprotocol import StreamFactory, StreamProtocol
from openfl_twisted.sessions._masks import Known, MaskError, Masks
from openfl_twisted.sessions._script import Candidates, Difference, LooseScript, Script
from openfl_twisted.sessions._session import CLIENT, SERVER, Session
from openfl_twisted.types import AnyClock
from openfl_twisted.wire.dialects import Dialect


@dataclass(frozen=True)
class Result:
    """
    The result of playing a session.

    @ivar session: the name of the session.
    @ivar done: the number of messages that were sent and received as recorded.
    @ivar total: the number of messages of the session.
    @ivar problem: the description of the difference; C{None} if nothing differs.
    @ivar peer: the address of the peer.
    """

    session: str
    done: int
    total: int
    problem: str | None
    peer: str = ""


class PlayerFactory(StreamFactory["PlayerProtocol"]):
    """
    Plays the server of sessions, for real clients or clients under test. Each connection starts
    with all sessions as candidates; the messages of the client select the session.

    @ivar results: the results of the connections that have ended, in order.
    @ivar connections: the open connections.
    """

    def __init__(
        self,
        sessions: Sequence[Session],
        masks: Masks | None = None,
        *,
        given: Mapping[str, str] | None = None,
        speed: float = 0.0,
        loose: bool = False,
        dialect: Dialect | None = None,
        report: Callable[[Result], object] = lambda result: None,
        note: Callable[[str, str], object] = lambda peer, text: None,
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param sessions: the sessions, with the same dialect; at least one.
        @param masks: the parts of messages that may differ.
        @param given: values of variables, by name.
        @param speed: 1 to wait as long between messages as recorded, 2 for half of the time, 0 to
            send each message as soon as it is due (default).
        @param loose: whether the client may send the messages in another order. Each message is
            answered as in the first session; unknown messages are not answered.
        @param dialect: the dialect (default: the dialect of the sessions).
        @param report: called with the result of each connection.
        @param note: called with the address of the peer and an unknown message, if C{loose}.
        @param clock: the clock (default: the global reactor).
        @raise ValueError: if there is no session, the dialects differ, or a session cannot be
            played, see L{Script}.
        """
        super().__init__(PlayerProtocol)
        if not sessions:
            raise ValueError("there must be at least one session")
        names = {session.header.dialect for session in sessions}
        if dialect is None and len(names) > 1:
            raise ValueError(f"the sessions have different dialects: {', '.join(sorted(names))}")
        self.dialect = sessions[0].dialect if dialect is None else dialect
        self.speed = speed
        self.loose = loose
        self.results: list[Result] = []
        self.connections: set[PlayerProtocol] = set()
        self.timer: Any = clockOrReactor(clock)
        self.clock = self.timer
        self.note = note
        self._sessions = sessions
        self._masks = masks
        self._given = dict(given or {})
        self._report = report
        # Check that all sessions can be played.
        self.scripts()

    def scripts(self) -> list[Script]:
        """
        Create the scripts of a connection.
        """
        return [
            Script(session, SERVER, self._masks, Known(self._given), self.dialect)
            for session in self._sessions
        ]

    @property
    def isFinished(self) -> bool:
        """
        Whether a client has connected, and nothing remains to be sent or received.
        """
        isComplete = all(each.isComplete for each in self.connections)
        return isComplete and bool(self.connections or self.results)

    def closeAll(self) -> None:
        """
        Abort the connections. An incomplete session is then a difference in its result.
        """
        for each in list(self.connections):
            each.transport.abortConnection()

    def ended(self, protocol: "PlayerProtocol", result: Result) -> None:
        """
        Called when a connection has ended.
        """
        self.connections.discard(protocol)
        self.results.append(result)
        self._report(result)

    def verify(self) -> None:
        """
        Check that a client has connected, and that each client has played a session.

        @raise AssertionError: if not; the text contains the first difference.
        """
        if not self.results:
            raise AssertionError("no client has connected and closed its connection")
        for result in self.results:
            if result.problem is not None:
                raise Difference(result.problem)


class PlayerProtocol(StreamProtocol):
    """
    A connection on which the server of a session is played.
    """

    factory: PlayerFactory

    def __init__(self) -> None:
        self._timer: IDelayedCall | None = None
        self._problem: str | None = None
        self._loose: LooseScript | None = None

    @property
    def isComplete(self) -> bool:
        """
        Whether everything has been sent and received.
        """
        return self._loose is not None or self._candidates.current.isComplete

    def connectionMade(self) -> None:
        self.factory.connections.add(self)
        scripts = self.factory.scripts()
        self._candidates = Candidates(scripts)
        if self.factory.loose:
            self._loose = LooseScript(scripts[0], self.factory.dialect)
            self._try(lambda: self._send(self._loose.greeting()))  # type: ignore[union-attr]
        else:
            self._try(self._play)

    def bytesReceived(self, data: bytes) -> None:
        if self._problem is None:
            self._try(lambda: self._compare(data))

    def _try(self, do: Callable[[], object]) -> None:
        """
        Call a function, and disconnect the client if it raises a difference.
        """
        try:
            do()
        except (Difference, MaskError) as problem:
            self._problem = str(problem)
            self._stopTimer()
            self.transport.abortConnection()

    def _compare(self, data: bytes) -> None:
        if self._loose is None:
            self._candidates.receive(data)
            self._play()
            return
        answers, unknown = self._loose.receive(data)
        self._send(answers)
        for text in unknown:
            self.factory.note(self.describePeer(), text)

    def _send(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            self.transport.write(message)

    def _play(self) -> None:
        """
        Send the messages that are due, and close the connection after the end of the session.
        """
        while self._timer is None and self._problem is None:
            script = self._candidates.current
            if script.due is not None:
                if self._waits(script.pause):
                    return
                self.transport.write(self._candidates.take())
            elif script.isComplete and script.session.end is not None:
                how = script.session.end.how
                if how == CLIENT or self._waits(script.endPause):
                    return
                if how == "lost":
                    self.transport.abortConnection()
                else:
                    self.transport.loseConnection()
                return
            else:
                return

    _hasWaited = False

    def _waits(self, pause: float) -> bool:
        """
        Start the timer for the next step, unless it has just expired.
        """
        if self._hasWaited or not self.factory.speed or not pause:
            self._hasWaited = False
            return False
        self._timer = self.factory.timer.callLater(pause / self.factory.speed, self._waited)
        return True

    def _waited(self) -> None:
        self._timer = None
        self._hasWaited = True
        self._try(self._play)
        self._hasWaited = False

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._stopTimer()
        if self._loose is not None:
            done, total = self._loose.known, self._loose.known + self._loose.unknown
        else:
            if self._problem is None:
                self._try(self._candidates.peerClosed)
            done, total = self._candidates.current.progress
        name = self._candidates.current.session.name
        self.factory.ended(self, Result(name, done, total, self._problem, self.describePeer()))
