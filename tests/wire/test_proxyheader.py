"""
Tests for L{openfl_twisted.wire.proxyheader}.
"""

import ipaddress
import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.proxyheader import (
    _MAX_HEADER,
    ProxyHeader,
    ProxyHeaderError,
    parseProxyHeader,
)

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def binary(command: int, family: int, addresses: bytes) -> bytes:
    """
    Encode a header of version 2.
    """
    return SIGNATURE + struct.pack("!BBH", command, family, len(addresses)) + addresses


def shown(header: ProxyHeader | None) -> str | None:
    """
    Write the addresses of a header.
    """
    if header is None or header.addresses is None:
        return None
    return " ".join(f"{address} {port}" for address, port in header.addresses)


FOUR = ipaddress.ip_address("192.0.2.1").packed + ipaddress.ip_address("192.0.2.2").packed
SIX = ipaddress.ip_address("2001:db8::1").packed + ipaddress.ip_address("::1").packed
VALID = [
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 51000 9000\r\n", "192.0.2.1 51000 192.0.2.2 9000"),
    (b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", "2001:db8::1 1 ::1 65535"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff::1 anything 1 2\r\n", None),
    (binary(0x21, 0x11, FOUR + b"\0\1\0\2"), "192.0.2.1 1 192.0.2.2 2"),
    (binary(0x21, 0x21, SIX + b"\0\1\0\2extension"), "2001:db8::1 1 ::1 2"),
    (binary(0x20, 0x00, b""), None),
    (binary(0x20, 0x11, FOUR + b"\0\1\0\2"), None),
    (binary(0x21, 0x31, bytes(216)), None),
]
INVALID = [
    (b"GET / HTTP/1.1\r\n", "does not begin with a PROXY header"),
    (b"\r\n\r\n\0\r\nQUIT\0", "does not begin with a PROXY header"),
    (b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", "the PROXY line must have the form PROXY TCP4"),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "the PROXY line must have the form PROXY TCP4"),
    (b"PROXY TCP4 6.6.6.6\x1b[31m 1.1.1.1 5 6\r\n", "the PROXY line must have the form PROXY TCP4"),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "the PROXY line must have the form PROXY TCP4"),
    (b"PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", "invalid IP address in the PROXY header"),
    (b"PROXY TCP4 ::1 ::1 1 2\r\n", "the TCP4 addresses must be IPv4 addresses"),
    (b"PROXY TCP6 1.2.3.4 ::1 1 2\r\n", "the TCP6 addresses must be IPv6 addresses"),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", "a port in the PROXY header exceeds 65535"),
    (
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 " + b"9" * 60 + b"\r\n",
        "a port in the PROXY header exceeds 65535",
    ),
    (b"PROXY UNKNOWN " + b"x" * 93, "the PROXY line is longer than 107 bytes"),
    (binary(0x22, 0x11, FOUR + b"\0\1\0\2"), "unknown version or command in the PROXY header"),
    (binary(0x11, 0x11, FOUR + b"\0\1\0\2"), "unknown version or command in the PROXY header"),
    (binary(0x21, 0x11, FOUR), "the addresses in the PROXY header are incomplete"),
    (SIGNATURE + b"\x21\x11" + struct.pack("!H", _MAX_HEADER), "longer than 4096 bytes"),
]


class ParseTests(SynchronousTestCase):
    """
    Parsing the header at the beginning of a connection.
    """

    def test_valid(self) -> None:
        """
        The addresses of both versions are parsed; local connections and unknown families
        have none. The header is complete at its last byte, whatever follows.
        """
        for data, addresses in VALID:
            for length in range(len(data)):
                self.assertIsNone(parseProxyHeader(data[:length]), data[:length])
            header = parseProxyHeader(data + b"PROXY")
            assert header is not None
            self.assertEqual((shown(header), header.length), (addresses, len(data)))

    def test_invalid(self) -> None:
        """
        Other bytes raise an error that does not repeat them.
        """
        for data, words in INVALID:
            with self.assertRaises(ProxyHeaderError) as caught:
                parseProxyHeader(data)
            self.assertIn(words, str(caught.exception))
            self.assertNotIn("\x1b", str(caught.exception))

    @given(
        st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 1.2.3.4 ", SIGNATURE, SIGNATURE + b"\x21"]),
        st.binary(max_size=300),
    )
    def test_decidesOnce(self, start: bytes, rest: bytes) -> None:
        """
        Byte by byte, the first result is the last, except that errors can be found
        earlier or later than a header.
        """
        data = start + rest
        decided: ProxyHeader | None = None
        for length in range(len(data) + 1):
            try:
                header = parseProxyHeader(data[:length])
            except ProxyHeaderError:
                self.assertIsNone(decided)
                self.assertRaises(ProxyHeaderError, parseProxyHeader, data)
                return
            if decided is not None:
                self.assertEqual(header, decided)
            decided = header
