"""
Tests for L{openfl_twisted.protocols.clientendpoints}.
"""

from twisted.internet import error
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.clientendpoints import clientEndpoint, problemOf, readTrust
from openfl_twisted.protocols.securesocket import SecureEndpoint
from openfl_twisted.testing import MemoryNetwork
from openfl_twisted.tls import HandshakeFailed, Trust
from openfl_twisted.wire.x509.certificates import Verdict


class ProblemTests(SynchronousTestCase):
    """
    L{problemOf} describes failures.
    """

    def test_problems(self) -> None:
        """
        Each kind of failure has a line that names the server.
        """
        verdict = Verdict()
        for problem, line in [
            (error.DNSLookupError("x"), "no address was found for h"),
            (error.ConnectionRefusedError(), "h:1 refused the connection"),
            (error.TimeoutError(), "h:1 has not answered within 2.5 seconds"),
            (error.NoRouteError(113, "No route"), "cannot reach h:1: No route"),
            (error.ConnectError(), "cannot reach h:1: An error occurred while connecting."),
            (
                HandshakeFailed([("", "", "wrong version number")], verdict),
                "h:1: the TLS handshake failed: the peer does not speak TLS",
            ),
            (ValueError("odd"), "cannot reach h:1: odd"),
        ]:
            self.assertEqual(problemOf(problem, "h", 1, 2.5), line)

    def test_addressOfVersion6(self) -> None:
        """
        An IPv6 address is written in brackets.
        """
        refused = error.ConnectionRefusedError()
        self.assertEqual(problemOf(refused, "::1", 23, 20), "[::1]:23 refused the connection")


class EndpointTests(SynchronousTestCase):
    """
    L{clientEndpoint} and L{readTrust}.
    """

    def test_tls(self) -> None:
        """
        An endpoint with trust anchors connects with TLS.
        """
        reactor = MemoryNetwork().reactor
        self.assertIsInstance(clientEndpoint(reactor, "h", 1, 1.0, Trust()), SecureEndpoint)
        self.assertNotIsInstance(clientEndpoint(reactor, "h", 1, 1.0), SecureEndpoint)

    def test_trust(self) -> None:
        """
        A file that cannot be read, or has no certificates, is an error that names the file.
        """
        path = self.mktemp()
        for content in (None, b"nothing"):
            if content is not None:
                with open(path, "wb") as file:
                    file.write(content)
            error = self.assertRaises(ValueError, readTrust, path)
            self.assertTrue(str(error).startswith(f"{path}: "), str(error))
