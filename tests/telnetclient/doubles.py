"""
Stand-ins for a person and for a connection.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from openfl_twisted.telnetclient.connection import Call
from tests.doubles import TightTransport


class Person:
    """
    A terminal that remembers what it is shown.

    @ivar stopped: fired by the test, when all has been shown.
    """

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.call: Any = None
        self.stopped: Deferred[None] = Deferred()
        self.stops = 0

    def start(self, call: Call) -> None:
        self.call = call

    def show(self, text: str) -> None:
        self.shown.append(text)

    def stop(self) -> Deferred[None]:
        self.stops += 1
        return self.stopped


class Line(Call):
    """
    A connection that remembers what was said and asked for.
    """

    def __init__(self) -> None:
        super().__init__(None)
        self.said: list[str] = []
        self.ends: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)

    def finish(self) -> None:
        self.ends.append("finished")

    def hangUp(self, problem: str = "") -> None:
        self.ends.append(problem or "hung up")


def connected(line: Callable[[], Line] = Line) -> tuple[Line, TightTransport]:
    """
    Make a connection.
    """
    call = line()
    transport = TightTransport(call, 10)
    transport.atOnce = False
    call.makeConnection(transport)
    return call, transport
