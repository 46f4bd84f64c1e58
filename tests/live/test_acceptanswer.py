"""
Tests for L{openfl_twisted.transports.acceptanswer}: it is the kernel that says what
has come when a connection is accepted.
"""

import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.address import IPv6Address
from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs

from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.policyfile import PolicyFileFactory
from openfl_twisted.transports.acceptanswer import (
    MAX_ANSWER,
    MAX_FIRST_BYTES,
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
    Knows how many connections went the normal way.
    """

    normal = 0

    def buildProtocol(self, addr: IAddress | None) -> Any:
        self.normal += 1
        return super().buildProtocol(addr)


class NullLog:
    """
    Takes note of failures, and of nothing else.
    """

    def __init__(self) -> None:
        self.failures: list[str] = []

    def failure(self, text: str, **keywords: Any) -> None:
        self.failures.append(text.format(**keywords))


class Asker:
    """
    A client that has said something before anybody accepts it.
    """

    def __init__(self, port: int, data: bytes) -> None:
        self._socket = socket.create_connection((HOST, port), 10)
        self._socket.sendall(data)

    def send(self, data: bytes) -> None:
        """
        Say more.
        """
        self._socket.sendall(data)

    async def answer(self) -> bytes:
        """
        Wait for the end.

        @return: all that has come.
        """
        received: bytes = await deferToThread(self._readAll)
        return received

    def reset(self) -> None:
        """
        Go without a farewell.
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
    Serve policy files behind a guard, and answer first.

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
    A request that is there is answered without a protocol, counted and logged.
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


@live
async def test_many() -> None:
    """
    More than are answered in a turn are answered too.
    """
    factory = Watched(POLICY)
    async with listening(factory) as (port, _):
        askers = [Asker(port, REQUEST) for _ in range(150)]
        answers = [await asker.answer() for asker in askers]
    assert set(answers) == {REPLY}
    assert (factory.normal, factory.answered) == (0, 150)


@live
async def test_normal() -> None:
    """
    What is no whole request, or more than one, goes the normal way, and so does
    a request that comes later; the answers are the same.
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
    The guard refuses whom it would refuse, and a long answer or a request that
    is longer than allowed goes the normal way.
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
    assert len(REQUEST) < MAX_FIRST_BYTES


@live
async def test_sharedPort() -> None:
    """
    On a port for every kind of client the request is answered so too, if such
    requests are answered there; all else goes its way.
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
    Where there is no file for the port it is the normal way that says so.
    """
    factory = Watched(None)
    async with listening(factory) as (port, _):
        assert await Asker(port, REQUEST).answer() == b""
    assert (factory.normal, factory.unanswered) == (1, 1)


@live
async def test_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A factory that fails costs that one connection, and others go on.
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
    assert log.failures == [f"{HOST} closed: error while answering on accept"]


@live
async def test_gone() -> None:
    """
    A player that is gone before it is answered is nobody's fault: there is one
    line as for any other.
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
    A program whose sockets have a default timeout waits for nobody who is
    silent.
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
    Where an address is only valid on one link, the link is a part of it.
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
    A port that is not one of TCP stays as it is, and so does one whose factory
    has no answers.
    """
    sockets = [
        theReactor().listenUNIX(str(tmp_path / "socket"), PolicyFileFactory(POLICY)),
        theReactor().listenTCP(0, GuardFactory(Factory()), interface=HOST),
    ]
    for port in sockets:
        before = port.socket
        assert answerOnAccept(port).socket is before
        await port.stopListening()
