"""
Tests for L{openfl_twisted.wire.forwarded}.
"""

import time
from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.forwarded import _MAX_REPORTED, clientOf, reportedBy

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def reported(header: str, text: str, peer: str = "10.0.0.1") -> str | None:
    """
    Return the reported address and port of a client, as C{address port}.
    """
    client = clientOf({header: text}, peer, PROXIES)
    return None if client is None else f"{client.address} {client.port}"


def quoted(text: str) -> str:
    """
    Return a text as a quoted string, with escaped quotation marks.
    """
    return '"' + "".join(f"\\{letter}" if letter in '"\\' else letter for letter in text) + '"'


def elements() -> st.SearchStrategy[str]:
    """
    Generate elements of C{Forwarded}, with any text in their quoted strings.
    """
    texts = st.text(st.characters(min_codepoint=32, max_codepoint=255)) | st.sampled_from(
        ["a,for=203.0.113.6", ";for=203.0.113.6;", '",for=203.0.113.6,"', "\\"]
    )
    pairs = st.tuples(st.sampled_from(["host", "by", "x-other"]), texts).map(
        lambda pair: f"{pair[0]}={quoted(pair[1])}"
    )
    return st.lists(pairs).map(";".join)


class ForwardedTests(SynchronousTestCase):
    """
    L{clientOf} finds the client's address.
    """

    def test_list(self) -> None:
        """
        The client is the last address that is not a trusted proxy; entries before
        it are ignored, valid or not.
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
            self.assertEqual(reported("x-forwarded-for", text), client, text)

    def test_forwarded(self) -> None:
        """
        The C{Forwarded} field of RFC 7239 is supported too.
        """
        for text, client in [
            ("for=192.0.2.1", "192.0.2.1 0"),
            ('for="192.0.2.1:47"', "192.0.2.1 47"),
            ('proto=https; For="[2001:db8::1]:4711";by=10.1.1.1', "2001:db8::1 4711"),
            ("for=198.51.100.7, for=192.0.2.1;host=a, for=10.1.1.1", "192.0.2.1 0"),
            ("for=192.0.2.1, proto=http", None),
            ("for=unknown", None),
            ('for="_hidden"', None),
            (r'for="192.0\.2.1"', "192.0.2.1 0"),
            ("for=192.0.2.1;;", "192.0.2.1 0"),
            ("for", None),
            ("for=192.0.2.1;for=192.0.2.2", None),
            ("for=192.0.2.1, ", None),
        ]:
            self.assertEqual(reported("forwarded", text), client, text)

    def test_quoted(self) -> None:
        """
        Separators in a quoted string are text. A quoted string without an end
        makes the field invalid.
        """
        for text, client in [
            ('for=192.0.2.1;host="a,for=203.0.113.6"', "192.0.2.1 0"),
            ('host="a;for=203.0.113.6;b";for=192.0.2.1', "192.0.2.1 0"),
            (r'for=192.0.2.1;host="\",for=203.0.113.6"', "192.0.2.1 0"),
            ('host="a, for=192.0.2.1', None),
            ('host="a, for=192.0.2.1;host="b"', None),
            ('host="\\', None),
        ]:
            self.assertEqual(reported("forwarded", text), client, text)

    def test_both(self) -> None:
        """
        A request with both header fields has no trusted address: a proxy that
        writes one forwards the client's other one.
        """
        headers = {"forwarded": "for=192.0.2.1", "x-forwarded-for": "192.0.2.1"}
        self.assertIsNone(clientOf(headers, "fd00::1", PROXIES))
        self.assertIsNone(clientOf({**headers, "forwarded": ""}, "fd00::1", PROXIES))

    def test_spaces(self) -> None:
        """
        Many spaces are parsed in linear time, in a valid or an invalid field.
        """
        spaces = " " * 15_000
        for text, client in [(f'a="{spaces}";for=192.0.2.1', "192.0.2.1 0"), (f'{spaces}"', None)]:
            started = time.process_time()
            self.assertEqual(reported("forwarded", text), client)
            self.assertLess(time.process_time() - started, 0.5)

    @given(st.lists(elements()), elements(), elements())
    def test_noSpoofing(self, before: list[str], left: str, right: str) -> None:
        """
        The address is the one that the proxy has written, regardless of quoted strings.
        """
        last = f"{left};for=192.0.2.1;{right}"
        self.assertEqual(reported("forwarded", ",".join([*before, last])), "192.0.2.1 0")

    def test_malformed(self) -> None:
        """
        A malformed last entry means that the address is unknown.
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
            self.assertIsNone(reported("x-forwarded-for", text), text)

    def test_untrusted(self) -> None:
        """
        Only the header fields of trusted proxies are used.
        """
        for peer in ("192.0.2.9", "::1", "not an address"):
            self.assertIsNone(reported("x-forwarded-for", "192.0.2.1", peer))
        self.assertIsNone(clientOf({}, "10.0.0.1", PROXIES))
        self.assertEqual(reported("x-forwarded-for", "192.0.2.1", "::ffff:10.0.0.1"), "192.0.2.1 0")

    @given(
        st.sampled_from(["forwarded", "x-forwarded-for"]), st.text(st.characters(max_codepoint=255))
    )
    def test_anything(self, header: str, text: str) -> None:
        """
        Any header field has an address, or none.
        """
        client = reported(header, text)
        self.assertNotEqual(client, "")

    def test_only(self) -> None:
        """
        If only one header field is read, the others are ignored. A field that is not a list must
        contain exactly one address.
        """
        headers = {"x-forwarded-for": "192.0.2.1, 10.0.0.2", "forwarded": "for=192.0.2.2"}
        for only, text, client in (
            ("X-Real-IP", "192.0.2.3", "192.0.2.3"),
            ("CF-Connecting-IP", "2001:db8::1", "2001:db8::1"),
            ("X-Real-IP", "::ffff:192.0.2.3", "192.0.2.3"),
            ("X-Real-IP", "10.0.0.3", "10.0.0.3"),
            ("X-Real-IP", "192.0.2.3, 192.0.2.4", None),
            ("X-Real-IP", "proxy.example", None),
            ("X-Real-IP", "", None),
        ):
            found = clientOf({**headers, only.lower(): text}, "10.0.0.1", PROXIES, only)
            self.assertEqual(found and str(found.address), client)
        for only, client in (
            ("X-Forwarded-For", "192.0.2.1"),
            ("Forwarded", "192.0.2.2"),
            ("X-Real-IP", None),
        ):
            found = clientOf(headers, "10.0.0.1", PROXIES, only)
            self.assertEqual(found and str(found.address), client)
        real = {"x-real-ip": "192.0.2.3"}
        self.assertIsNone(clientOf(real, "192.0.2.9", PROXIES, "X-Real-IP"))
        self.assertIsNone(clientOf(real, "10.0.0.1", PROXIES))


class ReportedByTests(SynchronousTestCase):
    """
    L{reportedBy}.
    """

    @given(
        st.sampled_from(["192.0.2.7", "192.0.2.7:80", "2001:db8::7", '"[2001:db8::7]:80"']),
        st.text(st.characters(min_codepoint=32, max_codepoint=255)),
        st.booleans(),
    )
    def test_found(self, address: str, before: str, isList: bool) -> None:
        """
        The address that the proxy appends is found after any text of the client, also if it is not
        known which of the fields the proxy has changed.
        """
        headers = {"x-forwarded-for": before, "forwarded": before}
        headers["x-forwarded-for" if isList else "forwarded"] += f", for={address}"
        found = {str(each.address) for each in reportedBy(headers, "10.0.0.1", PROXIES)}
        self.assertIn("192.0.2.7" if "." in address else "2001:db8::7", found)

    def test_limits(self) -> None:
        """
        The last addresses of the named field are found, if the peer is a trusted proxy.
        """
        headers = {"x-real-ip": "192.0.2.1 " * (2 * _MAX_REPORTED) + "192.0.2.2"}
        found = reportedBy(headers, "10.0.0.1", PROXIES, "X-Real-IP")
        self.assertEqual(len(found), _MAX_REPORTED)
        self.assertEqual(str(found[-1].address), "192.0.2.2")
        self.assertEqual(reportedBy(headers, "10.0.0.1", PROXIES), [])
        self.assertEqual(reportedBy(headers, "192.0.2.9", PROXIES, "X-Real-IP"), [])
        self.assertEqual(reportedBy(headers, "unix", PROXIES, "X-Real-IP"), [])
