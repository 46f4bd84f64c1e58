"""
Tests for L{openfl_twisted.wire.websocket.handshake}.
"""

from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.httprequest import HTTPAnswer, OtherRequest, RequestHead, parseHead
from openfl_twisted.wire.websocket.handshake import acceptUpgrade, checkUpgrade
from tests.frames import KEY, REQUEST, RESPONSE


class CheckTests(SynchronousTestCase):
    """
    L{checkUpgrade} checks the head of a request.
    """

    def refused(self, old: bytes, new: bytes) -> HTTPAnswer:
        """
        Return the refusal of a request in which one part is replaced.
        """
        self.assertIn(old, REQUEST)
        head: RequestHead = parseHead(REQUEST.replace(old, new))
        refusal: HTTPAnswer = self.assertRaises(HTTPAnswer, checkUpgrade, head)
        return refusal

    def test_case(self) -> None:
        """
        Case and further items of a list are ignored.
        """
        head = parseHead(
            REQUEST.replace(b"Upgrade: websocket", b"UPGRADE: x, WebSocket")
            .replace(b"Connection: Upgrade", b"connection: keep-alive\r\nconnection: upgrade")
            .replace(b"Host", b"host")
        )
        checkUpgrade(head)

    def test_noUpgrade(self) -> None:
        """
        A request that is not a WebSocket handshake gets the answer to such a request.
        """
        for old, new, status in [
            (b"Upgrade: websocket\r\n", b"", 426),
            (b"Upgrade: websocket", b"Upgrade: h2c", 426),
            (b"GET", b"POST", 405),
            (b"GET", b"HEAD", 426),
            (b"HTTP/1.1", b"HTTP/1.0", 426),
        ]:
            refusal = self.refused(old, new)
            self.assertIsInstance(refusal, OtherRequest)
            self.assertEqual(refusal.status, status)

    def test_wrong(self) -> None:
        """
        A malformed request for a WebSocket is answered with status 400.
        """
        for old, new in [
            (b"/x/room", b"x"),
            (b"Host: 127.0.0.1:9301\r\n", b""),
            (b"Connection: Upgrade", b"Connection: close"),
            (b"Pragma: no-cache", b"Content-Length: 5"),
            (b"Pragma: no-cache", b"Transfer-Encoding: chunked"),
        ]:
            refusal = self.refused(old, new)
            self.assertNotIsInstance(refusal, OtherRequest)
            self.assertEqual(refusal.status, 400)
            self.assertIn(b"\r\nConnection: close\r\n", refusal.encode())

    def test_version(self) -> None:
        """
        A request with another version than 13, or with none, is answered with
        status 426 and the supported version.
        """
        for version in (b"Sec-WebSocket-Version: 8\r\n", b""):
            refusal = self.refused(b"Sec-WebSocket-Version: 13\r\n", version)
            self.assertNotIsInstance(refusal, OtherRequest)
            self.assertEqual(refusal.status, 426)
            self.assertIn(b"\r\nSec-WebSocket-Version: 13\r\n", refusal.encode())


class AcceptTests(SynchronousTestCase):
    """
    L{acceptUpgrade} makes the response.
    """

    def refused(self, request: bytes) -> HTTPAnswer:
        """
        Return the refusal of a request.
        """
        refusal: HTTPAnswer = self.assertRaises(HTTPAnswer, acceptUpgrade, parseHead(request))
        return refusal

    def test_answer(self) -> None:
        """
        The response is that of the example in RFC 6455, with the same case of
        header names. No extension is accepted by default.
        """
        self.assertEqual(acceptUpgrade(parseHead(REQUEST)), (None, RESPONSE))

    def test_keys(self) -> None:
        """
        A key is 16 bytes in Base64. The shorter key of OpenFL's draft of a client
        is refused.
        """
        for key in (b"c2hvcnQ=", b"", KEY[:-2], b"\xe4" * 24, KEY[:-2] + b"YQ"):
            request = REQUEST.replace(KEY, key)
            self.assertEqual(self.refused(request).status, 400)
        lines = REQUEST.split(b"\r\n")
        without = b"\r\n".join(line for line in lines if b"-Key" not in line)
        self.assertEqual(self.refused(without).status, 400)

    def test_subprotocols(self) -> None:
        """
        The first of our subprotocols that the client offers is selected; none if the
        client offers none of them, or an empty list, as OpenFL's draft of a client does.
        """
        for offered, agreed in [
            (b"b, a", b"a"),
            (b"B", None),
            (b"c", None),
            (b"", None),
            (b"b\r\nSec-WebSocket-Protocol: c", b"b"),
        ]:
            offer = b"\r\nSec-WebSocket-Protocol: " + offered + b"\r\n\r\n"
            head = parseHead(REQUEST.replace(b"\r\n\r\n", offer))
            _, answer = acceptUpgrade(head, subprotocols=["a", "b"])
            line = b"" if agreed is None else b"Sec-WebSocket-Protocol: " + agreed + b"\r\n"
            self.assertEqual(answer, RESPONSE[:-2] + line + b"\r\n")
            self.assertEqual(acceptUpgrade(head), (None, RESPONSE))
        malformed = REQUEST.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: ()\r\n\r\n")
        self.assertEqual(self.refused(malformed).status, 400)

    def test_extensions(self) -> None:
        """
        Compression is negotiated if the client offers it. A malformed offer is
        refused only if compression is enabled.
        """
        extension, response = acceptUpgrade(parseHead(REQUEST), compress=True)
        assert extension is not None
        self.assertIn(b"\r\nSec-WebSocket-Extensions: permessage-deflate;", response)
        other = parseHead(REQUEST.replace(b"permessage-deflate", b"x-other"))
        self.assertEqual(acceptUpgrade(other, compress=True), (None, RESPONSE))
        head = parseHead(REQUEST.replace(b"permessage-deflate", b"()"))
        self.assertEqual(acceptUpgrade(head), (None, RESPONSE))
        self.assertRaises(HTTPAnswer, acceptUpgrade, head, compress=True)
