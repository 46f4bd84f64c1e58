"""
Connection state of C{Socket} and C{XMLSocket}: connection attempts, the established
connection, and their events.
"""

from collections.abc import Callable
from typing import Any, Protocol, cast

from automat import TypeMachineBuilder
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint, ITransport
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure

from openfl_twisted import errors
from openfl_twisted.addresses import portOf
from openfl_twisted.clocks import checkClock, globalReactor, tookTooLong
from openfl_twisted.events import (
    ErrorEvent,
    Event,
    EventDispatcher,
    IOErrorEvent,
    SecurityErrorEvent,
)
from openfl_twisted.hostnames import hostEndpoint
from openfl_twisted.logs import packageLogger
from openfl_twisted.net._ports import toPort
from openfl_twisted.net._reasons import invalidSocket, socketError
from openfl_twisted.net._reminder import reminder
from openfl_twisted.protocols.streamprotocol import StreamProtocol
from openfl_twisted.transports.connection import Connection
from openfl_twisted.transports.progress import ProgressTransport
from openfl_twisted.wire.text import describeValue

_log = packageLogger()

DEFAULT_TIMEOUT = 20_000
"""
Default timeout of a connection attempt (milliseconds).
"""

MIN_TIMEOUT = 250
"""
Minimum C{timeout} (milliseconds). Smaller values are replaced by this minimum.
"""

MAX_PENDING = 64 * 1024 * 1024
"""
Maximum number of bytes queued for a slow peer: 64 MiB. Above this limit, the connection is
aborted. Flash has no limit.
"""


class LinkProtocol(StreamProtocol):
    """
    The protocol of a connection. It passes received data to its link.

    @ivar link: the link of the connection; C{None} before it is assigned, and after the
        link has dropped the connection.
    """

    maxQueue = MAX_PENDING

    def __init__(self) -> None:
        self.link: Link | None = None

    def bindTransport(self, transport: ITransport) -> ProgressTransport:
        return ProgressTransport(transport, self)

    def getClock(self) -> IReactorTime:
        """
        Return the reactor of the link; the global reactor if no link is assigned.
        """
        if self.link is None:
            return super().getClock()
        return cast("IReactorTime", self.link.reactor)

    def handedOver(self) -> None:
        """
        Called when the transport has written queued data.
        """
        if self.link is not None:
            self.link.progressed()

    def bytesReceived(self, data: bytes) -> None:
        if self.link is not None:
            self.link.received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        if self.link is not None:
            self.link.lost()


class _LinkFactory(Factory[LinkProtocol]):
    protocol = LinkProtocol
    noisy = False


class _Machine(Protocol):
    """
    The inputs of the state machine: method calls by the program, the connection that a server
    has accepted, the result of a connection attempt, and the loss of the connection.
    """

    def connect(self, endpoint: IStreamClientEndpoint, timeout: float) -> None: ...

    def close(self) -> None: ...

    def accepted(self, connection: LinkProtocol) -> None: ...

    def established(self, connection: LinkProtocol) -> None: ...

    def failed(self, reason: Failure) -> None: ...

    def lost(self) -> None: ...


def _makeMachine() -> "Callable[[Link], _Machine]":
    """
    Build the state machine.

    The state machine must not receive inputs during a transition. Its outputs therefore only
    queue events, and the link dispatches the events after the transition.
    """
    builder = TypeMachineBuilder(_Machine, Link)
    unconnected = builder.state("unconnected")
    connecting = builder.state("connecting")
    connected = builder.state("connected")

    @unconnected.upon(_Machine.connect).to(connecting)
    @connecting.upon(_Machine.connect).to(connecting)
    @connected.upon(_Machine.connect).to(connecting)
    def connect(
        machine: _Machine, link: Link, endpoint: IStreamClientEndpoint, timeout: float
    ) -> None:
        link.drop()
        link.attempt(endpoint, timeout)

    @connecting.upon(_Machine.close).to(unconnected)
    @connected.upon(_Machine.close).to(unconnected)
    def close(machine: _Machine, link: Link) -> None:
        link.drop()

    @unconnected.upon(_Machine.accepted).to(connected)
    def accepted(machine: _Machine, link: Link, connection: LinkProtocol) -> None:
        link.begin(connection)

    @connecting.upon(_Machine.established).to(connected)
    def established(machine: _Machine, link: Link, connection: LinkProtocol) -> None:
        link.begin(connection)
        link.queue(Event(Event.CONNECT))

    @connecting.upon(_Machine.failed).to(unconnected)
    def failed(machine: _Machine, link: Link, reason: Failure) -> None:
        error: errors.Error
        if isinstance(reason.value, errors.SecurityError):
            error = reason.value
            kind: type[ErrorEvent] = SecurityErrorEvent
            name = SecurityErrorEvent.SECURITY_ERROR
        else:
            error = socketError(link.explain(reason, *link.target))
            error.__cause__ = reason.value
            kind, name = IOErrorEvent, IOErrorEvent.IO_ERROR
        link.end(error)
        link.queue(kind(name, text=str(error), id=error.errorID))

    @connected.upon(_Machine.lost).to(unconnected)
    def lost(machine: _Machine, link: Link) -> None:
        link.end(None)
        link.queue(Event(Event.CLOSE))

    return builder.build()


class Link:
    """
    Connects an OpenFL socket. A socket has at most one established connection and at most one
    connection attempt.

    @ivar connection: the established connection, or C{None}.
    @ivar target: the host and port of the last attempt.
    """

    def __init__(
        self,
        owner: EventDispatcher,
        *,
        received: Callable[[bytes], object],
        progressed: Callable[[], object],
        ended: Callable[[], object],
        wrapEndpoint: Callable[[IStreamClientEndpoint, str, int], IStreamClientEndpoint],
        explain: Callable[[Failure, str, int], str],
        reactor: Any = None,
    ) -> None:
        """
        @param owner: the dispatcher of the events.
        @param received: called with received data.
        @param progressed: called when queued data has been written to the operating system.
        @param ended: called when the connection is closed or lost, before the C{close} event is
            dispatched.
        @param wrapEndpoint: called with the endpoint, host and port of a connection attempt;
            returns the endpoint to use.
        @param explain: called with the failure of a connection attempt, the host and the port;
            returns the reason as text.
        @param reactor: the reactor (default: the global reactor).
        """
        if reactor is None:
            reactor = globalReactor(owner)
            reminder.expectRun(reactor)
        self.reactor = checkClock("reactor", reactor)
        self.connection: LinkProtocol | None = None
        self.received = received
        self.progressed = progressed
        self._owner = owner
        self.explain = explain
        self._ended = ended
        self._wrapEndpoint = wrapEndpoint
        self.target = ("", 0)
        self._attempt: Deferred[Any] | None = None
        # The trigger for the end of the reactor during an attempt.
        self._shutdown: Any = None
        self._events: list[Event] = []
        self._whenConnected: list[Deferred[None]] = []
        self._whenClosed: list[Deferred[None]] = []
        # Why there is neither a connection nor an attempt, for the text of #2002.
        self._whyIdle = "call connect first"
        # The Deferreds to fire after the events have been dispatched, with their results.
        self._outcomes: list[tuple[Deferred[None], Any]] = []
        self._machine = _machine(self)

    # Methods for the owner
    def connect(self, host: str, port: int, timeout: int) -> None:
        """
        Start a connection attempt. A previous connection or attempt is dropped without
        an event.

        @param host: a host name or IP address. As in Flash, a NUL character ends the name.
        @param timeout: maximum time, including name lookup (milliseconds).
        @raise errors.SecurityError: #2003, if the port is not from 0 to 65535.
        """
        given, port = port, toPort(port)
        if not 0 <= port <= 65535:
            raise errors.SecurityError.numbered(
                2003, words=f"{describeValue(given)} must be a port from 0 to 65535"
            )
        host = host.partition("\0")[0]
        self.target = (host, port)
        endpoint = self._wrapEndpoint(
            hostEndpoint(self.reactor, host, port, timeout / 1000), host, port
        )
        self._machine.connect(endpoint, timeout / 1000)
        self._dispatch()

    def close(self) -> None:
        """
        Close the connection, or cancel the attempt. No event is dispatched.

        @raise errors.IOError: #2002, if there is neither a connection nor an attempt.
        """
        if self.connection is None and self._attempt is None:
            raise self._notConnected()
        self._machine.close()
        self._dispatch()

    def accept(self, connection: LinkProtocol) -> None:
        """
        Link this socket to a connection that a C{ServerSocket} has accepted.
        """
        self._machine.accepted(connection)

    def transport(self) -> Connection:
        """
        Return the transport of the connection.

        @raise errors.IOError: #2002, if the link is not connected.
        """
        if self.connection is None:
            raise self._notConnected()
        return self.connection.transport

    def _notConnected(self) -> errors.IOError:
        isConnecting = self._attempt is not None
        return invalidSocket(
            "not connected yet: wait for the connect event" if isConnecting else self._whyIdle
        )

    def lost(self) -> None:
        """
        Called when the connection is lost.
        """
        self._machine.lost()
        self._dispatch()

    def address(self, side: str) -> str | None:
        """
        Return the IP address of one end of the connection.

        @param side: C{getHost} or C{getPeer}.
        @return: the IP address; C{None} if the link is not connected.
        """
        if self.connection is None:
            return None
        return getattr(getattr(self.connection.transport, side)(), "host", None)

    def port(self, side: str) -> int:
        """
        Return the port of one end of the connection.

        @param side: C{getHost} or C{getPeer}.
        @return: the port; 0 if the link is not connected.
        """
        if self.connection is None:
            return 0
        return portOf(getattr(self.connection.transport, side)()) or 0

    def whenConnected(self) -> Deferred[None]:
        """
        Wait until the connection is established.

        @return: fires when the connection is established. Fails with L{errors.IOError} #2031
            or L{errors.SecurityError} if the attempt fails: the text of the error is the
            reason, and its cause is the endpoint's failure. Fails with #2002 if no attempt is
            in progress.
        """
        if self.connection is not None:
            return succeed(None)
        if self._attempt is None:
            return fail(self._notConnected())
        return _deferredIn(self._whenConnected)

    def whenClosed(self) -> Deferred[None]:
        """
        Wait until the connection is closed, or the attempt has failed.

        @return: fires when there is neither a connection nor an attempt.
        """
        if self.connection is None and self._attempt is None:
            return succeed(None)
        return _deferredIn(self._whenClosed)

    # Outputs of the state machine

    def attempt(self, endpoint: IStreamClientEndpoint, timeout: float) -> None:
        """
        Start a connection attempt.

        @param timeout: maximum time (seconds).
        """
        attempt = endpoint.connect(_LinkFactory())
        self._attempt = attempt.addTimeout(timeout, self.reactor, tookTooLong)
        self._shutdown = self.reactor.addSystemEventTrigger("before", "shutdown", self._stopped)
        # The result is reported by an event, which must not be dispatched before this call returns.
        self.reactor.callLater(0, self._await, self._attempt)

    def _stopped(self) -> None:
        """
        Called when the reactor stops during a connection attempt: cancel the attempt, without
        an event.
        """
        self._shutdown = None
        _log.warn(
            "the program has ended while connecting to {host}:{port}: await whenConnected() or"
            " whenClosed(), or use a main function that is not a coroutine function",
            host=self.target[0],
            port=self.target[1],
        )
        self._machine.close()
        self._dispatch()

    def _forgetShutdown(self) -> None:
        trigger, self._shutdown = self._shutdown, None
        if trigger is not None:
            self.reactor.removeSystemEventTrigger(trigger)

    def _await(self, attempt: Deferred[Any]) -> None:
        """
        Wait for the result of a connection attempt. The result of a cancelled attempt is
        ignored.
        """

        def established(connection: LinkProtocol | None) -> None:
            if connection is None:
                # drop() has cancelled the attempt, and has already handled the CancelledError.
                return
            if self._attempt is attempt:
                self._machine.established(connection)
                self._dispatch()
            else:
                connection.transport.abortConnection()

        def failed(reason: Failure) -> None:
            if self._attempt is attempt:
                self._machine.failed(reason)
                self._dispatch()

        attempt.addCallbacks(established, failed)

    def begin(self, connection: LinkProtocol) -> None:
        """
        Use an established connection.
        """
        self._attempt = None
        self._forgetShutdown()
        self.connection = connection
        connection.link = self
        self._outcomes += [(waiting, None) for waiting in self._whenConnected]
        self._whenConnected = []

    def drop(self) -> None:
        """
        Close the connection and cancel the attempt, without an event.
        """
        attempt, connection = self._attempt, self.connection
        self.end(None)
        if attempt is not None:
            attempt.cancel()
            # Ignore the CancelledError that the cancellation causes.
            attempt.addErrback(lambda _: None)
        if connection is not None:
            connection.link = None
            connection.transport.loseConnection()

    def end(self, error: errors.Error | None) -> None:
        """
        Reset the attributes of the connection and of the connection attempt.

        @param error: why the connection attempt has failed; C{None} if a connection was closed
            or lost.
        """
        self._attempt = self.connection = None
        self._forgetShutdown()
        self._ended()
        failure = Failure(error or errors.IOError("the socket was closed before it was connected"))
        self._whyIdle = "the connection is closed" if error is None else "the connection failed"
        for waiting in self._whenConnected:
            self._outcomes.append((waiting, failure))
        for waiting in self._whenClosed:
            self._outcomes.append((waiting, None))
        self._whenConnected, self._whenClosed = [], []

    @property
    def _isAwaited(self) -> bool:
        """
        Whether a Deferred of L{whenConnected} is going to fail.
        """
        return any(
            isinstance(outcome, Failure) and not waiting.called
            for waiting, outcome in self._outcomes
        )

    def queue(self, event: Event) -> None:
        """
        Queue an event for dispatch.
        """
        self._events.append(event)

    def _dispatch(self) -> None:
        """
        Dispatch the queued events, then fire the Deferreds.
        """
        events, self._events = self._events, []
        try:
            for event in events:
                # An error that whenConnected() reports need not have a listener.
                isReported = isinstance(event, ErrorEvent) and self._isAwaited
                if not isReported or self._owner.hasEventListener(event.type):
                    self._owner.dispatchEvent(event)
        finally:
            # Fire the Deferreds even if a listener or the reporter raises an exception: nothing
            # else would fire them.
            outcomes, self._outcomes = self._outcomes, []
            for waiting, outcome in outcomes:
                # A listener may have cancelled the Deferred.
                if not waiting.called:
                    waiting.callback(outcome)


def _deferredIn(waiters: list[Deferred[None]]) -> Deferred[None]:
    """
    Create a Deferred and append it to a list. If the Deferred is cancelled, it is removed from
    the list.
    """

    def forget(waiting: Deferred[None]) -> None:
        if waiting in waiters:
            waiters.remove(waiting)

    waiting: Deferred[None] = Deferred(forget)
    waiters.append(waiting)
    return waiting


_machine = _makeMachine()
