"""
Reminds users who have opened sockets, but have not run the reactor.
"""

import atexit
import sys
from typing import Any

_TEST_FRAMEWORKS = {"openfl_twisted.testing", "pytest"}


class _Reminder:
    """
    Writes a line at exit if the global reactor has never run.
    """

    def __init__(self) -> None:
        self._isExpecting = self._hasRun = False

    def expectRun(self, reactor: Any) -> None:
        """
        Called when a socket of the global reactor is opened.
        """
        if not self._isExpecting:
            self._isExpecting = True
            reactor.callWhenRunning(self._ran)
            atexit.register(self.remind)

    def _ran(self) -> None:
        self._hasRun = True

    def remind(self) -> None:
        """
        Write the line if the reactor has not run. Called when the process exits.
        """
        if not self._hasRun:
            isTest = not _TEST_FRAMEWORKS.isdisjoint(sys.modules)
            advice = (
                "Pass reactor=network.reactor to the sockets of a test"
                if isTest
                else "Call openfl_twisted.run(main)"
            )
            sys.stderr.write(
                "openfl_twisted: sockets were opened, but the reactor has never run, so nothing"
                f" was sent or received. {advice}.\n"
            )


reminder = _Reminder()
