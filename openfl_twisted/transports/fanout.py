"""
Fan-out: sending one message to many receivers over several reactor iterations, so that other
connections are served in the meantime.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from twisted.internet.interfaces import IReactorTime

from openfl_twisted.transports.writebatch import currentBatch
from openfl_twisted.wire.websocket.messages import compression

_R = TypeVar("_R")

MAX_FAN_OUT = 4 * 1024 * 1024
"""
Maximum number of bytes of one message that are sent to all receivers together before other
connections are served. Each receiver counts as 4 KiB in addition to its message.
"""

RECEIVER_WORK = 4096
"""
The work of a receiver, in addition to the length of the message (bytes sent).
"""

WRITE_WORK = 256
"""
The work of a write to a receiver, in addition to the length of the message, if several writes
are sent together (bytes sent).
"""

# The work of compressing one byte (bytes sent).
_COMPRESSED_BYTE = 16

# After this work, a queue schedules that its work is reset (bytes sent).
_MUCH_WORK = MAX_FAN_OUT // 8


class FanOut(Generic[_R]):
    """
    One message that is being sent to many receivers.

    @ivar isComplete: whether the message was sent to all receivers.
    """

    __slots__ = ("_length", "_receivers", "_send", "isComplete")

    def __init__(self, receivers: Iterable[_R], send: Callable[[_R], object], length: int) -> None:
        """
        @param receivers: the receivers.
        @param send: sends the message to a receiver. It must do nothing if the receiver has
            disconnected.
        @param length: the length of the message (bytes).
        """
        self._receivers: Iterator[_R] = iter(receivers)
        self._send = send
        self._length = length
        self.isComplete = False

    def step(self, done: int = 0) -> int:
        """
        Send the message to some of the remaining receivers, at least to one. Compressing the
        message counts as work.

        @param done: the work that was already done in this reactor iteration (bytes sent).
        @return: the sum of this work and the work of this call (bytes sent).
        """
        send, each = self._send, RECEIVER_WORK + self._length
        before = compression.length
        for receiver in self._receivers:
            send(receiver)
            done += each
            if compression.length != before:
                done += (compression.length - before) * _COMPRESSED_BYTE
                before = compression.length
            if done >= MAX_FAN_OUT:
                return done
        self.isComplete = True
        return done


class FanOutQueue:
    """
    Messages to many receivers from one source: a client, or the broker. If sending takes long,
    the messages are held, and sent in several reactor iterations. In the meantime, the source is
    paused.
    """

    def __init__(
        self, clock: IReactorTime, pause: Callable[[], object], resume: Callable[[], object]
    ) -> None:
        """
        @param clock: the clock.
        @param pause: called when messages are held: the source must not send further messages,
            except those that were already received.
        @param resume: called when no messages are held any longer.
        """
        self._clock = clock
        self._pause = pause
        self._resume = resume
        self._fanOuts: deque[FanOut[Any]] = deque()
        # The work since the last reset, which is scheduled only if there is much work.
        self._work = 0
        self._resetting = False

    @property
    def isBlocked(self) -> bool:
        """
        Whether messages are held, so that the next message must be sent with L{fanOut}.
        """
        return bool(self._fanOuts)

    def countFanOut(self, receivers: int, length: int) -> bool:
        """
        Count the work of sending a message to several receivers.

        @param receivers: the number of receivers.
        @param length: the length of the message (bytes).
        @return: whether the message must be sent with L{fanOut}.
        """
        work = self._work + receivers * (WRITE_WORK + length)
        if (
            self._fanOuts
            or work > MAX_FAN_OUT
            or receivers * (RECEIVER_WORK + length) > MAX_FAN_OUT
        ):
            return True
        self._work = work
        if work > _MUCH_WORK and not self._resetting:
            self._resetting = True
            self._clock.callLater(0, self._reset)
        return False

    def _reset(self) -> None:
        self._resetting = False
        self._work = 0

    def fanOut(self, receivers: Iterable[_R], send: Callable[[_R], object], length: int) -> None:
        """
        Hold a message, and send it to all receivers after the messages that are already held.

        @param receivers: the receivers.
        @param send: sends the message to a receiver. It must do nothing if the receiver has
            disconnected.
        @param length: the length of the message (bytes).
        """
        self._fanOuts.append(FanOut(receivers, send, length))
        if len(self._fanOuts) == 1:
            # Parsing a long message can already have taken long.
            self._clock.callLater(0, self._skip)
            self._pause()

    def _step(self) -> None:
        currentBatch.run(self._send)
        if self._fanOuts:
            self._clock.callLater(0, self._skip)
        else:
            self._resume()

    def _skip(self) -> None:
        """
        Serve other connections in this iteration.
        """
        self._clock.callLater(0, self._step)

    def _send(self) -> None:
        done = 0
        while self._fanOuts and done < MAX_FAN_OUT:
            done = self._fanOuts[0].step(done)
            if self._fanOuts[0].isComplete:
                self._fanOuts.popleft()
