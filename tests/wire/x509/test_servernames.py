"""
Tests for L{openfl_twisted.wire.x509._servernames}.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import product
from unittest import mock

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store
from hypothesis import given
from hypothesis import strategies as st
from service_identity.hazmat import DNSPattern
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.x509 import _servernames as servernames
from openfl_twisted.wire.x509._servernames import ServerName, describeNames
from tests.extensions import Names, malformedNames
from tests.laboratory import authority, keyFor, server, tlv

ROOT = authority("Root")
LABELS = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,20}[a-z0-9_])?", fullmatch=True)
# A last label of letters, so that no name is an address.
DOMAINS = st.tuples(LABELS, st.lists(LABELS, max_size=3), st.just("example")).map(
    lambda parts: ".".join([parts[0], *parts[1], parts[2]])
)
KELVIN = tlv(0x30, tlv(0x82, "\u212a.example".encode()))
TEXTS = st.text(st.characters(codec="utf-8"), max_size=80)


def matches(host: str, names: Names) -> bool:
    """
    Return whether a certificate with some names is for a host.
    """
    return ServerName(host).matches(server(ROOT, names=names).certificate)


class NameTests(SynchronousTestCase):
    """
    L{ServerName} parses the name of a server.
    """

    def test_names(self) -> None:
        """
        DNS names are converted to ASCII and lower case, without a trailing dot.
        """
        for text, dns in {
            "games.example": "games.example",
            "Games.EXAMPLE.": "games.example",
            "bücher.example": "xn--bcher-kva.example",
            "BÜCHER.example.": "xn--bcher-kva.example",
            "faß.example": "xn--fa-hia.example",
            "\U0001f4a9.example": "xn--ls8h.example",
            "my_service": "my_service",
            "localhost": "localhost",
            "a" * 63: "a" * 63,
        }.items():
            name = ServerName(text)
            self.assertEqual((name.dns, name.address, name.text), (dns, None, text))
            self.assertEqual(name.indication, dns.encode())

    def test_addresses(self) -> None:
        """
        IP addresses are recognized in all spellings, and are not sent as SNI.
        """
        addresses: dict[str, IPv4Address | IPv6Address] = {
            "127.0.0.1": IPv4Address("127.0.0.1"),
            "::1": IPv6Address("::1"),
            "[::1]": IPv6Address("::1"),
            "2001:DB8:0::1": IPv6Address("2001:db8::1"),
            "[fe80::1%eth0]": IPv6Address("fe80::1"),
        }
        for text, address in addresses.items():
            name = ServerName(text)
            self.assertEqual((name.address, name.dns, name.indication), (address, None, None))
            self.assertEqual(name.subject, x509.IPAddress(address))

    def test_noNames(self) -> None:
        """
        An invalid name has no DNS name, and matches no certificate.
        """
        for text in [
            "", ".", "..", "a..b", ".a", "a b", "a\0b", "*", "*.example.test", "-a.example", "a/b",
            "a" * 64, "a:1", "http://a", "\u2603" * 70, "\ud800", "xn--\u00fc", "::1%", "a\n",
            ".".join(["a" * 60] * 5), "[::1",
        ]:  # fmt: skip
            name = ServerName(text)
            if name.address is None:
                self.assertIsNone(name.dns, text)
                self.assertIsNone(name.indication)
                self.assertIsNone(name.subject)
                self.assertFalse(name.matches(server(ROOT).certificate))

    @given(TEXTS)
    def test_everyText(self, text: str) -> None:
        """
        Any text is a name, an address or neither; no text raises an exception.
        """
        name = ServerName(text)
        self.assertFalse(name.address is not None and name.dns is not None)
        if name.dns is not None:
            self.assertEqual(ServerName(name.dns).dns, name.dns)
            self.assertLessEqual(len(name.dns), 253)

    @given(DOMAINS)
    def test_subject(self, text: str) -> None:
        """
        A subject is accepted by C{cryptography}. Only names with an underscore
        have no subject.
        """
        name = ServerName(text)
        if name.subject is None:
            self.assertIn("_", text)
            return
        PolicyBuilder().store(Store([ROOT.certificate])).build_server_verifier(name.subject)


class MatchTests(SynchronousTestCase):
    """
    The check that a certificate is for a server (RFC 9525).
    """

    def test_malformed(self) -> None:
        """
        A malformed name in a certificate matches no server, and does not affect
        other names.
        """
        malformed: Names = [
            "*", "*.*.example", "a.*.example", "*.0.0.1", "", " ", "a b", "..", "*..example",
            "games.example ", "\tgames.example", "1",
        ]  # fmt: skip
        self.assertFalse(matches("games.example", malformed))
        self.assertTrue(matches("games.example", [*malformed, "games.example"]))
        self.assertTrue(matches("127.0.0.1", [*malformed, "127.0.0.1"]))

    def test_numbers(self) -> None:
        """
        A number matches no certificate, because systems treat it as an IP address.
        """
        for number in ("1", "2130706433"):
            self.assertFalse(matches(number, [number]))

    def test_finalDot(self) -> None:
        """
        A trailing dot is ignored on both sides, with a wildcard too.
        """
        for host in ("a.games.example", "a.games.example."):
            for name in ("a.games.example.", "*.games.example."):
                self.assertTrue(matches(host, [name]))
        self.assertFalse(matches("a.example", ["*.example."]))
        self.assertFalse(matches("games.example", ["games.example.."]))

    def test_internationalBelowWildcard(self) -> None:
        """
        A wildcard matches one internationalized label.
        """
        self.assertTrue(matches("b\xfccher.lab.example", ["*.lab.example"]))
        self.assertFalse(matches("a.b\xfccher.lab.example", ["*.lab.example"]))
        self.assertFalse(matches("b\xfccher.example", ["*.example"]))
        self.assertFalse(matches("b\xfccher.lab.example", ["idn.lab.example"]))

    def test_described(self) -> None:
        """
        Error messages list three names of a certificate, without control characters.
        """
        for names, text in (
            (["a.example", "10.0.0.1"], "a.example, 10.0.0.1"),
            (
                [f"{number}.example" for number in range(5)],
                "0.example, 1.example, 2.example, 2 more",
            ),
            (["a\x1bb.example"], "a\N{REPLACEMENT CHARACTER}b.example"),
            (["a" * 70], "a" * 64 + "\N{HORIZONTAL ELLIPSIS}"),
            ([x509.RFC822Name("a@a.example")], "no DNS name or IP address"),
        ):
            self.assertEqual(describeNames(server(ROOT, names=names).certificate), text)
        nameless = server(ROOT, without=[x509.SubjectAlternativeName]).certificate
        self.assertEqual(describeNames(nameless), "no name: it has no subjectAltName")

    def test_wildcards(self) -> None:
        """
        A star represents exactly the first label, before at least two others.
        """
        for host, pattern, expected in [
            ("a.b.example", "*.b.example", True),
            ("a.b.example", "*.B.Example.", True),
            ("xn--a.b.example", "*.b.example", True),
            ("a.b.c.example", "*.c.example", False),
            ("b.example", "*.b.example", False),
            ("a.example", "*.example", False),
            ("a.b.example", "a.*.example", False),
            ("a.b.example", "*.*.example", False),
            ("a.b.example", "a*.b.example", False),
            ("a.b.example", "*", False),
            ("a.b.example", "*.", False),
            ("a.b.example", "", False),
            ("a.b.example", ".b.example", False),
            ("a.b.example", "*..b.example", False),
        ]:
            self.assertEqual(matches(host, [pattern]), expected, (host, pattern))

    def test_noNames(self) -> None:
        """
        A certificate without subject alternative names matches no server,
        whatever its common name is.
        """
        certificate = server(
            ROOT, name="games.example", without=[x509.SubjectAlternativeName]
        ).certificate
        self.assertFalse(ServerName("games.example").matches(certificate))

    def test_unreadable(self) -> None:
        """
        Malformed subject alternative names raise an exception.
        """
        for content in (b"", b"names", tlv(0x30, tlv(0x87, b"\1\2\3"))):
            certificate = server(ROOT, malformedNames(content)).certificate
            self.assertRaises(ValueError, ServerName("games.example").matches, certificate)

    def test_manyNames(self) -> None:
        """
        One name among ten thousand is found in linear time.
        """
        names = [f"n{number}.example" for number in range(10_000)]
        certificate = server(ROOT, names=names).certificate
        self.assertTrue(ServerName("n9999.example").matches(certificate))
        self.assertFalse(ServerName("n10000.example").matches(certificate))

    def test_parsedNames(self) -> None:
        """
        Only names that may be for a server are parsed.
        """
        parsed: list[bytes] = []

        class Recording(DNSPattern):
            @classmethod
            def from_bytes(cls, pattern: bytes) -> DNSPattern:
                parsed.append(pattern)
                return DNSPattern.from_bytes(pattern)

        self.patch(servernames, "DNSPattern", Recording)
        others = ["*.a.b.example", "b.example", "games.b.example.x", "*.example"]
        names = [*others, "*.B.example", "Games.b.example."]
        host = ServerName("games.b.example")
        self.assertFalse(host.matches(server(ROOT, names=others).certificate))
        self.assertEqual(parsed, [])
        self.assertTrue(host.matches(server(ROOT, names=names).certificate))
        self.assertEqual(parsed, [b"games.b.example"])
        self.assertFalse(
            ServerName("k.example").matches(server(ROOT, malformedNames(KELVIN)).certificate)
        )

    def test_manySpellings(self) -> None:
        """
        A wildcard that matches no server is parsed once, in any case.
        """
        spellings = map("".join, product(*zip("example", "EXAMPLE", strict=True)))
        with mock.patch.object(servernames, "_isFor", return_value=False) as compared:
            names = [f"*.{each}" for each in spellings]
            self.assertFalse(
                ServerName("games.example").matches(server(ROOT, names=names).certificate)
            )
        self.assertEqual(compared.call_count, 1)

    @given(DOMAINS, DOMAINS)
    def test_onlyItself(self, host: str, other: str) -> None:
        """
        A name without a star matches only itself, in any case.
        """
        names = [other.upper()]
        self.assertEqual(matches(host, names), host == other)

    @given(DOMAINS, LABELS, LABELS)
    def test_oneLabel(self, domain: str, label: str, more: str) -> None:
        """
        A star matches any single label, and never two.
        """
        names = [f"*.{domain}"]
        many = "." in domain
        self.assertEqual(matches(f"{label}.{domain}", names), many)
        self.assertFalse(matches(f"{more}.{label}.{domain}", names))
        self.assertFalse(matches(domain, names))

    @given(st.ip_addresses(), st.ip_addresses())
    def test_addresses(self, one: IPv4Address, other: IPv4Address) -> None:
        """
        An IP address matches only itself, and never a DNS name with the same text.
        """
        self.assertTrue(matches(str(one), [str(one)]))
        self.assertEqual(matches(str(one), [str(other)]), one == other)
        self.assertFalse(matches(str(one), [x509.DNSName(str(one))]))

    @given(TEXTS, st.text(st.characters(codec="ascii"), max_size=30))
    def test_everyName(self, host: str, name: str) -> None:
        """
        Any name in a certificate is accepted. Without a star it matches only an
        equal host name.
        """
        certificate = server(ROOT, names=[x509.DNSName(name)], key=keyFor("Root")).certificate
        asked = ServerName(host)
        if asked.matches(certificate) and not name.startswith("*."):
            self.assertEqual(asked.dns, name.lower().removesuffix("."))

    def test_spellings(self) -> None:
        """
        All spellings of an IPv6 address are equal.
        """
        for text in ("::1", "0:0:0:0:0:0:0:1", "[0::1]", "::0001"):
            self.assertTrue(matches(text, [x509.IPAddress(ip_address("::1"))]))
