"""
Reminds users who have opened sockets, but have not run the reactor.
"""

import atexit
import sys
from typing import Any


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
            sys.stderr.write(
                "openfl_twisted: sockets were opened, but the reactor has never run, so nothing"
                " was sent or received. Call openfl_twisted.run(main).\n"
            )


reminder = _Reminder()
