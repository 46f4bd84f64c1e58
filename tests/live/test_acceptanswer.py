"""
Tests for L{openfl_twisted.transports.acceptanswer} on real sockets, where the kernel
determines the data available when a connection is accepted.
"""

import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs

from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.policyfile import PolicyFileFactory
from openfl_twisted.transports.acceptanswer import (
    _MAX_FIRST_BYTES,
    MAX_ANSWER,
    _Listener,
    answerOnAccept,
)
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.wire.firstbytes import ALL_TYPES, ClientType
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.request import REQUEST
from openfl_twisted.wire.policy.rule import AccessRule
from tests.doubles import linesOf
from tests.live import live
from tests.live.peers import HOST, theReactor

POLICY = PolicyFile((AccessRule("*", "80"),))
REPLY = POLICY.toXML() + b"\0"


class Watched(PolicyFileFactory):
    """
    Counts the connections that receive a protocol.
    """

    normal = 0

    def buildProtocol(self, addr: IAddress | None) -> Any:
        self.normal += 1
        return super().buildProtocol(addr)


class NullLog:
    """
    Records failures, and ignores other events.
    """

    def __init__(self) -> None:
        self.failures: list[str] = []

    def failure(self, text: str, **keywords: Any) -> None:
        self.failures.append(text.format(**keywords))


class Asker:
    """
    A client that sends data before its connection is accepted.
    """

    def __init__(self, port: int, data: bytes) -> None:
        self._socket = socket.create_connection((HOST, port), 10)
        self._socket.sendall(data)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    async def answer(self) -> bytes:
        """
        Wait for EOF.

        @return: the received data.
        """
        received: bytes = await deferToThread(self._readAll)
        return received

    def reset(self) -> None:
        """
        Close the connection with a RST.
        """
        linger = (1).to_bytes(4, "little") + bytes(4)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._socket.close()

    def _readAll(self) -> bytes:
        with self._socket:
            return b"".join(iter(lambda: self._socket.recv(65536), b""))


@asynccontextmanager
async def listening(factory: IProtocolFactory, **limits: Any) -> AsyncIterator[Any]:
    """
    Serve policy files with a guard, and answer on accept.

    @return: the port and the guard.
    """
    guard = GuardFactory(factory, **limits)
    port = theReactor().listenTCP(0, guard, backlog=300, interface=HOST)
    assert answerOnAccept(port) is port
    try:
        yield port.getHost().port, guard
    finally:
        await port.stopListening()
        await guard.closeAll(1)


@live
async def test_answered() -> None:
    """
    A complete request is answered without a protocol, counted and logged.
    """
    factory = Watched(POLICY)
    async with listening(factory) as (port, guard):
        with capturedLogs() as logs:
            assert await Asker(port, REQUEST).answer() == REPLY
    assert [line.endswith("received the policy file") for line in linesOf(logs)] == [True]
    assert (factory.normal, factory.answered, guard.opened) == (0, 1, 1)
    assert guard.closed == {("policy", "server"): 1}
    traffic = guard.traffic()["policy"]
    assert (traffic.bytesIn, traffic.bytesOut) == (len(REQUEST), len(REPLY))


class HeldConnection:
    """
    An accepted connection that has received a request.

    @ivar sent: the data of each C{send}, and its flags.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, int]] = []

    def gettimeout(self) -> None:
        return None

    def recv(self, length: int, flags: int) -> bytes:
        return REQUEST

    def send(self, data: bytes, flags: int) -> int:
        self.sent.append((data, flags))
        return len(data)


@pytest.mark.skipif(not hasattr(socket, "MSG_MORE"), reason="this system has no MSG_MORE")
def test_oneSegment() -> None:
    """
    The kernel sends the answer and the end of the connection in one segment.
    """
    connection: Any = HeldConnection()
    host = IPv4Address("TCP", HOST, 80)
    with _Listener(socket.socket().detach(), PolicyFileFactory(POLICY), host) as listener:
        assert listener._answered(connection, (HOST, 1))
    assert connection.sent == [(REPLY, socket.MSG_DONTWAIT | socket.MSG_MORE)]


@live
async def test_many() -> None:
    """
    More requests than are answered in one reactor iteration are answered too.
    """
    factory = Watched(POLICY)
    async with listening(factory) as (port, _):
        askers = [Asker(port, REQUEST) for _ in range(150)]
        answers = [await asker.answer() for asker in askers]
    assert set(answers) == {REPLY}
    assert (factory.normal, factory.answered) == (0, 150)


@live
async def test_withProtocol() -> None:
    """
    An incomplete request, several requests, and a late request are handled by a
    protocol, with the same answers.
    """
    for first, rest, expected in [
        (REQUEST[:5], REQUEST[5:], REPLY),
        (REQUEST + b"more", b"", REPLY),
        (b"GET / HTTP/1.1\r\n\r\n", b"", b""),
        (b"", REQUEST, REPLY),
    ]:
        factory = Watched(POLICY)
        factory.firstWait = 0
        async with listening(factory) as (port, guard):
            asker = Asker(port, first)
            while not factory.normal:
                await deferToThread(int)
            asker.send(rest)
            assert await asker.answer() == expected
        assert (factory.normal, guard.opened) == (1, 1)


@live
async def test_limits() -> None:
    """
    The limits of the guard apply. A long answer, and a request over the limit, are
    handled by a protocol.
    """
    factory = Watched(POLICY)
    async with listening(factory, maxPerAddress=1) as (port, guard):
        silent = Asker(port, b"<")
        while not factory.normal:
            await deferToThread(int)
        try:
            answer = await Asker(port, REQUEST).answer()
        except ConnectionResetError:
            answer = b""
        assert (answer, guard.refusals["address"]) == (b"", 1)
        silent.send(b"!")
        assert await silent.answer() == b""
    many = PolicyFile((AccessRule("*", ",".join(map(str, range(2000, 6000)))),))
    for limited, expected in [
        (Watched(many), many.toXML() + b"\0"),
        (Watched(POLICY, maxLength=len(REQUEST) - 1), b""),
    ]:
        async with listening(limited) as (port, _):
            assert await Asker(port, REQUEST).answer() == expected
        assert limited.normal == 1
    assert len(many.toXML()) > MAX_ANSWER
    assert len(REQUEST) < _MAX_FIRST_BYTES


@live
async def test_sharedPort() -> None:
    """
    On a port with protocol detection requests are also answered on accept, if policy
    requests are accepted. Other connections are unaffected.
    """
    for accept, expected in [(ALL_TYPES, 0), (ALL_TYPES - {ClientType.POLICY}, 1)]:
        behind = PolicyFileFactory(POLICY)
        door = OnePortFactory(behind, policy=POLICY, accept=accept)
        async with listening(door) as (port, guard):
            assert await Asker(port, REQUEST).answer() == REPLY
        assert (door.answered, behind.answered) == (1 - expected, expected)
        assert guard.closed == {("plain" if expected else "policy", "server"): 1}


@live
async def test_noFile() -> None:
    """
    Without a policy file for the port, the protocol handles and logs the request.
    """
    factory = Watched(None)
    async with listening(factory) as (port, _):
        assert await Asker(port, REQUEST).answer() == b""
    assert (factory.normal, factory.unanswered) == (1, 1)


@live
async def test_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An exception of the factory affects one connection only.
    """

    class Failing(Watched):
        failed = 0

        def firstAnswer(self, data: bytes, peer: IAddress, host: IAddress) -> bytes | None:
            if not self.failed:
                self.failed = 1
                raise ValueError("a fault")
            return super().firstAnswer(data, peer, host)

    log = NullLog()
    monkeypatch.setattr("openfl_twisted.transports.acceptanswer._Listener.log", log)
    async with listening(Failing(POLICY)) as (port, _):
        with contextlib.suppress(ConnectionResetError):
            assert await Asker(port, REQUEST).answer() == b""
        assert await Asker(port, REQUEST).answer() == REPLY
    assert log.failures == [f"{HOST} closed: error in firstAnswer"]


@live
async def test_disconnected() -> None:
    """
    A client that disconnects before it is answered is logged with one line, like any
    other.
    """
    factory = Watched(POLICY)
    async with listening(factory) as (port, _):
        asker = Asker(port, REQUEST)
        asker.reset()
        with capturedLogs() as logs:
            assert await Asker(port, REQUEST).answer() == REPLY
    assert [line.endswith("received the policy file") for line in linesOf(logs)] == [True, True]
    assert (factory.normal, factory.answered) == (0, 2)


@live
async def test_defaultTimeout() -> None:
    """
    If the default timeout of sockets is set, silent clients do not block the server.
    """
    factory = Watched(POLICY)
    factory.firstWait = 0
    async with listening(factory) as (port, _):
        silent = Asker(port, b"")
        socket.setdefaulttimeout(600)
        try:
            while not factory.normal:
                await deferToThread(int)
        finally:
            socket.setdefaulttimeout(None)
        silent.send(REQUEST)
        assert await silent.answer() == REPLY


@live
async def test_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The scope of a link-local address is part of the client's address.
    """

    class Told(Watched):
        def firstAnswer(self, data: bytes, peer: IAddress, host: IAddress) -> bytes | None:
            peers.append(peer)
            return super().firstAnswer(data, peer, host)

    peers: list[IAddress] = []
    address = ("fe80::1", 1024, 0, 1)
    client, server = socket.socketpair()
    accepted = iter([(server, address)])
    monkeypatch.setattr(socket.socket, "accept", lambda listener: next(accepted))
    host = IPv6Address("TCP", "fe80::1", 843)
    with _Listener(socket.socket().detach(), Told(POLICY), host) as listener, client:
        client.sendall(REQUEST)
        with pytest.raises(StopIteration):
            listener.accept()
        assert client.recv(65536) == REPLY
    scoped = f"fe80::1%{socket.if_indextoname(1)}"
    assert peers == [IPv6Address("TCP", scoped, 1024, 0, 1)]


@live
async def test_otherPorts(tmp_path: Path) -> None:
    """
    Ports that are not TCP, or whose factory has no answers, are unchanged.
    """
    sockets = [
        theReactor().listenUNIX(str(tmp_path / "socket"), PolicyFileFactory(POLICY)),
        theReactor().listenTCP(0, GuardFactory(Factory()), interface=HOST),
    ]
    for port in sockets:
        before = port.socket
        assert answerOnAccept(port).socket is before
        await port.stopListening()
