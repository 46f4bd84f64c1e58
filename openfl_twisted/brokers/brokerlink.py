"""
The connection to a broker. A lost connection is reopened. The connection is aborted when the
broker does not answer a ping.
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
from openfl_twisted.types import AnyEndpoint
from openfl_twisted.wire.lineblocks import StreamError

_GROWTH = 1.5


class LinkUser:
    """
    Base class for the user of a L{BrokerLink}.
    """

    def linkUp(self) -> None:
        """
        Called when the connection is ready.
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
        Called when the broker reads again, so that more data can be written.
        """


@implementer(IPushProducer)
class BrokerConnection(Protocol):
    """
    One connection to a broker. Subclasses implement the broker's protocol, and call L{ready}
    after the login.

    @ivar writable: whether the broker reads, so that more data can be written.
    @ivar link: the owner of the connection.
    """

    transport: Any
    writable = False

    def __init__(self, link: "BrokerLink") -> None:
        """
        @param link: the owner of the connection; provides the limits and the clock.
        """
        self.link = link
        self._reason = ""
        self._timer: IDelayedCall | None = None
        self._heard = False
        self._isPaused = False
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

        @param event: an event that L{read} has returned. This method is not called once the
            connection is closed.
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
        Mark the connection as ready: start the pings, and notify the link. A subclass calls
        this method when the login has succeeded.
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
        Close the connection when all written bytes are sent. If the broker does not read the
        bytes within C{pingTimeout}, abort the connection.
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

    # Called by the link's user

    def pauseReading(self) -> None:
        """
        Receive no further messages until L{resumeReading} is called. The messages of the current
        read are still delivered.
        """
        if not self._isPaused:
            self._isPaused = True
            self.transport.pauseProducing()

    def resumeReading(self) -> None:
        """
        End the pause of L{pauseReading}. Without a pause, this call has no effect.
        """
        if self._isPaused:
            self._isPaused = False
            # An answer of the broker could not be received during the pause.
            self._heard = True
            self.transport.resumeProducing()

    # Called by Twisted

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            # Disable Nagle's algorithm: messages are small, and the broker does not answer them.
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
        Abort the connection if nothing has been received since the ping.
        """
        limits = self.link.limits
        self._timer = None
        if self._heard or self._isPaused:
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
Creates a connection for a link.
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
        endpoint: AnyEndpoint,
        description: str,
        build: Build,
        user: LinkUser,
        limits: BrokerLimits,
        clock: IReactorTime,
    ) -> None:
        """
        @param description: the address of the broker as shown in logs, without passwords.
        @param build: creates a connection.
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
            # Twisted resets its count of failed attempts when a connection is opened, even if the
            # login then fails.
            lambda attempt: policy(self._failures),
            clock,
        )

    def start(self) -> Deferred[bool]:
        """
        Connect, and stay connected.

        @return: fires when the first attempt has ended: with C{True} if the connection is
            ready, otherwise with C{False}.
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
        Called when a connection has been opened, before the login.
        """
        self._opened = connection

    def connectionReady(self, connection: BrokerConnection) -> None:
        """
        Called when the login on a connection has succeeded. Resets the delay before the next
        connection attempt.
        """
        self.connection = connection
        self._failures = 0
        self.user.linkUp()
        self._answer(True)

    def connectionEnded(self, connection: BrokerConnection, reason: str) -> None:
        """
        Called when a connection is lost.

        @param connection: the lost connection; its login may not have succeeded yet.
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
    An endpoint that passes failed connection attempts to a callback.
    """

    def __init__(
        self,
        endpoint: AnyEndpoint,
        description: str,
        failed: Callable[[Failure], Failure],
    ) -> None:
        self._endpoint = endpoint
        self._description = description
        self._failed = failed

    def __repr__(self) -> str:
        # Twisted's log lines contain this text.
        return self._description

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        connected: Deferred[IProtocol] = self._endpoint.connect(protocolFactory)
        return connected.addErrback(self._failed)
