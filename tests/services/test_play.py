"""
Tests for L{openfl_twisted.services.play}.
"""

import io
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.services.play import MAX_CHUNK, PlayFactory, PlaySite
from openfl_twisted.services.sitefiles import CONTENT_TYPES, SiteFolder
from openfl_twisted.transports.guard import GuardFactory
from tests.dashboard.browser import Answer, Visit
from tests.doubles import linesOf

SECRET = b"secret"
HASHED = "core.ruffle.c80159b526e567babaf5.js"
# A complete date, so that the value of Last-Modified is known.
TIME = 784111777
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


class IterationClock(Clock):
    """
    A clock whose time advances by reactor iterations.
    """

    def iterate(self) -> None:
        """
        Run the calls that are due, but not those that they schedule.
        """
        for call in [call for call in self.calls if call.time <= self.seconds()]:
            if call.active():
                self.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)


class SiteTestCase(SynchronousTestCase):
    """
    A folder with files, next to a file that must not be served.
    """

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.outside = Path(folder.name)
        self.folder = self.outside / "site"
        self.ruffle = self.outside / "ruffle"
        self.write("outside.txt", SECRET, self.outside)
        self.write("game.swf", b"FWS0123456")
        self.write("sub/index.html", b"sub")
        self.write("ruffle.js", b"ruffle", self.ruffle)
        self.write(HASHED, b"core", self.ruffle)
        self.clock = IterationClock()

    def write(self, name: str, content: bytes, folder: Path | None = None) -> Path:
        """
        Write a file whose Last-Modified is L{DATE}.

        @param folder: the folder (default: that of the pages).
        """
        path = (folder or self.folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (TIME, TIME))
        return path

    def site(self, **settings: Any) -> PlaySite:
        """
        Serve the folder, without a game.
        """
        return PlaySite(self.folder, clock=self.clock, **settings)

    def played(self, **settings: Any) -> PlaySite:
        """
        Create the pages of a game.
        """
        sockets = [("localhost", 8001, "./")]
        return self.site(
            **{"play": "game.swf", "ruffle": self.ruffle, "sockets": sockets} | settings
        )

    def visit(
        self, site: PlaySite, path: str, method: str = "GET", body: bytes = b"", **headers: str
    ) -> Answer:
        """
        Send a request, and receive the whole answer.
        """
        browser = self.opened(site)
        browser.ask(method, path, body, **headers)
        self.advance(browser)
        self.assertTrue(browser.transport.disconnecting)
        answer = browser.answer
        browser.end()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertNotIn("Server", answer.headers)
        self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
        return answer

    def opened(self, site: PlaySite, room: int = 1 << 20) -> Visit:
        """
        Open a connection.

        @param room: see L{tests.doubles.TightTransport}.
        """
        return Visit(GuardFactory(PlayFactory(site, self.clock), clock=self.clock), room)

    def advance(self, browser: Visit) -> None:
        """
        Let the browser read until nothing is written.
        """
        for _ in range(100):
            self.clock.advance(0)
            browser.transport.drain()


class FileTests(SiteTestCase):
    """
    The files of the folder.
    """

    def test_file(self) -> None:
        """
        A file is sent with its content type, its length, and the header fields for caches.
        """
        answer = self.visit(self.site(), "/game.swf?version=2")
        self.assertEqual((answer.status, answer.body), (200, b"FWS0123456"))
        self.assertEqual(answer.headers["Content-Type"], "application/x-shockwave-flash")
        self.assertEqual(answer.headers["Content-Length"], "10")
        self.assertEqual(answer.headers["Last-Modified"], DATE)
        self.assertEqual(answer.headers["Cache-Control"], "no-cache")
        self.assertNotIn("Content-Security-Policy", answer.headers)
        self.assertNotIn("Access-Control-Allow-Origin", answer.headers)

    def test_url(self) -> None:
        """
        A request for a URL is a request for its path.
        """
        for url in ("http://games.example/game.swf", "HTTPS://[::1]:8443/game.swf?a=b"):
            self.assertEqual(self.visit(self.site(), url).body, b"FWS0123456")
        self.assertEqual(self.visit(self.played(), "http://games.example").status, 200)

    def test_types(self) -> None:
        """
        Each ending has a content type, in upper case too. Files with other endings are not sent.
        """
        for ending, contentType in CONTENT_TYPES.items():
            self.write(f"file.{ending.upper()}", b"x")
            answer = self.visit(self.site(), f"/file.{ending.upper()}")
            self.assertEqual(answer.headers["Content-Type"], contentType)
        for name in (
            "server.py",
            "key.pem",
            "server.key",
            "game.toml",
            "twistd.log",
            "README",
            "a.",
        ):
            self.write(name, SECRET)
            self.assertEqual(self.visit(self.site(), f"/{name}").status, 404, name)

    def test_head(self) -> None:
        """
        The answer to HEAD has the header fields of a GET, and no body.
        """
        for path in ("/game.swf", "/", "/healthz", "/_openfl/play.json", "/missing"):
            got = self.visit(self.played(), path)
            head = self.visit(self.played(), path, "HEAD")
            self.assertEqual(head.body, b"")
            for answer in (got, head):
                # The time can differ.
                answer.headers.pop("Date", None)
            self.assertEqual((head.status, head.headers), (got.status, got.headers))

    def test_empty(self) -> None:
        """
        An empty file is sent, whatever part is requested.
        """
        self.write("empty.txt", b"")
        answer = self.visit(self.site(), "/empty.txt")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(self.visit(self.site(), "/empty.txt", Range="bytes=5-").status, 416)

    def test_notModified(self) -> None:
        """
        A browser that has the file gets no body. A file that has been changed is sent, and so is
        the answer to an invalid date.
        """
        answer = self.visit(self.site(), "/game.swf", If_Modified_Since=DATE)
        self.assertEqual((answer.status, answer.body), (304, b""))
        for date in (DATE.replace("1994", "1993"), "", ";", "x", "\xff"):
            answer = self.visit(self.site(), "/game.swf", If_Modified_Since=date)
            self.assertEqual(answer.status, 200)

    def test_range(self) -> None:
        """
        One part of a file is sent if it is requested. A header field with several parts, or with
        another syntax, is ignored.
        """
        for header, part in (
            ("bytes=0-0", b"F"),
            ("bytes=3-5", b"012"),
            ("bytes=8-", b"56"),
            ("bytes=8-99", b"56"),
            ("bytes=-1", b"6"),
            ("bytes=-99", b"FWS0123456"),
        ):
            answer = self.visit(self.site(), "/game.swf", Range=header)
            start = b"FWS0123456".index(part)
            if len(part) < 10:
                self.assertEqual(
                    answer.headers["Content-Range"], f"bytes {start}-{start + len(part) - 1}/10"
                )
            self.assertEqual((answer.status, answer.body), (206 if len(part) < 10 else 200, part))
            self.assertEqual(answer.headers["Content-Length"], str(len(part)))
        for header in ("bytes=10-", "bytes=-0", "bytes=99-100"):
            answer = self.visit(self.site(), "/game.swf", Range=header)
            self.assertEqual((answer.status, answer.headers["Content-Range"]), (416, "bytes */10"))
        for header in (
            "bytes=0-1,3-4",
            "bytes=-",
            "bytes=5-4",
            "lines=1-2",
            "\xff",
            f"bytes={'9' * 99}-",
        ):
            answer = self.visit(self.site(), "/game.swf", Range=header)
            self.assertEqual((answer.status, len(answer.body)), (200, 10), header)

    def test_ifRange(self) -> None:
        """
        A part is sent only if the file has not been changed since the browser got the other part.
        """
        site = self.site()
        same = self.visit(site, "/game.swf", Range="bytes=1-", If_Range=DATE)
        self.assertEqual(same.status, 206)
        other = self.visit(site, "/game.swf", Range="bytes=1-", If_Range='"tag"')
        self.assertEqual((other.status, len(other.body)), (200, 10))

    def test_headIgnoresRange(self) -> None:
        """
        Only GET requests have a range.
        """
        answer = self.visit(self.site(), "/game.swf", "HEAD", Range="bytes=1-2")
        self.assertEqual((answer.status, answer.headers["Content-Length"]), (200, "10"))

    def test_index(self) -> None:
        """
        A folder with an index page is sent as this page, after a redirect to the path with a
        slash. Other folders are not found.
        """
        self.write("empty/file.txt", b"x")
        site = self.site()
        self.assertEqual(self.visit(site, "/sub/").body, b"sub")
        answer = self.visit(site, "/sub")
        self.assertEqual((answer.status, answer.headers["Location"]), (301, "./sub/"))
        for path in ("/", "/empty/", "/empty", "/sub//", "//sub/", "/game.swf/"):
            self.assertIn(self.visit(site, path).status, (301, 404))
        self.assertEqual(self.visit(site, "/empty/").status, 404)
        self.assertEqual(self.visit(site, "/").status, 404)
        self.write("index.html", b"own")
        for each in (self.site(), self.played()):
            answer = self.visit(each, "/")
            self.assertEqual(answer.body, b"own")
            self.assertNotIn("Content-Security-Policy", answer.headers)

    def test_redirectStays(self) -> None:
        """
        A redirect never leads to another server.
        """
        self.write("evil.example/index.html", b"x")
        self.write("a b&c/index.html", b"x")
        site = self.site()
        self.assertEqual(self.visit(site, "//evil.example").status, 404)
        self.assertEqual(self.visit(site, "/evil.example").headers["Location"], "./evil.example/")
        self.assertEqual(self.visit(site, "/a%20b%26c").headers["Location"], "./a%20b%26c/")

    def test_crossdomain(self) -> None:
        """
        The folder's own C{crossdomain.xml} has its own content type. None is generated.
        """
        self.assertEqual(self.visit(self.played(), "/crossdomain.xml").status, 404)
        self.write("crossdomain.xml", b"<cross-domain-policy/>")
        answer = self.visit(self.played(), "/crossdomain.xml")
        self.assertEqual(answer.headers["Content-Type"], "text/x-cross-domain-policy")

    def test_unreadable(self) -> None:
        """
        A file that the server cannot read is not found. Only the first one is logged.
        """
        site = self.site()

        def failing(*arguments: object) -> object:
            raise PermissionError(13, "Permission denied")

        self.patch(SiteFolder, "open", failing)
        with capturedLogs() as logs:
            for _ in range(2):
                self.assertEqual(self.visit(site, "/game.swf").status, 404)
        [line] = [each for each in linesOf(logs) if "cannot read" in each]
        self.assertIn("game.swf: Permission denied", line)


class TraversalTests(SiteTestCase):
    """
    No request reaches a file outside of the folder, or a hidden file.
    """

    def test_paths(self) -> None:
        """
        Separators, parents, drives, devices and hidden names are not found, in every encoding.
        """
        self.write(".git/config.txt", SECRET)
        self.write(".htpasswd.txt", SECRET)
        self.write("sub/.env.txt", SECRET)
        self.write("con.txt", SECRET)
        self.write("LPT1.html", SECRET)
        self.write("c:.txt", SECRET)
        self.write("back\\slash.txt", SECRET)
        self.write("line\nfeed.txt", SECRET)
        site = self.played()
        for parent in ("..", "%2e%2e", ".%2e", "%252e%252e", "..%00", "...", ".%20.", "..;"):
            for slash in ("/", "%2f", "%5c", "\\", "%252f", "//"):
                for start in ("", "/sub", "/ruffle", "/_openfl"):
                    path = f"{start}/{parent}{slash}outside.txt"
                    self.assertEqual(self.visit(site, path).status, 404, path)
        for path in (
            "/.git/config.txt",
            "/%2egit/config.txt",
            "/.htpasswd.txt",
            "/sub/.env.txt",
            "/con.txt",
            "/CON.TXT",
            "/LPT1.html",
            "/c:.txt",
            "/C:/outside.txt",
            "/back%5cslash.txt",
            "/line%0afeed.txt",
            "/game.swf%00.txt",
            "/game.swf%00",
            "/%ff.txt",
            "/%c0%ae%c0%ae/outside.txt",
            f"/{self.outside}/outside.txt",
            f"//{self.outside}/outside.txt",
            f"file://{self.outside}/outside.txt",
            "/" + "x" * 5000 + ".txt",
            "/" + "x/" * 2000 + "y.txt",
            "x",
        ):
            answer = self.visit(site, path)
            self.assertEqual(answer.status, 404, path)

    def test_links(self) -> None:
        """
        A symbolic link is followed only to a file in the folder that is served itself.
        """
        self.write("server.py", SECRET)
        self.write(".hidden/file.txt", SECRET)
        for name, target in (
            ("file.txt", self.outside / "outside.txt"),
            ("folder", self.outside),
            ("code.txt", self.folder / "server.py"),
            ("hidden.txt", self.folder / ".hidden" / "file.txt"),
            ("loop.txt", "loop.txt"),
            ("broken.txt", "missing.txt"),
            ("index.html", self.outside / "outside.txt"),
            ("latest.swf", "game.swf"),
        ):
            (self.folder / name).symlink_to(target)
        site = self.site()
        for path in (
            "/file.txt",
            "/folder/outside.txt",
            "/folder",
            "/folder/",
            "/code.txt",
            "/hidden.txt",
            "/loop.txt",
            "/broken.txt",
            "/",
        ):
            self.assertEqual(self.visit(site, path).status, 404, path)
        self.assertEqual(self.visit(site, "/latest.swf").body, b"FWS0123456")

    def test_special(self) -> None:
        """
        A file that is neither regular nor a folder is not opened.
        """
        os.mkfifo(self.folder / "pipe.txt")
        self.assertEqual(self.visit(self.site(), "/pipe.txt").status, 404)

    def test_linkedFolder(self) -> None:
        """
        The folder itself, and that of Ruffle, can be symbolic links.
        """
        (self.outside / "link").symlink_to(self.folder)
        (self.outside / "linkedRuffle").symlink_to(self.ruffle)
        self.folder = self.outside / "link"
        site = self.played(ruffle=self.outside / "linkedRuffle")
        self.assertEqual(self.visit(site, "/game.swf").status, 200)
        self.assertEqual(self.visit(site, "/ruffle/ruffle.js").status, 200)

    def replacing(self, name: str, change: Callable[[Path], object]) -> Answer:
        """
        Request a file of a folder that changes between the check and the opening of the file.
        """
        path = self.write(f"{name}/file.txt", b"text")
        find = SiteFolder.find

        def findAndChange(folder: SiteFolder, names: list[str]) -> Path | None:
            found = find(folder, names)
            change(path)
            return found

        patched = self.patch(SiteFolder, "find", findAndChange)
        answer = self.visit(self.site(), f"/{name}/file.txt")
        patched.restore()
        return answer

    def test_replaced(self) -> None:
        """
        A symbolic link that replaces a file or its folder after the check is not followed.
        """
        secret = self.write("secrets/file.txt", SECRET, self.outside)

        def linkFile(path: Path) -> None:
            path.unlink()
            path.symlink_to(secret)

        def linkFolder(path: Path) -> None:
            path.parent.rename(self.outside / "moved")
            path.parent.symlink_to(secret.parent)

        self.assertEqual(self.replacing("file", linkFile).status, 404)
        self.assertEqual(self.replacing("folder", linkFolder).status, 404)

    def test_pipe(self) -> None:
        """
        A named pipe that replaces a file after the check does not block the server.
        """
        folder = SiteFolder(self.folder)
        os.mkfifo(folder.path / "pipe")
        with folder.open(folder.path / "pipe") as pipe:
            self.assertEqual(pipe.read(1), b"")

    @given(st.lists(st.text(max_size=8) | st.sampled_from(["..", ".", "site", "outside.txt"])))
    def test_any(self, names: list[str]) -> None:
        """
        The path of a file is always in the folder, for any names.
        """
        found = SiteFolder(self.folder).find(names)
        if found is not None:
            self.assertTrue(found.is_relative_to(self.folder.resolve()))

    @given(
        st.lists(
            st.sampled_from(
                ["/", "..", ".", "%", "%2e", "%2f", "sub", "ruffle", "outside.txt", "?"]
            )
            | st.integers(0, 255).map("%{:02x}".format)
        )
    )
    def test_anyRequest(self, parts: list[str]) -> None:
        """
        No path causes an error, and none leads to the secret.
        """
        answer = self.visit(self.played(), "/" + "".join(parts))
        self.assertIn(answer.status, (200, 301, 404))
        self.assertNotIn(SECRET, answer.body)


class PageTests(SiteTestCase):
    """
    The generated page.
    """

    def test_page(self) -> None:
        """
        The page has a Content-Security-Policy, and contains neither the address of the server nor
        the name of the file.
        """
        false = {"Host": "evil.example", "X-Forwarded-Proto": "evil"}
        answer = self.visit(self.played(), "/?name=x", "GET", b"", **false)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Content-Type"], "text/html; charset=utf-8")
        self.assertEqual(
            answer.headers["Content-Security-Policy"],
            "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
            "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
            "media-src 'self' data: blob:; connect-src 'self'; object-src 'none'; "
            "base-uri 'none'; frame-ancestors 'self'",
        )
        self.assertIn(b'src="_openfl/play.js"', answer.body)
        for text in (b"evil", b"game.swf", b"://"):
            self.assertNotIn(text, answer.body)

    def test_settings(self) -> None:
        """
        The settings are JSON, with any characters in the name of the file.
        """
        name = "</script>\u2028 \"'#?%.swf"
        site = self.played(play=name, config={"quality": "low", "volume": 0.5})
        answer = self.visit(site, "/_openfl/play.json")
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertEqual(
            json.loads(answer.body),
            {
                "swf": "%3C/script%3E%E2%80%A8%20%22%27%23%3F%25.swf",
                "ruffle": "ruffle/ruffle.js",
                "sockets": [{"host": "localhost", "port": 8001, "path": "./"}],
                "config": {"quality": "low", "volume": 0.5},
            },
        )

    def test_own(self) -> None:
        """
        The script is sent. Other names below C{_openfl} are not found.
        """
        answer = self.visit(self.played(), "/_openfl/play.js")
        self.assertEqual(answer.headers["Content-Type"], "text/javascript; charset=utf-8")
        self.assertIn(b"createPlayer", answer.body)
        for path in ("/_openfl/", "/_openfl", "/_openfl/play.html", "/_openfl/play.js/"):
            self.assertEqual(self.visit(self.played(), path).status, 404)

    def test_ruffle(self) -> None:
        """
        The files of Ruffle are below C{/ruffle/}. A name with a hash can be cached for a year,
        but not in the folder of the game.
        """
        self.write(HASHED, b"own")
        site = self.played()
        answer = self.visit(site, "/ruffle/ruffle.js")
        self.assertEqual((answer.body, answer.headers["Cache-Control"]), (b"ruffle", "no-cache"))
        answer = self.visit(site, f"/ruffle/{HASHED}")
        self.assertEqual(answer.headers["Cache-Control"], "max-age=31536000, immutable")
        answer = self.visit(site, f"/{HASHED}")
        self.assertEqual(answer.headers["Cache-Control"], "no-cache")
        for path in ("/ruffle", "/ruffle/", "/ruffle/game.swf"):
            self.assertEqual(self.visit(site, path).status, 404)

    def test_ownRuffle(self) -> None:
        """
        Without another folder, Ruffle is in the folder C{ruffle} of the site.
        """
        self.write("ruffle/ruffle.js", b"own")
        site = self.played(ruffle=None)
        settings = json.loads(self.visit(site, "/_openfl/play.json").body)
        self.assertEqual(settings["ruffle"], "ruffle/ruffle.js")
        self.assertEqual(self.visit(site, "/ruffle/ruffle.js").body, b"own")

    def test_remoteRuffle(self) -> None:
        """
        The URL of Ruffle on another server is in the settings and in the policy of the page.
        """
        site = self.played(ruffle="https://cdn.example/ruffle")
        settings = json.loads(self.visit(site, "/_openfl/play.json").body)
        self.assertEqual(settings["ruffle"], "https://cdn.example/ruffle/ruffle.js")
        policy = self.visit(site, "/").headers["Content-Security-Policy"]
        self.assertIn("'wasm-unsafe-eval' https://cdn.example/ruffle/;", policy)
        self.assertIn("connect-src 'self' https://cdn.example/ruffle/;", policy)
        self.assertEqual(self.visit(site, "/ruffle/ruffle.js").status, 404)

    def test_withoutPlay(self) -> None:
        """
        Without a SWF file, no page is generated, and the names belong to the folder.
        """
        self.write("ruffle/ruffle.js", b"own")
        site = self.site()
        self.assertEqual(self.visit(site, "/").status, 404)
        self.assertEqual(self.visit(site, "/_openfl/play.js").status, 404)
        self.assertEqual(self.visit(site, "/ruffle/ruffle.js").body, b"own")


class RequestTests(SiteTestCase):
    """
    Requests that are not for a file.
    """

    def test_health(self) -> None:
        """
        The health check fails as soon as the service stops.
        """
        site = self.site()
        answer = self.visit(site, "/healthz")
        self.assertEqual((answer.status, answer.body), (200, b"ok\n"))
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        site.stopping = True
        answer = self.visit(site, "/healthz")
        self.assertEqual((answer.status, answer.body), (503, b"stopping\n"))

    def test_draining(self) -> None:
        """
        The health check fails while the server drains.
        """
        site = self.site()
        PlayFactory(site, Clock()).drain()
        self.assertEqual(self.visit(site, "/healthz").status, 503)

    def test_stopping(self) -> None:
        """
        The service is stopping when the last port is closed.
        """
        factory = PlayFactory(self.site(), self.clock)
        factory.doStart()
        factory.doStart()
        factory.doStop()
        self.assertFalse(factory.resource.stopping)
        factory.doStop()
        self.assertTrue(factory.resource.stopping)
        factory.doStart()
        self.assertFalse(factory.resource.stopping)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_options(self) -> None:
        """
        The answer to OPTIONS contains the allowed methods.
        """
        for path in ("/", "/game.swf", "*"):
            answer = self.visit(self.site(), path, "OPTIONS")
            self.assertEqual((answer.status, answer.body), (204, b""))
            self.assertEqual(answer.headers["Allow"], "GET, HEAD, OPTIONS")
            self.assertNotIn("Access-Control-Allow-Origin", answer.headers)

    def test_otherMethods(self) -> None:
        """
        Any other method is refused, and the connection is closed.
        """
        for method in ("POST", "PUT", "DELETE", "CONNECT", "TRACE", "PATCH", "BREW"):
            for path in ("/", "/game.swf", "*", "/healthz"):
                answer = self.visit(self.site(), path, method, body=b"x" * 100)
                self.assertEqual(answer.status, 405)
                self.assertEqual(answer.headers["Connection"], "close")
                self.assertEqual(answer.headers["Allow"], "GET, HEAD, OPTIONS")

    def test_cors(self) -> None:
        """
        With an origin, all answers permit its pages to read them, and OPTIONS permits a range.
        """
        for origin in ("*", "https://games.example"):
            site = self.site(cors=origin)
            for path in ("/game.swf", "/missing"):
                answer = self.visit(site, path)
                self.assertEqual(answer.headers["Access-Control-Allow-Origin"], origin)
            answer = self.visit(site, "/game.swf", "OPTIONS")
            self.assertEqual(answer.headers["Access-Control-Allow-Methods"], "GET, HEAD, OPTIONS")
            self.assertEqual(answer.headers["Access-Control-Allow-Headers"], "Range")

    def test_persistent(self) -> None:
        """
        A connection carries several requests, but none after one with a refused method.
        """
        browser = self.opened(self.site())
        head = b" /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        browser.transport.arrive(b"GET" + head + b"GET /game.swf HTTP/1.1\r\nHost: a\r\n\r\n")
        self.advance(browser)
        browser.transport.arrive(b"GET /game.swf HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: ")
        browser.transport.arrive(DATE.encode() + b"\r\n\r\n")
        self.advance(browser)
        self.assertFalse(browser.transport.disconnecting)
        browser.transport.arrive(b"POST" + head + b"GET" + head)
        self.advance(browser)
        found = browser.transport.delivered
        self.assertEqual(
            [found.count(b"HTTP/1.1 %d" % status) for status in (200, 304, 405)], [2, 1, 1]
        )
        self.assertNotIn(b"chunked", found)
        self.assertTrue(browser.transport.disconnecting)
        browser.end()


class DownloadTests(SiteTestCase):
    """
    Long files.
    """

    def download(self, room: int, content: bytes) -> tuple[Visit, Callable[[], int]]:
        """
        Request a file.

        @return: the connection, and a function that returns the number of received bytes of the
            file.
        """
        self.write("long.bin", content)
        browser = self.opened(self.site(), room)
        browser.ask("GET", "/long.bin")
        return browser, lambda: len(browser.answer.body)

    def test_oneChunkPerIteration(self) -> None:
        """
        Each reactor iteration sends one chunk, so that a download does not delay other clients.
        """
        browser, received = self.download(1 << 30, bytes(3 * MAX_CHUNK + 1))
        for wanted in (1, 2, 3):
            self.clock.iterate()
            self.assertEqual(received(), wanted * MAX_CHUNK)
        self.advance(browser)
        self.assertEqual(received(), 3 * MAX_CHUNK + 1)
        self.assertTrue(browser.transport.disconnecting)
        browser.end()

    def test_backpressure(self) -> None:
        """
        While the browser does not read, the file is not read either.
        """
        browser, received = self.download(MAX_CHUNK, bytes(5 * MAX_CHUNK))
        for _ in range(10):
            self.clock.iterate()
        self.assertLess(received(), 3 * MAX_CHUNK)
        self.advance(browser)
        self.assertEqual(received(), 5 * MAX_CHUNK)
        browser.end()

    def test_lost(self) -> None:
        """
        When the connection is lost, the file is closed, and nothing is sent later.
        """
        browser, received = self.download(1 << 30, bytes(5 * MAX_CHUNK))
        self.clock.iterate()
        browser.end()
        self.clock.iterate()
        self.assertEqual(received(), MAX_CHUNK)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failingDisk(self) -> None:
        """
        If the file can no longer be read, the connection is closed, and no error is logged.
        """
        browser, received = self.download(1 << 30, bytes(3 * MAX_CHUNK))
        self.clock.iterate()
        [call] = cast("Any", self.clock.getDelayedCalls())
        producer = call.func.__self__

        class Failing(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                raise OSError(5, "Input/output error")

        producer._file.close()
        producer._file = Failing()
        self.advance(browser)
        self.assertEqual(received(), MAX_CHUNK)
        self.assertTrue(browser.transport.disconnecting)
        browser.end()

    def test_truncated(self) -> None:
        """
        If the file becomes shorter, the connection is closed, so that the browser notices it.
        """
        browser, received = self.download(1 << 30, bytes(3 * MAX_CHUNK))
        self.clock.iterate()
        os.truncate(self.folder / "long.bin", MAX_CHUNK)
        self.advance(browser)
        self.assertEqual(received(), MAX_CHUNK)
        self.assertTrue(browser.transport.closed)
        browser.end()
