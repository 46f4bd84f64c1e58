"""
The code of C{docs/howto/testing.rst} works as shown.
"""

import re
import textwrap
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.testing.pytestrun import runPytest

PAGE = Path(__file__).parent.parent.parent / "docs" / "howto" / "testing.rst"


class HowToTests(SynchronousTestCase):
    """
    The code blocks of the page form a file of tests.
    """

    def test_runs(self) -> None:
        """
        All tests of the page pass, in order.
        """
        blocks = re.findall(r"code-block:: python\n\n((?:    .*\n|\n)+)", PAGE.read_text())
        code = "\n\n".join(textwrap.dedent(block) for block in blocks)
        tests = re.findall(r"def (test_\w+)", code)
        self.assertGreater(len(tests), 8)
        printed = runPytest(Path(self.mktemp()), "test_game.py", code, "-v")
        for test in tests:
            self.assertRegex(printed, rf"{test}.* PASSED")
        self.assertNotIn("FAILED", printed)
