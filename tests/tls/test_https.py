"""
Tests for L{openfl_twisted.tls.https}.
"""

from typing import Any

from twisted.protocols import tls
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import Agent, ResponseNeverReceived
from twisted.web.iweb import IPolicyForHTTPS
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface.verify import verifyObject

from openfl_twisted.testing import MemoryNetwork
from openfl_twisted.tls import CertificateRefused, Trust
from openfl_twisted.tls.https import SecurePolicyForHTTPS
from tests.laboratory import HOST, Identity, server
from tests.tls.handshakes import Presenting
from tests.tls.situations.scenes import ROOT, trusting


class Asked(Resource):
    """
    Records requests.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.uris: list[bytes] = []

    def render_GET(self, request: Request) -> bytes:
        self.uris.append(request.uri)
        return b"scores"


class PolicyTests(SynchronousTestCase):
    """
    Verification for C{Agent}.
    """

    def test_interface(self) -> None:
        """
        The policy provides Twisted's interface.
        """
        verifyObject(IPolicyForHTTPS, SecurePolicyForHTTPS())

    def test_creator(self) -> None:
        """
        The policy creates connections for the host name of the URL.
        """
        policy = SecurePolicyForHTTPS(trusting(ROOT))
        protocol: Any = None
        connection: Any = policy.creatorForNetloc(HOST.encode(), 443).clientConnectionForTLS(
            protocol
        )
        self.assertEqual(connection.judge._name.dns, HOST)
        self.assertEqual(connection.judge._trust, trusting(ROOT))
        self.assertIs(connection.get_context(), trusting(ROOT).context())

    def test_default(self) -> None:
        """
        By default, the CAs of this machine are trusted.
        """
        protocol: Any = None
        connection: Any = (
            SecurePolicyForHTTPS()
            .creatorForNetloc(b"127.0.0.1", 8443)
            .clientConnectionForTLS(protocol)
        )
        self.assertEqual(connection.judge._trust, Trust())
        self.assertEqual(str(connection.judge._name.address), "127.0.0.1")

    def fetch(self, leaf: Identity) -> Any:
        """
        Send a request with C{Agent}, in memory.

        @return: the result, and the requests that the server received.
        """
        network, asked = MemoryNetwork(), Asked()
        reactor = network.reactor
        # Agent does not pass its clock to TLS.
        self.patch(tls, "_get_default_clock", lambda: reactor)
        reactor.listenSSL(443, Site(asked, reactor=reactor), Presenting.of(leaf))
        agent = Agent(reactor, SecurePolicyForHTTPS(trusting(ROOT)))
        request = agent.request(b"GET", b"https://127.0.0.1/secret")
        network.flush()
        return request, asked.uris

    def test_trusted(self) -> None:
        """
        An C{Agent} with this policy sends a request to a trusted server.
        """
        request, asked = self.fetch(server(ROOT, names=["127.0.0.1"]))
        self.assertEqual(self.successResultOf(request).code, 200)
        self.assertEqual(asked, [b"/secret"])

    def test_refused(self) -> None:
        """
        An C{Agent} with this policy sends no request to an untrusted server, and
        reports the reason.
        """
        request, asked = self.fetch(server(ROOT, names=["127.0.0.2"]))
        [reason] = self.failureResultOf(request, ResponseNeverReceived).value.reasons
        self.assertIsInstance(reason.value, CertificateRefused)
        self.assertIn("is not valid for this server name", str(reason.value))
        self.assertEqual(asked, [])
