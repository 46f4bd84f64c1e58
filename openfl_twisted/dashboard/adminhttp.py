"""
Small sites beside a server, for those who look after it. Their limits are their
own: who looks does not take a client's place, nor the other way round.
"""

from collections.abc import Callable
from io import BytesIO
from typing import Any, cast

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ServerEndpoint
from twisted.internet.interfaces import (
    IAddress,
    IReactorTime,
    IStreamServerEndpoint,
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
from openfl_twisted.protocols.guard import GuardFactory

MAX_BODY = 16 * 1024
"""
How much a request may bring with it, in bytes.
"""

MAX_BROWSERS = 64
"""
How many connections a site has at once.
"""

REQUEST_TIMEOUT = 30.0
"""
How long a connection may be idle between requests, or a request take to arrive,
in seconds.
"""

_PATIENCE = 1.0

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class _SmallRequest(Request):
    """
    A request that brings little with it, and whose answer the browser handles
    with care.
    """

    _left = MAX_BODY

    def gotLength(self, length: int | None) -> None:
        """
        Keep in memory what comes: it is little.
        """
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """
        Take what comes, up to the limit.
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
        """
        Deal with a request that is complete.
        """
        if self._left >= 0:
            super().requestReceived(command, path, version)

    def process(self) -> None:
        """
        Say to the browser what is not done here.
        """
        for name, value in _HEADERS.items():
            self.setHeader(name, value)
        super().process()


class Folder(Resource):
    """
    What has something beneath it, and nothing else.
    """

    def getChild(self, path: bytes, request: HTTPRequest) -> IResource:
        """
        Say that there is nothing of this name.
        """
        return notFound()


class Page(Resource):
    """
    Something that can be got. Subclasses give C{render_GET}.
    """

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """
        Give it, to who wants to get it.
        """
        if request.method in (b"GET", b"HEAD"):
            page: bytes = super().render(request)
            return page
        request.setResponseCode(NOT_ALLOWED)
        request.setHeader("Allow", "GET, HEAD")
        return b""


class SmallSite(Site):
    """
    A site with small requests, of which the log does not speak.
    """

    noisy = False

    def __init__(self, resource: IResource, clock: IReactorTime | None = None) -> None:
        """
        @param resource: what is served.
        @param clock: for the times; the reactor if there is none.
        """
        super().__init__(
            resource,
            _SmallRequest,
            timeout=REQUEST_TIMEOUT,
            parsePOSTFormSubmission=False,
            reactor=clockOrReactor(clock),
        )

    def log(self, request: HTTPRequest) -> None:
        """
        Say nothing.
        """


class _SiteGuard(GuardFactory):
    """
    The guard of a site.
    """

    # A line for each look would hide those of the clients.
    logLevel = LogLevel.debug

    def acceptableProtocols(self) -> list[bytes]:
        """
        Name what is spoken, for TLS: what is limited here is HTTP/1.1 only.
        """
        return [b"http/1.1"]


class SiteService(MultiService):
    """
    A small site on a port of its own.

    @ivar guard: the guard of its connections.
    """

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        resource: IResource,
        opened: Callable[[str], object],
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param endpoint: where it is.
        @param resource: what is served.
        @param opened: is told the address of the site, for people, when it can
            be reached.
        @param clock: for the times; the reactor if there is none.
        """
        super().__init__()
        self._opened = opened
        self._scheme = "https" if isinstance(endpoint, SSL4ServerEndpoint) else "http"
        site = SmallSite(resource, clock)
        self.guard: GuardFactory = _SiteGuard(site, maxConnections=MAX_BROWSERS, clock=clock)
        port = StreamServerEndpointService(ListeningEndpoint(endpoint, self._announce), self.guard)
        port.setServiceParent(self)

    def _announce(self, host: IAddress) -> None:
        at = describe(host)
        self._opened(at if portOf(host) is None else f"{self._scheme}://{at}/")

    def stopService(self) -> Deferred[Any]:
        """
        Close the port and the connections.

        @return: fires when all are closed.
        """
        stopped: Deferred[object] = super().stopService()
        return stopped.addCallback(lambda _: self.guard.closeAll(_PATIENCE))
