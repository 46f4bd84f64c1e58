"""
The timeouts of protocol detection.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

DETECTION_TIMEOUT = 10.0
"""
Timeout of protocol detection: 10 seconds. A client that has not been recognized
then counts as plain, however its first bytes are split.
"""


class DetectionTimer:
    """
    Waits for more of the first bytes of a client: for a short delay after each chunk,
    and for L{DETECTION_TIMEOUT} in all.
    """

    __slots__ = ("_call", "_clock", "_deadline", "_delay")

    def __init__(self, clock: IReactorTime, delay: float) -> None:
        """
        @param clock: measures the time.
        @param delay: how long to wait after each chunk (seconds).
        """
        self._clock = clock
        self._delay = delay
        self._deadline = clock.seconds() + DETECTION_TIMEOUT
        self._call: IDelayedCall | None = None

    @property
    def isOver(self) -> bool:
        """
        Whether the timeout has expired.
        """
        return self._clock.seconds() >= self._deadline

    def expectMore(self, otherwise: Callable[[], object]) -> None:
        """
        Wait for the next chunk.

        @param otherwise: called when none has been received.
        """
        self._wait(min(self._delay, self._left), otherwise)

    def waitToTheEnd(self, otherwise: Callable[[], object]) -> None:
        """
        Wait for the rest of the timeout.

        @param otherwise: called when nothing has been received until then.
        """
        self._wait(self._left, otherwise)

    @property
    def _left(self) -> float:
        return max(0.0, self._deadline - self._clock.seconds())

    def _wait(self, seconds: float, otherwise: Callable[[], object]) -> None:
        self.end()
        self._call = self._clock.callLater(seconds, otherwise)

    def end(self) -> None:
        """
        Cancel the timer.
        """
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
