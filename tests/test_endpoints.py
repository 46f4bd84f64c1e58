"""
Tests for L{openfl_twisted.endpoints}.
"""

import tempfile
import threading
from pathlib import Path
from typing import Any

import trustme
from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    quoteStringArgument,
    serverFromString,
)
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.protocols.wire import Echo
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from openfl_twisted.endpoints import (
    ListeningEndpoint,
    StartupError,
    openflEndpoint,
    parseClientTypes,
    parsePolicy,
)
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.sessions import Session
from openfl_twisted.sessions._writer import THREAD_NAME
from openfl_twisted.testing import MemoryNetwork, Peer
from openfl_twisted.wire.firstbytes import ALL_TYPES, FOREIGN, ClientType, Signature
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.rule import AccessRule
from tests.doubles import TightTransport, linesOf
from tests.frames import BINARY, REQUEST, RESPONSE, frame, framesIn
from tests.laboratory import PAST, authority, server

ADDRESS = IPv4Address("TCP", "127.0.0.1", 5)


class EndpointTestCase(SynchronousTestCase):
    """
    Listens on an in-memory reactor.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.served: Factory[Any] = Factory.forProtocol(Protocol)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def listen(self, endpoint: Any) -> OnePortFactory:
        """
        Listen on an endpoint.

        @return: the factory of the port.
        """
        self.successResultOf(endpoint.listen(self.served))
        factory: IProtocolFactory = self.reactor.tcpServers[-1][1]
        assert isinstance(factory, OnePortFactory)
        self.assertIs(factory.wrappedFactory, self.served)
        return factory

    def parse(self, description: str) -> OnePortFactory:
        """
        Listen on the endpoint of a description.
        """
        return self.listen(serverFromString(self.reactor, description))


class DescriptionTests(EndpointTestCase):
    """
    Descriptions with the prefix C{openfl:}.
    """

    def test_simple(self) -> None:
        """
        The prefix accepts all client types on any endpoint.
        """
        factory = self.parse("openfl:tcp:8080:interface=127.0.0.1")
        port, _, _, interface = self.reactor.tcpServers[-1]
        self.assertEqual((port, interface), (8080, "127.0.0.1"))
        self.assertEqual(factory.accept, ALL_TYPES - {ClientType.TLS})
        self.assertEqual(factory.refused, FOREIGN)
        self.assertEqual(factory.policy, PolicyFile.forPort)

    def test_http(self) -> None:
        """
        A C{twisted.web} server still receives HTTP requests, and receives no WebSockets
        unless they are accepted explicitly.
        """
        self.served = Site(Resource())
        factory = self.parse("openfl:tcp:80")
        self.assertNotIn(Signature.HTTP, factory.refused)
        self.assertNotIn(ClientType.WEBSOCKET, factory.accept)
        named = self.parse("openfl:tcp:80:accept=plain,websocket")
        self.assertIn(ClientType.WEBSOCKET, named.accept)
        self.assertNotIn(Signature.HTTP, named.refused)
        self.assertEqual(self.parse("openfl:tcp:80:passThrough=none").refused, FOREIGN)

    def test_httpFactory(self) -> None:
        """
        With a separate factory for HTTP requests, the factory of the port is the game, even if
        it is a C{twisted.web} server.
        """
        pages = Site(Resource())
        for served in (Factory(), Site(Resource())):
            endpoint = openflEndpoint(TCP4ServerEndpoint(self.reactor, 80), http=pages)
            self.successResultOf(endpoint.listen(served))
            factory: Any = self.reactor.tcpServers[-1][1]
            self.assertIs(factory.http, pages)
            self.assertEqual((factory.wrappedFactory, factory.refused), (served, FOREIGN))
            self.assertIn(ClientType.WEBSOCKET, factory.accept)

    def test_settings(self) -> None:
        """
        Each setting has a name; other arguments are passed to the wrapped endpoint.
        """
        policy = PolicyFile((AccessRule("games.example", "80"),))
        path = self.folder / "a:b.xml"
        path.write_bytes(policy.toXML())
        quoted = str(path).replace(":", r"\:")
        factory = self.parse(
            f"openfl:policy={quoted}:greetingDelay=2.5:passThrough=tls,proxy:accept=plain,tls:tcp:843:backlog=7"
        )
        self.assertEqual(self.reactor.tcpServers[-1][2], 7)
        self.assertEqual(factory.policy, policy)
        self.assertEqual((factory.greetingDelay, factory.refused), (2.5, {Signature.HTTP}))
        self.assertEqual(factory.accept, {ClientType.PLAIN, ClientType.POLICY})

    def test_certificate(self) -> None:
        """
        With a certificate the port accepts TLS.
        """
        issued = trustme.CA().issue_cert("localhost")
        issued.cert_chain_pems[0].write_to_path(self.folder / "certificate.pem")
        issued.private_key_pem.write_to_path(self.folder / "key.pem")
        factory = self.parse(
            f"openfl:tcp:1:tlsCertificate={self.folder}/certificate.pem:tlsKey={self.folder}/key.pem"
        )
        self.assertEqual(factory.accept, ALL_TYPES)

    def test_tlsEndpoint(self) -> None:
        """
        Around Twisted's TLS endpoint, all clients use TLS: the first bytes are those inside it.
        """
        endpoint = serverFromString(self.reactor, f"openfl:tls:{self.folder}:8443")
        self.successResultOf(endpoint.listen(self.served))
        port, factory = self.reactor.tcpServers[-1][:2]
        self.assertEqual(port, 8443)
        assert isinstance(factory, TLSMemoryBIOFactory)
        assert isinstance(factory.wrappedFactory, OnePortFactory)
        self.assertIs(factory.wrappedFactory.wrappedFactory, self.served)

    def test_expired(self) -> None:
        """
        Problems of the certificate are logged.
        """
        path = server(authority("Intermediate", authority("Root")), ends=PAST).save(
            self.folder / "server.pem"
        )
        with capturedLogs() as captured:
            self.parse(f"openfl:tcp:1:tlsCertificate={path}")
        self.assertIn("the certificate expired on 2010-01-01", linesOf(captured)[0])

    def test_wrong(self) -> None:
        """
        The error for an invalid argument names the reason.
        """
        for settings, words in (
            ("accept=plain,telnet", "not a client type: must be one of plain, tls, websocket"),
            (
                "passThrough=ftp",
                "passThrough=ftp: 'ftp' is not a protocol: must be one of none, http, proxy, tls",
            ),
            ("greetingDelay=soon", "soon"),
            ("greetingDelay=nan", "'nan' must be a number of seconds"),
            ("greetingDelay=-1", "'-1' must be a number of seconds"),
            ("tlsKey=a", "requires tlsCertificate"),
            ("tlsCertificate=/missing", "/missing: No such file"),
        ):
            with self.assertRaises(ValueError) as caught:
                self.parse(f"openfl:tcp:1:{settings}")
            self.assertIn(words, str(caught.exception))


class RecordingTests(EndpointTestCase):
    """
    Descriptions that record sessions.
    """

    def test_record(self) -> None:
        """
        The connections of the port are recorded until the reactor stops.
        """
        network = MemoryNetwork()
        folder = quoteStringArgument(str(self.folder))
        endpoint: Any = serverFromString(
            network.reactor, f"openfl:tcp:8080:record={folder}:recordDialect=lines"
        )
        network.run(endpoint.listen(Factory.forProtocol(Echo)))
        client: Any = TCP4ClientEndpoint(network.reactor, "127.0.0.1", 8080)
        peer = network.run(client.connect(Factory.forProtocol(Peer)))
        peer.send(b"hello\nwor")
        network.advance(1)
        network.reactor.stop()
        for thread in threading.enumerate():
            if thread.name == THREAD_NAME:
                thread.join()
        [path] = self.folder.glob("*/*.session")
        session = Session.load(path)
        self.assertEqual(
            [(each.side, each.data, each.isPartial) for each in session.messages],
            [
                ("client", b"hello\n", False),
                ("server", b"hello\n", False),
                ("client", b"wor", True),
                ("server", b"wor", True),
            ],
        )

    def test_cannotStart(self) -> None:
        """
        A server that cannot record does not start. The error is one line.
        """
        path = self.folder / "tapes"
        path.write_text("")
        network = MemoryNetwork()
        endpoint: Any = serverFromString(
            network.reactor, f"openfl:tcp:8080:record={quoteStringArgument(str(path))}"
        )
        listener = ListeningEndpoint(endpoint, self.fail)
        error = self.assertRaises(StartupError, listener.listen, Factory.forProtocol(Echo))
        self.assertEqual(str(error), f"cannot listen: {path}: must be a folder")

    def test_listenTwice(self) -> None:
        """
        The ports of an endpoint share one run.
        """
        network = MemoryNetwork()
        folder = quoteStringArgument(str(self.folder))
        endpoint: Any = serverFromString(network.reactor, f"openfl:tcp:0:record={folder}")
        for _ in range(2):
            network.run(endpoint.listen(Factory.forProtocol(Echo)))
        network.reactor.stop()
        for thread in threading.enumerate():
            if thread.name == THREAD_NAME:
                thread.join()
        self.assertEqual(len(list(self.folder.iterdir())), 1)

    def test_wrong(self) -> None:
        """
        The dialect must be one of this package.
        """
        error = self.assertRaises(
            ValueError, self.parse, "openfl:tcp:8080:record=tapes:recordDialect=json"
        )
        self.assertIn("recordDialect=json: must be one of xml, lines, ", str(error))


class WebSocketTests(EndpointTestCase):
    """
    A byte protocol with the prefix C{openfl:} receives bytes over WebSocket as over
    TCP.
    """

    def test_longMessage(self) -> None:
        """
        A message longer than 1 MiB is echoed, and its beginning is echoed before its
        end has been sent.
        """
        clock = Clock()
        factory = OnePortFactory(Factory.forProtocol(Echo), policy=PolicyFile.forPort, clock=clock)
        protocol = factory.buildProtocol(ADDRESS)
        transport = TightTransport(protocol, 1 << 24, peerAddress=ADDRESS)
        protocol.makeConnection(transport)
        transport.arrive(REQUEST)
        payload = bytes(range(256)) * 4096 + b"!"
        sent = frame(BINARY, payload)
        transport.arrive(sent[:100_000])
        clock.advance(0)
        self.assertGreater(len(transport.drainAll()), 90_000)
        transport.arrive(sent[100_000:])
        clock.pump([0] * 50)
        answers = framesIn(transport.drainAll().removeprefix(RESPONSE))
        self.assertEqual(b"".join(data for _, data in answers), payload)


class CodeTests(EndpointTestCase):
    """
    The functions for programs.
    """

    def test_endpoint(self) -> None:
        """
        L{openflEndpoint} passes its settings to the factory.
        """
        inside = TCP4ServerEndpoint(self.reactor, 8080)
        factory = self.listen(openflEndpoint(inside, greetingDelay=3.0, policy=None))
        self.assertEqual(factory.greetingDelay, 3.0)
        self.assertEqual(factory.accept, {ClientType.PLAIN, ClientType.WEBSOCKET})

    def test_accept(self) -> None:
        """
        Client types are separated by commas.
        """
        self.assertEqual(
            parseClientTypes("plain, websocket"),
            {ClientType.PLAIN, ClientType.WEBSOCKET, ClientType.POLICY},
        )

    def test_policies(self) -> None:
        """
        A policy is a keyword, or a file that grants access.
        """
        self.assertEqual(parsePolicy("port"), PolicyFile.forPort)
        self.assertIsNone(parsePolicy("none"))
        path = self.folder / "policy.xml"
        for content, words in (
            (b"<policy/>", "not a policy file"),
            (PolicyFile().toXML(), "the policy file grants nothing"),
        ):
            path.write_bytes(content)
            with self.assertRaises(ValueError) as caught:
                parsePolicy(str(path))
            self.assertIn(words, str(caught.exception))
        with self.assertRaises(OSError):
            parsePolicy(str(self.folder / "missing"))
