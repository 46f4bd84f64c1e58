"""
A browser in memory.
"""

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from openfl_twisted.transports.guard import GuardFactory
from tests.doubles import TightTransport

ADDRESS = IPv4Address("TCP", "127.0.0.1", 5)


class Answer(NamedTuple):
    """
    A response.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """
        Body, parsed as JSON.
        """
        return json.loads(self.body)


class Visit:
    """
    A connection of a browser, for one request.

    @ivar transport: the transport of the connection.
    """

    def __init__(
        self, guard: GuardFactory, room: int = 1 << 20, peer: IPv4Address = ADDRESS
    ) -> None:
        self._protocol = guard.buildProtocol(peer)
        self.transport = TightTransport(self._protocol, room, peerAddress=peer)
        self._protocol.makeConnection(self.transport)

    def end(self) -> None:
        """
        End the connection, as a browser does.
        """
        self._protocol.connectionLost(Failure(ConnectionDone()))

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> None:
        """
        Send a request.

        @param headers: the header fields, with C{_} for C{-} in the names.
        """
        if body:
            headers.setdefault("Content_Length", str(len(body)))
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = "\r\n".join([f"{method} {path} HTTP/1.0", *lines, "", ""])
        self.transport.arrive(head.encode() + body)

    @property
    def answer(self) -> Answer:
        """
        Response received so far.
        """
        head, _, body = (self.transport.delivered + self.transport.value()).partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        return Answer(int(first.split()[1]), headers, body)

    @property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """
        Events received so far.
        """
        found = re.findall(r"event: (\w+)\ndata: (.*)\n\n", self.answer.body.decode())
        return [(name, json.loads(data)) for name, data in found]


def visit(
    guard: GuardFactory,
    path: str,
    headers: Mapping[str, str] = MappingProxyType({}),
    *,
    method: str = "GET",
    body: bytes = b"",
) -> Answer:
    """
    Send a request.

    @return: the response.
    """
    browser = Visit(guard)
    browser.ask(method, path, body, **headers)
    answer = browser.answer
    browser.end()
    return answer
