"""
Requests and responses between supervisor and worker: JSON objects, each prefixed with its
length, on a socket pair.

A request is C{{"ask": NAME, "number": N, "with": {...}}}. The response is C{{"answer": N,
"value": ...}}, or C{{"answer": N, "problem": TEXT, "status": STATUS}}. A notice is a request
without a number, and has no response.
"""

import json
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import Int32StringReceiver
from twisted.python.failure import Failure

from openfl_twisted.clocks import clockOrReactor, tookTooLong
from openfl_twisted.logs import packageLogger

MAX_LENGTH = 4 * 1024 * 1024
"""
Maximum length of a request or a response (bytes).
"""

_MAX_REQUESTS = 128
"""
Maximum number of requests without a response.
"""

_RESPONSE_TIMEOUT = 5.0
"""
Seconds to wait for a response.
"""


class RequestError(Exception):
    """
    The other process could not answer a request. The text of the exception is the reason.

    @ivar status: an HTTP status.
    """

    def __init__(self, text: str, status: int = 503) -> None:
        """
        @param text: the reason.
        @param status: an HTTP status.
        """
        super().__init__(text)
        self.status = status


def _encode(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode("ascii")


class LinkProtocol(Int32StringReceiver):
    """
    One end of the link between supervisor and worker.

    A message that is too long or malformed closes the connection.

    @ivar answers: maps the name of each request from the other process to the function that
        handles the request. An exception with an attribute C{status} is sent as the
        response; any other exception is logged.
    @ivar lost: called when the connection is lost.
    """

    MAX_LENGTH = MAX_LENGTH

    log = packageLogger()

    def __init__(
        self, answers: Mapping[str, Callable[..., Any]], clock: IReactorTime | None = None
    ) -> None:
        """
        @param answers: see the attribute.
        @param clock: an C{IReactorTime} provider (default: the global reactor).
        """
        self.answers = answers
        self.lost: Callable[[], object] = lambda: None
        self._clock = clockOrReactor(clock)
        self._numbers = count(1)
        # The requests without a response, including requests that have timed out.
        self._asked: dict[int, Deferred[Any]] = {}

    def ask(self, question: str, **arguments: Any) -> Deferred[Any]:
        """
        Send a request.

        @param question: the name of the request.
        @param arguments: the arguments of the request; values for JSON.
        @return: fires with the value of the response, or fails with L{RequestError}, or with
            Twisted's C{TimeoutError} after L{_RESPONSE_TIMEOUT} seconds.
        """
        if not self.connected or len(self._asked) >= _MAX_REQUESTS:
            return fail(RequestError("the worker does not answer"))
        number = next(self._numbers)
        asked: Deferred[Any] = Deferred()
        self._asked[number] = asked
        self._send({"ask": question, "number": number, "with": arguments})
        return asked.addTimeout(_RESPONSE_TIMEOUT, self._clock, tookTooLong)

    def notify(self, notice: str, **arguments: Any) -> None:
        """
        Send a notice.

        @param notice: the name of the notice.
        @param arguments: the arguments of the notice; values for JSON.
        """
        self._send({"ask": notice, "with": arguments})

    def _send(self, message: dict[str, Any]) -> None:
        self.sendString(_encode(message))

    def stringReceived(self, string: bytes) -> None:
        try:
            message = json.loads(string)
        except (ValueError, RecursionError):
            message = None
        match message:
            case {"ask": str() as question, "number": int() as number, "with": dict() as arguments}:
                self._call(question, number, arguments)
            case {"ask": str() as notice, "with": dict() as arguments}:
                self._call(notice, None, arguments)
            case {"answer": int() as number, "value": value}:
                self._answered(number, value)
            case {"answer": int() as number, "problem": str() as text, "status": int() as status}:
                self._answered(number, Failure(RequestError(text, status)))
            case _:
                self.log.warn("invalid message between supervisor and worker; connection closed")
                self._transport().loseConnection()

    def lengthLimitExceeded(self, length: int) -> None:
        self.log.warn(
            "message between supervisor and worker is longer than {limit} bytes; connection closed",
            limit=self.MAX_LENGTH,
        )
        self._transport().loseConnection()

    def _transport(self) -> Any:
        return self.transport

    def _call(self, question: str, number: int | None, arguments: dict[str, Any]) -> None:
        """
        Call the function that handles a request, and send its result, or that of its C{Deferred}.

        @param number: the number of the request; C{None} for a notice.
        """

        def problem(text: str, status: int) -> bytes:
            return _encode({"answer": number, "problem": text, "status": status})

        def encode(value: Any) -> bytes:
            answer = _encode({"answer": number, "value": value})
            if len(answer) > self.MAX_LENGTH:
                return problem(f"the response to {question} is too long", 500)
            return answer

        def failed(failure: Failure) -> bytes:
            status = getattr(failure.value, "status", None)
            if isinstance(status, int):
                return problem(str(failure.value), status)
            self.log.failure("cannot answer the request {question}", failure, question=question)
            return problem(f"the worker cannot answer the request {question}", 500)

        def send(answer: bytes) -> None:
            if number is not None and self.connected:
                self.sendString(answer)

        function = self.answers.get(question)
        if function is None:
            send(problem(f"unknown request {question}", 404))
            return
        called: Deferred[Any] = maybeDeferred(function, **arguments)
        called.addCallback(encode).addErrback(failed).addCallback(send)

    def _answered(self, number: int, result: Any) -> None:
        asked = self._asked.pop(number, None)
        if asked is not None and not asked.called:
            asked.callback(result)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.connected = 0
        asked, self._asked = self._asked, {}
        for each in asked.values():
            if not each.called:
                each.errback(Failure(RequestError("the worker has ended")))
        self.lost()
