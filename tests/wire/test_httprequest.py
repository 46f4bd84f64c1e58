"""
Tests for L{openfl_twisted.wire.httprequest}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.httprequest import (
    _MAX_TARGET,
    _METHODS,
    MAX_REQUEST_START,
    HeadCollector,
    HTTPAnswer,
    OtherRequest,
    hasRequestLine,
    isPartialRequest,
    parseHead,
    startsRequest,
)
from tests.frames import REQUEST
from tests.segments import cuts


def collect(chunks: list[bytes], maxHead: int = 16_384) -> tuple[bytes, bytes] | int | None:
    """
    Collect a head.

    @return: the head and the bytes after it, or the status of a refusal, or
        C{None}.
    """
    collector = HeadCollector(maxHead)
    for number, chunk in enumerate(chunks):
        try:
            complete = collector.receive(chunk)
        except HTTPAnswer as answer:
            return answer.status
        if complete is not None:
            head, rest = complete
            return head, rest + b"".join(chunks[number + 1 :])
    return None


class StartsRequestTests(SynchronousTestCase):
    """
    L{startsRequest} recognizes HTTP requests by the first bytes of a connection.
    """

    def assertRequest(self, line: bytes) -> None:
        """
        Assert that a line is recognized at its last byte, whatever follows.
        """
        self.assertIs(startsRequest(line), True, line)
        self.assertIs(startsRequest(line + b"\0<say/>\0"), True, line)
        for length in range(len(line)):
            self.assertIsNone(startsRequest(line[:length]), line[:length])

    def test_methods(self) -> None:
        """
        Every registered method counts, in any case, and no other.
        """
        for method in _METHODS:
            for name in (method, method.lower(), method.title()):
                self.assertRequest(f"{name} /a HTTP/1.1\r\n".encode())
        for line in (b"FOO / HTTP/1.1\r\n", b"GETS / HTTP/1.1\r\n", b" GET / HTTP/1.1\r\n", b"\0"):
            self.assertIs(startsRequest(line), False, line)

    def test_targets(self) -> None:
        """
        A target can have origin, absolute, asterisk and authority form.
        """
        for line in (
            b"GET / HTTP/1.0\n",
            b"GET /a/b?c=d#e HTTP/1.1\r\n",
            b"GET http://h/ HTTP/1.1\r\n",
            b"POST ws://h HTTP/1.1\r\n",
            b"OPTIONS * HTTP/1.1\r\n",
            b"CONNECT h.example:443 HTTP/1.1\r\n",
            b"PRI * HTTP/2.0\r\n",
            b"GET / HTTP/3.0\r\n",
            b"POST /?a=\xe9 HTTP/1.1\r\n",
            b"POST http://h/\xc3\xa9 HTTP/1.1\r\n",
        ):
            self.assertRequest(line)
        for line in (b"GET h HTTP/1.1", b"GET  /", b"PUT north\r\n", b"GET / /", b"MOVE *b"):
            self.assertIs(startsRequest(line), False, line)

    def test_version(self) -> None:
        """
        A line without a version counts for C{GET} and a path only: HTTP/0.9. The version can be
        in lower case.
        """
        for line in (b"GET /a\r\n", b"get /\n", b"GET / http/1.1\r\n", b"put /a hTTp/1.0\n"):
            self.assertRequest(line)
        for line in (
            b"PUT /a\r\n",
            b"GET *\r\n",
            b"GET /a\rb",
            b"GET the lamp",
            b"GET /lamp please",
            b"GET / httq/1.1",
            b"GET / HTTP/x",
            b"GET / http-1.1",
            b"GET / HTTP/1.1x",
            b"GET / HTTP/1.1\rx",
        ):
            self.assertIs(startsRequest(line), False, line)

    def test_otherBytes(self) -> None:
        """
        A NUL and a control character exclude a request everywhere, and a byte above
        0x7f everywhere but in the target.
        """
        for byte in (0, 1, 9, 0x7F, 0x80, 0xFF):
            for start in (b"G", b"GET", b"GET ", b"GET / HTTP/1.1"):
                self.assertIs(startsRequest(start + bytes((byte,))), False, (start, byte))
            inTarget = startsRequest(b"GET /a" + bytes((byte,)))
            self.assertIs(inTarget, None if byte > 0x7F else False, byte)

    def test_longTarget(self) -> None:
        """
        A target above the limit counts although its end has not been received.
        """
        self.assertIsNone(startsRequest(b"POST /" + b"x" * (_MAX_TARGET - 1)))
        self.assertIs(startsRequest(b"POST /" + b"x" * _MAX_TARGET), True)
        self.assertIs(startsRequest(b"POST x" + b"x" * _MAX_TARGET), False)

    @given(
        st.sampled_from(
            [b"", b"GET ", b"post /x", b"GET http://h", b"CONNECT h:1", b"OPTIONS * HTTP/1.1\r"]
        ),
        st.binary(max_size=60),
    )
    def test_decidesOnce(self, start: bytes, rest: bytes) -> None:
        """
        The first result for a growing prefix is final, and is returned within
        L{MAX_REQUEST_START}.
        """
        data = start + rest + b" " * (MAX_REQUEST_START - len(start + rest))
        decisions = [startsRequest(data[:length]) for length in range(len(data) + 1)]
        decided = [decision for decision in decisions if decision is not None]
        self.assertEqual(len(set(decided)), 1)
        self.assertNotIn(None, decisions[len(decisions) - len(decided) :])

    def test_anyMethod(self) -> None:
        """
        L{hasRequestLine} finds a complete request line of any method, and only at
        the beginning.
        """
        for line in (b"HACK / HTTP/1.1\r\n", b"get /\xe9 HTTP/2.0\n", b"M-SEARCH * HTTP/1.1\r\n"):
            self.assertTrue(hasRequestLine(line + b"\r\n"), line)
        for data in (b"HACK / HTTP/1.1", b"HACK / HTTP/1.1\0", b"\nHACK / HTTP/1.1\n", b"A B C\n"):
            self.assertFalse(hasRequestLine(data), data)

    def test_partial(self) -> None:
        """
        A method and the beginning of a target are a partial request; a word that
        begins a method is not.
        """
        for data in (b"GET /", b"post /x", b"CONNECT h", b"GET / HTTP/1.1"):
            self.assertTrue(isPartialRequest(data), data)
        for data in (b"", b"G", b"GET", b"GET ", b"<policy-file-request "):
            self.assertFalse(isPartialRequest(data), data)


class CollectorTests(SynchronousTestCase):
    """
    L{HeadCollector} collects a head.
    """

    def test_chunks(self) -> None:
        """
        A head is found in one chunk and in single bytes. The bytes after it are
        returned separately.
        """
        stream = REQUEST + b"rest\r\n\r\n"
        single = [bytes((byte,)) for byte in stream]
        for chunks in ([stream], single):
            self.assertEqual(collect(chunks), (REQUEST, b"rest\r\n\r\n"))
        self.assertIsNone(collect(single[: len(REQUEST) - 1]))
        self.assertIsNone(collect([b"GET "]))

    @given(cuts(REQUEST + b"\x82\x80abcd"))
    def test_anySplit(self, chunks: list[bytes]) -> None:
        """
        The head does not depend on chunk boundaries.
        """
        self.assertEqual(collect(chunks), (REQUEST, b"\x82\x80abcd"))

    def test_long(self) -> None:
        """
        Cookies of several thousand bytes are accepted. A head that exceeds the
        limit is refused, complete or not.
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
        Other bytes are refused after the first line, or at the first byte that no
        request contains, however the stream is split.
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
            for chunks in ([stream], [bytes((byte,)) for byte in stream]):
                expected = None if stream == b"\r" else 400
                self.assertEqual(collect(chunks), expected, stream)

    def test_received(self) -> None:
        """
        All received bytes are available to another protocol.
        """
        collector = HeadCollector()
        self.assertIsNone(collector.receive(b"GET"))
        self.assertRaises(OtherRequest, collector.receive, b"\0rest")
        self.assertEqual(collector.received, b"GET\0rest")


class ParseTests(SynchronousTestCase):
    """
    L{parseHead} parses a head.
    """

    def test_parts(self) -> None:
        """
        A head has a method, a path with the query, and header fields with names
        in lower case.
        """
        head = parseHead(REQUEST)
        self.assertEqual((head.method, head.path, head.version), ("GET", "/x/room?id=1", "1"))
        self.assertEqual(head.headers["host"], "127.0.0.1:9301")

    def test_paths(self) -> None:
        """
        The path of a whole URL, as OpenFL's draft of a client sends it, is extracted.
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
        White space around a value is removed, values of repeated fields are
        joined, and other bytes than ASCII are decoded as ISO 8859-1.
        """
        head = parseHead(b"GET / HTTP/1.0\r\na:\t1 \r\nB: \xe4\r\nA: 2\r\nc:\r\n\r\n")
        self.assertEqual(head.headers, {"a": "1, 2", "b": "\xe4", "c": ""})
        self.assertEqual(head.version, "0")

    def test_query(self) -> None:
        """
        The parameters of the query are percent-decoded; the first of several with the same name
        counts.
        """
        for target, query in [
            (b"/", {}),
            (b"/?", {}),
            (b"/a?b=1&c=%C3%A4+x&b=2&d&=e", {"b": "1", "c": "\xe4 x", "d": "", "": "e"}),
            (b"/a?b=%FF%zz", {"b": "\ufffd%zz"}),
            (b"/a?b=1?c=2", {"b": "1?c=2"}),
        ]:
            self.assertEqual(parseHead(REQUEST.replace(b"/x/room?id=1", target)).query, query)

    def test_cookies(self) -> None:
        """
        Cookies are separated by semicolons; the first of several with the same name counts.
        """
        for field, cookies in [
            (b"A: b", {}),
            (b"Cookie: ", {}),
            (b'cookie: a=1;b = "2" ;c;a=3; d==', {"a": "1", "b": '"2"', "d": "="}),
        ]:
            head = parseHead(b"GET / HTTP/1.1\r\n" + field + b"\r\n\r\n")
            self.assertEqual(head.cookies, cookies)

    def test_malformed(self) -> None:
        """
        Folded lines, lone CR or LF, invalid names, and repeated fields that must
        be unique are refused.
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
                OtherRequest, parseHead, b"GET / HTTP/1.1\r\n" + fields + b"\r\n"
            )
            self.assertEqual(error.status, 400, fields)
        self.assertRaises(OtherRequest, parseHead, b"GET / HTTP/1.1\r\nA: 1\n\n")
        self.assertRaises(OtherRequest, parseHead, b"\r\n\r\n")

    @given(st.binary().map(lambda data: REQUEST[:-4] + b"\r\n" + data + b"\r\n\r\n"))
    def test_anything(self, head: bytes) -> None:
        """
        A head with any fields is parsed or refused.
        """
        try:
            parsed = parseHead(head)
        except OtherRequest:
            return
        self.assertEqual(parsed.path, "/x/room?id=1")
        self.assertEqual(parsed.query, {"id": "1"})
        self.assertIsInstance(parsed.cookies, dict)

    def test_manyFields(self) -> None:
        """
        The work for repeated fields is linear: the values are joined once.
        """
        head = parseHead(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 2000 + b"\r\n")
        self.assertEqual(head.headers["a"], ", ".join(["b"] * 2000))


class AnswerTests(SynchronousTestCase):
    """
    The answers to requests that are not WebSocket handshakes.
    """

    def test_statuses(self) -> None:
        """
        Health checks and C{OPTIONS} get 200, other requests for pages 426, other
        registered methods 405, and the rest 501.
        """
        for line, status in [
            (b"GET /healthz HTTP/1.1", 200),
            (b"HEAD /healthz?a=b HTTP/1.0", 200),
            (b"GET http://h/healthz HTTP/1.1", 200),
            (b"OPTIONS * HTTP/1.1", 200),
            (b"OPTIONS /healthz HTTP/1.1", 200),
            (b"GET / HTTP/1.1", 426),
            (b"HEAD /healthz/ HTTP/1.1", 426),
            (b"POST /healthz HTTP/1.1", 405),
            (b"TRACE / HTTP/1.1", 405),
            (b"get /healthz HTTP/1.1", 501),
            (b"FOO / HTTP/1.1", 501),
        ]:
            answer = parseHead(line + b"\r\n\r\n").answer()
            self.assertIsInstance(answer, OtherRequest)
            self.assertEqual(answer.status, status, line)
            self.assertIn(b"\r\nConnection: ", answer.encode())
            allowed = b"\r\nAllow: GET, HEAD, OPTIONS\r\n" in answer.encode()
            self.assertEqual(allowed, status == 405 or line.startswith(b"OPTIONS"), line)

    def test_encoded(self) -> None:
        """
        An answer is a complete response; without a body it has the same length field.
        """
        answer = HTTPAnswer(400, "No.", [("A", "b")])
        head = (
            b"HTTP/1.1 400 Bad Request\r\nA: b\r\n"
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\n\r\n"
        )
        self.assertEqual(answer.encode(), head + b"No.\n")
        self.assertEqual(answer.encode(body=False), head)
