"""
A peer that follows a script: it expects these bytes, and sends those.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple, Self

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from openfl_twisted.testing.network import MemoryNetwork

_SHOWN = 80
"""
How many bytes a failure shows of what was expected and of what came.
"""


class _Step(NamedTuple):
    """
    Something that a peer does or waits for.

    @ivar kind: C{expect}, C{send}, C{close}, C{abort} or C{waitForClose}.
    @ivar data: the bytes of it.
    """

    kind: str
    data: bytes = b""

    def __str__(self) -> str:
        return f"{self.kind}({_show(self.data)})" if self.data else f"{self.kind}()"


class ScriptedPeer(Factory["_PeerProtocol"]):
    r"""
    One side of one connection, that follows a script. What comes in other
    segments than it was written is the same to it: only the bytes count::

        peer = ScriptedPeer().expect(b"<hello/>\0").send(b"<welcome/>\0").close()
        peer.listen(network, 8080)
        ...
        peer.verify()

    It is the factory of its protocol, so that it can also stand behind other
    factories and endpoints. When something else comes than is expected it aborts
    the connection.
    """

    noisy = False

    def __init__(self) -> None:
        self._steps: list[_Step] = []
        self._done = 0
        self._problem = ""
        self._received = bytearray()
        # How much of it is as the step that waits expects it.
        self._compared = 0
        self._peer: _PeerProtocol | None = None
        self._closed = self._closing = False

    # The script

    def expect(self, data: bytes) -> Self:
        """
        Wait for these bytes, and no others.

        @param data: the bytes; in how many segments they come does not matter.
        @return: the same peer, for the next step.
        """
        return self._add("expect", data)

    def send(self, data: bytes) -> Self:
        """
        Send these bytes.

        @param data: the bytes.
        @return: the same peer, for the next step.
        """
        return self._add("send", data)

    def close(self) -> Self:
        """
        Close the connection, after what was sent.

        @return: the same peer, for the next step.
        """
        return self._add("close")

    def abort(self) -> Self:
        """
        Reset the connection.

        @return: the same peer, for the next step.
        """
        return self._add("abort")

    def waitForClose(self) -> Self:
        """
        Wait until the other side has closed the connection; nothing may come
        before.

        @return: the same peer, for the next step.
        """
        return self._add("waitForClose")

    @classmethod
    def fromRuffle(cls, script: str | bytes) -> Self:
        """
        Read a script of Ruffle's socket tests: their files C{socket.json}. It
        is a list of objects whose C{type} is C{Receive} with the bytes
        C{expected}, C{Send} with the bytes C{payload}, C{WaitForDisconnect}, or
        C{Disconnect}. Bytes are lists of numbers.

        Source: C{ruffle_socket_format::SocketEvent} in Ruffle's tests. There
        the bytes expected are those of one flush; here they are the next ones.

        @param script: the text of the file.
        @return: a peer with this script.
        @raise ValueError: if it is no such script.
        """
        try:
            events = json.loads(script)
        except ValueError as problem:
            raise ValueError(f"this is no script of Ruffle's: {problem}") from None
        if not isinstance(events, list):
            raise ValueError("this is no script of Ruffle's: it is no list")
        peer = cls()
        for number, event in enumerate(events, 1):
            try:
                _READERS[event["type"]](peer, event)
            except (KeyError, TypeError, ValueError):
                raise ValueError(
                    f"this is no script of Ruffle's: event {number} is {event!r}"
                ) from None
        return peer

    def _add(self, kind: str, data: bytes = b"") -> Self:
        self._steps.append(_Step(kind, bytes(data)))
        return self

    # The connection

    def listen(self, network: MemoryNetwork, port: int, interface: str = "127.0.0.1") -> Any:
        """
        Be a server.

        @param network: where.
        @param port: the port; 0 for any.
        @param interface: the address.
        @return: the port, as C{listenTCP} gives it.
        """
        return network.reactor.listenTCP(port, self, interface=interface)

    def connect(self, network: MemoryNetwork, port: int, host: str = "127.0.0.1") -> Any:
        """
        Be a client.

        @param network: where.
        @param port: the port of the server.
        @param host: its IPv4 address.
        @return: a C{Deferred} that fires when there is a connection.
        """
        return TCP4ClientEndpoint(network.reactor, host, port).connect(self)

    def buildProtocol(self, addr: object) -> "_PeerProtocol | None":
        """
        Give the protocol to the first connection, and refuse others.
        """
        if self._peer is not None:
            self._fail("a second connection has come")
            return None
        self._peer = _PeerProtocol(self._proceed, self._arrived, self._lost)
        return self._peer

    # The outcome

    @property
    def done(self) -> bool:
        """
        Whether the script has been followed to its end, and nothing else came.
        """
        return not self._problem and self._done == len(self._steps)

    def verify(self) -> None:
        """
        Check that the script has been followed to its end, and that nothing
        else came.

        @raise AssertionError: if not; it says which step failed or is waited
            for, what was expected, and what came.
        """
        if self._problem:
            raise AssertionError(self._problem)
        if self._done < len(self._steps):
            where = "nobody has connected" if self._peer is None else self._whatCame()
            raise AssertionError(f"{self._where()} is still waited for: {where}")

    def _where(self) -> str:
        return f"step {self._done + 1} of {len(self._steps)}, {self._steps[self._done]},"

    def _whatCame(self) -> str:
        return f"came {_show(bytes(self._received))}"

    def _fail(self, problem: str) -> None:
        """
        Remember the first thing that went wrong, and break off.
        """
        if not self._problem:
            self._problem = problem
            if self._peer is not None and not self._closed:
                self._peer.transport.abortConnection()

    # What happens

    def _proceed(self) -> None:
        """
        Take all steps that can be taken.
        """
        while not self._problem and self._done < len(self._steps) and self._take():
            self._done += 1
        if not self._problem and self._done == len(self._steps) and self._received:
            self._fail(f"the script is over, and then {self._whatCame()}")

    def _arrived(self, data: bytes) -> None:
        """
        Hear of bytes.
        """
        self._received += data
        self._proceed()

    def _lost(self) -> None:
        """
        Hear of the end.
        """
        self._closed = True
        self._proceed()
        if not self._problem and not self._closing and self._done < len(self._steps):
            self._fail(f"{self._where()} failed: the connection was closed; {self._whatCame()}")

    def _take(self) -> bool:
        """
        Take a step.

        @return: whether it is done.
        """
        assert self._peer is not None  # noqa: S101 - for the type checker
        kind, data = self._steps[self._done]
        if kind == "expect":
            return self._compare(data)
        if kind == "waitForClose":
            if self._received:
                self._fail(f"{self._where()} failed: {self._whatCame()}")
            return self._closed and not self._problem
        if kind == "send":
            self._peer.transport.write(data)
        elif kind == "close":
            self._closing = True
            self._peer.transport.loseConnection()
        else:
            self._closing = True
            self._peer.transport.abortConnection()
        return True

    def _compare(self, expected: bytes) -> bool:
        """
        Compare what has come since the last time with what is expected.

        @return: whether all of it has come.
        """
        before, self._compared = self._compared, min(len(self._received), len(expected))
        wanted = expected[before : self._compared]
        came = self._received[before : self._compared]
        if came != wanted:
            pairs = enumerate(zip(came, wanted, strict=True), before)
            place = next(number for number, (one, other) in pairs if one != other)
            self._fail(f"{self._where()} failed at byte {place}: {self._whatCame()}")
            return False
        if self._compared < len(expected):
            return False
        del self._received[: len(expected)]
        self._compared = 0
        return True


class _PeerProtocol(Protocol):
    """
    The connection of a scripted peer.
    """

    transport: Any

    def __init__(
        self,
        made: Callable[[], object],
        arrived: Callable[[bytes], object],
        lost: Callable[[], object],
    ) -> None:
        self._made = made
        self._arrived = arrived
        self._lost = lost

    def connectionMade(self) -> None:
        self._made()

    def dataReceived(self, data: bytes) -> None:
        self._arrived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost()


_READERS: dict[str, Callable[[ScriptedPeer, dict[str, Any]], object]] = {
    "Receive": lambda peer, event: peer.expect(_bytesOf(event["expected"])),
    "Send": lambda peer, event: peer.send(_bytesOf(event["payload"])),
    "WaitForDisconnect": lambda peer, event: peer.waitForClose(),
    "Disconnect": lambda peer, event: peer.close(),
}


def _bytesOf(numbers: Any) -> bytes:
    """
    Read bytes.

    @raise ValueError: if it is no list of numbers from 0 to 255.
    """
    if not isinstance(numbers, list):
        raise ValueError(numbers)
    return bytes(numbers)


def _show(data: bytes) -> str:
    """
    Write bytes, and how many there are if they are too many.
    """
    if not data:
        return "nothing"
    if len(data) <= _SHOWN:
        return repr(data)
    return f"{data[:_SHOWN]!r} and {len(data) - _SHOWN} bytes more"
