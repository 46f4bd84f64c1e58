"""
The write batch: what is written during one read of the reactor leaves at its end,
in one write for each receiver. Writes are coalesced nowhere else.
"""

from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar

from openfl_twisted.addresses import describe
from openfl_twisted.logs import packageLogger

P = ParamSpec("P")
R = TypeVar("R")


class Sender(Protocol):
    """
    A connection with data for the end of the batch.

    @ivar queued: whether it still has data.
    """

    queued: bool

    def flush(self) -> None:
        """
        Send the data.
        """

    def abortConnection(self) -> None:
        """
        Close the connection immediately.
        """

    def getPeer(self) -> Any:
        """
        Return the address of the peer, for the log.
        """


class WriteBatch:
    """
    The senders with data for the end of the batch. There is one batch for the whole
    process, because a reactor calls one protocol at a time.

    @ivar waiting: the senders, in order; C{None} outside a batch.
    """

    __slots__ = ("waiting",)

    log = packageLogger()

    def __init__(self) -> None:
        self.waiting: list[Sender] | None = None

    def run(self, do: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        """
        Call a function in a batch: in the current one, or in a new one that is
        flushed afterwards.

        @param do: the function.
        @param arguments: its arguments.
        @param named: its keyword arguments.
        @return: its result.
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
        Send the data, and what is written meanwhile. An error of one receiver does
        not affect the others.
        """
        while self.waiting:
            senders, self.waiting = self.waiting, []
            for sender in senders:
                if sender.queued:
                    try:
                        sender.flush()
                    except Exception:
                        self.giveUp(sender)

    def giveUp(self, sender: Sender) -> None:
        """
        Log the current exception and abort the connection.

        @param sender: the connection to which nothing could be sent.
        """
        self.log.failure("sending to {peer} failed", peer=describe(sender.getPeer()))
        sender.queued = False
        try:
            sender.abortConnection()
        except Exception:
            self.log.failure(
                "closing the connection to {peer} failed", peer=describe(sender.getPeer())
            )


currentBatch = WriteBatch()
"""
The batch of this process.
"""
