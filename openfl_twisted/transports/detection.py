"""
Protocols that inspect the first bytes of a connection, decide for which protocol they
are, and then hand the connection over to it.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.addresses import describe
from openfl_twisted.transports.connection import Connection


@implementer(IHalfCloseableProtocol)
class DetectionProtocol(Protocol):
    """
    Collects the first bytes. Subclasses override L{inspect} and L{inspectAtEOF}, and
    call L{switchProtocol}.

    A protocol can have the connection before it is decided, to send first. It is told
    nothing until then.

    @ivar factory: the factory, with C{clock} and C{log}.
    @ivar received: the bytes that are not delivered yet.
    @ivar decided: whether it is decided for whom they are.
    @ivar wrappedProtocol: the protocol that has the connection before it is decided;
        C{None} for none.
    """

    __slots__ = ("decided", "received", "wrappedProtocol")

    factory: Any
    transport: Connection

    def __init__(self, factory: Any) -> None:
        """
        @param factory: the factory, with C{clock} and C{log}.
        """
        self.factory = factory
        self.received = b""
        self.decided = False
        self.wrappedProtocol: Any = None

    def logPrefix(self) -> str:
        """
        Name the wrapped factory, too.
        """
        prefix: str = self.factory.logPrefix()
        return prefix

    def dataReceived(self, data: bytes) -> None:
        """
        Collect data, and inspect it. Nothing is inspected once it is decided.
        """
        if not self.decided:
            self.received += data
            self.inspect()

    def connect(self, protocol: Any) -> Any:
        """
        Connect a protocol.

        @param protocol: the protocol.
        @return: the protocol that has the connection now: a wrapper hands it over.
        """
        self.transport.switchProtocol(protocol)
        protocol.makeConnection(self.transport)
        return self.transport.protocol

    def switchProtocol(self, protocol: Any) -> None:
        """
        Hand the connection over, and deliver what was received.

        @param protocol: the protocol; it is connected already.
        """
        self.decided = True
        received, self.received = self.received, b""
        self.transport.switchProtocol(protocol)
        self.transport.deliver(received)

    def orAbort(self, do: Callable[[], object]) -> None:
        """
        Do something outside a read, where the reactor does not close the connection if
        it fails.

        @param do: what to do.
        """
        try:
            do()
        except Exception:
            self.factory.log.failure(
                "unhandled error while serving {peer}", peer=describe(self.transport.getPeer())
            )
            self.transport.abortConnection()

    def readConnectionLost(self) -> None:
        """
        Decide, since the peer sends no more; then deliver the end of its side.
        """
        if not self.decided and self.inspectAtEOF():
            self.transport.deliverHalfClose()

    def writeConnectionLost(self) -> None:
        """
        Do nothing: it is not decided yet.
        """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell a protocol that has the connection already, after the bytes that were
        inspected. No other is connected to a connection that is lost.
        """
        wrapped, self.wrappedProtocol = self.wrappedProtocol, None
        if wrapped is None:
            return
        transport = self.transport
        try:
            if self.received and not (transport.disconnecting or transport.isAborted):
                wrapped.dataReceived(self.received)
        finally:
            wrapped.connectionLost(reason)

    # For subclasses

    def inspect(self) -> None:
        """
        Inspect the bytes received so far.
        """
        raise NotImplementedError

    def inspectAtEOF(self) -> bool:
        """
        Decide for whom the bytes are: no more are received.

        @return: whether the connection was handed over to a protocol, which is to be
            told of the EOF.
        """
        raise NotImplementedError
