"""
The write batch: data written during one read by the reactor is sent at the end of the read, in
one write for each receiver. Only this module coalesces writes.
"""

from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar

from openfl_twisted.addresses import describe
from openfl_twisted.logs import packageLogger

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Sender(Protocol):
    """
    A connection whose data is sent at the end of the batch. The connection appends itself to
    L{WriteBatch.waiting} and sets C{queued}.

    @ivar queued: whether the connection is in the batch and has not been flushed.
    """

    queued: bool

    def flush(self) -> None:
        """
        Write the queued data to the transport, and reset C{queued}.
        """

    def abortConnection(self) -> None:
        """
        Close the connection immediately, and drop the queued data.
        """

    def getPeer(self) -> Any:
        """
        Return the address of the peer, for log lines.
        """


class WriteBatch:
    """
    The connections whose data is sent at the end of the batch.

    The process has one batch, L{currentBatch}, because a reactor calls one protocol at a time.
    A connection's C{doRead}, or the reactor itself, begins and flushes the batch. Other
    callers use L{run}.

    @ivar waiting: the connections in the batch, in the order of their first write; C{None}
        outside a batch.
    """

    __slots__ = ("waiting",)

    log = packageLogger()

    def __init__(self) -> None:
        self.waiting: list[Sender] | None = None

    def run(self, do: Callable[_P, _R], *arguments: _P.args, **named: _P.kwargs) -> _R:
        """
        Call a function in the current batch. Outside a batch, begin a new batch, and flush it
        after the call.

        @param do: the function.
        @param arguments: the arguments of the function.
        @param named: the keyword arguments of the function.
        @return: the result of the function.
        """
        if self.waiting is not None:
            return do(*arguments, **named)
        self.waiting = []
        try:
            return do(*arguments, **named)
        finally:
            try:
                self.flush()
            finally:
                self.waiting = None

    def flush(self) -> None:
        """
        Flush all connections, including connections that are appended during the call. An
        exception in one connection does not affect other connections.
        """
        while self.waiting:
            senders, self.waiting = self.waiting, []
            for sender in senders:
                if sender.queued:
                    try:
                        sender.flush()
                    except Exception:
                        self._abort(sender)

    def _abort(self, sender: Sender) -> None:
        """
        Log the current exception, and abort the connection.

        @param sender: the connection whose C{flush} has raised an exception.
        """
        peer = describe(sender.getPeer())
        self.log.failure("{peer} aborted: error while sending", peer=peer)
        sender.queued = False
        try:
            sender.abortConnection()
        except Exception:
            self.log.failure("{peer}: error while aborting the connection", peer=peer)


currentBatch = WriteBatch()
"""
The write batch of this process.
"""
