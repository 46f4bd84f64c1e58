"""
Tests for L{openfl_twisted.wire.websocket.handshake}.
"""

from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.httprequest import HTTPAnswer, OtherRequest, RequestHead, parseHead
from openfl_twisted.wire.websocket.handshake import checkUpgrade, isUpgrade
from tests.frames import REQUEST


class CheckTests(SynchronousTestCase):
    """
    Whether a head is what it should be.
    """

    def refused(self, old: bytes, new: bytes) -> HTTPAnswer:
        """
        Get why the request is refused if something in it is another thing.
        """
        self.assertIn(old, REQUEST)
        head: RequestHead = parseHead(REQUEST.replace(old, new))
        refusal: HTTPAnswer = self.assertRaises(HTTPAnswer, checkUpgrade, head)
        return refusal

    def test_case(self) -> None:
        """
        Case does not matter, nor what else a list has.
        """
        head = parseHead(
            REQUEST.replace(b"Upgrade: websocket", b"UPGRADE: x, WebSocket")
            .replace(b"Connection: Upgrade", b"connection: keep-alive\r\nconnection: upgrade")
            .replace(b"Host", b"host")
        )
        self.assertTrue(isUpgrade(head))
        checkUpgrade(head)

    def test_noUpgrade(self) -> None:
        """
        A request that does not ask for a WebSocket gets the answer of such a
        request.
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
            self.assertNotIsInstance(refusal, OtherRequest)
            self.assertEqual(refusal.status, 400)
            self.assertIn(b"\r\nConnection: close\r\n", refusal.encode())

    def test_version(self) -> None:
        """
        Another version than 13, or none, is told so.
        """
        for version in (b"Sec-WebSocket-Version: 8\r\n", b""):
            refusal = self.refused(b"Sec-WebSocket-Version: 13\r\n", version)
            self.assertNotIsInstance(refusal, OtherRequest)
            self.assertEqual(refusal.status, 426)
            self.assertIn(b"\r\nSec-WebSocket-Version: 13\r\n", refusal.encode())
