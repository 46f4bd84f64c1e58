"""
Scripts: play one side of a session, and compare what the other side says. Without I/O.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from openfl_twisted.sessions._masks import Known, Masks
from openfl_twisted.sessions._session import CLIENT, SERVER, Message, Session
from openfl_twisted.wire.dialects import Dialect
from openfl_twisted.wire.framing import Cutter

MAX_PAUSE = 10.0
"""
Maximum time to wait before a message is sent: 10 seconds.
"""

# The shown part of a message around the first difference (characters).
_BEFORE = 40
_AFTER = 60


class Difference(AssertionError):
    """
    The messages of a peer differ from the session. The text has several lines: where the difference
    is, the recorded message and the message of today, and the known values.
    """


class _Turn(NamedTuple):
    """
    A message of the session.

    @ivar number: the number of the message in the session, from 1.
    @ivar message: the message.
    @ivar need: the amount that the other side has said before, in the unit of L{Script.got}.
    @ivar pause: the time since the previous message of either side (seconds).
    @ivar isPart: whether the message is incomplete and has no holes.
    """

    number: int
    message: Message
    need: int
    pause: float
    isPart: bool


class Script:
    """
    Plays one side of a session. A message is sent when everything that the other side said
    before it in the session has been received. Segments do not matter.

    In a dialect without messages, the received bytes are compared with the recorded bytes, and
    masks are not used. The same holds for an incomplete message: the other side may continue it.

    If the client has not closed the recorded connection, its further messages are ignored: they
    may have been sent when the session was recorded, too, but not received.

    @ivar session: the session.
    @ivar side: the side that the script plays.
    @ivar known: the values of the variables.
    @ivar got: the amount that has been received from the other side: the number of messages, or
        of bytes in a dialect without messages.
    @ivar same: the number of received values of variables that are the recorded ones.
    """

    def __init__(
        self,
        session: Session,
        side: str,
        masks: Masks | None = None,
        known: Known | None = None,
        dialect: Dialect | None = None,
    ) -> None:
        """
        @param side: the side to play: C{client} or C{server}.
        @param masks: the parts of messages that may differ (default: hidden values).
        @param known: the known values, which several scripts can share (default: none).
        @param dialect: the dialect (default: the dialect of the session).
        @raise ValueError: if the dialect has no messages, but there are masks; or if there is a
            gap in the session.
        """
        self.session = session
        self.side = side
        self.other = SERVER if side == CLIENT else CLIENT
        self.known = Known() if known is None else known
        self.masks = (Masks() if masks is None else masks).withHidden(session.header.hidden)
        self._dialect = session.dialect if dialect is None else dialect
        if self._dialect.hasMessages is False and (self.masks.variables or self.masks.skips):
            raise ValueError(
                f"{session.name}: masks and hidden values need a dialect with messages, such as"
                " xml or lines"
            )
        if session.gaps:
            gap = session.gaps[0]
            raise ValueError(
                f"{session.name}:{gap.line}: {gap.length} bytes were not recorded ({gap.why}); use"
                " --ignore-gaps to play the session without them"
            )
        self._cutter: Cutter = self._dialect.cutter()
        # The number of received bytes of an incomplete message.
        self._partLength = 0
        end = session.end
        self._ignoresMore = side == SERVER and end is not None and end.how != CLIENT
        self.got = 0
        self.same = 0
        self.sent = 0
        self._mine: list[_Turn] = []
        self._theirs: list[_Turn] = []
        before = 0
        last = 0.0
        for number, message in enumerate(session.messages, 1):
            if self.masks.skipsMessage(message):
                continue
            isPart = message.isPartial and not self.masks.holes(message.data)
            turn = _Turn(number, message, before, max(0.0, message.t - last), isPart)
            last = message.t
            if message.side == side:
                self._mine.append(turn)
            else:
                self._theirs.append(turn)
                before += 1 if self._dialect.hasMessages else len(message.data)
        self._last = last
        self._wanted = before
        # In a dialect without messages, all that the other side said.
        self._stream = (
            b""
            if self._dialect.hasMessages
            else b"".join(turn.message.data for turn in self._theirs)
        )

    # Sending

    @property
    def due(self) -> Message | None:
        """
        The next message to send; C{None} if it is not due yet, or all messages have been sent.
        """
        if self.sent == len(self._mine):
            return None
        turn = self._mine[self.sent]
        return turn.message if turn.need <= self.got else None

    @property
    def pause(self) -> float:
        """
        The recorded time between the previous message of either side and the message that is
        due; at most L{MAX_PAUSE} (seconds).
        """
        return min(MAX_PAUSE, self._mine[self.sent].pause)

    @property
    def endPause(self) -> float:
        """
        The recorded time between the last message and the end; at most L{MAX_PAUSE} (seconds).
        """
        end = self.session.end
        return 0.0 if end is None else min(MAX_PAUSE, max(0.0, end.t - self._last))

    @property
    def turns(self) -> list[tuple[Message, int]]:
        """
        The messages of both sides in order, without those that are skipped, and the value of
        C{got} after each.
        """
        found = []
        got = 0
        for turn in sorted([*self._mine, *self._theirs], key=lambda turn: turn.number):
            if turn.message.side == self.other:
                got += self._size(turn)
            found.append((turn.message, got))
        return found

    def missing(self) -> set[str]:
        """
        Return the names of hidden values that must be given, unless they are learned.
        """
        return self.masks.missing((turn.message for turn in self._mine), self.known)

    def learned(self) -> set[str]:
        """
        Return the names of the variables whose values are learned from the other side.
        """
        return self.masks.learned(turn.message for turn in self._theirs)

    def take(self) -> bytes:
        """
        Return the bytes of the message that is due, with today's values, and count it as sent.

        @raise MaskError: if a value cannot be computed.
        """
        message = self._mine[self.sent].message
        self.sent += 1
        return self.masks.fill(message.data, self.known)

    def spoken(self, data: bytes) -> bool:
        """
        Count the message that is due as sent by another script.

        @param data: the bytes that were sent.
        @return: whether they fit this script.
        """
        message = self.due
        if message is None or not self.masks.matches(message.data, data):
            return False
        self.masks.learn(message.data, data, self.known)
        self.sent += 1
        return True

    # Receiving

    def receive(self, data: bytes) -> None:
        """
        Compare received bytes.

        @param data: the bytes, of any length.
        @raise Difference: if they differ from the session.
        """
        if not self._dialect.hasMessages:
            self._compareStream(data)
            return
        while data:
            if self._expectsPart:
                data = self._comparePart(data)
                continue
            messages = self._dialect.split(self._cutter.feed(data))
            data = b""
            for number, message in enumerate(messages, 1):
                problem = self.check(message)
                if problem is not None:
                    raise problem
                if self._expectsPart:
                    data = b"".join(messages[number:])
                    break
            if self._expectsPart:
                data += self._cutter.rest()

    @property
    def _expectsPart(self) -> bool:
        return self.got < self._wanted and self._theirs[self.got].isPart

    def _comparePart(self, data: bytes) -> bytes:
        """
        Compare received bytes with an incomplete message.

        @return: the bytes after those of the incomplete message.
        """
        turn = self._theirs[self.got]
        recorded, at = turn.message.data, self._partLength
        expected = recorded[at : at + len(data)]
        if not data.startswith(expected):
            raise self._different(turn, recorded, recorded[:at] + data)
        self._partLength += len(expected)
        if self._partLength == len(recorded):
            self._partLength = 0
            self.got += 1
        return data[len(expected) :]

    def _compareStream(self, data: bytes) -> None:
        expected = self._stream[self.got : self.got + len(data)]
        if expected == data or (self._ignoresMore and data.startswith(expected)):
            self.got += len(expected)
            return
        same = next(
            (at for at, (a, b) in enumerate(zip(expected, data, strict=False)) if a != b),
            len(expected),
        )
        place = self.got = self.got + same
        if place == len(self._stream):
            raise Difference(self._surplus(data[same:]))
        turn = next(each for each in self._theirs if place < each.need + self._size(each))
        rest = self._stream[place : place + _AFTER]
        raise self._different(turn, rest, data[same : same + _AFTER])

    def check(self, data: bytes) -> Difference | None:
        """
        Compare a message, and learn the values of its variables.

        @param data: a complete message of the other side.
        @return: the difference; C{None} if there is no difference.
        """
        if self.masks.skipsData(self.other, data):
            return None
        if self.got == self._wanted:
            return None if self._ignoresMore else Difference(self._surplus(data))
        turn = self._theirs[self.got]
        recorded = turn.message.data
        if not self.masks.matches(recorded, data):
            return self._different(turn, recorded, data)
        changed = self.masks.changed(recorded, data, self.known)
        if changed is not None:
            return self._changed(turn, *changed)
        self.masks.learn(recorded, data, self.known)
        self.same += sum(old == new for _, old, new in self.masks.values(recorded, data))
        self.got += 1
        return None

    def peerClosed(self) -> None:
        """
        Compare the incomplete message at the end, and check that everything has been received.

        @raise Difference: if something is missing, or differs from the session.
        """
        # AMF values that arrived in tiny chunks can be found late.
        for message in self._dialect.split(self._cutter.rest()):
            problem = self.check(message)
            if problem is not None:
                raise problem
        self.checkComplete()

    def checkComplete(self, when: str = "when the connection was closed") -> None:
        """
        Check that everything has been received.

        @param when: the time, for the error.
        @raise Difference: if something is missing.
        """
        if self.got < self._wanted:
            turn = next(each for each in self._theirs if each.need + self._size(each) > self.got)
            pending = self._cutter.pending
            note = (
                f"; {pending} bytes of an incomplete message had been received" if pending else ""
            )
            raise Difference(
                f"{self._place(turn)} had not been received {when}{note}:"
                f" {self._shown(turn.message.data)}"
            )

    def _size(self, turn: _Turn) -> int:
        return 1 if self._dialect.hasMessages else len(turn.message.data)

    @property
    def hasReceivedAll(self) -> bool:
        """
        Whether everything that the other side said has been received.
        """
        return self.got == self._wanted

    @property
    def isComplete(self) -> bool:
        """
        Whether everything has been sent and received.
        """
        return self.hasReceivedAll and self.sent == len(self._mine)

    @property
    def awaitsClose(self) -> bool:
        """
        Whether the session is complete, and the client closes the connection.
        """
        end = self.session.end
        return self.isComplete and (end is None or end.how == CLIENT)

    @property
    def progress(self) -> tuple[int, int]:
        """
        The number of messages sent and received so far, and the number of all messages.
        """
        received = sum(1 for each in self._theirs if each.need + self._size(each) <= self.got)
        return received + self.sent, len(self._theirs) + len(self._mine)

    # The texts of differences

    def _shown(self, data: bytes) -> str:
        shown = self._dialect.show(self.masks.mark(data))
        return shown if len(shown) <= _BEFORE + _AFTER else f"{shown[: _BEFORE + _AFTER]}..."

    def _place(self, turn: _Turn) -> str:
        total = len(self.session.messages)
        return f"{self.session.name}:{turn.message.line}: message {turn.number} of {total}"

    def _changed(
        self, turn: _Turn, name: str, recorded: bytes, before: bytes, now: bytes
    ) -> Difference:
        values = [
            "***" if name in self.session.header.hidden else repr(value.decode("utf-8", "replace"))
            for value in (now, before, recorded)
        ]
        return Difference(
            f"{self._place(turn)}, sent by the {self.other} at {turn.message.t:.3f} s, differs\n"
            f"  {name} is {values[0]}, but {values[1]} was received before for the recorded"
            f' {values[2]}; if it may change, use kind = "any"'
        )

    def _surplus(self, data: bytes) -> str:
        return (
            f"{self.session.name}: the {self.other} said more than was recorded:"
            f" {self._shown(data)}"
        )

    def _different(self, turn: _Turn, recorded: bytes, now: bytes) -> Difference:
        show = self._dialect.show
        first, second = show(self.masks.mark(recorded)), show(self.masks.mark(now))
        if first == second:
            # The difference is not visible, for example a missing terminator.
            first, second = repr(self.masks.mark(recorded)), repr(self.masks.mark(now))
        pairs = enumerate(zip(first, second, strict=False))
        place = next((n for n, (a, b) in pairs if a != b), min(len(first), len(second)))
        begin = max(0, place - _BEFORE)
        dots = "..." if begin else ""
        lines = [
            f"{self._place(turn)}, sent by the {self.other} at {turn.message.t:.3f} s, differs",
            f"  recorded  {dots}{_upTo(first, begin, place + _AFTER)}",
            f"  now       {dots}{_upTo(second, begin, place + _AFTER)}",
            f"            {' ' * (len(dots) + place - begin)}^ character {place + 1}",
        ]
        known = describeKnown(self.known, self.session.header.hidden)
        if known:
            lines.append(f"  known: {known}")
        return Difference("\n".join(lines))


def _upTo(text: str, begin: int, end: int) -> str:
    return text[begin:end] if len(text) <= end else f"{text[begin:end]}..."


def describeKnown(known: Known, hidden: Mapping[str, str]) -> str:
    """
    Return the known values for an error; the values of hidden variables are not shown.
    """
    texts = [
        f"{name}={'***' if name in hidden or name in known.given else repr(value[:60])}"
        for name, value in sorted(known.texts().items())
    ]
    return ", ".join(texts)


class Candidates:
    """
    The sessions that a connection can still be playing. Each message of the client removes the
    sessions that differ; the server of the first remaining session is played. A session in
    which only the client's close is left does not delay the others.

    @ivar scripts: the scripts of these sessions.
    """

    def __init__(self, scripts: Sequence[Script]) -> None:
        """
        @param scripts: at least one script. Each has its own known values.
        """
        self.scripts = list(scripts)

    @property
    def current(self) -> Script:
        """
        The script that determines the messages to send.
        """
        return next((each for each in self.scripts if not each.awaitsClose), self.scripts[0])

    def receive(self, data: bytes) -> None:
        """
        Compare received bytes.

        @raise Difference: if they differ from all sessions. The difference is that of the session
            that has matched most.
        """
        self._keep([_tryReceive(script, data) for script in self.scripts])

    def peerClosed(self) -> None:
        """
        Compare the incomplete message at the end, and check that everything has been received.

        @raise Difference: if something is missing in all sessions.
        """
        self._keep([_tryClosed(script) for script in self.scripts])
        complete = [script for script in self.scripts if script.isComplete]
        self.scripts = complete or self.scripts

    def take(self) -> bytes:
        """
        Return the bytes of the message that is due, and remove the sessions in which the server
        says something else.
        """
        current = self.current
        data = current.take()
        self.scripts = [each for each in self.scripts if each is current or each.spoken(data)]
        return data

    def _keep(self, problems: Sequence[Difference | None]) -> None:
        kept = [
            script
            for script, problem in zip(self.scripts, problems, strict=True)
            if problem is None
        ]
        if kept:
            # Prefer the session with the same values, such as the name of the player.
            self.scripts = sorted(kept, key=lambda script: -script.same)
            return
        # The order of the sessions decides between scripts that have matched as much.
        best = max(range(len(problems)), key=lambda n: (self.scripts[n].got, -n))
        self.scripts = [self.scripts[best]]
        problem = problems[best]
        assert problem is not None  # noqa: S101 - for the type checker
        raise problem


def _tryReceive(script: Script, data: bytes) -> Difference | None:
    try:
        script.receive(data)
    except Difference as problem:
        return problem
    return None


def _tryClosed(script: Script) -> Difference | None:
    try:
        script.peerClosed()
    except Difference as problem:
        return problem
    return None


class LooseScript:
    """
    Plays the server of a session for a client that behaves differently from the recorded one.
    After each message of the client, the script sends the messages of the server after this
    message in the session.

    @ivar unknown: number of messages of the client that are not in the session.
    """

    def __init__(self, script: Script, dialect: Dialect) -> None:
        """
        @param script: the script of the server, which contains the session and the masks.
        @param dialect: the dialect.
        """
        self._script = script
        self._dialect = dialect
        self._cutter = dialect.cutter()
        skips = script.masks.skipsMessage
        self._messages = [each for each in script.session.messages if not skips(each)]
        # The index of the last message of the client that was found.
        self._at = -1
        self.unknown = 0
        self.known = 0

    def greeting(self) -> list[bytes]:
        """
        Return what the server says before the first message of the client.
        """
        return self._answer(0)

    def receive(self, data: bytes) -> tuple[list[bytes], list[str]]:
        """
        Look up received messages.

        @param data: received bytes, of any length.
        @return: the messages to send, and the unknown messages as text.
        """
        answers: list[bytes] = []
        unknown: list[str] = []
        for message in self._dialect.split(self._cutter.feed(data)):
            if self._script.masks.skipsData(CLIENT, message):
                continue
            at = self._find(message)
            if at is None:
                self.unknown += 1
                unknown.append(self._dialect.show(self._script.masks.mark(message)))
                continue
            self._at = at
            self.known += 1
            recorded = self._messages[at].data
            self._script.masks.learn(recorded, message, self._script.known)
            answers += self._answer(at + 1)
        return answers, unknown

    def _find(self, message: bytes) -> int | None:
        """
        Return the index of the next message of the client that matches; else of the first one.
        """
        masks = self._script.masks
        count, after = len(self._messages), self._at + 1
        order: list[int] = [*range(after, count), *range(after)]
        for at in order:
            each = self._messages[at]
            if each.side == CLIENT and masks.matches(each.data, message):
                return at
        return None

    def _answer(self, at: int) -> list[bytes]:
        """
        Return what the server says from an index on, up to the next message of the client.
        """
        answers = []
        for each in self._messages[at:]:
            if each.side == CLIENT:
                break
            answers.append(self._script.masks.fill(each.data, self._script.known))
        return answers
