"""
Policy file clients and servers, on loopback, with another port instead of 843.
"""

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol

from openfl_twisted.events import Event, IOErrorEvent, SecurityErrorEvent
from openfl_twisted.net import Socket, XMLSocket, forgetPolicyFiles
from openfl_twisted.net._permission import permissions
from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.policyfile import PolicyFileFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.system import Security
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.rule import AccessRule
from tests.live import live
from tests.live.peers import HOST, TWISTD, portOf, run, serving, stop, twistd
from tests.live.telnet import ended, telnet

ALL_TYPES = PolicyFile((AccessRule("*", "*"),))
GAMES = PolicyFile((AccessRule("games.example", "*"),))
OTHERS = PolicyFile((AccessRule("other.example", "*"),))
NOTHING_LISTENS = 1
ANY_PORT = f"--listen=tcp:0:interface={HOST}"


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Any:
    """
    A program loaded from games.example.

    @return: sets the port of the master policy file.
    """
    monkeypatch.setattr(Security, "sandboxType", Security.REMOTE)
    monkeypatch.setattr(Security, "swfURL", "http://games.example/game.swf")

    def setMaster(port: int) -> None:
        forgetPolicyFiles()
        monkeypatch.setattr(permissions, "masterPort", port)

    setMaster(NOTHING_LISTENS)
    yield setMaster
    forgetPolicyFiles()


async def outcome(port: int, cls: Any = Socket) -> Any:
    """
    Connect, and close if the attempt succeeds.

    @return: the event.
    """
    socket = cls()
    came: Deferred[Any] = Deferred()
    for type in (Event.CONNECT, SecurityErrorEvent.SECURITY_ERROR, IOErrorEvent.IO_ERROR):
        socket.addEventListener(type, came.callback)
    socket.connect(HOST, port)
    event = await came
    if socket.connected:
        closing = socket.whenClosed()
        socket.close()
        await closing
    return event


def echo(policy: Any) -> OnePortFactory:
    return OnePortFactory(XMLSocketFactory(EchoProtocol), policy=policy)


@live
async def test_master(remote: Any) -> None:
    """
    The master policy server grants and denies, and receives one request for each host.
    """
    data = XMLSocketFactory(EchoProtocol, policy=None)
    for policy, expected in [(GAMES, "connect"), (PolicyFile((), "none"), "securityError")]:
        master = PolicyFileFactory(policy)
        async with serving(master) as (masterPort, _), serving(data) as (port, _):
            remote(masterPort)
            for cls in (Socket, XMLSocket):
                event = await outcome(port, cls)
                assert event.type == expected
            assert master.answered == 1
    assert event.errorID == 2048
    assert f"cannot load data from {HOST}:{port}. master policy file on port " in event.text


@live
async def test_dataPort(remote: Any) -> None:
    """
    Without a master policy file, or with one that permits other files, the data port
    grants and denies.
    """
    for master in (None, OTHERS):
        async with serving(PolicyFileFactory(master or OTHERS)) as (masterPort, _):
            for policy, expected in [
                (PolicyFile.forPort, "connect"),
                (GAMES, "connect"),
                (OTHERS, "securityError"),
            ]:
                door = echo(policy)
                async with serving(door) as (port, _):
                    remote(NOTHING_LISTENS if master is None else masterPort)
                    assert (await outcome(port)).type == expected
                    assert door.answered == 1


@live
async def test_named(remote: Any) -> None:
    """
    A policy file on another port applies if the program has named it.
    """
    async with (
        serving(PolicyFileFactory(GAMES)) as (policyPort, _),
        serving(echo(OTHERS)) as (port, _),
    ):
        assert (await outcome(port)).type == "securityError"
        Security.loadPolicyFile(f"xmlsocket://{HOST}:{policyPort}")
        assert (await outcome(port)).type == "connect"


class Closing(Protocol):
    """
    A server that closes the connection when it receives data, without an answer.
    """

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


@live
async def test_noPolicy(remote: Any) -> None:
    """
    A server without policy files, and a missing server, are a C{securityError} with the
    reason.
    """
    async with serving(Factory.forProtocol(Closing)) as (port, _):
        event = await outcome(port)
        assert (event.type, event.errorID) == ("securityError", 2048)
        assert "the server sent no data" in event.text
    event = await outcome(port)
    assert event.type == "securityError"
    forgetPolicyFiles()
    event = await outcome(port)
    assert f"policy file on port {port}: connection refused" in event.text


class Silent(Protocol):
    """
    A server that does not answer, and records connections.
    """

    came = 0

    def connectionMade(self) -> None:
        type(self).came += 1


@live
async def test_silentMaster(remote: Any) -> None:
    """
    A master policy server that does not answer counts as missing, and is not requested
    again.
    """
    Silent.came = 0
    async with (
        serving(Factory.forProtocol(Silent)) as (masterPort, _),
        serving(echo(PolicyFile.forPort)) as (port, _),
    ):
        remote(masterPort)
        for _ in range(2):
            assert (await outcome(port)).type == "connect"
        assert Silent.came == 1


@live
async def test_application() -> None:
    """
    A desktop program requests no policy file.
    """
    door = echo(OTHERS)
    async with serving(door) as (port, _):
        assert (await outcome(port)).type == "connect"
        assert door.answered == 0


@live
async def test_telnetAsFlash(tmp_path: Path) -> None:
    """
    C{openfl-telnet --as-flash} connects to our servers if their policy grants it, and
    is denied otherwise.
    """
    (tmp_path / "policy.xml").write_bytes(OTHERS.toXML())
    master = twistd("openfl-policy", ANY_PORT, f"--policy={tmp_path / 'policy.xml'}")
    server = twistd("openfl-xml", "--echo", ANY_PORT)
    strict = twistd("openfl-xml", "--echo", ANY_PORT, f"--policy={tmp_path / 'policy.xml'}")
    masterPort, port, strictPort = [await portOf(each) for each in (master, server, strict)]
    flash = ("--as-flash=http://games.example/", f"--master-port={masterPort}", "--xml")
    process = telnet(*flash, "--wait=1000", HOST, port, typed="<a/>\n")
    await process.until(b"<a/>\n")
    await stop(server)
    lines = await ended(process)
    told = [line for line in lines if line != "<a/>"]
    size = len(OTHERS.toXML())
    own = len(PolicyFile.forPort(port).toXML())
    other = "domain 'other.example' to-ports '*'"
    refused = f"rule 1 ({other}) does not grant access: its domain does not match 'games.example'"
    assert told == [
        f"master policy file on port {masterPort}: a policy file of {size} bytes",
        refused,
        f"policy file on port {port}: a policy file of {own} bytes",
        f"rule 1 (domain '*' to-ports '{port}') grants access",
        "permitted: a program from http://games.example/ may connect",
        f"connected to {HOST}:{port}",
        "closed",
    ]
    assert "<a/>" in lines
    assert await ended(telnet(*flash, HOST, strictPort), 1) == [
        f"master policy file on port {masterPort}: a policy file of {size} bytes",
        refused,
        f"policy file on port {strictPort}: a policy file of {size} bytes",
        refused,
        "refused: a program from http://games.example/ gets a securityError, #2048",
    ]
    for each in (master, strict):
        await stop(each)


@live
async def test_check(tmp_path: Path) -> None:
    """
    C{twistd openfl-policy --check} prints the decision, which is also its exit status.
    """
    path = tmp_path / "policy.xml"
    path.write_bytes(GAMES.toXML())
    for domain, status in [("games.example", 0), ("other.example", 1)]:
        check = run(*TWISTD, "openfl-policy", f"--check={path}", f"--for={domain}", "--port=8080")
        lines = await ended(check, status)
        assert lines[0].startswith("rule 1 (domain 'games.example' to-ports '*') ")
        assert lines[1].startswith("refused: " if status else "permitted: ")
