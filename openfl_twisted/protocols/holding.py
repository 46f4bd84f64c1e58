"""
A connection whose first bytes are looked at before it is known for whom they
are: they are held, given to the protocol behind when there is one that reads,
and nothing of them is lost at the end.
"""

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure

from openfl_twisted.addresses import describe
from openfl_twisted.protocols.wrapping import WrappedConnection

CLOSE_TIMEOUT = 30.0
"""
How long a connection in TLS that this side closes may take, in seconds; then it
is aborted. So long, too, a protocol that does not read may let the last bytes
of a connection wait that is lost.
"""

# What a wrapper has that passes on half an end.
_HALF = "readConnectionLost"


class HoldingConnection(WrappedConnection):
    """
    Holds bytes until they are for somebody. Subclasses look at them, see L{look}
    and L{lookAtLast}, and then say whose they are.

    @ivar factory: with C{clock} and C{log}.
    """

    factory: Any
    # Whether this is inside TLS, where both sides have to say that they close.
    _inTLS = False
    # Whether the peer has closed its side while its first bytes are still kept.
    _halfClosed = False
    _closing: IDelayedCall | None = None
    # The end of the connection, while it waits for the wrapped protocol to read.
    _lateLoss: Failure | None = None

    # What changes in each connection; in here it takes a third of the memory.
    __slots__ = ("_paused", "_received", "_recognized")

    def __init__(self, factory: Any) -> None:
        super().__init__(factory, cast("Any", None))
        # The first bytes: until they tell who is calling, and the wrapped protocol takes them.
        self._received = b""
        self._recognized = False
        self._paused = False

    # Passing on

    def dataReceived(self, data: bytes) -> None:
        """
        Inspect the first bytes, then forward all data to the wrapped protocol.
        While it is paused the data is held: TLS delivers what it has decrypted
        also then. Data that would be held is dropped once this side has closed
        the connection: TLS reads until the peer has closed it too.
        """
        if self._recognized and not (self._received or self._paused):
            if self.wrappedProtocol is not None:
                self.wrappedProtocol.dataReceived(data)
            return
        if self.disconnecting:
            return
        self._received += data
        if not self._recognized:
            self.look()

    def _deliver(self) -> None:
        """
        Give the first bytes to the wrapped protocol, unless it has paused, or
        closed the connection.
        """
        if self._received and not self._paused:
            received, self._received = self._received, b""
            if not self.disconnecting:
                self.wrappedProtocol.dataReceived(received)
            if self._halfClosed:
                self._passHalfClose()

    def _orAbort(self, do: Callable[[], object]) -> None:
        """
        Do something outside a read, where the reactor would not end the
        connection if it fails.
        """
        try:
            do()
        except Exception:
            self.factory.log.failure("{peer} has failed", peer=describe(self.getPeer()))
            self.abortConnection()

    def pauseProducing(self) -> None:
        """
        Stop reading from the peer.
        """
        self._paused = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """
        Read from the peer again.
        """
        self._paused = False
        if self._recognized and self.wrappedProtocol is not None:
            self._orAbort(self._deliver)
        if self._paused:
            return
        if self._lateLoss is not None:
            self._endLate()
        elif not self.lost:
            self.transport.resumeProducing()

    # Ending

    def readConnectionLost(self) -> None:
        """
        The peer has closed its side: decide if nothing is decided, and close
        this side too, unless the wrapped protocol wants to do that itself.
        """
        if not self._recognized and not self.lookAtLast():
            return
        if self._received and not self.disconnecting:
            self._halfClosed = True
        else:
            self._passHalfClose()

    def _passHalfClose(self) -> None:
        """
        Tell the wrapped protocol that the peer has closed its side.
        """
        half = self._halfCloseable()
        if half is None:
            self.loseConnection()
        else:
            half.readConnectionLost()

    def _halfCloseable(self) -> IHalfCloseableProtocol | None:
        """
        Get the wrapped protocol if it wants to hear of half-closed connections.
        """
        wrapped = self.wrappedProtocol
        if isinstance(wrapped, ProtocolWrapper) and not hasattr(type(wrapped), _HALF):
            # It says that it can do whatever its transport, which is this, can do; so does TLS.
            return None
        half: IHalfCloseableProtocol | None = IHalfCloseableProtocol(wrapped, None)
        return half

    def writeConnectionLost(self) -> None:
        """
        Pass on that this side has been closed.
        """
        half = self._halfCloseable()
        if half is not None:
            half.writeConnectionLost()

    def loseConnection(self) -> None:
        """
        Close the connection. In TLS both sides have to say so, and the peer
        gets its time for that.
        """
        if self._lateLoss is not None:
            self._endLate()
            return
        if self._inTLS and not self.disconnecting and not self.lost:
            self._closing = self.factory.clock.callLater(CLOSE_TIMEOUT, self.abortConnection)
        super().loseConnection()

    def abortConnection(self) -> None:
        """
        Close the connection now.
        """
        if self._lateLoss is not None:
            self._endLate()
            return
        super().abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Pass on the end, and before it the bytes that were still being looked
        at; but nobody is connected to a connection that is lost.

        A protocol that has paused gets what has come when it reads again, and
        only then the end: inside TLS both come at once.
        """
        self._closeNoMore()
        self.lost = True
        if self._received and self._recognized and self._paused and not self.disconnecting:
            self._lateLoss = reason
            self._closing = self.factory.clock.callLater(CLOSE_TIMEOUT, self._endLate)
            return
        self._end(reason)

    def _closeNoMore(self) -> None:
        """
        Do not wait for the end any more.
        """
        if self._closing is not None and self._closing.active():
            self._closing.cancel()

    def _endLate(self) -> None:
        """
        Pass on an end that has waited.
        """
        reason, self._lateLoss = self._lateLoss, None
        self._closeNoMore()
        self._end(reason or connectionDone)

    def _end(self, reason: Failure) -> None:
        wrapped, self.wrappedProtocol = self.wrappedProtocol, None
        if wrapped is None:
            return
        try:
            if self._received and not self._recognized:
                wrapped.dataReceived(self._received)
        finally:
            wrapped.connectionLost(reason)

    # For subclasses

    def look(self) -> None:
        """
        Look at the first bytes: some have come.
        """
        raise NotImplementedError

    def lookAtLast(self) -> bool:
        """
        Decide whose the first bytes are: no more will come.

        @return: whether the wrapped protocol is to hear that the peer has closed
            its side.
        """
        raise NotImplementedError
