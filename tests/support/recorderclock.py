"""
A clock for recorders that write in a thread.
"""

from collections.abc import Callable
from queue import Queue

from twisted.internet.task import Clock

THREAD_TIMEOUT = 240
"""
Maximum time until the thread of a recorder has ended (seconds). It only ends tests that hang.
"""


class RecorderClock(Clock):
    """
    A clock for a recorder, which collects the calls of its thread.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fromThread: Queue[Callable[[], object]] = Queue()

    def callFromThread(self, call: Callable[[], object]) -> None:
        """
        Store a call for the test.
        """
        self.fromThread.put(call)
