"""
A page in a real browser: served on loopback, opened in Chromium without a
window, and told of by itself.
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
from twisted.internet.defer import TimeoutError as WaitedTooLong
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.http import NO_CONTENT, NOT_FOUND
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tests.live.peers import HOST, Process, run, serving, theReactor

PATIENCE = 240
"""
How long to wait for a report, in seconds: a browser and a player that start on
a machine that does much else.
"""

MOST_SHOWN = 10_000
"""
How much of what the browser has printed, and of other things, a failure shows.
"""

CHROMIUM = next(
    filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None
)

FLAGS = (
    "--headless",
    # Root has no sandbox, and the pages are our own.
    "--no-sandbox",
    "--disable-gpu",
    # In a container there can be too little of it.
    "--disable-dev-shm-usage",
    "--no-first-run",
    # What would leave this machine.
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The certificates of tests are trusted by nobody.
    "--ignore-certificate-errors",
    # What a page writes to its console belongs to what a failed test shows.
    "--enable-logging=stderr",
)

# Systems have their own tables, and not all of them know it; WebAssembly must be named right.
mimetypes.add_type("application/wasm", ".wasm")


class Page(Resource):
    """
    A page that is open. As a resource it gives out the files of folders, and
    takes reports.

    (To import Twisted's own C{static} is a deprecation warning.)

    @ivar reports: what the page has reported until now: each is a list of what
        has happened and of values.
    """

    isLeaf = True

    def __init__(self, folders: Mapping[str, Path]) -> None:
        super().__init__()
        self.reports: list[list[Any]] = []
        self.browser = Process()
        self._folders = folders
        self._over = False
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
        self._look()
        if report[0] == "error":
            self.giveUp()
        request.setResponseCode(NO_CONTENT)
        return b""

    def _look(self) -> None:
        if self._wanted is not None and self._wanted[0] in self.reports:
            (_, found), self._wanted = self._wanted, None
            found.callback(None)

    def giveUp(self) -> None:
        """
        Wait no more: what has not come will not come.
        """
        self._over = True
        if self._wanted is not None:
            self._wanted[1].cancel()

    async def until(self, *wanted: Any) -> list[list[Any]]:
        """
        Wait until the page has reported something.

        @return: all that it has reported.
        """
        found: Deferred[None] = Deferred()
        self._wanted = (list(wanted), found)
        self._look()
        if self._over:
            found.cancel()
        try:
            await found.addTimeout(PATIENCE, theReactor())
        except (WaitedTooLong, CancelledError):
            self._wanted = None
            printed = self.browser.printed[-MOST_SHOWN:].decode(errors="replace")
            reports, missing = (str(value)[:MOST_SHOWN] for value in (self.reports, wanted))
            raise AssertionError(
                f"{missing} was not reported, but {reports}; the browser: {printed}"
            ) from None
        return self.reports

    def messages(self) -> list[str]:
        """
        Get the messages that have come.
        """
        return [value for kind, *values in self.reports if kind == "data" for value in values]


@asynccontextmanager
async def shown(page: Page, url: str) -> AsyncIterator[None]:
    """
    Show a page in the browser while the block runs.

    @param page: takes the reports of what is at the URL.
    """
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        page.browser = run(
            # It would leave reports of crashes at home.
            *("env", f"HOME={profile}", CHROMIUM, *FLAGS, f"--user-data-dir={profile}"),
            url,
            # With a terminal it has a process group of its own.
            usePTY=True,
        )
        group = page.browser.transport.pid
        page.browser.ended.addBoth(lambda _: page.giveUp())
        try:
            yield
        finally:
            # It is many processes, and has nothing to save.
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
    Open a page while the block runs.

    @param folders: what is served, by the first part of the path.
    @param path: where the page is.
    @param parameters: its query.
    @param certificate: for a page that comes by https.
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
