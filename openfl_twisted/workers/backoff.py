"""
The delays between restarts of a worker.
"""

_FIRST_DELAY = 0.5
"""
Seconds before the first restart.
"""

_MAX_DELAY = 30.0
"""
Maximum number of seconds before a restart. A worker that has run longer counts as stable.
"""


class Backoff:
    """
    Delays that are doubled, up to a maximum, until the worker has been stable.
    """

    def __init__(self) -> None:
        self._next = _FIRST_DELAY

    def delay(self, ran: float) -> float:
        """
        Return the delay before the next restart.

        @param ran: the running time of the worker (seconds).
        @return: the delay (seconds).
        """
        if ran > _MAX_DELAY:
            self._next = _FIRST_DELAY
        delay, self._next = self._next, min(2 * self._next, _MAX_DELAY)
        return delay
