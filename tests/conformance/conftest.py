"""
Summary of the conformance tests.
"""

import pytest

from tests.conformance.results import results


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """
    Print the number of cases in which we agree with each suite.
    """
    for line in results:
        terminalreporter.write_line(line)
