"""
Summary of the conformance tests.
"""

import pytest

from tests.conformance import test_limbo


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """
    Print the number of cases in which we agree with each suite.
    """
    for line in test_limbo.results:
        terminalreporter.write_line(line)
