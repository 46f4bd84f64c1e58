"""
A connection between a transport and a protocol, that looks like either to the
other. What stands in front of other protocols is built on it.
"""

from typing import Any, TypeVar, cast

from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    ILoggingContext,
    IProducer,
    IProtocolFactory,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from zope.interface import alsoProvides, directlyProvides, providedBy

from openfl_twisted.protocols.producers import Pull, Room

P = TypeVar("P", bound=Protocol)


class FrontFactory(Factory[P]):
    """
    The factory of what stands in front of other protocols.

    @ivar wrappedFactory: makes those.
    @cvar kind: what this is, for the log.
    """

    noisy = False
    kind = ""

    def __init__(self, wrappedFactory: IProtocolFactory) -> None:
        """
        @param wrappedFactory: makes the protocols behind.
        """
        self.wrappedFactory = wrappedFactory

    def logPrefix(self) -> str:
        """
        Name the wrapped factory too.
        """
        wrapped = ILoggingContext(self.wrappedFactory, None)
        name = type(self.wrappedFactory).__name__ if wrapped is None else wrapped.logPrefix()
        return f"{name} ({self.kind})"

    def doStart(self) -> None:
        """
        Start the wrapped factory too.
        """
        self.wrappedFactory.doStart()
        super().doStart()

    def doStop(self) -> None:
        """
        Stop the wrapped factory too.
        """
        self.wrappedFactory.doStop()
        super().doStop()


class WrappedConnection(ProtocolWrapper):
    """
    Twisted's wrapper, which also closes in good order and passes on half-closed
    connections.

    @ivar disconnecting: whether the connection is being closed by this side.
    @ivar lost: whether it is lost.
    """

    # What is asked for each message, and what every connection gets.
    __slots__ = (
        "_producer",
        "connected",
        "disconnecting",
        "factory",
        "lost",
        "transport",
        "wrappedProtocol",
    )

    transport: Any
    wrappedProtocol: Any

    def __init__(self, factory: Any, wrappedProtocol: Any) -> None:
        """
        @param factory: the factory.
        @param wrappedProtocol: what is behind this; C{None} if that is not known
            yet.
        """
        super().__init__(factory, wrappedProtocol)
        self.connected = 0
        self.transport = None
        self.disconnecting = False
        self.lost = False
        self._producer: IProducer | None = None

    def __getattr__(self, name: str) -> Any:
        if name == "transport":
            # One that is being copied has none yet.
            raise AttributeError(name)
        return getattr(self.transport, name)

    def makeConnection(self, transport: ITransport) -> None:
        """
        Connect the wrapped protocol. Whether it knows of half-closed connections
        is its own matter, although what is beneath can be such a protocol too.
        """
        directlyProvides(self, providedBy(transport) - IHalfCloseableProtocol)
        Protocol.makeConnection(self, transport)
        self.factory.registerProtocol(self)
        self.wrappedProtocol.makeConnection(self)
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            alsoProvides(self, IHalfCloseableProtocol)

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Register a producer with the transport.

        @param producer: the producer. If it is L{Room} or L{Pull} of a queue
            above, it hears when the connection is closed here.
        @param streaming: whether it is a push producer.
        """
        self._producer = producer
        super().registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """
        Forget the producer.
        """
        self._producer = None
        super().unregisterProducer()

    def loseConnection(self) -> None:
        """
        Close the connection once everything written so far has been sent. This
        can come from the wrapped protocol or from elsewhere.
        """
        if self.lost:
            return
        already, self.disconnecting = self.disconnecting, True
        self.transport.loseConnection()
        if not already and isinstance(self._producer, Room | Pull):
            self._producer.finish()

    def finishConnection(self) -> None:
        """
        Close the connection, asked from beneath: whoever is above may have a
        farewell to say first.
        """
        if isinstance(self.wrappedProtocol, WrappedConnection):
            self.wrappedProtocol.finishConnection()
        else:
            self.loseConnection()

    def peerEnded(self) -> None:
        """
        Hear from above that it is the peer who ends the connection, although it
        is this side that closes it.
        """
        getattr(self.transport, "peerEnded", lambda: None)()

    def abortConnection(self) -> None:
        """
        Close the connection now.
        """
        if self.lost:
            return
        self.disconnecting = True
        self.transport.abortConnection()

    def readConnectionLost(self) -> None:
        """
        Pass on that the peer has closed its side.
        """
        cast("IHalfCloseableProtocol", self.wrappedProtocol).readConnectionLost()

    def writeConnectionLost(self) -> None:
        """
        Pass on that this side has been closed.
        """
        cast("IHalfCloseableProtocol", self.wrappedProtocol).writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Pass on the end.
        """
        self.lost = True
        super().connectionLost(reason)
