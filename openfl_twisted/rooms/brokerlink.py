"""
The connection to a broker: it is opened again whenever it is lost, and closed
when the broker is silent.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from twisted.application.internet import ClientService, backoffPolicy
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IPushProducer,
    IReactorTime,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.rooms.outbox import RelayLimits
from openfl_twisted.wire.blocks import StreamError

_GROWTH = 1.5


class LinkUser:
    """
    Who wants to know of a L{BrokerLink}.
    """

    def linkUp(self) -> None:
        """
        The broker is reached.
        """
        raise NotImplementedError

    def linkDown(self, reason: str) -> None:
        """
        The connection is lost, or could not be opened.

        @param reason: why, for people.
        """
        raise NotImplementedError

    def linkWritable(self) -> None:
        """
        The broker reads again.
        """


@implementer(IPushProducer)
class BrokerConnection(Protocol):
    """
    One connection to a broker. Subclasses speak its protocol, and call L{ready}
    when the broker has let them in.

    @ivar writable: whether the broker reads what it is sent.
    @ivar link: to whom it belongs.
    """

    transport: Any
    writable = False

    def __init__(self, link: "BrokerLink") -> None:
        """
        @param link: to whom the connection belongs; it has the limits and the
            clock.
        """
        self.link = link
        self._reason = ""
        self._timer: IDelayedCall | None = None
        self._heard = False
        self._ended = False

    # What a subclass is

    def read(self, data: bytes) -> Iterable[object]:
        """
        Read what has come.

        @param data: the next piece of the stream, cut anywhere.
        @return: what is given to L{eventReceived}.
        @raise StreamError: if it is not what the broker may say; the connection
            is closed then.
        """
        raise NotImplementedError

    def eventReceived(self, event: Any) -> None:
        """
        The broker has said something.

        @param event: one of what L{read} has given. None comes after the end.
        """
        raise NotImplementedError

    def writePing(self) -> None:
        """
        Ask the broker for a sign of life.
        """
        raise NotImplementedError

    # What it calls

    def ready(self) -> None:
        """
        The broker has let us in.
        """
        self._stopTimer()
        self._timer = self.link.clock.callLater(self.link.limits.pingInterval, self._ping)
        self.writable = True
        self.transport.registerProducer(self, True)
        self.link.connectionReady(self)

    def fail(self, reason: str) -> None:
        """
        Close the connection now.

        @param reason: why, for people.
        """
        self._reason = self._reason or reason
        self._end()
        self.transport.abortConnection()

    def close(self) -> None:
        """
        Close the connection once what was written has been sent; or without
        that, if the broker does not read it.
        """
        if self._ended:
            return
        wasReady = self.writable or self.link.connection is self
        self._end()
        self._timer = self.link.clock.callLater(
            self.link.limits.pingTimeout, self.transport.abortConnection
        )
        if wasReady:
            self.transport.unregisterProducer()
        self.transport.loseConnection()

    # What Twisted calls

    def connectionMade(self) -> None:
        """
        Wait for the end of the greetings, but not for ever.
        """
        if ITCPTransport.providedBy(self.transport):
            # What is published is small, and nobody answers it.
            self.transport.setTcpNoDelay(True)
        timeout = self.link.limits.loginTimeout
        self._timer = self.link.clock.callLater(
            timeout, self.fail, f"the broker has let nobody in within {timeout:g} seconds"
        )
        self.link.connectionOpened(self)

    def dataReceived(self, data: bytes) -> None:
        """
        Read what has come.
        """
        self._heard = True
        try:
            for event in self.read(data):
                if self._ended:
                    return
                self.eventReceived(event)
        except StreamError as problem:
            self.fail(f"the broker cannot be understood: {problem}")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell why.
        """
        self._end()
        self.link.connectionEnded(self, self._reason or reason.getErrorMessage())

    def pauseProducing(self) -> None:
        """
        The broker does not read.
        """
        self.writable = False

    def resumeProducing(self) -> None:
        """
        The broker reads again.
        """
        self.writable = True
        self.link.user.linkWritable()

    def stopProducing(self) -> None:
        """
        The connection is lost.
        """
        self.writable = False

    def _ping(self) -> None:
        self._heard = False
        self.writePing()
        self._timer = self.link.clock.callLater(self.link.limits.pingTimeout, self._listened)

    def _listened(self) -> None:
        """
        Look whether there was any sign of life.
        """
        limits = self.link.limits
        self._timer = None
        if self._heard:
            self._timer = self.link.clock.callLater(limits.pingInterval, self._ping)
        else:
            self.fail(f"the broker is silent for {limits.pingTimeout:g} seconds")

    def _end(self) -> None:
        self._ended = True
        self.writable = False
        self._stopTimer()

    def _stopTimer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None


Build: TypeAlias = "Callable[[BrokerLink], BrokerConnection]"
"""
Makes a connection for a link.
"""


class BrokerLink:
    """
    Keeps one connection to a broker.

    @ivar connection: the connection, while the broker has let us in.
    @ivar user: is told how it goes.
    @ivar limits: how long everything may take.
    @ivar clock: measures the time.
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        description: str,
        build: Build,
        user: LinkUser,
        limits: RelayLimits,
        clock: IReactorTime,
    ) -> None:
        """
        @param endpoint: how to get to the broker.
        @param description: where that is, for people; without passwords.
        @param build: makes a connection.
        @param user: is told how it goes.
        @param limits: how long everything may take.
        @param clock: measures the time.
        """
        self.user = user
        self.limits = limits
        self.clock = clock
        self.connection: BrokerConnection | None = None
        self._opened: BrokerConnection | None = None
        self._running = False
        self._failures = 0
        self._first: Deferred[bool] | None = None
        policy = backoffPolicy(limits.retryDelay, limits.maxRetryDelay, _GROWTH)
        factory = Factory.forProtocol(lambda: build(self))
        factory.noisy = False
        self._service = ClientService(
            _Watched(endpoint, description, self._failed),
            factory,
            # Twisted's own count begins anew with each connection, even if nobody is let in.
            lambda attempt: policy(self._failures),
            clock,
        )

    def start(self) -> Deferred[bool]:
        """
        Connect, and stay connected.

        @return: fires when the first attempt has ended, with whether the broker
            is reached.
        """
        self._running = True
        first = self._first = Deferred()
        self._service.startService()
        return first

    def stop(self) -> Deferred[None]:
        """
        Close the connection, and open none.

        @return: fires when it is closed.
        """
        self._running = False
        if self._opened is not None:
            self._opened.close()
        stopped: Deferred[None] = self._service.stopService()
        self._answer(False)
        return stopped

    def connectionOpened(self, connection: BrokerConnection) -> None:
        """
        There is a connection, and the greetings begin.

        @param connection: the connection; nobody has been let in yet.
        """
        self._opened = connection

    def connectionReady(self, connection: BrokerConnection) -> None:
        """
        The broker has let us in.

        @param connection: the connection. The delay before the next attempt
            begins anew.
        """
        self.connection = connection
        self._failures = 0
        self.user.linkUp()
        self._answer(True)

    def connectionEnded(self, connection: BrokerConnection, reason: str) -> None:
        """
        A connection is lost.

        @param connection: the connection, whether the broker had let us in or
            not.
        @param reason: why, for people.
        """
        self.connection = self._opened = None
        self._failedBecause(reason)

    def _failed(self, reason: Failure) -> Failure:
        """
        There was no connection.
        """
        self._failedBecause(reason.getErrorMessage())
        return reason

    def _failedBecause(self, reason: str) -> None:
        self._failures += 1
        if self._running:
            self.user.linkDown(reason)
        self._answer(False)

    def _answer(self, reached: bool) -> None:
        first, self._first = self._first, None
        if first is not None:
            first.callback(reached)


@implementer(IStreamClientEndpoint)
class _Watched:
    """
    An endpoint that tells when it has failed.
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        description: str,
        failed: Callable[[Failure], Failure],
    ) -> None:
        self._endpoint = endpoint
        self._description = description
        self._failed = failed

    def __repr__(self) -> str:
        # Twisted's log says what it connects to.
        return self._description

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect.
        """
        return self._endpoint.connect(protocolFactory).addErrback(self._failed)
