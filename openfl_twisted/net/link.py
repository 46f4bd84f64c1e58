"""
The life of a connection behind C{Socket} and C{XMLSocket}: attempts, the one
connection there is, and the events of both.
"""

from collections.abc import Callable
from typing import Any, Protocol

from automat import TypeMachineBuilder
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IStreamClientEndpoint, ITransport
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure

from openfl_twisted import errors
from openfl_twisted.addresses import portOf
from openfl_twisted.clocks import tookTooLong
from openfl_twisted.events import (
    ErrorEvent,
    Event,
    EventDispatcher,
    IOErrorEvent,
    SecurityErrorEvent,
)
from openfl_twisted.hostnames import hostEndpoint
from openfl_twisted.net.ports import toPort
from openfl_twisted.net.reasons import socketError
from openfl_twisted.protocols.streamprotocol import StreamProtocol
from openfl_twisted.transports.connection import Connection
from openfl_twisted.transports.progress import ProgressTransport

DEFAULT_TIMEOUT = 20_000
"""
How long an attempt to connect may take, in milliseconds.
"""

MIN_TIMEOUT = 250
"""
The least C{timeout}, in milliseconds: a smaller one is stored as this.
"""

MAX_PENDING = 64 * 1024 * 1024
"""
The most bytes that wait for a peer that does not read: 64 MiB. Beyond it the
connection is given up. Flash has no limit.
"""


class LinkProtocol(StreamProtocol):
    """
    The protocol of a connection: it hands on what comes to its link.

    @ivar link: who hears of it; C{None} before there is one, and when the link
        wants no more of this connection.
    """

    maxQueue = MAX_PENDING

    def __init__(self) -> None:
        self.link: Link | None = None

    def bindTransport(self, transport: ITransport) -> ProgressTransport:
        return ProgressTransport(transport, self)

    def handedOver(self) -> None:
        """
        Hand on that the peer has taken something.
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


class _ConnectionFactory(Factory[LinkProtocol]):
    protocol = LinkProtocol
    noisy = False


class _Life(Protocol):
    """
    What can happen to a link.
    """

    def connect(self, endpoint: IStreamClientEndpoint, timeout: float) -> None:
        """
        The program wants a connection.
        """

    def close(self) -> None:
        """
        The program wants none any more.
        """

    def accepted(self, connection: LinkProtocol) -> None:
        """
        A server has got a connection for this link.
        """

    def established(self, connection: LinkProtocol) -> None:
        """
        The attempt to connect has succeeded.
        """

    def failed(self, reason: Failure) -> None:
        """
        The attempt to connect has failed.
        """

    def lost(self) -> None:
        """
        The connection is lost.
        """


def _makeLife() -> "Callable[[Link], _Life]":
    """
    Build the machine of states.

    While it runs it takes no further inputs, so it only notes events; the link
    dispatches them afterwards.
    """
    builder = TypeMachineBuilder(_Life, Link)
    unconnected = builder.state("unconnected")
    connecting = builder.state("connecting")
    connected = builder.state("connected")

    @unconnected.upon(_Life.connect).to(connecting)
    @connecting.upon(_Life.connect).to(connecting)
    @connected.upon(_Life.connect).to(connecting)
    def connect(life: _Life, link: Link, endpoint: IStreamClientEndpoint, timeout: float) -> None:
        link.drop()
        link.attempt(endpoint, timeout)

    @connecting.upon(_Life.close).to(unconnected)
    @connected.upon(_Life.close).to(unconnected)
    def close(life: _Life, link: Link) -> None:
        link.drop()

    @unconnected.upon(_Life.accepted).to(connected)
    def accepted(life: _Life, link: Link, connection: LinkProtocol) -> None:
        link.begin(connection)

    @connecting.upon(_Life.established).to(connected)
    def established(life: _Life, link: Link, connection: LinkProtocol) -> None:
        link.begin(connection)
        link.note(Event(Event.CONNECT))

    @connecting.upon(_Life.failed).to(unconnected)
    def failed(life: _Life, link: Link, reason: Failure) -> None:
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
        link.note(kind(name, text=str(error), id=error.errorID))

    @connected.upon(_Life.lost).to(unconnected)
    def lost(life: _Life, link: Link) -> None:
        link.end(None)
        link.note(Event(Event.CLOSE))

    return builder.build()


class Link:
    """
    At most one connection at a time, and at most one attempt at one.

    @ivar connection: the connection there is, or C{None}.
    @ivar target: the host and port of the last attempt.
    """

    def __init__(
        self,
        owner: EventDispatcher,
        *,
        received: Callable[[bytes], object],
        progressed: Callable[[], object],
        ended: Callable[[], object],
        way: Callable[[IStreamClientEndpoint, str, int], IStreamClientEndpoint],
        explain: Callable[[Failure, str, int], str],
        reactor: Any = None,
    ) -> None:
        """
        @param owner: what dispatches the events.
        @param received: called with bytes that have come.
        @param progressed: called when bytes have been handed to the network.
        @param ended: called when the connection is no more, by whatever reason,
            before its event.
        @param way: given how to get to a server, and the server's name and
            port, says how to get there best.
        @param explain: called with the failure of an attempt, the host and the
            port; returns the reason in words.
        @param reactor: the reactor, or C{None} for the one that runs.
        """
        if reactor is None:
            from twisted.internet import reactor
        self.reactor = reactor
        self.connection: LinkProtocol | None = None
        self.received = received
        self.progressed = progressed
        self._owner = owner
        self.explain = explain
        self._ended = ended
        self._way = way
        self.target = ("", 0)
        self._attempt: Deferred[Any] | None = None
        self._notes: list[Event] = []
        self._whenConnected: list[Deferred[None]] = []
        self._whenClosed: list[Deferred[None]] = []
        # Who waits no more, and for what; told after the events.
        self._outcomes: list[tuple[Deferred[None], Any]] = []
        self._life = _life(self)

    # What the owner asks for

    def connect(self, host: str, port: int, timeout: int) -> None:
        """
        Begin to connect; what there was is dropped without an event.

        @param host: a name or an address. It ends at its first NUL, as in
            Flash.
        @param port: the port.
        @param timeout: how long that may take, name lookup and all, in
            milliseconds.
        @raise errors.SecurityError: #2003, if the port is not from 0 to 65535.
        """
        port = toPort(port)
        if not 0 <= port <= 65535:
            raise errors.SecurityError.numbered(2003)
        host = host.partition("\0")[0]
        self.target = (host, port)
        endpoint = self._way(hostEndpoint(self.reactor, host, port, timeout / 1000), host, port)
        self._life.connect(endpoint, timeout / 1000)
        self._tell()

    def close(self) -> None:
        """
        Close the connection, or give up the attempt; there is no event.

        @raise errors.IOError: #2002, if there is neither.
        """
        if self.connection is None and self._attempt is None:
            raise errors.IOError.numbered(2002)
        self._life.close()
        self._tell()

    def accept(self, connection: LinkProtocol) -> None:
        """
        Take a connection that a server has got.

        @param connection: one that is connected already.
        """
        self._life.accepted(connection)

    def transport(self) -> Connection:
        """
        Get the transport of the connection.

        @raise errors.IOError: #2002, if there is none.
        """
        if self.connection is None:
            raise errors.IOError.numbered(2002)
        return self.connection.transport

    def lost(self) -> None:
        """
        Hear that the connection is lost.
        """
        self._life.lost()
        self._tell()

    # What the owner tells of

    def address(self, side: str) -> str | None:
        """
        Get the address of a side.

        @param side: C{getHost} or C{getPeer}.
        @return: the IP address; C{None} without a connection.
        """
        if self.connection is None:
            return None
        return getattr(getattr(self.connection.transport, side)(), "host", None)

    def port(self, side: str) -> int:
        """
        Get the port of a side.

        @param side: C{getHost} or C{getPeer}.
        @return: the port; 0 without a connection.
        """
        if self.connection is None:
            return 0
        return portOf(getattr(self.connection.transport, side)()) or 0

    def whenConnected(self) -> Deferred[None]:
        """
        Wait for the connection.

        @return: fires when there is one. It fails with L{errors.IOError} #2031 or
            L{errors.SecurityError}, whose text says why and whose cause is the
            failure of the endpoint; or #2002 if there is no attempt.
        """
        if self.connection is not None:
            return succeed(None)
        if self._attempt is None:
            return fail(errors.IOError.numbered(2002))
        return _waitIn(self._whenConnected)

    def whenClosed(self) -> Deferred[None]:
        """
        Wait for the end of the connection, or of the attempt.

        @return: fires when there is none any more, at once if there is none.
        """
        if self.connection is None and self._attempt is None:
            return succeed(None)
        return _waitIn(self._whenClosed)

    # What the states do

    def attempt(self, endpoint: IStreamClientEndpoint, timeout: float) -> None:
        """
        Begin an attempt.

        @param endpoint: the way to the server.
        @param timeout: how long it may take, in seconds.
        """
        attempt = endpoint.connect(_ConnectionFactory())
        self._attempt = attempt.addTimeout(timeout, self.reactor, tookTooLong)
        # The outcome is an event, and those never come within the call.
        self.reactor.callLater(0, self._await, self._attempt)

    def _await(self, attempt: Deferred[Any]) -> None:
        """
        Wait for the outcome of an attempt, unless it has been given up.
        """

        def established(connection: LinkProtocol | None) -> None:
            if connection is None:
                # It was given up before anybody waited for it.
                return
            if self._attempt is attempt:
                self._life.established(connection)
                self._tell()
            else:
                connection.transport.abortConnection()

        def failed(reason: Failure) -> None:
            if self._attempt is attempt:
                self._life.failed(reason)
                self._tell()

        attempt.addCallbacks(established, failed)

    def begin(self, connection: LinkProtocol) -> None:
        """
        Take a connection.

        @param connection: what is connected.
        """
        self._attempt = None
        self.connection = connection
        connection.link = self
        self._outcomes += [(waiting, None) for waiting in self._whenConnected]
        self._whenConnected = []

    def drop(self) -> None:
        """
        Let go of the connection and of the attempt, without an event.
        """
        attempt, connection = self._attempt, self.connection
        self.end(None)
        if attempt is not None:
            attempt.cancel()
            # It says that it was cancelled, which nobody wants to know.
            attempt.addErrback(lambda _: None)
        if connection is not None:
            connection.link = None
            connection.transport.loseConnection()

    def end(self, error: errors.Error | None) -> None:
        """
        Be without a connection, and without an attempt.

        @param error: why an attempt has failed; C{None} after a connection.
        """
        self._attempt = self.connection = None
        self._ended()
        failure = Failure(error or errors.IOError("closed before it was connected"))
        for waiting in self._whenConnected:
            self._outcomes.append((waiting, failure))
        for waiting in self._whenClosed:
            self._outcomes.append((waiting, None))
        self._whenConnected, self._whenClosed = [], []

    def note(self, event: Event) -> None:
        """
        Remember an event that is to be dispatched.

        @param event: an event, for the owner's listeners.
        """
        self._notes.append(event)

    def _tell(self) -> None:
        """
        Dispatch the events that have been noted, and then tell those who wait.
        """
        notes, self._notes = self._notes, []
        try:
            for event in notes:
                self._owner.dispatchEvent(event)
        finally:
            # Also if a listener or the reporter raises: nothing else would tell those who wait.
            outcomes, self._outcomes = self._outcomes, []
            for waiting, outcome in outcomes:
                # A listener may have cancelled it.
                if not waiting.called:
                    waiting.callback(outcome)


def _waitIn(waiters: list[Deferred[None]]) -> Deferred[None]:
    """
    Add a Deferred to those that wait; cancelling removes it.
    """

    def forget(waiting: Deferred[None]) -> None:
        if waiting in waiters:
            waiters.remove(waiting)

    waiting: Deferred[None] = Deferred(forget)
    waiters.append(waiting)
    return waiting


_life = _makeLife()
