"""
Taps: observe the data of a connection while it is open.

A tap is between a connection and its protocol. Without observers there is no tap, and nothing
is slower. The observed data is what the protocol receives and writes: below TLS and WebSocket, and
after the policy request.
"""

from typing import Any, Protocol, Self

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IHandshakeListener,
    ILoggingContext,
    IProtocol,
    ITransport,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer, providedBy

from openfl_twisted.transports.connection import (
    Connection,
    Guard,
    Owner,
    ProtocolTap,
    providesItself,
    tapsOf,
)
from openfl_twisted.transports.declarations import declare
from openfl_twisted.transports.detection import DetectionProtocol
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


@implementer(IProtocol, ILoggingContext)
class Tap(ProtocolTap):
    """
    Passes the data of a connection to observers, and to the protocol. A tap provides the interfaces
    of the protocol, so that the connection calls the same methods with and without the tap.

    A tap is between the connection and the protocol from the first L{add} until the last
    L{detach}, or until the connection is lost.
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

    def __init__(self, connection: Connection) -> None:
        """
        @param connection: the connection that the application uses.
        """
        self._connection = connection
        self._base = _baseOf(connection)
        self._observers: tuple[Observer, ...] = ()
        self._outer: Guard | None = None
        self._peerFirst = self._isClosing = False
        self.protocol: Any = None

    @property
    def __providedBy__(self) -> Any:
        # Called by zope.interface: return the interfaces of this class and of the protocol.
        return declare(type(self), providedBy(self.protocol))

    @classmethod
    def attach(cls, connection: Connection, observer: Observer) -> Self:
        """
        Observe a connection.

        @param connection: the connection that the application uses. If it is lost, the observer is
            never called.
        @param observer: the observer.
        @return: the tap, which other observers may share.
        """
        taps = (getattr(each, "__self__", None) for each in tapsOf(connection))
        tap = next((each for each in taps if isinstance(each, cls)), None)
        if tap is None:
            tap = cls(connection)
        tap.add(observer)
        return tap

    def add(self, observer: Observer) -> None:
        """
        Add an observer.
        """
        if not self._observers:
            if _isLost(self._connection):
                return
            self._insert()
        self._observers += (observer,)

    def detach(self, observer: Observer) -> None:
        """
        Remove an observer. If it was the last one, remove the tap from the connection.
        """
        before = self._observers
        self._observers = tuple(each for each in before if each is not observer)
        if before and not self._observers:
            self._remove()

    def _insert(self) -> None:
        connection = self._connection
        above = connection.protocol
        if _isWrapper(above):
            self.protocol, above.wrappedProtocol = above.wrappedProtocol, self
        else:
            self.protocol = above
            connection.switchProtocol(self)
        connection.addTap(self._written)
        # Type checkers verify that a tap has all methods of a guard.
        guard: Guard = self
        self._outer, self._base.guard = self._base.guard, guard

    def _remove(self) -> None:
        connection = self._connection
        for each in (connection, connection.top):
            # Starting TLS moves the taps to the connection inside TLS.
            each.removeTap(self._written)
        above = connection.protocol
        if above is self:
            connection.switchProtocol(self.protocol)
        elif _isWrapper(above) and above.wrappedProtocol is self:
            above.wrappedProtocol = self.protocol
        if self._base.guard is self:
            self._base.guard = self._outer

    # The protocol

    @property
    def transport(self) -> Any:
        """
        The transport of the protocol.
        """
        return self.protocol.transport

    @transport.setter
    def transport(self, transport: Any) -> None:
        self.protocol.transport = transport

    def logPrefix(self) -> str:
        context = ILoggingContext(self.protocol, None)
        return type(self.protocol).__name__ if context is None else context.logPrefix()

    def makeConnection(self, transport: ITransport) -> None:
        self.protocol.makeConnection(transport)

    def connectionMade(self) -> None:
        pass

    def dataReceived(self, data: bytes) -> None:
        connection = self._connection
        # If TLS was started on the open connection, it delivers data after this side has closed
        # the connection. The protocol drops this data.
        if connection.protocol is self or not connection.top.disconnecting:
            self._received(data)
        self.protocol.dataReceived(data)

    def bufferReceived(self, owner: Owner, data: bytes) -> None:
        """
        Observe data that is delivered to an owner from a receive buffer.
        """
        self._received(data)
        owner.chunkReceived(data)

    def _received(self, data: bytes) -> None:
        observers = self._observers
        if len(observers) == 1:
            # The usual case.
            observers[0].received(data)
            return
        for observer in observers:
            # An observer can detach others.
            if self._observers is observers or observer in self._observers:
                observer.received(data)

    def _written(self, data: bytes) -> None:
        observers = self._observers
        if len(observers) == 1:
            observers[0].written(data)
            return
        for observer in observers:
            if self._observers is observers or observer in self._observers:
                observer.written(data)

    def handshakeCompleted(self) -> None:
        """
        Forward the completion of the TLS handshake, if the protocol supports it.
        """
        if providesItself(IHandshakeListener, self.protocol):
            self.protocol.handshakeCompleted()

    def readConnectionLost(self) -> None:
        """
        Forward the EOF. If the protocol does not support half-close, the connection is closed.
        """
        if providesItself(IHalfCloseableProtocol, self.protocol):
            self.protocol.readConnectionLost()
        else:
            self._connection.loseConnection()

    def writeConnectionLost(self) -> None:
        """
        Forward the end of the write side, if the protocol supports half-close.
        """
        if providesItself(IHalfCloseableProtocol, self.protocol):
            self.protocol.writeConnectionLost()

    def connectionLost(self, reason: Failure) -> None:
        isDone = reason.check(ConnectionDone) is not None
        byPeer = self._peerFirst or (isDone and not self._isClosing)
        observers, self._observers = self._observers, ()
        if observers:
            self._remove()
        for observer in observers:
            observer.ended(byPeer, not byPeer and not self._isClosing)
        self.protocol.connectionLost(reason)

    # The guard of the base

    def announce(self, clientType: str | None = None) -> None:
        """
        Log that the connection is open.
        """
        if self._outer is not None:
            self._outer.announce(clientType)

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

    def countAs(self, clientType: str) -> bool:
        """
        Called when the client type changes.

        @return: whether the limits of the guard permit the connection.
        """
        return self._outer is None or self._outer.countAs(clientType)

    def permits(self, client: IAddress) -> bool:
        """
        Called with the address of a client that a trusted proxy has reported.

        @param client: the address of the client.
        @return: whether the guard permits the address.
        """
        return self._outer is None or self._outer.permits(client)

    def transportLost(self) -> None:
        """
        Called when the connection is lost; stores whether this side has closed it.
        """
        connection = self._connection
        top = connection.top
        # When a peer closes TLS that was started on the open connection, Twisted closes the
        # connection.
        isClosing = self._base.isClosing if top is connection else top.disconnecting
        self._isClosing = bool(isClosing or self._base.isAborted)
        if self._outer is not None:
            self._outer.transportLost()

    def ended(self, reason: Failure) -> None:
        """
        Called after the protocol's C{connectionLost}.

        @param reason: why the connection is lost.
        """
        if self._outer is not None:
            self._outer.ended(reason)


def _isWrapper(above: Any) -> bool:
    """
    Return whether the protocol of a connection passes the data to the protocol of the application:
    TLS that was started on the open connection, or a detection that is not complete.
    """
    if isinstance(above, DetectionProtocol):
        return above.wrappedProtocol is not None
    return isinstance(above, TLSMemoryBIOProtocol) and not isinstance(
        above.wrappedProtocol, Connection
    )


def _isLost(connection: Connection) -> bool:
    """
    Return whether a connection is lost, and its protocol was notified.
    """
    buffer = connection.receiveBuffer
    return connection.isLost and not (buffer is not None and buffer.isEnding)


def _baseOf(connection: Connection) -> Any:
    """
    Return the lowest connection below a connection, which calls its guard.
    """
    return [
        each
        for each in transportsBelow(connection)
        if isinstance(each, Connection) and hasattr(each, "guard")
    ][-1]
