"""
Base class of C{Socket} and C{XMLSocket}: connecting and closing.
"""

from collections.abc import Awaitable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure

from openfl_twisted import errors
from openfl_twisted.events import (
    DataEvent,
    Event,
    EventDispatcher,
    IOErrorEvent,
    ProgressEvent,
    SecurityErrorEvent,
)
from openfl_twisted.net._attributes import CheckedAttributes
from openfl_twisted.net._handlers import refuseHandlers
from openfl_twisted.net._link import DEFAULT_TIMEOUT, MIN_TIMEOUT, Link
from openfl_twisted.net._listeners import awaitListener
from openfl_twisted.net._permission import permissions
from openfl_twisted.net._reasons import reasonOf
from openfl_twisted.wire.text import describeValue

# The events of received data.
_RECEIVING = frozenset((DataEvent.DATA, ProgressEvent.SOCKET_DATA))


@refuseHandlers(
    onConnect="Event.CONNECT",
    onClose="Event.CLOSE",
    onIOError="IOErrorEvent.IO_ERROR",
    onError="IOErrorEvent.IO_ERROR",
    onSecurityError="SecurityErrorEvent.SECURITY_ERROR",
)
class StreamSocket(CheckedAttributes, EventDispatcher):
    """
    A TCP socket. The socket dispatches C{connect}, C{close} and C{ioError}. It dispatches
    C{securityError} if C{Security.sandboxType} requires a permission that no policy file
    grants. Subclasses implement sending and receiving.
    """

    _eventTypes = frozenset(
        (
            Event.CLOSE,
            Event.CONNECT,
            IOErrorEvent.IO_ERROR,
            SecurityErrorEvent.SECURITY_ERROR,
        )
    )

    def __init__(self, host: str | None, port: int, reactor: Any) -> None:
        """
        @param host: the host to connect to immediately; C{None} to connect later.
        @param port: the port to connect to.
        @param reactor: the reactor (default: the global reactor).
        """
        super().__init__()
        self._timeout = DEFAULT_TIMEOUT
        self._link = Link(
            self,
            received=self._received,
            progressed=self._progressed,
            ended=self._ended,
            wrapEndpoint=self._permitted,
            explain=self._explain,
            reactor=reactor,
        )
        if host is not None:
            self.connect(host, port)

    def connect(self, host: str | None, port: int) -> None:
        """
        Connect to a server; an event reports the result. A previous connection is
        closed without an event.

        @param host: a host name or IP address. C{None} selects the local machine, or, in the
            sandbox C{REMOTE}, the host of C{Security.swfURL}.
        @param port: the port; text is converted as in ActionScript.
        @raise errors.SecurityError: #2003, if the port is not from 0 to 65535; #2010,
            in the sandbox C{LOCAL_WITH_FILE}.
        @raise errors.ArgumentError: if C{Security.swfURL} is required but not a valid
            URL.
        """
        if host is None:
            host = permissions.defaultHost()
        self._link.connect(host, port, self._timeout)

    def close(self) -> None:
        """
        Close the connection, or cancel the connection attempt. Sent data is still
        delivered; received data is dropped. No event is dispatched.

        @raise errors.IOError: #2002, if the socket is neither connected nor connecting.
        """
        self._link.close()

    @property
    def connected(self) -> bool:
        """
        Whether the socket is connected. The value becomes C{True} directly before C{connect}
        is dispatched, and C{False} directly before C{close} is dispatched.
        """
        return self._link.connection is not None

    @property
    def timeout(self) -> int:
        """
        Timeout of a connection attempt (milliseconds; default 20000, minimum 250). A
        change does not affect an attempt in progress.
        """
        return self._timeout

    @timeout.setter
    def timeout(self, value: int) -> None:
        if not isinstance(value, int | float):
            raise errors.TypeError(
                f"timeout must be a number of milliseconds, not {describeValue(value)}"
            )
        self._timeout = max(MIN_TIMEOUT, value)

    def whenConnected(self) -> Deferred[None]:
        """
        Wait until the connection is established.

        @return: fires after the C{connect} event; fails if the attempt fails.
        """
        return self._link.whenConnected()

    def whenClosed(self) -> Deferred[None]:
        """
        Wait until the connection is closed, by either side.

        @return: fires when the socket is neither connected nor connecting.
        """
        return self._link.whenClosed()

    def _permitted(
        self, endpoint: IStreamClientEndpoint, host: str, port: int
    ) -> IStreamClientEndpoint:
        wrapped = self._wrapEndpoint(endpoint, host)
        return permissions.permittedEndpoint(wrapped, host, port, self._link.reactor)

    def _wrapEndpoint(self, endpoint: IStreamClientEndpoint, host: str) -> IStreamClientEndpoint:
        """
        Return the endpoint to use for a connection attempt. A subclass can wrap the given
        endpoint.
        """
        return endpoint

    def _explain(self, reason: Failure, host: str, port: int) -> str:
        return reasonOf(reason, host, port)

    def _received(self, data: bytes) -> None:
        """
        Called with data received on the connection.
        """
        raise NotImplementedError

    def _runListeners(self, started: Sequence[Awaitable[Any]], event: Event) -> None:
        """
        Run asynchronous listeners. While a listener for received data runs, no data is
        delivered, and reading is paused.
        """
        connection = self._link.connection
        if connection is None or event.type not in _RECEIVING:
            super()._runListeners(started, event)
            return
        for awaitable in started:
            connection.handlerReturned(awaitListener(awaitable, event))

    def _progressed(self) -> None:
        """
        Called when queued data has been written to the operating system.
        """

    def _ended(self) -> None:
        """
        Called when the connection is closed or lost. Drops the data of the connection.
        """
