"""
Tests for L{openfl_twisted.testing._reactor}, except network and clock.
"""

from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorAlreadyRunning, ReactorNotRunning
from twisted.internet.interfaces import (
    IReactorCore,
    IReactorFDSet,
    IReactorPluggableNameResolver,
    IReactorSocket,
    IReactorSSL,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
)
from twisted.internet.protocol import ClientFactory, Factory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from openfl_twisted.testing import CertificateMaker, MemoryNetwork, Peer


class ReactorTests(SynchronousTestCase):
    """
    L{MemoryReactor} is a reactor.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.reactor = self.network.reactor

    def test_interfaces(self) -> None:
        """
        The reactor provides its interfaces.
        """
        for interface in (
            IReactorCore,
            IReactorFDSet,
            IReactorPluggableNameResolver,
            IReactorSSL,
            IReactorSocket,
            IReactorTCP,
            IReactorTime,
            IReactorUDP,
        ):
            verifyObject(interface, self.reactor)

    def test_shutdown(self) -> None:
        """
        Stopping calls the triggers in order, and waits for their results.
        """
        called: list[str] = []
        waiting: Deferred[None] = Deferred()

        def close() -> Deferred[None]:
            called.append("before")
            return waiting

        add = self.reactor.addSystemEventTrigger
        add("after", "shutdown", called.append, "after")
        add("before", "shutdown", close)
        removed = add("before", "shutdown", called.append, "removed")
        self.reactor.removeSystemEventTrigger(removed)
        self.reactor.stop()
        self.assertEqual(called, ["before"])
        waiting.callback(None)
        self.assertEqual(called, ["before", "after"])
        self.assertFalse(self.reactor.running)
        self.assertRaises(ReactorNotRunning, self.reactor.stop)

    def test_startup(self) -> None:
        """
        The reactor runs from the beginning.
        """
        called: list[int] = []
        self.reactor.addSystemEventTrigger("after", "startup", called.append, 1)
        self.reactor.callWhenRunning(called.append, 2)
        self.assertEqual(called, [1, 2])
        self.assertRaises(ReactorAlreadyRunning, self.reactor.run)
        self.reactor.crash()
        self.assertFalse(self.reactor.running)
        self.reactor.fireSystemEvent("unknown")

    def test_fromThread(self) -> None:
        """
        A call from a thread runs in the next iteration.
        """
        called: list[int] = []
        self.reactor.callFromThread(called.append, 1)
        self.assertEqual(called, [])
        self.network.step()
        self.assertEqual(called, [1])

    def test_selectables(self) -> None:
        """
        Readers and writers can be listed, and removed together.
        """
        port: Any = self.reactor.listenTCP(0, Factory.forProtocol(Peer))
        self.assertEqual((self.reactor.getReaders(), self.reactor.getWriters()), ([port], []))
        self.assertEqual(self.reactor.removeAll(), [port])
        self.assertEqual(self.reactor.getReaders(), [])

    def test_ssl(self) -> None:
        """
        C{listenSSL} and C{connectSSL} work.
        """
        credentials = CertificateMaker().make()
        [anchor] = credentials.trust.anchors
        server, client = Peer(), Peer()
        port = self.reactor.listenSSL(
            0,
            Factory.forProtocol(lambda: server),
            credentials,
            interface="127.0.0.1",
        )
        trusted = ssl.Certificate.load(anchor.public_bytes(Encoding.DER))
        self.reactor.connectSSL(
            "127.0.0.1",
            port.getHost().port,
            ClientFactory.forProtocol(lambda: client),
            ssl.optionsForClientTLS("localhost", trusted),
        )
        self.network.flush()
        client.send(b"ping")
        server.send(b"pong")
        self.network.flush()
        self.assertEqual((client.received, server.received), (b"pong", b"ping"))
