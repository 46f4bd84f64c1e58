"""
Fan-out: sending one message to many receivers over several reactor iterations, so that other
connections are served in the meantime.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from openfl_twisted.wire.websocket.messages import compression

R = TypeVar("R")

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


class FanOut(Generic[R]):
    """
    One message that is being sent to many receivers.

    @ivar isComplete: whether the message was sent to all receivers.
    """

    __slots__ = ("_length", "_receivers", "_send", "isComplete")

    def __init__(self, receivers: Iterable[R], send: Callable[[R], object], length: int) -> None:
        """
        @param receivers: the receivers.
        @param send: sends the message to a receiver. It must do nothing if the receiver has
            disconnected.
        @param length: the length of the message (bytes).
        """
        self._receivers: Iterator[R] = iter(receivers)
        self._send = send
        self._length = length
        self.isComplete = False

    def step(self) -> None:
        """
        Send the message to some of the remaining receivers, at least to one. Compressing the
        message counts as work.
        """
        send, each = self._send, RECEIVER_WORK + self._length
        work, compressed = 0, compression.length
        for receiver in self._receivers:
            send(receiver)
            work += each
            if work + (compression.length - compressed) * _COMPRESSED_BYTE >= MAX_FAN_OUT:
                return
        self.isComplete = True

    def finish(self) -> None:
        """
        Send the message to all remaining receivers.
        """
        while not self.isComplete:
            self.step()
