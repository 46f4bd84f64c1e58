"""
A connection that reports when the underlying transport has accepted written data.
"""

from typing import Protocol, cast

from openfl_twisted.transports.buffered import PORTION, BufferedTransport
from openfl_twisted.transports.connection import Owner


class _ProgressListener(Owner, Protocol):
    """
    The owner of a L{ProgressTransport}.
    """

    def handedOver(self) -> None:
        """
        Called when bytes have been written to the underlying transport.
        """


class ProgressTransport(BufferedTransport):
    """
    A connection that writes to the underlying transport in portions of at most
    L{PORTION<openfl_twisted.transports.buffered.PORTION>} bytes. C{pending} is therefore
    the number of bytes that the peer has not accepted yet. This class is only
    used for byte streams, not for WebSockets.
    """

    __slots__ = ()

    def flush(self) -> None:
        """
        Write portions until the transport's buffer is full, then call the owner's
        C{handedOver}.
        """
        self.queued = False
        if self._unsent is None or self._full:
            return
        while self._unsent and not self._full:
            portion = self._takePortion(self._unsent)
            self._unsentLength -= len(portion)
            self._transport.write(portion)
        self._unsent = self._unsent or None
        cast("_ProgressListener", self.owner).handedOver()

    def _takePortion(self, chunks: list[bytes]) -> bytes:
        """
        Remove the next portion from the queue, and return it. A large chunk is split into all
        its portions when it is first reached.
        """
        count = length = 0
        for chunk in chunks:
            if count and length + len(chunk) > PORTION:
                break
            count += 1
            length += len(chunk)
        taken, chunks[:count] = chunks[:count], []
        self._dense = max(0, self._dense - count)
        data = taken[0] if count == 1 else b"".join(taken)
        if length <= PORTION:
            return data
        first, *rest = [data[at : at + PORTION] for at in range(0, length, PORTION)]
        chunks[:0] = rest
        self._dense += len(rest)
        return first
