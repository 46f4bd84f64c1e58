"""
How long somebody may take to say who he is.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

DETECTION_TIMEOUT = 10.0
"""
After so many seconds a caller counts as plain in any case, however it spreads
out what it says.
"""


class DetectionTimer:
    """
    Waits for a caller to say more: for a short time after whatever it has said,
    and for L{DETECTION_TIMEOUT} in all. It is dropped when the caller is known.
    """

    __slots__ = ("_call", "_clock", "_deadline", "_delay")

    def __init__(self, clock: IReactorTime, delay: float) -> None:
        """
        @param clock: for the time.
        @param delay: how many seconds of silence there may be.
        """
        self._clock = clock
        self._delay = delay
        self._deadline = clock.seconds() + DETECTION_TIMEOUT
        self._call: IDelayedCall | None = None

    @property
    def isOver(self) -> bool:
        """
        Whether all the time is over.
        """
        return self._clock.seconds() >= self._deadline

    def expectMore(self, otherwise: Callable[[], object]) -> None:
        """
        Wait from now on.

        @param otherwise: called if no more has come.
        """
        self._wait(min(self._delay, self._left), otherwise)

    def waitToTheEnd(self, otherwise: Callable[[], object]) -> None:
        """
        Wait until all the time is over.

        @param otherwise: called if no more has come.
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
        Wait no more.
        """
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
