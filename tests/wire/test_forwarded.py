"""
Tests for L{openfl_twisted.wire.forwarded}.
"""

from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.forwarded import Client, clientOf

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def behind(header: str, text: str, peer: str = "10.0.0.1") -> str | None:
    """
    Write who is behind a proxy: C{address port}.
    """
    client = clientOf({header: text}, peer, PROXIES)
    return None if client is None else f"{client.address} {client.port}"


class ForwardedTests(SynchronousTestCase):
    """
    The client behind proxies.
    """

    def test_list(self) -> None:
        """
        It is the last one of the list that is no trusted proxy; what stands
        before it, right or wrong, does not matter.
        """
        for text, client in [
            ("192.0.2.1", "192.0.2.1 0"),
            (" 192.0.2.1 ", "192.0.2.1 0"),
            ("198.51.100.7, 192.0.2.1", "192.0.2.1 0"),
            ("192.0.2.1,10.2.3.4, fd00::1", "192.0.2.1 0"),
            ("garbage, 192.0.2.1, 10.2.3.4", "192.0.2.1 0"),
            ("10.2.3.4, 10.2.3.5", "10.2.3.4 0"),
            ("192.0.2.1:5678", "192.0.2.1 5678"),
            ("2001:db8::1", "2001:db8::1 0"),
            ("[2001:db8::1]:5678", "2001:db8::1 5678"),
            ("[2001:db8::1]", "2001:db8::1 0"),
            ("::ffff:192.0.2.1", "192.0.2.1 0"),
        ]:
            self.assertEqual(behind("x-forwarded-for", text), client, text)

    def test_forwarded(self) -> None:
        """
        The list of RFC 7239 is understood too; the other one counts more.
        """
        for text, client in [
            ("for=192.0.2.1", "192.0.2.1 0"),
            ('for="192.0.2.1:47"', "192.0.2.1 47"),
            ('proto=https; For="[2001:db8::1]:4711";by=10.1.1.1', "2001:db8::1 4711"),
            ("for=198.51.100.7, for=192.0.2.1;host=a, for=10.1.1.1", "192.0.2.1 0"),
            ("for=192.0.2.1, proto=http", None),
            ("for=unknown", None),
            ('for="_hidden"', None),
        ]:
            self.assertEqual(behind("forwarded", text), client, text)
        headers = {"forwarded": "for=192.0.2.1", "x-forwarded-for": "192.0.2.2"}
        self.assertEqual(clientOf(headers, "fd00::1", PROXIES), Client(ip_address("192.0.2.2"), 0))

    def test_malformed(self) -> None:
        """
        What is no address is nobody, and so is who stands before it.
        """
        for text in (
            "",
            "192.0.2.1,",
            "192.0.2.1, localhost",
            "192.0.2.256",
            "192.0.2.1:99999",
            "[192.0.2.1]x",
            "1.2.3",
        ):
            self.assertIsNone(behind("x-forwarded-for", text), text)

    def test_untrusted(self) -> None:
        """
        Nobody but a trusted proxy is believed.
        """
        for peer in ("192.0.2.9", "::1", "not an address"):
            self.assertIsNone(behind("x-forwarded-for", "192.0.2.1", peer))
        self.assertIsNone(clientOf({}, "10.0.0.1", PROXIES))
        self.assertEqual(behind("x-forwarded-for", "192.0.2.1", "::ffff:10.0.0.1"), "192.0.2.1 0")

    @given(
        st.sampled_from(["forwarded", "x-forwarded-for"]), st.text(st.characters(max_codepoint=255))
    )
    def test_anything(self, header: str, text: str) -> None:
        """
        Whatever stands in a header, it is somebody or nobody.
        """
        client = behind(header, text)
        self.assertNotEqual(client, "")
