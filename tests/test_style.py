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


class ImportTests(SynchronousTestCase):
    """
    Imports of tests.
    """

    def test_testModules(self) -> None:
        """
        No module imports from a test module: what several use is in a helper module.
        """
        found = [
            f"{path.relative_to(TESTS)}: {name}"
            for path in TESTS.glob("**/*.py")
            if "node_modules" not in path.parts
            for node in ast.walk(ast.parse(path.read_text()))
            for name in imported(node)
            if name.startswith("tests.") and ".test_" in name
        ]
        self.assertEqual(found, [])


def imported(node: ast.AST) -> list[str]:
    """
    Return the full names that a statement imports.
    """
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
