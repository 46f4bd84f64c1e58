"""
Tests for L{openfl_twisted.wire.websockethead}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.websockethead import (
    HeadCollector,
    NoUpgrade,
    Refusal,
    RequestHead,
    parseHead,
)
from tests.frames import REQUEST
from tests.segments import cuts


def collect(pieces: list[bytes], maxHead: int = 16_384) -> tuple[bytes, bytes] | int | None:
    """
    Collect a head.

    @return: it and what is behind it, or the status of a refusal, or C{None}.
    """
    collector = HeadCollector(maxHead)
    for number, piece in enumerate(pieces):
        try:
            complete = collector.receive(piece)
        except Refusal as refusal:
            return refusal.status
        if complete is not None:
            head, rest = complete
            return head, rest + b"".join(pieces[number + 1 :])
    return None


class CollectorTests(SynchronousTestCase):
    """
    Collecting a head.
    """

    def test_pieces(self) -> None:
        """
        A head is found whole, and byte by byte, and what is behind it is kept
        apart.
        """
        stream = REQUEST + b"rest\r\n\r\n"
        single = [bytes((byte,)) for byte in stream]
        for pieces in ([stream], single):
            self.assertEqual(collect(pieces), (REQUEST, b"rest\r\n\r\n"))
        self.assertIsNone(collect(single[: len(REQUEST) - 1]))
        self.assertIsNone(collect([b"GET "]))

    @given(cuts(REQUEST + b"\x82\x80abcd"))
    def test_anyPieces(self, pieces: list[bytes]) -> None:
        """
        Any way to cut it gives the same head.
        """
        self.assertEqual(collect(pieces), (REQUEST, b"\x82\x80abcd"))

    def test_long(self) -> None:
        """
        Cookies of some thousand bytes are taken; a head that is over the limit
        is refused, though its end has not come, and also if it has.
        """
        cookies = REQUEST.replace(b"Pragma: no-cache", b"Cookie: a=" + b"x" * 4000)
        self.assertEqual(collect([cookies[:100], cookies[100:]]), (cookies, b""))
        length = len(cookies)
        self.assertEqual(collect([cookies + b"x" * 99], length), (cookies, b"x" * 99))
        self.assertEqual(collect([cookies], length - 1), 431)
        self.assertEqual(collect([b"GET /" + b"x" * 20_000]), 431)
        self.assertEqual(collect([REQUEST[:-2] + b"Cookie: " + b"x" * 1_000_000]), 431)

    def test_noHTTP(self) -> None:
        """
        What is no request is known by its first line, or the first byte that
        cannot be in one, however it is cut.
        """
        for stream in (
            b"<hello/>\0",
            b"\r",
            b"\r\n",
            b"GET /\r\n",
            b"GET / HTTP/1.1\n",
            b"GET / HTTP/1.1\rx",
            b"GET / HTTP/2.0\r\n",
            b"GET  / HTTP/1.1\r\n",
            b"G(T / HTTP/1.1\r\n",
            b"GET /\xe4 HTTP/1.1\r\n",
            b"\x16\x03\x01",
        ):
            for pieces in ([stream], [bytes((byte,)) for byte in stream]):
                expected = None if stream == b"\r" else 400
                self.assertEqual(collect(pieces), expected, stream)

    def test_received(self) -> None:
        """
        All that has come is there for somebody else.
        """
        collector = HeadCollector()
        self.assertIsNone(collector.receive(b"GET"))
        self.assertRaises(NoUpgrade, collector.receive, b"\0rest")
        self.assertEqual(collector.received, b"GET\0rest")


class ParseTests(SynchronousTestCase):
    """
    Reading a head.
    """

    def test_parts(self) -> None:
        """
        It has its method, its path with the query, and its fields, whose names
        are in small letters.
        """
        head = parseHead(REQUEST)
        self.assertEqual((head.method, head.path, head.version), ("GET", "/x/room?id=1", "1"))
        self.assertEqual(head.headers["host"], "127.0.0.1:9301")
        self.assertTrue(head.isUpgrade)
        head.check()

    def test_paths(self) -> None:
        """
        OpenFL's draft of a client puts a whole URL in the request.
        """
        for target, path in [
            (b"/", "/"),
            (b"ws://localhost:8080/a?b", "/a?b"),
            (b"HTTP://localhost", "/"),
            (b"ws://localhost?x=/", "/?x=/"),
            (b"//a/b", "//a/b"),
            (b"*", "*"),
        ]:
            head = parseHead(REQUEST.replace(b"/x/room?id=1", target))
            self.assertEqual(head.path, path)

    def test_fields(self) -> None:
        """
        White space around a value does not belong to it; values of several
        fields are joined; bytes that are not ASCII are letters of ISO 8859-1.
        """
        head = parseHead(b"GET / HTTP/1.0\r\na:\t1 \r\nB: \xe4\r\nA: 2\r\nc:\r\n\r\n")
        self.assertEqual(head.headers, {"a": "1, 2", "b": "\xe4", "c": ""})
        self.assertEqual(head.version, "0")

    def test_malformed(self) -> None:
        """
        Folded lines, lone ends of lines, names that are none, and a second field
        of those that are decisive are no head.
        """
        for fields in (
            b"A: 1\r\n folded\r\n",
            b"A: 1\nB: 2\r\n",
            b"A: 1\rB: 2\r\n",
            b"A : 1\r\n",
            b"A\r\n",
            b": 1\r\n",
            b"A: \0\r\n",
            b"Host: a\r\nhost: a\r\n",
            b"Origin: a\r\nOrigin: b\r\n",
            b"Sec-WebSocket-Key: a\r\nSec-WebSocket-Key: a\r\n",
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n",
        ):
            error = self.assertRaises(
                NoUpgrade, parseHead, b"GET / HTTP/1.1\r\n" + fields + b"\r\n"
            )
            self.assertEqual(error.status, 400, fields)
        self.assertRaises(NoUpgrade, parseHead, b"GET / HTTP/1.1\r\nA: 1\n\n")
        self.assertRaises(NoUpgrade, parseHead, b"\r\n\r\n")

    @given(st.binary().map(lambda data: REQUEST[:-4] + b"\r\n" + data + b"\r\n\r\n"))
    def test_anything(self, head: bytes) -> None:
        """
        Whatever stands in it, it is read or refused.
        """
        try:
            parsed = parseHead(head)
        except NoUpgrade:
            return
        self.assertEqual(parsed.path, "/x/room?id=1")


class CheckTests(SynchronousTestCase):
    """
    Whether a head is what it should be.
    """

    def refused(self, old: bytes, new: bytes) -> Refusal:
        """
        Get why the request is refused if something in it is another thing.
        """
        self.assertIn(old, REQUEST)
        head: RequestHead = parseHead(REQUEST.replace(old, new))
        refusal: Refusal = self.assertRaises(Refusal, head.check)
        return refusal

    def test_case(self) -> None:
        """
        Case does not matter, nor what else a list has.
        """
        parseHead(
            REQUEST.replace(b"Upgrade: websocket", b"UPGRADE: x, WebSocket")
            .replace(b"Connection: Upgrade", b"connection: keep-alive\r\nconnection: upgrade")
            .replace(b"Host", b"host")
        ).check()

    def test_noUpgrade(self) -> None:
        """
        What asks for something else is told what is here.
        """
        for old, new in [
            (b"Upgrade: websocket\r\n", b""),
            (b"Upgrade: websocket", b"Upgrade: h2c"),
            (b"GET", b"POST"),
            (b"GET", b"HEAD"),
            (b"HTTP/1.1", b"HTTP/1.0"),
        ]:
            refusal = self.refused(old, new)
            self.assertIsInstance(refusal, NoUpgrade)
            self.assertEqual(refusal.status, 426)
        text = (
            b"This port speaks WebSocket, for programs written with OpenFL or Flash. "
            b"There are no web pages here.\n"
        )
        self.assertEqual(
            refusal.answer().split(b"\r\n"),
            [
                b"HTTP/1.1 426 Upgrade Required",
                b"Upgrade: websocket",
                b"Connection: Upgrade",
                b"Content-Type: text/plain; charset=utf-8",
                b"Content-Length: 100",
                b"",
                text,
            ],
        )
        self.assertTrue(refusal.answer(body=False).endswith(b"Content-Length: 100\r\n\r\n"))

    def test_wrong(self) -> None:
        """
        What asks for a WebSocket in a wrong way is told what is wrong.
        """
        for old, new in [
            (b"/x/room", b"x"),
            (b"Host: 127.0.0.1:9301\r\n", b""),
            (b"Connection: Upgrade", b"Connection: close"),
            (b"Pragma: no-cache", b"Content-Length: 5"),
            (b"Pragma: no-cache", b"Transfer-Encoding: chunked"),
        ]:
            refusal = self.refused(old, new)
            self.assertNotIsInstance(refusal, NoUpgrade)
            self.assertEqual(refusal.status, 400)
            self.assertIn(b"\r\nConnection: close\r\n", refusal.answer())

    def test_version(self) -> None:
        """
        Another version than 13, or none, is told so.
        """
        for version in (b"Sec-WebSocket-Version: 8\r\n", b""):
            refusal = self.refused(b"Sec-WebSocket-Version: 13\r\n", version)
            self.assertNotIsInstance(refusal, NoUpgrade)
            self.assertEqual(refusal.status, 426)
            self.assertIn(b"\r\nSec-WebSocket-Version: 13\r\n", refusal.answer())
