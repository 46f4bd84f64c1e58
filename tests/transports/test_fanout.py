"""
Tests for L{openfl_twisted.transports.fanout}.
"""

from functools import partial
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.transports.fanout import MAX_FAN_OUT, FanOut, FanOutQueue
from openfl_twisted.wire.websocket.messages import makeCompressed

LONG = 1_000_000


def runIteration(clock: Clock) -> None:
    """
    Run the delayed calls, but not those that they schedule.
    """
    calls: list[Any] = cast("list[Any]", clock.getDelayedCalls())
    for call in calls:
        run = partial(call.func, *call.args)
        call.cancel()
        run()


class FanOutTests(SynchronousTestCase):
    """
    L{FanOut}.
    """

    def test_steps(self) -> None:
        """
        Each step sends to a limited number of receivers, depending on the length of the
        message.
        """
        for length, most in ((LONG, 5), (0, 1024), (2 * MAX_FAN_OUT, 1)):
            sent: list[int] = []
            fanOut = FanOut(range(2 * most + 1), sent.append, length)
            counts = []
            while not fanOut.isComplete:
                fanOut.step()
                counts.append(len(sent))
            self.assertEqual(counts[:3], [most, 2 * most, 2 * most + 1])
            self.assertEqual(sent, [*range(2 * most + 1)])

    def test_compression(self) -> None:
        """
        Compressing a message takes as long as sending it to many receivers.
        """
        sent = []

        def send(bits: int) -> None:
            sent.append(makeCompressed((message,), bits))

        message = b"a" * LONG
        fanOut = FanOut([9, 10, 10, 11], send, 1000)
        counts = []
        while not fanOut.isComplete:
            fanOut.step()
            counts.append(len(sent))
        self.assertEqual(counts, [1, 2, 4, 4])

    def test_finish(self) -> None:
        """
        Each receiver receives the message once, in order, whatever the number of steps.
        """
        sent: list[int] = []
        fanOut = FanOut(range(100), sent.append, LONG)
        while not fanOut.isComplete:
            fanOut.step()
        self.assertEqual(sent, [*range(100)])


class QueueTests(SynchronousTestCase):
    """
    L{FanOutQueue}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.events: list[str] = []
        self.sent: list[tuple[int, int]] = []
        self.queue = FanOutQueue(
            self.clock, partial(self.events.append, "pause"), partial(self.events.append, "resume")
        )

    def send(self, number: int, length: int, receivers: int = 20) -> bool:
        """
        Send a message.

        @return: whether it is held.
        """

        def send(receiver: int) -> None:
            self.sent.append((number, receiver))

        held = self.queue.countFanOut(receivers, length)
        if held:
            self.queue.fanOut(range(receivers), send, length)
        else:
            for receiver in range(receivers):
                send(receiver)
        return held

    def test_long(self) -> None:
        """
        A long message is held, and sent in every second iteration. In the meantime, the
        source is paused, and a short message is held.
        """
        self.assertFalse(self.send(1, 100))
        self.assertTrue(self.send(2, LONG))
        self.assertTrue(self.queue.isBlocked)
        self.assertTrue(self.send(3, 100))
        self.assertEqual(self.events, ["pause"])
        counts = []
        while self.clock.getDelayedCalls():
            counts.append(len(self.sent))
            runIteration(self.clock)
        self.assertEqual(counts, [20, 20, 25, 25, 30, 30, 35, 35, 40, 40])
        self.assertEqual(self.events, ["pause", "resume"])
        everyone = [(number, receiver) for number in (1, 2, 3) for receiver in range(20)]
        self.assertEqual(self.sent, everyone)
        self.assertFalse(self.send(4, 100))

    def test_many(self) -> None:
        """
        Of many short messages in one iteration, the last ones are held. In separate
        iterations, none is.
        """
        length = MAX_FAN_OUT // 20 // 10
        held = [self.send(number, length) for number in range(20)]
        self.assertEqual(held, [False] * 9 + [True] * 11)
        while self.clock.getDelayedCalls():
            self.clock.advance(0)
        self.assertEqual(len(self.sent), 400)
        for number in range(20):
            self.assertFalse(self.send(number, length))
            self.clock.advance(0)
        self.assertEqual(self.events, ["pause", "resume"])

    @given(st.lists(st.tuples(st.integers(0, LONG), st.integers(0, 2000), st.booleans())))
    def test_anyOrder(self, messages: list[tuple[int, int, bool]]) -> None:
        """
        Each receiver receives all messages in order.
        """
        self.setUp()
        for number, (length, receivers, waits) in enumerate(messages):
            self.send(number, length, receivers)
            if waits:
                runIteration(self.clock)
        while self.clock.getDelayedCalls():
            self.clock.advance(0)
        self.assertEqual(
            self.sent,
            [
                (number, receiver)
                for number, (_, receivers, _) in enumerate(messages)
                for receiver in range(receivers)
            ],
        )
        self.assertEqual(self.events, ["pause", "resume"] * (len(self.events) // 2))
