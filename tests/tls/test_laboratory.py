"""
All situations in memory: the client's verdict, and that an untrusted server receives no
data.
"""

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.error import ConnectionClosed
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.tls import CertificateRefused, HandshakeFailed
from openfl_twisted.wire.x509.certificates import CertificateStatus, subjectOf
from tests.tls.handshakes import GREETING, VERSIONS, Outcome, shakeHands
from tests.tls.situations import SITUATIONS, Scene, Situation


def caseName(situation: Situation) -> str:
    """
    Return the test name of a situation.
    """
    first, *others = situation.name.replace("-", " ").replace(".", "").split()
    words = (word if word.isupper() else word.capitalize() for word in others)
    return "test_" + "".join((first, *words))


def method(situation: Situation) -> Callable[["SituationTests"], None]:
    """
    Create the test of a situation.
    """

    def test(self: "SituationTests") -> None:
        self.check(situation)

    test.__name__ = caseName(situation)
    test.__doc__ = f"With {situation.name} the status is {situation.status}."
    return test


class SituationTests(SynchronousTestCase):
    """
    The situations with both TLS versions; the tests are generated below.
    """

    def check(self, situation: Situation) -> None:
        """
        Run a situation, and check its result.
        """
        scene = situation.scene()
        for name, version in VERSIONS.items():
            outcome = shakeHands(scene.server, scene.trust, scene.host, version)
            about = f"{situation.name}, {name}: {outcome}"
            self.assertEqual(outcome.verdict.status, situation.status, about)
            if situation.status == CertificateStatus.TRUSTED:
                self.assertEqual(outcome.received, GREETING, about)
                self.assertEqual(outcome.answered, b"welcome", about)
                self.assertIsNone(outcome.reason, about)
                continue
            self.assertEqual((outcome.received, outcome.answered), (b"", b""), about)
            if situation.status == CertificateStatus.UNKNOWN:
                self.checkUnknown(outcome, about)
            else:
                self.checkRefused(outcome, scene, about)
            self.assertIn(situation.says, str(outcome.reason), about)
        # Invalid input is reported to the program, and not logged.
        self.assertEqual(self.flushLoggedErrors(), [])

    def checkUnknown(self, outcome: Outcome, about: str) -> None:
        """
        Check that no certificate was verified or refused.
        """
        self.assertIsInstance(outcome.reason, (HandshakeFailed, ConnectionClosed), about)
        self.assertFalse(isinstance(outcome.reason, CertificateRefused), about)
        self.assertIsNone(outcome.verdict.certificate, about)
        if isinstance(outcome.reason, HandshakeFailed):
            self.assertTrue(str(outcome.reason).startswith("the TLS handshake failed: "), about)

    def checkRefused(self, outcome: Outcome, scene: Scene, about: str) -> None:
        """
        Check that the reason is the certificate, with its subject and the cause.
        """
        reason: Any = outcome.reason
        self.assertIsInstance(reason, CertificateRefused, about)
        self.assertIsInstance(reason, SSL.Error, about)
        self.assertIs(reason.verdict, outcome.verdict, about)
        text, verdict = str(reason), outcome.verdict
        assert verdict.finding is not None
        self.assertIn(verdict.finding.words, text)
        if verdict.certificate is not None:
            self.assertIn(subjectOf(verdict.certificate), text)
        self.assertRegex(text, r"^the certificate( of .+)? (is|has|relies) .+: .+", about)
        self.assertNotRegex(text, r"[\0-\x1f\x7f]")


for each in SITUATIONS:
    setattr(SituationTests, caseName(each), method(each))


class TableTests(SynchronousTestCase):
    """
    The table of situations.
    """

    def test_names(self) -> None:
        """
        Situations have unique names.
        """
        names = [caseName(situation) for situation in SITUATIONS]
        self.assertEqual(len(names), len(set(names)))
        self.assertTrue(all(name.isidentifier() for name in names), names)

    def test_everyStatus(self) -> None:
        """
        Each status has several situations.
        """
        counts: dict[str, int] = {}
        for situation in SITUATIONS:
            counts[situation.status] = counts.get(situation.status, 0) + 1
        statuses = {value for key, value in vars(CertificateStatus).items() if key.isupper()}
        self.assertEqual(set(counts), statuses)
        self.assertGreaterEqual(min(counts.values()), 4, counts)
