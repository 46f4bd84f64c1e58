"""
A queue whose owner sees what the peer takes.
"""

from typing import Protocol, cast

from twisted.internet.interfaces import ITransport

from openfl_twisted.protocols.sendqueue import PORTION, QueueOwner, SendQueue


class Watcher(QueueOwner, Protocol):
    """
    Who writes into a L{WatchedQueue}.
    """

    def handedOver(self) -> None:
        """
        Bytes have been handed to the transport.
        """


class WatchedQueue(SendQueue):
    """
    A queue that hands over L{PORTION<sendqueue.PORTION>} bytes at a time, and
    says so each time: what is pending here is what the peer has not taken.

    It is for bytes. A WebSocket has a queue of the other kind.
    """

    __slots__ = ()

    def __init__(self, transport: ITransport, owner: Watcher) -> None:
        """
        @param transport: where the bytes go.
        @param owner: hears what becomes of them.
        """
        super().__init__(transport, owner)
        # Everything waits here for its portion.
        self._joins = False

    def flush(self) -> None:
        """
        Hand over portions until the transport has no room.
        """
        if self._unsent is None or self._full:
            return
        self._handOverPortions()
        cast("Watcher", self._owner).handedOver()

    def _handOverPortions(self) -> None:
        """
        Hand over portions until the transport is full.
        """
        while self._unsent and not self._full:
            portion = self._takePortion(self._unsent)
            self._unsentLength -= len(portion)
            self._transport.write(portion)
        self._unsent = self._unsent or None

    def _takePortion(self, pieces: list[bytes]) -> bytes:
        """
        Take the next portion off the queue. A large piece is cut up once, not
        for each portion of it.
        """
        count = length = 0
        for piece in pieces:
            if count and length + len(piece) > PORTION:
                break
            count += 1
            length += len(piece)
        taken, pieces[:count] = pieces[:count], []
        self._dense = max(0, self._dense - count)
        data = taken[0] if count == 1 else b"".join(taken)
        if length <= PORTION:
            return data
        first, *rest = [data[at : at + PORTION] for at in range(0, length, PORTION)]
        pieces[:0] = rest
        self._dense += len(rest)
        return first
