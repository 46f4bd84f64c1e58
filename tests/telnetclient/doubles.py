"""
Test doubles for a terminal and a connection.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from openfl_twisted.telnetclient.connection import ClientProtocol
from tests.doubles import TightTransport


class FakeTerminal:
    """
    A terminal that records the text it displays.

    @ivar stopped: the result of L{stop}; the test fires it.
    """

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.connection: Any = None
        self.stopped: Deferred[None] = Deferred()
        self.stops = 0

    def start(self, connection: ClientProtocol) -> None:
        self.connection = connection

    def show(self, text: str) -> None:
        self.shown.append(text)

    def stop(self) -> Deferred[None]:
        self.stops += 1
        return self.stopped


class FakeConnection(ClientProtocol):
    """
    A connection that records the input and how it ended.
    """

    def __init__(self) -> None:
        super().__init__(None)
        self.sent: list[str] = []
        self.ends: list[str] = []

    def sendInput(self, line: str) -> None:
        self.sent.append(line)

    def inputEnded(self) -> None:
        self.ends.append("input ended")

    def close(self, problem: str = "") -> None:
        self.ends.append(problem or "closed")


def connected(
    make: Callable[[], FakeConnection] = FakeConnection,
) -> tuple[FakeConnection, TightTransport]:
    """
    Make a connection and its transport.
    """
    connection = make()
    transport = TightTransport(connection, 10)
    transport.atOnce = False
    connection.makeConnection(transport)
    return connection, transport
