"""
The connection to a broker. It is reopened when it is lost, and aborted when the broker
does not answer a ping.
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

from openfl_twisted.brokers.outbox import BrokerLimits
from openfl_twisted.transports.writebatch import currentBatch
from openfl_twisted.wire.lineblocks import StreamError

_GROWTH = 1.5


class LinkUser:
    """
    Base class for the user of a L{BrokerLink}.
    """

    def linkUp(self) -> None:
        """
        Called when the broker is reached.
        """
        raise NotImplementedError

    def linkDown(self, reason: str) -> None:
        """
        Called when the connection is lost, or could not be opened.

        @param reason: the reason, as human-readable text.
        """
        raise NotImplementedError

    def linkWritable(self) -> None:
        """
        Called when the broker reads again.
        """


@implementer(IPushProducer)
class BrokerConnection(Protocol):
    """
    One connection to a broker. Subclasses implement its protocol, and call
    L{ready} after the login.

    @ivar writable: whether the broker reads.
    @ivar link: the owner of the connection.
    """

    transport: Any
    writable = False

    def __init__(self, link: "BrokerLink") -> None:
        """
        @param link: the owner of the connection; it has the limits and the clock.
        """
        self.link = link
        self._reason = ""
        self._timer: IDelayedCall | None = None
        self._heard = False
        self._ended = False

    # Implemented by subclasses

    def read(self, data: bytes) -> Iterable[object]:
        """
        Parse received bytes.

        @param data: the next chunk of the stream.
        @return: the events for L{eventReceived}.
        @raise StreamError: if the bytes violate the protocol; the connection is
            then closed.
        """
        raise NotImplementedError

    def eventReceived(self, event: Any) -> None:
        """
        Handle an event from the broker.

        @param event: an event that L{read} has returned. No event follows a closed
            connection.
        """
        raise NotImplementedError

    def writePing(self) -> None:
        """
        Send a ping to the broker.
        """
        raise NotImplementedError

    # Called by subclasses

    def ready(self) -> None:
        """
        Mark the connection as ready: start its pings, and notify the link. Call it when
        the login has succeeded.
        """
        self._stopTimer()
        self._timer = self.link.clock.callLater(self.link.limits.pingInterval, self._ping)
        self.writable = True
        self.transport.registerProducer(self, True)
        self.link.connectionReady(self)

    def fail(self, reason: str) -> None:
        """
        Abort the connection.

        @param reason: the reason, as human-readable text.
        """
        self._reason = self._reason or reason
        self._end()
        self.transport.abortConnection()

    def close(self) -> None:
        """
        Close the connection when all written bytes are sent; abort it after
        C{pingTimeout} if the broker does not read them.
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

    # Called by Twisted

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            # Messages are small, and the broker does not answer them.
            self.transport.setTcpNoDelay(True)
        timeout = self.link.limits.loginTimeout
        self._timer = self.link.clock.callLater(
            timeout, self.fail, f"the broker has not completed the login within {timeout:g} seconds"
        )
        self.link.connectionOpened(self)

    def dataReceived(self, data: bytes) -> None:
        self._heard = True
        # The messages of one read reach each member of a room in one write.
        currentBatch.run(self._handle, data)

    def _handle(self, data: bytes) -> None:
        try:
            for event in self.read(data):
                if self._ended:
                    return
                self.eventReceived(event)
        except StreamError as problem:
            self.fail(f"invalid data from the broker: {problem}")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._end()
        self.link.connectionEnded(self, self._reason or reason.getErrorMessage())

    def pauseProducing(self) -> None:
        self.writable = False

    def resumeProducing(self) -> None:
        self.writable = True
        self.link.user.linkWritable()

    def stopProducing(self) -> None:
        self.writable = False

    def _ping(self) -> None:
        self._heard = False
        self.writePing()
        self._timer = self.link.clock.callLater(self.link.limits.pingTimeout, self._listened)

    def _listened(self) -> None:
        """
        Abort the connection if nothing was received since the ping.
        """
        limits = self.link.limits
        self._timer = None
        if self._heard:
            self._timer = self.link.clock.callLater(limits.pingInterval, self._ping)
        else:
            self.fail(f"the broker has not answered a ping for {limits.pingTimeout:g} seconds")

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

    @ivar connection: the connection, after its login; otherwise C{None}.
    @ivar user: the object to notify.
    @ivar limits: timeouts and delays.
    @ivar clock: the clock.
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        description: str,
        build: Build,
        user: LinkUser,
        limits: BrokerLimits,
        clock: IReactorTime,
    ) -> None:
        """
        @param description: its address, as shown in logs, without passwords.
        @param build: makes a connection.
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
            _ReportingEndpoint(endpoint, description, self._failed),
            factory,
            # Twisted's count starts again with each connection, even if the login fails.
            lambda attempt: policy(self._failures),
            clock,
        )

    def start(self) -> Deferred[bool]:
        """
        Connect, and stay connected.

        @return: fires when the first attempt has ended: with C{True} if the broker is
            reached, otherwise with C{False}.
        """
        self._running = True
        first = self._first = Deferred()
        self._service.startService()
        return first

    def stop(self) -> Deferred[None]:
        """
        Close the connection, and do not reconnect.

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
        Called when a connection was opened, before its login.
        """
        self._opened = connection

    def connectionReady(self, connection: BrokerConnection) -> None:
        """
        Called when the login of a connection has succeeded. Resets the delay before
        the next attempt.
        """
        self.connection = connection
        self._failures = 0
        self.user.linkUp()
        self._answer(True)

    def connectionEnded(self, connection: BrokerConnection, reason: str) -> None:
        """
        Called when a connection is lost.

        @param connection: the connection, before or after its login.
        @param reason: the reason, as human-readable text.
        """
        self.connection = self._opened = None
        self._failedBecause(reason)

    def _failed(self, reason: Failure) -> Failure:
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
class _ReportingEndpoint:
    """
    An endpoint that reports failed connection attempts.
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
        # Twisted's log lines contain this.
        return self._description

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return self._endpoint.connect(protocolFactory).addErrback(self._failed)
