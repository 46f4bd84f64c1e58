"""
The client that asks for policy files and the servers that answer, on loopback:
another port stands for 843.
"""

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol

from openfl_twisted.events import Event, IOErrorEvent, SecurityErrorEvent
from openfl_twisted.net import Socket, XMLSocket, forgetPolicyFiles
from openfl_twisted.net.permission import permissions
from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.policyfile import PolicyFileFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.system import Security
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.rule import AccessRule
from tests.live import live
from tests.live.peers import HOST, TWISTD, portOf, run, serving, stop, twistd
from tests.live.test_telnet import ended, telnet

ALL_TYPES = PolicyFile((AccessRule("*", "*"),))
GAMES = PolicyFile((AccessRule("games.example", "*"),))
OTHERS = PolicyFile((AccessRule("other.example", "*"),))
NOTHING_LISTENS = 1
ANY_PORT = f"--listen=tcp:0:interface={HOST}"


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Any:
    """
    A program that came from games.example, and whose master is somewhere.

    @return: sets the port of the master.
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
    Connect, and close if that succeeds.

    @return: the event that came.
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
    """
    Make a data port.
    """
    return OnePortFactory(XMLSocketFactory(EchoProtocol), policy=policy)


@live
async def test_master(remote: Any) -> None:
    """
    The server on the master's port grants and refuses, and says how often it
    was asked: once for each host.
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
    assert f"cannot load data from {HOST}:{port}. master policy file, port " in event.text


@live
async def test_dataPort(remote: Any) -> None:
    """
    Without a master, or with one that lets others speak, the data port grants
    and refuses.
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
    A file on any other port counts if the program has named it.
    """
    async with (
        serving(PolicyFileFactory(GAMES)) as (policyPort, _),
        serving(echo(OTHERS)) as (port, _),
    ):
        assert (await outcome(port)).type == "securityError"
        Security.loadPolicyFile(f"xmlsocket://{HOST}:{policyPort}")
        assert (await outcome(port)).type == "connect"


class Deaf(Protocol):
    """
    Says nothing, and closes when it has heard something.
    """

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


@live
async def test_noPolicy(remote: Any) -> None:
    """
    A server that knows nothing of policy files, and one that is not there, is a
    C{securityError} with the reason.
    """
    async with serving(Factory.forProtocol(Deaf)) as (port, _):
        event = await outcome(port)
        assert (event.type, event.errorID) == ("securityError", 2048)
        assert "the server sent no data" in event.text
    event = await outcome(port)
    assert event.type == "securityError"
    forgetPolicyFiles()
    event = await outcome(port)
    assert f"policy file of port {port} itself: connection refused" in event.text


class Silent(Protocol):
    """
    Says nothing, and remembers that somebody came.
    """

    came = 0

    def connectionMade(self) -> None:
        type(self).came += 1


@live
async def test_silentMaster(remote: Any) -> None:
    """
    A master that says nothing does not exist, and is not asked again.
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
    A desktop program asks for nothing.
    """
    door = echo(OTHERS)
    async with serving(door) as (port, _):
        assert (await outcome(port)).type == "connect"
        assert door.answered == 0


@live
async def test_telnetAsFlash(tmp_path: Path) -> None:
    """
    C{openfl-telnet --as-flash} walks through it against our own servers: as
    they are set up here they grant, with the wrong file they refuse.
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
    refused = f"rule 1 ({other}) does not grant: it is not for 'games.example'"
    assert told == [
        f"master policy file, port {masterPort}: a policy file of {size} bytes",
        refused,
        f"policy file of port {port} itself: a policy file of {own} bytes",
        f"rule 1 (domain '*' to-ports '{port}') grants",
        "permitted: a program from http://games.example/ may connect",
        f"connected to {HOST}:{port}",
        "closed",
    ]
    assert "<a/>" in lines
    assert await ended(telnet(*flash, HOST, strictPort), 1) == [
        f"master policy file, port {masterPort}: a policy file of {size} bytes",
        refused,
        f"policy file of port {strictPort} itself: a policy file of {size} bytes",
        refused,
        "refused: a program from http://games.example/ gets a securityError, #2048",
    ]
    for each in (master, strict):
        await stop(each)


@live
async def test_check(tmp_path: Path) -> None:
    """
    C{twistd openfl-policy --check} is a command like any other: it prints, and
    its status is the decision.
    """
    path = tmp_path / "policy.xml"
    path.write_bytes(GAMES.toXML())
    for domain, status in [("games.example", 0), ("other.example", 1)]:
        check = run(*TWISTD, "openfl-policy", f"--check={path}", f"--for={domain}", "--port=8080")
        lines = await ended(check, status)
        assert lines[0].startswith("rule 1 (domain 'games.example' to-ports '*') ")
        assert lines[1].startswith("refused: " if status else "permitted: ")
