"""
What C{Socket} and C{XMLSocket} share: connecting, closing, and waiting for
either.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure

from openfl_twisted.events import EventDispatcher
from openfl_twisted.net.link import DEFAULT_TIMEOUT, MIN_TIMEOUT, Link
from openfl_twisted.net.permission import permissions
from openfl_twisted.net.reasons import reasonOf


class StreamSocket(EventDispatcher):
    """
    A socket with a connection of TCP. It dispatches C{connect}, C{close},
    C{ioError}, and C{securityError} where C{Security.sandboxType} wants a
    permission and there is none; its subclasses say what they do with data.
    """

    def __init__(self, host: str | None, port: int, reactor: Any) -> None:
        """
        @param host: where to connect at once; C{None} to connect later.
        @param port: the port for that.
        @param reactor: the reactor, or C{None} for the one that runs.
        """
        super().__init__()
        self._timeout = DEFAULT_TIMEOUT
        self._link = Link(
            self,
            received=self._received,
            progressed=self._progressed,
            ended=self._ended,
            way=self._permitted,
            explain=self._explain,
            reactor=reactor,
        )
        if host is not None:
            self.connect(host, port)

    def connect(self, host: str | None, port: int) -> None:
        """
        Connect to a server. What there was before is closed without an event;
        the outcome is an event.

        @param host: a name or an address, IPv6 too; C{None} means this machine,
            or the host of C{Security.swfURL} in the sandbox C{REMOTE}.
        @param port: the port; text is converted as in ActionScript.
        @raise errors.SecurityError: #2003, if the port is not from 0 to 65535;
            #2010, in the sandbox C{LOCAL_WITH_FILE}.
        @raise errors.ArgumentError: if C{Security.swfURL} is needed and no URL.
        """
        if host is None:
            host = permissions.home()
        self._link.connect(host, port, self._timeout)

    def close(self) -> None:
        """
        Close the connection, or give up the attempt to make one. What was sent
        still arrives, and nothing comes any more, not even what has been
        received already. There is no event.

        @raise errors.IOError: #2002, if there is neither.
        """
        self._link.close()

    @property
    def connected(self) -> bool:
        """
        Whether there is a connection: from just before C{connect} until just
        before C{close}.
        """
        return self._link.connection is not None

    @property
    def timeout(self) -> int:
        """
        How long an attempt to connect may take, in milliseconds; 20000 at
        first. Less than 250 is stored as 250. An attempt that has begun keeps
        its own.
        """
        return self._timeout

    @timeout.setter
    def timeout(self, value: int) -> None:
        self._timeout = max(MIN_TIMEOUT, value)

    def whenConnected(self) -> Deferred[None]:
        """
        Wait for the connection, beside the events.

        @return: fires after C{connect}; fails if the attempt does.
        """
        return self._link.whenConnected()

    def whenClosed(self) -> Deferred[None]:
        """
        Wait for the end of the connection, by whichever side.

        @return: fires when there is no connection any more.
        """
        return self._link.whenClosed()

    def _permitted(
        self, endpoint: IStreamClientEndpoint, host: str, port: int
    ) -> IStreamClientEndpoint:
        way = self._way(endpoint, host)
        return permissions.inFrontOf(way, host, port, self._link.reactor)

    def _way(self, endpoint: IStreamClientEndpoint, host: str) -> IStreamClientEndpoint:
        """
        Choose how to get to a server.
        """
        return endpoint

    def _explain(self, reason: Failure, host: str, port: int) -> str:
        return reasonOf(reason, host, port)

    def _received(self, data: bytes) -> None:
        """
        Deal with bytes that have come.
        """
        raise NotImplementedError

    def _progressed(self) -> None:
        """
        Hear that bytes have been handed to the network.
        """

    def _ended(self) -> None:
        """
        Drop what belonged to the connection.
        """
