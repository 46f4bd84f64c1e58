"""
Tests that the texts quoted by C{docs/howto/troubleshooting.rst} exist.
"""

import re
from pathlib import Path

from docutils.core import publish_doctree
from docutils.nodes import entry, literal, row, thead
from twisted.trial.unittest import SynchronousTestCase

import openfl_twisted
from openfl_twisted.wire.httprequest import HTTPAnswer
from openfl_twisted.wire.x509.certificates import CertificateStatus
from tests.documentation.blocks import DOCS

PACKAGE = Path(openfl_twisted.__file__).parent
PAGE = DOCS / "howto" / "troubleshooting.rst"

OTHERS = {
    "Address already in use": "the operating system",
    "Permission denied": "the operating system",
    "No module named": "Python",
    "unknown ca": "OpenSSL, the alert of a client",
    "Missing WebSocket proxy": "Ruffle",
    "unexpected text message": "Ruffle",
    "Another twistd server is running": "twistd",
    "unknown command": "twistd",
    "timed out": "Twisted",
}
"""
Texts of other programs.
"""

NAMES = {"connect", "close", "--app", "twistd", "Forbidden", "Upgrade Required"}
"""
Events, options, programs, and the names of HTTP statuses.
"""


_STATUSES = {value for name, value in vars(CertificateStatus).items() if name.isupper()}


def quoted() -> set[str]:
    """
    Return the literals in the first column of each table.
    """
    plain = re.sub(r":(doc|ref):`[^`]*`", "x", PAGE.read_text(encoding="utf-8"))
    page = publish_doctree(plain, settings_overrides={"report_level": 5})
    rows = [each for each in page.findall(row) if not isinstance(each.parent, thead)]
    firsts = [next(iter(each.findall(entry))) for each in rows]
    return {each.astext() for first in firsts for each in first.findall(literal)}


class TroubleshootingTests(SynchronousTestCase):
    """
    Texts that readers search for.
    """

    def test_texts(self) -> None:
        """
        Each quoted text is in the source code of the package, or belongs to another program.
        """
        source = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
        # Long texts are divided between lines.
        source = re.sub(r'"\s*\n\s*f?"', "", source)
        known = {*OTHERS, *NAMES, *_STATUSES}
        missing = {
            text
            for text in quoted() - known
            if not all(part.strip() in source for part in text.split("\u2026"))
        }
        self.assertGreater(len(quoted()), 20)
        self.assertEqual(missing, set())

    def test_statuses(self) -> None:
        """
        The names of the statuses are those of the answers.
        """
        for status, name in ((403, "Forbidden"), (426, "Upgrade Required")):
            self.assertIn(f"{status} {name}".encode(), HTTPAnswer(status, "").encode())
