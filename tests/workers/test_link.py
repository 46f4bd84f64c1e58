"""
Tests for L{openfl_twisted.workers.link}.
"""

import json
import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.error import TimeoutError as TookTooLong
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.workers.link import (
    _MAX_REQUESTS,
    _RESPONSE_TIMEOUT,
    MAX_LENGTH,
    LinkProtocol,
    RequestError,
)
from tests.doubles import linesOf


class Refusal(Exception):
    """
    An error that is sent to the other process.
    """

    status = 409


def fail(problem: Exception) -> None:
    """
    Raise an exception instead of giving an answer.
    """
    raise problem


ANSWERS: dict[str, Any] = {
    "add": lambda one, other: one + other,
    "refuse": lambda: fail(Refusal("not now")),
    "break": lambda: fail(RuntimeError("secret")),
    "object": object,
    "much": lambda: "x" * MAX_LENGTH,
}


class LinkTestCase(SynchronousTestCase):
    """
    Base class: two ends of a link.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.supervisor, self.worker = self.connect({}), self.connect(ANSWERS)

    def connect(self, answers: dict[str, Any]) -> LinkProtocol:
        link = LinkProtocol(answers, self.clock)
        link.makeConnection(StringTransport())
        return link

    def transport(self, link: LinkProtocol) -> Any:
        return link.transport

    def exchange(self) -> None:
        """
        Deliver what both have written.
        """
        for one, other in ((self.supervisor, self.worker), (self.worker, self.supervisor)):
            data = self.transport(one).value()
            self.transport(one).clear()
            other.dataReceived(data)


class QuestionTests(LinkTestCase):
    """
    Requests and responses.
    """

    def test_answer(self) -> None:
        """
        A request is answered with the result of its function.
        """
        asked = self.supervisor.ask("add", one=1, other=2)
        self.assertNoResult(asked)
        self.exchange()
        self.assertEqual(self.successResultOf(asked), 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_later(self) -> None:
        """
        A function can return a C{Deferred}: the request is answered when it fires, unless the
        connection is lost.
        """
        answers: list[Deferred[Any]] = [Deferred(), Deferred(), Deferred()]
        self.worker.answers = {"later": lambda number: answers[number]}
        asked = [self.supervisor.ask("later", number=number) for number in range(3)]
        self.exchange()
        answers[1].errback(Refusal("not now"))
        answers[0].callback(5)
        self.exchange()
        self.assertEqual(self.successResultOf(asked[0]), 5)
        self.assertEqual(self.failureResultOf(asked[1], RequestError).value.status, 409)
        self.worker.connectionLost()
        answers[2].callback(6)
        self.exchange()
        self.assertNoResult(asked[2])

    def test_problems(self) -> None:
        """
        An exception with a status is sent; any other is logged, and its text is not sent.
        An unknown request and a response that is too long fail with a problem.
        """
        for question, text, status in [
            ("refuse", "not now", 409),
            ("unknown", "unknown request unknown", 404),
            ("much", "the response to much is too long", 500),
        ]:
            asked = self.supervisor.ask(question)
            self.exchange()
            problem = self.failureResultOf(asked, RequestError).value
            self.assertEqual((str(problem), problem.status), (text, status))
        asked = self.supervisor.ask("break")
        self.exchange()
        self.assertEqual(self.failureResultOf(asked, RequestError).value.status, 500)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        for asked in (self.supervisor.ask("add", other=1), self.supervisor.ask("object")):
            self.exchange()
            self.failureResultOf(asked, RequestError)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 2)

    def test_timeout(self) -> None:
        """
        Without a response, a request fails after a timeout. A late response is ignored.
        """
        asked = self.supervisor.ask("add", one=1, other=2)
        self.clock.advance(_RESPONSE_TIMEOUT)
        self.failureResultOf(asked, TookTooLong)
        self.exchange()
        self.assertEqual(self.successResultOf(self.asked()), 3)

    def asked(self) -> Any:
        asked = self.supervisor.ask("add", one=1, other=2)
        self.exchange()
        return asked

    def test_maxQuestions(self) -> None:
        """
        The number of requests without a response is limited.
        """
        for _ in range(_MAX_REQUESTS):
            asked = self.supervisor.ask("add", one=1, other=2)
            self.clock.advance(_RESPONSE_TIMEOUT)
            self.failureResultOf(asked, TookTooLong)
        before = len(self.transport(self.supervisor).value())
        self.failureResultOf(self.supervisor.ask("add", one=1, other=2), RequestError)
        self.assertEqual(len(self.transport(self.supervisor).value()), before)
        self.exchange()
        self.assertEqual(self.successResultOf(self.asked()), 3)

    def test_lost(self) -> None:
        """
        When the connection is lost, all pending and further requests fail.
        """
        lost: list[bool] = []
        self.supervisor.lost = lambda: lost.append(True)
        asked = self.supervisor.ask("add", one=1, other=2)
        late = self.supervisor.ask("add", one=1, other=2)
        late.addErrback(lambda failure: None)
        late.cancel()
        self.supervisor.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(asked, RequestError)
        self.failureResultOf(self.supervisor.ask("add"), RequestError)
        self.assertEqual(lost, [True])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        LinkProtocol({}, self.clock).connectionLost(Failure(ConnectionDone()))

    def test_notice(self) -> None:
        """
        A notice calls its function, and has no response.
        """
        noticed: list[int] = []
        self.worker.answers = {"notice": noticed.append}
        self.supervisor.notify("notice", object=1)
        self.worker.answers = {"notice": lambda value: noticed.append(value)}
        self.exchange()
        self.supervisor.notify("notice", value=2)
        self.exchange()
        self.assertEqual(self.transport(self.worker).value(), b"")
        self.assertEqual(noticed, [2])
        self.flushLoggedErrors(TypeError)


class InvalidTests(LinkTestCase):
    """
    Invalid messages.
    """

    def receive(self, data: bytes) -> bool:
        """
        Receive a message.

        @return: whether the connection is closed.
        """
        link = self.connect(ANSWERS)
        with capturedLogs() as logs:
            link.dataReceived(struct.pack("!I", len(data)) + data)
        closed: bool = self.transport(link).disconnecting
        self.assertEqual(len(linesOf(logs)), int(closed))
        return closed

    def test_invalid(self) -> None:
        """
        A message that is not an object of a known form closes the connection, with one
        line in the log.
        """
        for data in [
            b"", b"x", b"[]", b"1", b"{}", b'{"ask": 1, "with": {}}', b'{"ask": "add"}',
            b'{"ask": "add", "number": 1, "with": []}', b'{"answer": "x", "value": 1}',
            b'{"answer": 1}', b"[" * 100_000, b"\xff",
        ]:  # fmt: skip
            self.assertTrue(self.receive(data), data[:50])

    def test_unknownAnswer(self) -> None:
        """
        A response to a request that was not sent is ignored.
        """
        self.assertFalse(self.receive(b'{"answer": 7, "value": 1}'))

    def test_tooLong(self) -> None:
        """
        A message that is too long closes the connection before it is received.
        """
        link = self.connect(ANSWERS)
        with capturedLogs() as logs:
            link.dataReceived(struct.pack("!I", MAX_LENGTH + 1))
        self.assertTrue(self.transport(link).disconnecting)
        self.assertIn(f"longer than {MAX_LENGTH} bytes", linesOf(logs)[0])

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["ask", "number", "with", "answer", "value"]), inner
                )
            ),
            max_leaves=8,
        )
    )
    def test_anyJSON(self, value: Any) -> None:
        """
        No message raises an exception.
        """
        link = self.connect({})
        data = json.dumps(value).encode()
        link.dataReceived(struct.pack("!I", len(data)) + data)

    @given(st.binary(max_size=100))
    def test_anyBytes(self, data: bytes) -> None:
        """
        No data raises an exception.
        """
        self.connect({}).dataReceived(data)
