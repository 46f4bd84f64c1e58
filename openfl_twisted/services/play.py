"""
The web pages beside a game (C{--site} and C{--play}): static files, and a page that runs a SWF file
in Ruffle.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.web.http import (
    MOVED_PERMANENTLY,
    NO_CONTENT,
    NOT_ALLOWED,
    NOT_FOUND,
    NOT_MODIFIED,
    PARTIAL_CONTENT,
    REQUESTED_RANGE_NOT_SATISFIABLE,
    SERVICE_UNAVAILABLE,
    datetimeToString,
)
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.dashboard.adminhttp import SmallRequest, SmallSite
from openfl_twisted.logs import packageLogger
from openfl_twisted.services.sitefiles import SiteFolder, contentTypeOf
from openfl_twisted.types import AnyClock

MAX_CHUNK = 16 * 1024
"""
Number of bytes of a file that are sent in one reactor iteration to one client.
"""

_METHODS = "GET, HEAD, OPTIONS"
_OWN, _RUFFLE = "_openfl", "ruffle"
_REVALIDATE = "no-cache"
# Ruffle's names contain a hash of the content.
_hashed = re.compile(r"(.*\.)?[0-9a-f]{20}\.(js|wasm)")
_IMMUTABLE = "max-age=31536000, immutable"
# Matches the beginning of a URL, before its path.
_absolute = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/]*")
_range = re.compile(rb"bytes=([0-9]{0,15})-([0-9]{0,15})")


def _policyFor(ruffle: str) -> str:
    """
    Return the Content-Security-Policy of the generated page.

    @param ruffle: the URL of Ruffle's folder, if it is on another server; otherwise an empty text.
    """
    source = f" {ruffle}" if ruffle else ""
    return "; ".join(
        (
            "default-src 'self'",
            # Ruffle is compiled to WebAssembly.
            f"script-src 'self' 'wasm-unsafe-eval'{source}",
            # Ruffle creates a worker from its own code.
            "worker-src 'self' blob:",
            # Ruffle adds style elements to the page.
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "media-src 'self' data: blob:",
            # Includes WebSockets to the host and port of the page.
            f"connect-src 'self'{source}",
            "object-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'self'",
        )
    )


@implementer(IPushProducer)
class _FileProducer:
    """
    Sends a part of a file. It writes one chunk in each reactor iteration, so that a download does
    not delay other clients.
    """

    def __init__(self, request: Request, file: BinaryIO, left: int, clock: IReactorTime) -> None:
        """
        @param file: the file, at the first byte to send; closed at the end of the request.
        @param left: number of bytes to send.
        """
        self._request = request
        self._file = file
        self._left = left
        self._clock = clock
        self._next: Any = None
        request.notifyFinish().addBoth(self._finished)
        request.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        if self._next is None:
            self._next = self._clock.callLater(0, self._send)

    def pauseProducing(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    stopProducing = pauseProducing

    def _send(self) -> None:
        self._next = None
        try:
            data = self._file.read(min(MAX_CHUNK, self._left))
        except OSError:
            data = b""
        self._left -= len(data)
        if data:
            # The transport may pause this producer while it writes.
            self.resumeProducing()
            self._request.write(data)
            return
        if self._left:
            # The file has become shorter, or the disk has failed. The client expects more bytes.
            self._request.loseConnection()
            return
        self._request.unregisterProducer()
        self._request.finish()

    def _finished(self, result: object) -> None:
        self.pauseProducing()
        self._file.close()


class PlaySite(Resource):
    """
    The web pages beside a game: the files of a folder, a generated page for a SWF file, Ruffle, and
    the health check C{/healthz}. There are no listings of folders, no hidden files, and no files
    with other endings than those in L{openfl_twisted.services.sitefiles.CONTENT_TYPES}.

    @ivar stopping: whether the service is stopping, for the health check.
    """

    isLeaf = True
    log = packageLogger()

    def __init__(
        self,
        folder: str | Path,
        *,
        play: str | None = None,
        ruffle: str | Path | None = None,
        sockets: Iterable[tuple[str, int, str]] = (),
        config: Mapping[str, Any] | None = None,
        cors: str | None = None,
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param folder: the folder with the files.
        @param play: the SWF file for the generated page, relative to the folder (default: no
            page is generated).
        @param ruffle: the folder of Ruffle, or its C{https:} URL (default: the folder C{ruffle}
            in C{folder}).
        @param sockets: the hosts and ports to which the SWF file connects, each with the path of
            its WebSocket relative to the page.
        @param config: more settings of Ruffle, as in C{window.RufflePlayer.config}.
        @param cors: the origin whose pages may read the files, or C{*} for all (default: only
            pages of this server).
        @param clock: an C{IReactorTime} provider (default: the global reactor).
        """
        super().__init__()
        self.stopping = False
        self._folder = SiteFolder(folder)
        self._ruffle: SiteFolder | None = None
        self._cors = cors
        self._clock = clockOrReactor(clock)
        self._failed = False
        self._own: dict[str, tuple[str, bytes]] = {}
        self._page: bytes | None = None
        if play is None:
            return
        remote = str(ruffle) if str(ruffle).startswith("https:") else ""
        if remote:
            remote = remote.rstrip("/") + "/"
        elif ruffle is not None:
            self._ruffle = SiteFolder(ruffle)
        settings = {
            "swf": quote(play),
            "ruffle": f"{remote or f'{_RUFFLE}/'}ruffle.js",
            "sockets": [{"host": host, "port": port, "path": path} for host, port, path in sockets],
            "config": dict(config or {}),
        }
        static = files(__package__) / "static"
        self._page = (static / "play.html").read_bytes()
        self._policy = _policyFor(remote)
        self._own = {
            "play.js": ("text/javascript; charset=utf-8", (static / "play.js").read_bytes()),
            "play.json": ("application/json", json.dumps(settings, allow_nan=False).encode()),
        }

    def render(self, request: Request) -> bytes | int:
        request.responseHeaders.removeHeader("Server")
        request.setHeader("X-Content-Type-Options", "nosniff")
        if self._cors is not None:
            request.setHeader("Access-Control-Allow-Origin", self._cors)
        if request.method not in (b"GET", b"HEAD"):
            return self._answerOther(request)
        try:
            names = [name.decode() for name in request.postpath or []]
        except UnicodeDecodeError:
            return self._answer(request, NOT_FOUND)
        match names:
            case _ if not request.path.startswith(b"/"):
                return self._answer(request, NOT_FOUND)
            case ["healthz"]:
                status = SERVICE_UNAVAILABLE if self.stopping else 200
                return self._answer(request, status, b"stopping" if self.stopping else b"ok")
            case [own, *rest] if own == _OWN and self._own:
                return self._sendOwn(request, *self._own.get("/".join(rest), ("", None)))
            case [ruffle, *rest] if ruffle == _RUFFLE and self._ruffle is not None:
                return self._send(request, self._ruffle, rest)
        return self._send(request, self._folder, names)

    def _answerOther(self, request: Request) -> bytes:
        """
        Answer a request with another method than GET and HEAD.
        """
        if request.method == b"OPTIONS":
            request.setHeader("Allow", _METHODS)
            if self._cors is not None:
                request.setHeader("Access-Control-Allow-Methods", _METHODS)
                request.setHeader("Access-Control-Allow-Headers", "Range")
            request.setResponseCode(NO_CONTENT)
            return b""
        request.setHeader("Allow", _METHODS)
        request.setHeader("Connection", "close")
        request.channel.persistent = False
        return self._answer(request, NOT_ALLOWED)

    def _answer(self, request: Request, status: int, text: bytes = b"") -> bytes:
        """
        Answer with a line of text, such as the reason phrase of the status.
        """
        request.setResponseCode(status)
        request.setHeader("Cache-Control", "no-store")
        return self._body(request, "text/plain", (text or request.code_message) + b"\n")

    def _body(self, request: Request, contentType: str, body: bytes) -> bytes:
        request.setHeader("Content-Type", contentType)
        if request.method == b"HEAD":
            request.setHeader("Content-Length", str(len(body)))
            return b""
        return body

    def _sendOwn(self, request: Request, contentType: str, body: bytes | None) -> bytes:
        """
        Send the generated page, its script or its settings.
        """
        if body is None:
            return self._answer(request, NOT_FOUND)
        request.setHeader("Cache-Control", _REVALIDATE)
        return self._body(request, contentType, body)

    def _send(self, request: Request, folder: SiteFolder, names: list[str]) -> bytes | int:
        """
        Send a file of a folder.

        @param names: the decoded segments of the path. An empty last segment is the index page.
        """
        isIndex = names[-1:] in ([], [""])
        path = folder.find(names[:-1] if isIndex else names)
        if path is not None and path.is_dir():
            if not isIndex:
                # Relative links in the index page require the slash.
                request.setHeader("Location", f"./{quote(names[-1], safe='')}/")
                return self._answer(request, MOVED_PERMANENTLY)
            path = folder.find([*names[:-1], "index.html"])
        elif isIndex:
            path = None
        if path is not None and path.is_file():
            contentType = contentTypeOf(path) or ""
            if names == ["crossdomain.xml"] and folder is self._folder:
                contentType = "text/x-cross-domain-policy"
            isHashed = folder is self._ruffle and _hashed.fullmatch(path.name)
            request.setHeader("Cache-Control", _IMMUTABLE if isHashed else _REVALIDATE)
            return self._sendFile(request, folder, path, contentType)
        if names == [""] and folder is self._folder and self._page is not None:
            request.setHeader("Content-Security-Policy", self._policy)
            return self._sendOwn(request, "text/html; charset=utf-8", self._page)
        return self._answer(request, NOT_FOUND)

    def _sendFile(
        self, request: Request, folder: SiteFolder, path: Path, contentType: str
    ) -> bytes | int:
        try:
            file = folder.open(path)
        except OSError as problem:
            if not self._failed:
                self._failed = True
                self.log.warn(
                    "cannot read {path}: {problem}; further files that cannot be read are not "
                    "logged",
                    path=str(path),
                    problem=problem.strerror,
                )
            return self._answer(request, NOT_FOUND)
        stat = os.fstat(file.fileno())
        modified, size = datetimeToString(int(stat.st_mtime)), stat.st_size
        request.setHeader(b"Last-Modified", modified)
        # Browsers repeat the value.
        if request.getHeader(b"If-Modified-Since") == modified:
            file.close()
            request.setResponseCode(NOT_MODIFIED)
            request.finish()
            return NOT_DONE_YET
        request.setHeader("Content-Type", contentType)
        request.setHeader("Accept-Ranges", "bytes")
        start, stop = _rangeOf(request, modified, size)
        if start >= stop and size + start:
            file.close()
            request.setHeader("Content-Range", f"bytes */{size}")
            return self._answer(request, REQUESTED_RANGE_NOT_SATISFIABLE)
        if (start, stop) != (0, size):
            request.setResponseCode(PARTIAL_CONTENT)
            request.setHeader("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        request.setHeader("Content-Length", str(stop - start))
        if request.method == b"HEAD":
            file.close()
            return b""
        file.seek(start)
        _FileProducer(request, file, stop - start, self._clock)
        return NOT_DONE_YET


def _rangeOf(request: Request, modified: bytes, size: int) -> tuple[int, int]:
    """
    Return the first byte of the requested part of a file, and the byte after the last one. A
    request for several parts gets the whole file.

    @param modified: the value of the header field Last-Modified.
    @param size: the size of the file (bytes).
    @return: an empty part, if no byte of the requested part exists.
    """
    # Only GET requests have a range.
    found = _range.fullmatch(request.getHeader(b"Range") or b"")
    isSame = request.getHeader(b"If-Range") in (None, modified)
    if found is None or found[0] == b"bytes=-" or not isSame or request.method != b"GET":
        return 0, size
    first, last = found.groups()
    if not first:
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return 0, size
    return int(first), min(size, int(last) + 1 if last else size)


class _PlayRequest(SmallRequest):
    def process(self) -> None:
        if self.path == b"*":
            # Otherwise, twisted.web answers, with the header field Server.
            self.path = b"/*"
        elif found := _absolute.match(self.path):
            # Servers must accept URLs (RFC 9112, 3.2.2).
            self.path = self.path[found.end() :] or b"/"
        super().process()


class PlayFactory(SmallSite):
    """
    The HTTP server of the web pages beside a game.

    @ivar resource: the pages.
    """

    resource: PlaySite

    def __init__(self, resource: PlaySite, clock: AnyClock | None = None) -> None:
        """
        @param clock: an C{IReactorTime} provider (default: the global reactor).
        """
        super().__init__(resource, _PlayRequest, clock)

    def startFactory(self) -> None:
        # Without the timer of the base class, which is for the access log.
        self.resource.stopping = False

    def stopFactory(self) -> None:
        self.resource.stopping = True

    def drain(self) -> None:
        """
        Answer health checks with 503 from now on.
        """
        self.resource.stopping = True
