"""
Rules of style that no linter checks.
"""

import ast
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

TESTS = Path(__file__).parent


class DocstringTests(SynchronousTestCase):
    """
    Docstrings of tests.
    """

    def test_everyTest(self) -> None:
        """
        Every test has a docstring.
        """
        missing = [
            f"{path.name}: {node.name}"
            for path in TESTS.glob("**/test_*.py")
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name.startswith("test_")
            and not ast.get_docstring(node)
        ]
        self.assertEqual(missing, [])
