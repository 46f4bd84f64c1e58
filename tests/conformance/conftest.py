"""
Numbers for the summary of the tests.
"""

import pytest

from tests.conformance import test_limbo


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """
    Print how often we agree with the suites.
    """
    for line in test_limbo.results:
        terminalreporter.write_line(line)
