"""
Pages in a headless Chromium, served on the loopback interface. A page sends reports of
its events.
"""

import json
import mimetypes
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.http import NO_CONTENT, NOT_FOUND
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tests.live.peers import HOST, Process, run, serving, theReactor

REPORT_TIMEOUT = 240
"""
Timeout for a report (seconds). Starting a browser on a busy machine takes long.
"""

MAX_SHOWN = 10_000
"""
Maximum length of the browser's output and of other values in an error.
"""

CHROMIUM = next(
    filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None
)

FLAGS = (
    "--headless",
    # The sandbox does not work for root, and is not needed for our own pages.
    "--no-sandbox",
    "--disable-gpu",
    # Shared memory can be too small in a container.
    "--disable-dev-shm-usage",
    "--no-first-run",
    # Disable connections to other machines.
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The certificates of tests have no trust anchor.
    "--ignore-certificate-errors",
    # An error includes the page's console output.
    "--enable-logging=stderr",
)

# The tables of some systems do not contain this type, which WebAssembly requires.
mimetypes.add_type("application/wasm", ".wasm")


class Page(Resource):
    """
    An open page. As a resource, it serves files and receives reports. Importing Twisted's
    C{static} raises a deprecation warning.

    @ivar reports: the reports so far. Each is a list of an event and its values.
    """

    isLeaf = True

    def __init__(self, folders: Mapping[str, Path]) -> None:
        super().__init__()
        self.reports: list[list[Any]] = []
        self.browser = Process()
        self._folders = folders
        self._stopped = False
        self._wanted: tuple[list[Any], Deferred[None]] | None = None

    def render_GET(self, request: Request) -> bytes:
        first, *names = [name.decode() for name in request.postpath or []]
        path = self._folders.get(first, Path(os.devnull)).joinpath(*names)
        if ".." in names or not path.is_file():
            request.setResponseCode(NOT_FOUND)
            return b""
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        request.setHeader("Content-Type", kind)
        return path.read_bytes()

    def render_POST(self, request: Request) -> bytes:
        assert request.content is not None
        report = json.load(request.content)
        self.reports.append(report)
        self._checkReports()
        if report[0] == "error":
            self.stopWaiting()
        request.setResponseCode(NO_CONTENT)
        return b""

    def _checkReports(self) -> None:
        if self._wanted is not None and self._wanted[0] in self.reports:
            (_, found), self._wanted = self._wanted, None
            found.callback(None)

    def stopWaiting(self) -> None:
        """
        End a pending wait with an error.
        """
        self._stopped = True
        if self._wanted is not None:
            self._wanted[1].cancel()

    async def until(self, *wanted: Any) -> list[list[Any]]:
        """
        Wait until the page has sent a report.

        @return: all reports.
        """
        found: Deferred[None] = Deferred()
        self._wanted = (list(wanted), found)
        self._checkReports()
        if self._stopped:
            found.cancel()
        try:
            await found.addTimeout(REPORT_TIMEOUT, theReactor())
        except (DeferredTimeoutError, CancelledError):
            self._wanted = None
            printed = self.browser.printed[-MAX_SHOWN:].decode(errors="replace")
            reports, missing = (str(value)[:MAX_SHOWN] for value in (self.reports, wanted))
            raise AssertionError(
                f"{missing} was not reported, but {reports}; the browser: {printed}"
            ) from None
        return self.reports

    def messages(self) -> list[str]:
        """
        Return the messages received by the page.
        """
        return [value for kind, *values in self.reports if kind == "data" for value in values]


@asynccontextmanager
async def shown(page: Page, url: str) -> AsyncIterator[None]:
    """
    Context manager that opens a page in the browser.

    @param page: receives the reports.
    """
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        page.browser = run(
            # Crash reports are written to the home directory.
            *("env", f"HOME={profile}", CHROMIUM, *FLAGS, f"--user-data-dir={profile}"),
            url,
            # With a terminal, the process has a separate process group.
            usePTY=True,
        )
        group = page.browser.transport.pid
        page.browser.ended.addBoth(lambda _: page.stopWaiting())
        try:
            yield
        finally:
            # The browser consists of several processes and has nothing to save.
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            await page.browser.ended


@asynccontextmanager
async def opened(
    folders: Mapping[str, Path],
    path: str,
    parameters: Mapping[str, Any],
    certificate: Path | None = None,
) -> AsyncIterator[Page]:
    """
    Context manager that serves and opens a page.

    @param folders: the served folders, by the first segment of the path.
    @param path: the path of the page.
    @param parameters: the parameters of the query.
    @param certificate: the certificate of the page, to serve it with https.
    """
    page = Page(folders)
    site: IProtocolFactory = Site(page)
    if certificate is not None:
        context = DefaultOpenSSLContextFactory(str(certificate), str(certificate))
        site = TLSMemoryBIOFactory(context, False, site)
    scheme = "http" if certificate is None else "https"
    query = urlencode(parameters, doseq=True)
    async with (
        serving(site) as (port, _),
        shown(page, f"{scheme}://{HOST}:{port}/{path}?{query}"),
    ):
        yield page
