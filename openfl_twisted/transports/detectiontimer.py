"""
The timeouts of protocol detection.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

DETECTION_TIMEOUT = 10.0
"""
Timeout of protocol detection: 10 seconds. A client whose type is not detected within this time
is treated as a plain client, however its first bytes are split.
"""


class DetectionTimer:
    """
    Timer for the first bytes from a client. The timer expires after a delay without new data,
    or L{DETECTION_TIMEOUT} seconds after its creation, whichever is earlier.
    """

    __slots__ = ("_call", "_clock", "_deadline", "_delay")

    def __init__(self, clock: IReactorTime, delay: float) -> None:
        """
        @param clock: the clock.
        @param delay: time without data until the timer expires (seconds).
        """
        self._clock = clock
        self._delay = delay
        self._deadline = clock.seconds() + DETECTION_TIMEOUT
        self._call: IDelayedCall | None = None

    @property
    def isExpired(self) -> bool:
        """
        Whether L{DETECTION_TIMEOUT} seconds have passed since the creation of the timer.
        """
        return self._clock.seconds() >= self._deadline

    def expectMore(self, timedOut: Callable[[], object]) -> None:
        """
        Restart the delay, which is limited by L{DETECTION_TIMEOUT}. Call this method when
        further data is needed to detect the client type.

        @param timedOut: called when the timer expires.
        """
        self._wait(min(self._delay, self._left), timedOut)

    def waitForDeadline(self, timedOut: Callable[[], object]) -> None:
        """
        Let the timer expire only at the end of L{DETECTION_TIMEOUT}.

        @param timedOut: called when the timer expires.
        """
        self._wait(self._left, timedOut)

    @property
    def _left(self) -> float:
        return max(0.0, self._deadline - self._clock.seconds())

    def _wait(self, seconds: float, timedOut: Callable[[], object]) -> None:
        self.cancel()
        self._call = self._clock.callLater(seconds, timedOut)

    def cancel(self) -> None:
        """
        Cancel the timer.
        """
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
