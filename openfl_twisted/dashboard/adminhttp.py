"""
A small HTTP server for the operators of a server. The HTTP server has its own port and its own
limits, independent of the limits for clients.
"""

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, ClassVar, cast

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ServerEndpoint
from twisted.internet.interfaces import (
    IAddress,
    ITransport,
)
from twisted.logger import LogLevel
from twisted.web.http import NOT_ALLOWED
from twisted.web.http import Request as HTTPRequest
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

from openfl_twisted.addresses import describe, portOf
from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.endpoints import ListeningEndpoint
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.types import AnyClock, AnyServerEndpoint

_MAX_BODY = 16 * 1024
"""
Maximum size of a request body (bytes).
"""

MAX_CONNECTIONS = 64
"""
Maximum number of concurrent connections.
"""

REQUEST_TIMEOUT = 30.0
"""
Maximum seconds between two requests on a connection, and maximum seconds to receive a request.
"""


class SmallRequest(Request):
    """
    A request with a small body.

    @cvar headers: header fields of every response.
    """

    headers: ClassVar[Mapping[str, str]] = {"X-Content-Type-Options": "nosniff"}

    _left = _MAX_BODY

    def gotLength(self, length: int | None) -> None:
        # The body is small enough to be kept in memory.
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """
        Store the body, up to L{_MAX_BODY} bytes.
        """
        if self._left < 0:
            return
        self._left -= len(data)
        if self._left >= 0:
            super().handleContentChunk(data)
            return
        answer = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        cast("ITransport", self.channel.transport).write(answer)
        self.channel.loseConnection()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if self._left >= 0:
            super().requestReceived(command, path, version)

    def process(self) -> None:
        for name, value in self.headers.items():
            self.setHeader(name, value)
        super().process()


class _AdminRequest(SmallRequest):
    headers = {
        **SmallRequest.headers,
        "Content-Security-Policy": (
            "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


class Directory(Resource):
    """
    A resource that has only children.
    """

    def getChild(self, path: bytes, request: HTTPRequest) -> IResource:
        return notFound()


class ReadOnlyResource(Resource):
    """
    A resource for GET and HEAD. Subclasses define C{render_GET}.
    """

    isLeaf = True

    def render(self, request: Request) -> bytes | int:
        if request.method in (b"GET", b"HEAD"):
            page: bytes | int = super().render(request)
            return page
        request.setResponseCode(NOT_ALLOWED)
        request.setHeader("Allow", "GET, HEAD")
        return b""


class SmallSite(Site):
    """
    A C{Site} for small requests, without an access log.
    """

    noisy = False

    def __init__(
        self,
        resource: IResource,
        requestFactory: type[SmallRequest],
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param clock: an C{IReactorTime} provider (default: the global reactor).
        """
        super().__init__(
            resource,
            requestFactory,
            timeout=REQUEST_TIMEOUT,
            parsePOSTFormSubmission=False,
            reactor=clockOrReactor(clock),
        )

    def log(self, request: HTTPRequest) -> None:
        pass


class _AdminGuard(GuardFactory):
    # Log lines about operators' connections would hide the lines about clients.
    logLevel = LogLevel.debug

    def acceptableProtocols(self) -> list[bytes]:
        """
        Offer HTTP/1.1 only: the limits of this module do not apply to HTTP/2.
        """
        return [b"http/1.1"]


class AdminService(MultiService):
    """
    An HTTP server on its own port.

    @ivar guard: the guard of the connections.
    @ivar ownPort: the number of the port; C{None} for a UNIX socket, and before it is open.
    """

    ownPort: int | None = None

    def __init__(
        self,
        endpoint: AnyServerEndpoint,
        resource: IResource,
        opened: Callable[[str], object],
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param opened: called with the URL when the port is open, or with the
            address of a UNIX socket.
        @param clock: an C{IReactorTime} provider (default: the global reactor).
        """
        super().__init__()
        self._opened = opened
        self._scheme = "https" if isinstance(endpoint, SSL4ServerEndpoint) else "http"
        site = SmallSite(resource, _AdminRequest, clock)
        self.guard: GuardFactory = _AdminGuard(site, maxConnections=MAX_CONNECTIONS, clock=clock)
        port = StreamServerEndpointService(ListeningEndpoint(endpoint, self._announce), self.guard)
        port.setServiceParent(self)

    def _announce(self, host: IAddress) -> None:
        at = describe(host)
        self.ownPort = portOf(host)
        self._opened(at if portOf(host) is None else f"{self._scheme}://{at}/")

    def stopService(self) -> Deferred[Any]:
        stopped: Deferred[object] = super().stopService()
        return stopped.addCallback(lambda _: self.guard.closeAll(1.0))
