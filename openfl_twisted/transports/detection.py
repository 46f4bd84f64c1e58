"""
Base class for protocol detection: the first bytes of a connection are inspected, and the
connection is then passed to the detected protocol.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.transports.connection import Connection


@implementer(IHalfCloseableProtocol)
class DetectionProtocol(Protocol):
    """
    Buffers the first bytes of a connection. L{inspect} is called for each received chunk, and
    L{inspectAtEOF} at EOF. Subclasses implement both methods, and call L{switchProtocol} when
    the protocol is known.

    A wrapped protocol can be connected before the detection is complete, so that the wrapped
    protocol can send first. It receives no data until the detection is complete.

    @ivar factory: provides C{clock} and C{log}.
    @ivar received: the received bytes that have not been delivered yet.
    @ivar decided: whether the detection is complete.
    @ivar wrappedProtocol: the wrapped protocol, if it was connected before the detection was
        complete; otherwise C{None}.
    """

    __slots__ = ("decided", "received", "wrappedProtocol")

    factory: Any
    transport: Connection

    def __init__(self, factory: Any) -> None:
        """
        @param factory: provides C{clock} and C{log}.
        """
        self.factory = factory
        self.received = b""
        self.decided = False
        self.wrappedProtocol: Any = None

    def logPrefix(self) -> str:
        prefix: str = self.factory.logPrefix()
        return prefix

    def dataReceived(self, data: bytes) -> None:
        if not self.decided:
            self.received += data
            self.inspect()

    def connect(self, protocol: Any) -> Any:
        """
        Connect a protocol to the transport.

        @param protocol: the protocol.
        @return: the protocol that owns the connection: if C{protocol} is a
            L{ConnectionWrapper<openfl_twisted.transports.wrapper.ConnectionWrapper>}, the
            protocol that it wraps; otherwise C{protocol}.
        """
        self.transport.switchProtocol(protocol)
        protocol.makeConnection(self.transport)
        return self.transport.protocol

    def switchProtocol(self, protocol: Any) -> None:
        """
        Complete the detection, and pass the connection and the received bytes to a protocol.

        @param protocol: the protocol, which is already connected.
        """
        self.decided = True
        received, self.received = self.received, b""
        self.transport.switchProtocol(protocol)
        self.transport.deliver(received)

    def callOrAbort(self, do: Callable[[], object]) -> None:
        """
        Call a function. If it raises an exception, log the exception and abort the connection.
        The reactor does so only for exceptions that are raised during a read.

        @param do: the function.
        """
        try:
            do()
        except Exception:
            self.factory.log.failure(
                "unhandled error while serving {peer}; connection aborted",
                peer=self.transport.getPeer(),
            )
            self.transport.abortConnection()

    def readConnectionLost(self) -> None:
        """
        Complete the detection, then deliver the EOF.
        """
        if not self.decided and self.inspectAtEOF():
            self.transport.deliverHalfClose()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        If a wrapped protocol is already connected, deliver the inspected bytes, then notify
        the wrapped protocol. Otherwise, no protocol is created for the lost connection.
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
        Inspect C{received}. Called for each received chunk.
        """
        raise NotImplementedError

    def inspectAtEOF(self) -> bool:
        """
        Complete the detection with the received bytes.

        @return: whether the connection was passed to a protocol. The EOF must then be
            delivered to this protocol.
        """
        raise NotImplementedError
