"""
Tests for L{openfl_twisted.brokers.brokerurl}.
"""

import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trustme
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.brokers.brokerurl import parseBrokerURL, presenceFromURL, pubSubFromURL
from openfl_twisted.brokers.natspubsub import NATSPubSub
from openfl_twisted.brokers.redispresence import RedisPresence
from openfl_twisted.brokers.redispubsub import RedisPubSub
from openfl_twisted.protocols.securesocket import SecureEndpoint
from openfl_twisted.rooms.presence import MemoryPresence
from openfl_twisted.rooms.pubsub import MemoryPubSub
from tests.brokers.doubles import NODE, withoutHiredis
from tests.laboratory import authority, toPEM


class ParseTests(SynchronousTestCase):
    """
    L{parseBrokerURL} parses the URLs of brokers.
    """

    def test_parts(self) -> None:
        """
        Missing parts have default values.
        """
        for url, expected in [
            ("memory:", ("", 0, None, None, False, "openfl")),
            ("memory://", ("", 0, None, None, False, "openfl")),
            ("redis://a", ("a", 6379, None, None, False, "openfl")),
            ("redis://a/0", ("a", 6379, None, None, False, "openfl")),
            ("rediss://[::1]:7/", ("::1", 7, None, None, True, "openfl")),
            ("redis://u%40:p%2F%23@a?prefix=x", ("a", 6379, "u@", "p/#", False, "x")),
            ("redis://:p@a", ("a", 6379, None, "p", False, "openfl")),
            ("nats://t0ken@a", ("a", 4222, "t0ken", None, False, "openfl")),
            ("nats+tls://u:p@a:1", ("a", 1, "u", "p", True, "openfl")),
            ("tls://a", ("a", 4222, None, None, True, "openfl")),
        ]:
            broker = parseBrokerURL(url)
            found = broker.host, broker.port, broker.user, broker.password, broker.secure
            self.assertEqual((*found, broker.prefix), expected, url)

    def test_problems(self) -> None:
        """
        An error names the problem, without the password.
        """
        for url, message in [
            ("", "unknown URL scheme '': must be one of memory:, redis://"),
            ("http://u:secret@a", "unknown URL scheme 'http': must be one of memory:, redis://"),
            ("redis://", "the URL must have a host, such as redis://"),
            ("redis://u:secret@a:x", "invalid host, port or query"),
            ("redis://u:secret@a:99999", "invalid host, port or query"),
            ("redis://u:secret@[a", "invalid host, port or query"),
            ("redis://u:secret\u2100@a", "invalid host, port or query"),
            ("redis://a?secret", "invalid host, port or query"),
            ("redis://u:secret@a/3", "does not use databases"),
            ("nats://u:secret@a/3", "a NATS URL must not have a path"),
            ("redis://u:se#cret@a", "invalid host, port or query"),
            ("redis://a/#secret", "%23"),
            ("redis://u@a", "redis://user:password@host"),
            ("nats://:secret@a", "nats://user:password@host"),
            (
                "redis://a?prefix=",
                "the prefix parameter must have 1 to 100 bytes, such as ?prefix=games",
            ),
            (
                "redis://a?prefix=" + "x" * 101,
                "the prefix parameter must have 1 to 100 bytes, such as ?prefix=games",
            ),
            ("redis+sentinel://u:secret@a:1,b:2/master", "proxy, such as haproxy"),
            ("REDIS-CLUSTER://u:secret@a", "proxy, such as haproxy"),
            ("redis://a?db=secret", "unknown URL parameter 'db': must be prefix, ca, certificate"),
            ("redis://a?ca=x", "the ca parameter requires TLS"),
            ("nats://a?certificate=x", "the certificate parameter requires TLS"),
            ("rediss://a?key=x", "the key parameter requires the certificate parameter"),
            ("tls://a?certificate=/nowhere", "/nowhere: No such file"),
            ("rediss://a?ca=/nowhere", "/nowhere: No such file"),
        ]:
            with self.assertRaises(ValueError) as caught:
                parseBrokerURL(url)
            self.assertIn(message, str(caught.exception))
            self.assertNotIn("secret", str(caught.exception))

    @given(st.text(st.characters(codec="utf-8")))
    def test_anyText(self, text: str) -> None:
        """
        Any other text raises L{ValueError}.
        """
        for url in (text, f"redis://{text}", f"nats+tls://a{text}", f"rediss://{text}"):
            with contextlib.suppress(ValueError):
                pubSubFromURL(url, MemoryReactorClock())
                presenceFromURL(url, MemoryReactorClock(), NODE)

    def test_certificates(self) -> None:
        """
        The trust anchors can be read from a file.
        """
        root = authority()
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "ca.pem"
        path.write_bytes(toPEM([root.certificate]))
        broker = parseBrokerURL(f"nats+tls://a?ca={path}")
        assert broker.trust is not None
        self.assertEqual(broker.trust.anchors, (root.certificate,))
        path.write_bytes(b"")
        with self.assertRaisesRegex(ValueError, "no PEM certificate"):
            parseBrokerURL(f"rediss://a?ca={path}")

    def test_clientCertificate(self) -> None:
        """
        For mutual TLS, a certificate and its key can be read from one file or from two files.
        """
        issued = trustme.CA().issue_cert("server-1.example")
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        both, chain, key = (Path(folder.name) / name for name in ("both", "chain", "key"))
        issued.private_key_and_cert_chain_pem.write_to_path(str(both))
        issued.private_key_pem.write_to_path(str(key))
        chain.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        found = [
            parseBrokerURL(f"rediss://a?certificate={both}").certificate,
            parseBrokerURL(f"nats+tls://a?certificate={chain}&key={key}").certificate,
        ]
        for pair in found:
            assert pair is not None
            self.assertEqual(
                pair.chain[0].public_bytes(Encoding.PEM), issued.cert_chain_pems[0].bytes()
            )
            self.assertEqual(pair.key.public_key(), pair.chain[0].public_key())
        with self.assertRaisesRegex(ValueError, "contains no PEM private key"):
            parseBrokerURL(f"rediss://a?certificate={chain}")
        for url in (f"rediss://a?certificate={both}", f"tls://a?certificate={both}"):
            self.assertIsNotNone(pubSubFromURL(url, MemoryReactorClock()))

    def test_repr(self) -> None:
        """
        The C{repr} contains no password.
        """
        broker = parseBrokerURL("rediss://user:secret@[::1]")
        self.assertNotIn("secret", repr(broker))
        self.assertEqual(broker.description, "rediss://[::1]:6379")


class MakeTests(SynchronousTestCase):
    """
    L{pubSubFromURL} and L{presenceFromURL} create the objects that a URL describes.
    """

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()

    def pubSub(self, url: str) -> Any:
        return pubSubFromURL(url, self.reactor, node=NODE)

    def test_schemes(self) -> None:
        """
        The scheme selects the implementation, and its C{repr} contains no password.
        """
        for url, kind in [
            ("memory:", MemoryPubSub),
            ("redis://u:secret@127.0.0.1?prefix=x", RedisPubSub),
            ("rediss://u:secret@127.0.0.1?prefix=x", RedisPubSub),
            ("nats://u:secret@127.0.0.1?prefix=x", NATSPubSub),
            ("tls://u:secret@127.0.0.1?prefix=x", NATSPubSub),
        ]:
            pubSub = self.pubSub(url)
            self.assertIsInstance(pubSub, kind)
            self.assertEqual(pubSub.node, NODE)
            self.assertNotIn("secret", repr(pubSub))
            if kind is not MemoryPubSub:
                self.assertEqual(pubSub.prefix, "x")
                self.assertIn("127.0.0.1:", pubSub.description)

    def test_tls(self) -> None:
        """
        Redis uses TLS from the first byte. NATS starts TLS after the server's C{INFO}.
        """
        self.assertIsNone(self.pubSub("nats://a").tls)
        self.assertIsNotNone(self.pubSub("nats+tls://a").tls)
        for url, secure in [("redis://a", False), ("rediss://a", True)]:
            endpoint = parseBrokerURL(url).secured(self.reactor, self.pubSub(url).limits)
            self.assertEqual(isinstance(endpoint, SecureEndpoint), secure)

    def test_connects(self) -> None:
        """
        The client connects to the host and port of the URL.
        """
        self.pubSub("redis://127.0.0.1:7").start()
        self.reactor.advance(0)
        self.assertEqual([each[:2] for each in self.reactor.tcpClients], [("127.0.0.1", 7)])

    def test_connectTimeout(self) -> None:
        """
        A connection attempt has a timeout.
        """
        self.pubSub("redis://127.0.0.1:7").start()
        self.reactor.advance(0)
        self.assertEqual([each[3] for each in self.reactor.tcpClients], [10.0])

    def test_presences(self) -> None:
        """
        Lists of members are shared through Redis and in memory, but not through NATS.
        """
        for url, kind in [
            ("memory:", MemoryPresence),
            ("redis://u:secret@a", RedisPresence),
            ("nats://a", type(None)),
        ]:
            presence = presenceFromURL(url, self.reactor, NODE)
            self.assertIsInstance(presence, kind)
            self.assertNotIn("secret", repr(presence))

    def test_libraryMissing(self) -> None:
        """
        Redis requires hiredis, and an error names the command that installs it. Other
        brokers do not require it.
        """
        with withoutHiredis():
            self.assertIsInstance(self.pubSub("nats://a"), NATSPubSub)
            for make in (self.pubSub, lambda url: presenceFromURL(url, self.reactor, NODE)):
                with self.assertRaisesRegex(ImportError, r"pip install 'openfl-twisted\[redis\]'"):
                    make("redis://a")
