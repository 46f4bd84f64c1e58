"""
Tests for the TLS alerts that L{openfl_twisted.tls.client} sends to servers that it
refuses.
"""

import contextlib
from types import SimpleNamespace
from typing import Any

from cryptography.x509 import ocsp
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.testing._certificates import STATUSES, CertificateMaker
from openfl_twisted.tls import CertificateRefused, Trust, client, judge
from openfl_twisted.wire.x509.certificates import CertificateStatus
from tests.laboratory import HOST
from tests.tls.handshakes import VERSIONS, Presenting, converse, newClient, pour
from tests.tls.situations.costly import constraining
from tests.tls.situations.revoking import DEMANDING
from tests.tls.situations.scenes import INTERMEDIATE, LEAF, ROOT, trusting

FATAL = 2
BAD_CERTIFICATE = 42
CERTIFICATE_REVOKED = 44
CERTIFICATE_EXPIRED = 45
UNKNOWN_CA = 48
INTERNAL_ERROR = 80
BAD_CERTIFICATE_STATUS_RESPONSE = 113

ALERTS = {
    CertificateStatus.EXPIRED: CERTIFICATE_EXPIRED,
    CertificateStatus.INVALID: BAD_CERTIFICATE,
    CertificateStatus.INVALID_CHAIN: BAD_CERTIFICATE,
    CertificateStatus.NOT_YET_VALID: BAD_CERTIFICATE,
    CertificateStatus.PRINCIPAL_MISMATCH: BAD_CERTIFICATE,
    CertificateStatus.REVOKED: CERTIFICATE_REVOKED,
    CertificateStatus.UNTRUSTED_SIGNERS: UNKNOWN_CA,
}


def alertsOf(server: Presenting, trust: Trust, host: str = HOST) -> tuple[list[bytes], Any]:
    """
    Connect to a server.

    @return: the alerts that the server received, each two bytes, and the client's
        connection.
    """
    context, alerts = server.getContext(), []

    def note(connection: SSL.Connection, where: int, value: int) -> None:
        if where & SSL.SSL_CB_READ_ALERT == SSL.SSL_CB_READ_ALERT:
            alerts.append(value.to_bytes(2))

    context.set_info_callback(note)
    serving = SSL.Connection(context, None)
    serving.set_accept_state()
    calling = newClient(trust, host)
    try:
        converse(calling, serving)
    except CertificateRefused:
        pour(calling, serving)
        try:
            serving.do_handshake()
        except SSL.Error:
            pass
        else:
            # In TLS 1.3 the server can complete the handshake before the client.
            with contextlib.suppress(SSL.Error):
                serving.recv(1)
    return alerts, calling


class AlertTests(SynchronousTestCase):
    """
    The alerts that servers receive.
    """

    def check(self, server: Presenting, trust: Trust, alert: int, host: str = HOST) -> None:
        """
        Check that a server receives one alert, which is fatal.
        """
        for name, version in VERSIONS.items():
            shown = Presenting(server.chain, server.key, server.staple, version=version)
            alerts, _ = alertsOf(shown, trust, host)
            self.assertEqual(alerts, [bytes((FATAL, alert))], name)

    def test_statuses(self) -> None:
        """
        The alert fits the certificate status.
        """
        maker = CertificateMaker("localhost")
        for status in STATUSES:
            made = maker.make(status)
            server = Presenting(made.chain, made.key)
            if status in ALERTS:
                self.check(server, made.trust, ALERTS[status], "localhost")
            else:
                self.assertEqual(alertsOf(server, made.trust, "localhost")[0], [], status)

    def test_costly(self) -> None:
        """
        A certificate whose verification would cost too much is a bad certificate.
        """
        scene = constraining(1000, 600)
        assert isinstance(scene.server, Presenting)
        self.check(scene.server, scene.trust, BAD_CERTIFICATE)

    def test_stapledRevocation(self) -> None:
        """
        If the certificate is refused because of the OCSP response, the alert is
        OpenSSL's.
        """
        staple = INTERMEDIATE.staple(LEAF, ocsp.OCSPCertStatus.REVOKED)
        server = Presenting.of(LEAF, staple=staple)
        self.check(server, trusting(ROOT), BAD_CERTIFICATE_STATUS_RESPONSE)

    def test_missingStaple(self) -> None:
        """
        If the certificate requires an OCSP response and the server sends none, the
        alert names this.
        """
        self.check(Presenting.of(DEMANDING), trusting(ROOT), BAD_CERTIFICATE_STATUS_RESPONSE)

    def test_ownError(self) -> None:
        """
        If the judge raises an exception, the alert is C{internal_error}.
        """

        def fail(*arguments: object, **options: object) -> None:
            raise ZeroDivisionError

        self.patch(judge, "verifyPath", fail)
        self.check(Presenting.of(LEAF), trusting(ROOT), INTERNAL_ERROR)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), len(VERSIONS))

    def test_withoutPrivateNames(self) -> None:
        """
        If pyOpenSSL's private names are missing, servers are refused all the same,
        with the alert C{internal_error}.
        """
        maker = CertificateMaker("localhost")
        public = {name: value for name, value in vars(SSL).items() if name != "_lib"}
        self.patch(client, "SSL", SimpleNamespace(**public))
        for status in ALERTS:
            made = maker.make(status)
            server = Presenting(made.chain, made.key)
            alerts, calling = alertsOf(server, made.trust, "localhost")
            self.assertEqual(calling.verdict.status, status)
            self.assertEqual(alerts, [bytes((FATAL, INTERNAL_ERROR))], status)
