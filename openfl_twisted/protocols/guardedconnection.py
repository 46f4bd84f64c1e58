"""
One connection that is guarded: what it counts, and how it comes to an end.
"""

from collections.abc import Iterable
from typing import Protocol

from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocol,
    IReactorTime,
    ISSLTransport,
    ITransport,
)
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from openfl_twisted.addresses import describe
from openfl_twisted.protocols.clients import PLAIN, inTLS
from openfl_twisted.protocols.keepalive import keepAlive
from openfl_twisted.protocols.wrapping import WrappedConnection


class Guard(Protocol):
    """
    Who guards connections, and is told of their end.

    @ivar clock: the time.
    @ivar closeTimeout: how long a connection that this side closes may take, in
        seconds.
    @ivar log: where lines go.
    """

    clock: IReactorTime
    closeTimeout: float
    log: Logger

    def connectionEnded(self, connection: "GuardedConnection", reason: Failure) -> None:
        """
        Count a connection out.

        @param connection: the connection.
        @param reason: why it is lost.
        """


class GuardedConnection(WrappedConnection):
    """
    One connection; made by
    L{GuardFactory<openfl_twisted.protocols.guard.GuardFactory>}.

    @ivar id: its number; no other connection of the factory has it.
    @ivar since: when it was opened, by the factory's clock.
    @ivar host: what it is counted for, see
        L{openfl_twisted.protocols.hosts.hostOf}.
    @ivar bytesIn: how many bytes have come.
    @ivar bytesOut: how many bytes have been written to the transport.
    @ivar reads: how many pieces of data have come.
    @ivar readsSeen: how many of them had come when it was last looked whether
        the connection is idle.
    @ivar quietSpans: how many looks in a row have found nothing new.
    @ivar endedByPeer: whether the peer has closed its side first.
    """

    factory: Guard
    endedByPeer = False
    _failed = False
    _closing: IDelayedCall | None = None
    # What it was, once it is lost.
    _kind: str | None = None

    # What changes in each connection; in here it takes a third of the memory.
    __slots__ = (
        "bytesIn",
        "bytesOut",
        "host",
        "id",
        "quietSpans",
        "reads",
        "readsSeen",
        "since",
    )

    def __init__(self, factory: Guard, wrapped: IProtocol, host: str | None) -> None:
        """
        @param factory: has the limits, and is told of the end.
        @param wrapped: the protocol behind.
        @param host: what the connection is counted for; C{None} for nothing.
        """
        super().__init__(factory, wrapped)
        self.id = 0
        self.since = 0.0
        self.host = host
        self.bytesIn = self.bytesOut = self.reads = self.readsSeen = 0
        # A new connection may have been made just before the first look.
        self.quietSpans = -1

    def makeConnection(self, transport: ITransport) -> None:
        """
        Count the connection and pass it on.
        """
        keepAlive(transport)
        super().makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Count the piece and pass it on.
        """
        self.reads += 1
        self.bytesIn += len(data)
        if self._failed:
            return
        try:
            self.wrappedProtocol.dataReceived(data)
        except BaseException:
            # A TLS transport goes on with what it has, and must come to the end.
            self._failed = True
            raise

    def write(self, data: bytes) -> None:
        """
        Count what is written and pass it on.

        @param data: the bytes; they count as sent, also if the peer never reads
            them.
        """
        self.bytesOut += len(data)
        self.transport.write(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Count what is written and pass it on.

        @param data: the pieces, which may be an iterator; see L{write}.
        """
        pieces = list(data)
        self.bytesOut += sum(map(len, pieces))
        self.transport.writeSequence(pieces)

    @property
    def kind(self) -> str:
        """
        Who is calling, see L{openfl_twisted.protocols.clients.KINDS}.
        """
        if self._kind is not None:
            return self._kind
        # Only a door before the protocol knows more than that somebody calls.
        kind: str = getattr(self.wrappedProtocol, "clientKind", PLAIN)
        return inTLS(kind) if ISSLTransport.providedBy(self.transport) else kind

    def readConnectionLost(self) -> None:
        """
        Note who has closed first, and pass it on.
        """
        self.endedByPeer = not self.disconnecting
        super().readConnectionLost()

    def peerEnded(self) -> None:
        """
        Note who has closed first.
        """
        self.endedByPeer = True
        super().peerEnded()

    def loseConnection(self) -> None:
        """
        Close the connection, and see to it that this comes to an end even if
        the peer does not read.
        """
        self._limitClosing()
        super().loseConnection()

    def finishConnection(self) -> None:
        """
        Close the connection, as the factory wants it.
        """
        self._limitClosing()
        super().finishConnection()

    def _limitClosing(self) -> None:
        if self._closing is None and not self.lost:
            self._closing = self.factory.clock.callLater(self.factory.closeTimeout, self._giveUp)

    def _giveUp(self) -> None:
        self.factory.log.warn(
            "{peer} aborted: it has not let the connection close for {seconds:g} seconds",
            peer=describe(self.getPeer()),
            seconds=self.factory.closeTimeout,
        )
        self.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Count the connection out and pass it on.
        """
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        self._kind = self.kind
        try:
            super().connectionLost(reason)
        finally:
            self.factory.connectionEnded(self, reason)
