"""
Taps: observe the data of a connection while it is open.

A tap stands between a connection and its protocol. Without observers there is no tap, and nothing
is slower. The observed data is what the protocol receives and writes: below TLS and WebSocket, and
after the policy request.
"""

from typing import Any, Protocol, Self

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    ILoggingContext,
    IProtocol,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.transports.connection import Connection, Guard, Owner, providesItself
from openfl_twisted.transports.lowest import transportsBelow


class Observer(Protocol):
    """
    Observes a connection. The methods must not raise exceptions.
    """

    def received(self, data: bytes) -> object:
        """
        Called with received data, before the protocol.

        @param data: the data of one read, or one message of a WebSocket.
        """

    def written(self, data: bytes) -> object:
        """
        Called with written data, even if it is sent later.

        @param data: the data of one write.
        """

    def ended(self, byPeer: bool, isLost: bool) -> object:
        """
        Called when the connection has ended, before the protocol.

        @param byPeer: whether the peer was the first to close the connection.
        @param isLost: whether the connection was lost, without being closed by either side.
        """


@implementer(IProtocol, IHalfCloseableProtocol, IHandshakeListener, ILoggingContext)
class Tap:
    """
    Passes the data of a connection to observers, and to the protocol.
    """

    __slots__ = (
        "_base",
        "_connection",
        "_isClosing",
        "_observers",
        "_outer",
        "_peerFirst",
        "protocol",
    )

    def __init__(self, connection: Connection, protocol: Any) -> None:
        """
        @param connection: the connection that the protocol uses.
        @param protocol: the protocol.
        """
        self._connection = connection
        self._observers: tuple[Observer, ...] = ()
        self.protocol = protocol
        self._peerFirst = self._isClosing = False
        self._base = _baseOf(connection)
        self._outer: Guard | None = self._base.guard
        self._base.guard = self
        connection.switchProtocol(self)
        connection.tap = self._written

    @classmethod
    def attach(cls, connection: Connection, observer: Observer) -> Self:
        """
        Observe a connection.

        @param connection: the connection that the application uses.
        @param observer: the observer.
        @return: the tap, which other observers may share.
        """
        above = connection.protocol
        tap = above if isinstance(above, cls) else cls(connection, above)
        tap.add(observer)
        return tap

    def add(self, observer: Observer) -> None:
        """
        Add an observer.
        """
        self._observers += (observer,)

    def detach(self, observer: Observer) -> None:
        """
        Remove an observer. If it was the last one, remove the tap from the connection.
        """
        self._observers = tuple(each for each in self._observers if each is not observer)
        if self._observers or self._connection.protocol is not self:
            return
        self._connection.tap = None
        self._connection.switchProtocol(self.protocol)
        if self._base.guard is self:
            self._base.guard = self._outer

    # The protocol

    def logPrefix(self) -> str:
        context = ILoggingContext(self.protocol, None)
        return type(self.protocol).__name__ if context is None else context.logPrefix()

    def makeConnection(self, transport: ITransport) -> None:
        self.protocol.makeConnection(transport)

    def connectionMade(self) -> None:
        pass

    def dataReceived(self, data: bytes) -> None:
        for observer in self._observers:
            observer.received(data)
        self.protocol.dataReceived(data)

    def bufferReceived(self, owner: Owner, data: bytes) -> None:
        """
        Observe data that is delivered to an owner from a receive buffer.
        """
        for observer in self._observers:
            observer.received(data)
        owner.chunkReceived(data)

    def _written(self, data: bytes) -> None:
        for observer in self._observers:
            observer.written(data)

    def handshakeCompleted(self) -> None:
        if providesItself(IHandshakeListener, self.protocol):
            self.protocol.handshakeCompleted()

    def readConnectionLost(self) -> None:
        if providesItself(IHalfCloseableProtocol, self.protocol):
            self.protocol.readConnectionLost()
        else:
            self._connection.loseConnection()

    def writeConnectionLost(self) -> None:
        if providesItself(IHalfCloseableProtocol, self.protocol):
            self.protocol.writeConnectionLost()

    def connectionLost(self, reason: Failure) -> None:
        isDone = reason.check(ConnectionDone) is not None
        byPeer = self._peerFirst or (isDone and not self._isClosing)
        for observer in self._observers:
            observer.ended(byPeer, not byPeer and not self._isClosing)
        self.protocol.connectionLost(reason)

    # The guard of the base

    def closing(self) -> None:
        """
        Called when this side closes the connection.
        """
        if self._outer is not None:
            self._outer.closing()

    def peerHalfClosed(self) -> None:
        """
        Called when the peer is the first to close its side of the connection.
        """
        self._peerFirst = True
        if self._outer is not None:
            self._outer.peerHalfClosed()

    def transportLost(self) -> None:
        """
        Called when the connection is lost; stores whether this side has closed it.
        """
        self._isClosing = self._base.isClosing or self._base.isAborted
        if self._outer is not None:
            self._outer.transportLost()

    def ended(self, reason: Failure) -> None:
        """
        Called after the protocol's C{connectionLost}.

        @param reason: why the connection is lost.
        """
        if self._outer is not None:
            self._outer.ended(reason)


def _baseOf(connection: Connection) -> Any:
    """
    Return the lowest connection below a connection, which calls its guard.
    """
    return [
        each
        for each in transportsBelow(connection)
        if isinstance(each, Connection) and hasattr(each, "guard")
    ][-1]
