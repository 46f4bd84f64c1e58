"""
The option C{--workers}: processes that share ports.
"""

import json
import os
import re
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import trustme
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.error import CannotListenError, ConnectError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock

from openfl_twisted.endpoints import serverEndpoint
from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.reactors.backlog import deepenBacklog
from openfl_twisted.tls.connection import ServerTLSFactory
from openfl_twisted.workers import ports, worker
from openfl_twisted.workers.link import LinkProtocol
from openfl_twisted.workers.ports import InheritingReactor, ReservingReactor
from openfl_twisted.workers.supervisor import Supervisor
from openfl_twisted.workers.worker import WorkerSide
from tests.live import live
from tests.live.asking import ask
from tests.live.peers import (
    HOST,
    TWISTD,
    Buffered,
    Process,
    dial,
    pause,
    readFromClients,
    run,
    stop,
    theReactor,
    twistd,
    until,
)
from tests.live.peers import portOf as listeningPort

ANY = f"tcp:0:interface={HOST}"
STARTED = re.compile(r"worker (\d) started \(pid (\d+)\)")


def portOf(client: Any) -> int:
    """
    Return the port of a client.
    """
    port: int = client.transport.getHost().port
    return port


async def startedOn(server: Process) -> int:
    """
    Wait until all workers have started.

    @return: their port.
    """
    printed = await server.until(b"connection limits apply to each worker\n")
    found = re.search(r"2 workers listening on 127\.0\.0\.1:(\d+)", printed)
    assert found is not None, printed
    return int(found[1])


async def reach(server: Process, port: int) -> dict[int, Buffered]:
    """
    Connect clients until each worker has one.

    @return: a client of each worker; the others are disconnected.
    """
    clients: dict[int, Buffered] = {}
    while len(clients) < 2:
        client = await dial(port)
        client.send(b"hello\0")
        await client.until(b"hello\0")
        line = rf"worker (\d): 127\.0\.0\.1:{portOf(client)} opened"
        while (found := re.search(line, server.printed.decode())) is None:
            await pause(0.01)
        if int(found[1]) in clients:
            await client.close()
        else:
            clients[int(found[1])] = client
    return clients


@live
async def test_restart() -> None:
    """
    Both workers accept connections. One that is killed is restarted; in the meantime, the
    other one accepts all connections. SIGHUP reaches all, and SIGTERM ends all.
    """
    server = twistd("openfl-xml", "--echo", "--workers=2", f"--listen={ANY}")
    port = await startedOn(server)
    clients = await reach(server, port)
    pids = {int(number): int(pid) for number, pid in STARTED.findall(server.printed.decode())}
    assert set(pids) == {1, 2}
    os.kill(pids[1], 9)
    await server.until(b"was ended by SIGKILL; restarting in 0.5 s")
    await clients[1].untilLost()
    for _ in range(10):
        client = await dial(port)
        client.send(b"meanwhile\0")
        await client.until(b"meanwhile\0")
        await client.close()
    await until(lambda: len(STARTED.findall(server.printed.decode())) == 3)
    clients[2].send(b"still here\0")
    await clients[2].until(b"still here\0")
    again = await reach(server, port)
    assert f"worker 1 (pid {pids[1]}) was ended by SIGKILL" in server.printed.decode()
    server.transport.signalProcess("HUP")
    for number in (b"1", b"2"):
        await server.until(b"worker %s: SIGHUP received" % number)
    pids = {int(number): int(pid) for number, pid in STARTED.findall(server.printed.decode())}
    printed = await stop(server)
    for client in (clients[2], *again.values()):
        await client.untilLost()
    for pid in pids.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    # Each line has one time, and a worker's has its number.
    assert not re.search(r"T\d\d:\d\d:\d\d.*T\d\d:\d\d:\d\d", printed)


@live
async def test_hang() -> None:
    """
    A worker that hangs is killed and restarted.
    """
    program = (
        "from openfl_twisted.workers.worker import WorkerSide\n"
        "from twisted.internet import reactor\n"
        "WorkerSide(1, 0).start({})\n"
        "reactor.run()\n"
    )
    started: Deferred[None] = Deferred()
    supervisor = Supervisor(
        lambda number: [sys.executable, "-c", program],
        1,
        stopTimeout=30,
        started=lambda: started.callback(None),
        failed=lambda problem: started.errback(Exception(problem)),
        hangTimeout=3,
    )
    supervisor.startService()
    try:
        await started
        [worker] = supervisor.active
        pid = worker.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: worker.isUp and worker.pid != pid)
        assert supervisor.restarts >= 1
    finally:
        await supervisor.stopService()


@live
async def test_supervisorKilled() -> None:
    """
    When the supervisor is killed, the workers stop.
    """
    server = twistd("openfl-echo", "--workers=2", f"--listen={ANY}")
    await startedOn(server)
    pids = [int(pid) for _, pid in STARTED.findall(server.printed.decode())]
    server.transport.signalProcess("KILL")
    assert await server.ended == -9

    def areRunning() -> bool:
        found = [Path(f"/proc/{pid}/stat") for pid in pids]
        states = [path.read_text().rpartition(")")[2].split()[0] for path in found if path.exists()]
        return any(state != "Z" for state in states)

    await until(lambda: not areRunning())


@live
async def test_monitoring() -> None:
    """
    Metrics are the sums of all workers. The dashboard shows the clients of both, the
    messages of one, sends a message to all, and disconnects a client of each.
    """
    server = twistd(
        *("openfl-xml", "--echo", "--workers=2", f"--listen={ANY}", f"--metrics={ANY}"),
        *(f"--dashboard={ANY}", "--dashboard-token=12345678"),
    )
    port = await startedOn(server)
    printed = server.printed.decode()
    [metrics] = map(int, re.findall(r"metrics on http://127\.0\.0\.1:(\d+)/metrics", printed))
    [dashboard] = map(int, re.findall(r"dashboard on http://127\.0\.0\.1:(\d+)/", printed))
    key, kind = "Authorization: Bearer 12345678", "Content-Type: application/json"
    clients = await reach(server, port)
    scraped = await (await ask(metrics, "GET", "/metrics")).untilLost()
    assert b'openfl_clients{type="plain"} 2.0' in scraped
    assert b"openfl_workers_up 2.0" in scraped
    state = await ask(dashboard, "GET", "/state", "", key)
    await state.until(b'"connected": 2')
    await state.until(b'"name": "openfl-xml"')
    exported = await ask(dashboard, "GET", "/export.csv", "", key)
    assert (await exported.untilLost()).count(f",{HOST}:".encode()) == 2
    ids = {}
    for line in state.received.decode().splitlines():
        if line.startswith("data: ") and '"connected": 2' in line:
            for client in json.loads(line[6:])["clients"]:
                ids[int(client["address"].rpartition(":")[2])] = client["id"]
    for closed, client in enumerate(clients.values()):
        id = ids[portOf(client)]
        messages = await ask(dashboard, "GET", f"/messages/{id}", "", key)
        await messages.until(b"event: begin")
        # The worker is asked to monitor the client after the stream has begun.
        while b'"text": "gr\\u00fc\\u00dfe"' not in messages.received:
            client.send("gr\u00fc\u00dfe\0".encode())
            await pause(0.1)
        said = await ask(dashboard, "POST", "/say", json.dumps({"text": "bye"}), kind, key)
        assert b'{"hearers": %d}' % (2 - closed) in await said.untilLost()
        await client.until(b"bye\0")
        kicked = await ask(dashboard, "POST", "/kick", json.dumps({"id": id}), kind, key)
        assert b'{"kicked": %d}' % id in await kicked.untilLost()
        await client.untilLost()
        assert b"event: gone" in await messages.untilLost()
    await stop(server)
    await state.untilLost()


@live
async def test_blocked(tmp_path: Path) -> None:
    """
    An address is blocked by all workers: its clients are disconnected, and refused, also by a
    server that is started later with the same file. Without the block, they are served again.
    """
    options = (
        *("openfl-xml", "--echo", "--workers=2", f"--listen={ANY}", f"--dashboard={ANY}"),
        *("--dashboard-token=12345678", f"--block-file={tmp_path / 'blocks.json'}"),
    )
    key, kind = "Authorization: Bearer 12345678", "Content-Type: application/json"

    def isDecided(client: Buffered) -> bool:
        return bool(client.lost.called or client.received)

    async def answer(port: int) -> bytes:
        try:
            client = await dial(port)
        except ConnectError:
            # The server has aborted the connection before the client noticed that it is connected.
            return b""
        client.send(b"hello\0")
        await until(partial(isDecided, client))
        received = bytes(client.received)
        await client.close()
        return received

    async def command(path: str, **body: object) -> bytes:
        found = re.findall(rb"dashboard on http://127\.0\.0\.1:(\d+)/", server.printed)
        asked = await ask(int(found[0]), "POST", path, json.dumps(body), kind, key)
        return await asked.untilLost()

    server = twistd(*options)
    port = await startedOn(server)
    clients = await reach(server, port)
    assert b'"until"' in await command("/block", address=HOST, seconds=3600)
    for client in clients.values():
        await client.untilLost()
    assert not await answer(port)
    await stop(server)
    server = twistd(*options)
    port = await startedOn(server)
    assert not await answer(port)
    assert b"unblocked" in await command("/unblock", address=HOST)
    while not await answer(port):
        # The workers receive the change soon.
        pass
    printed = await stop(server)
    assert "127.0.0.1 is no longer blocked" in printed


@live
async def test_cannotStart(tmp_path: Path) -> None:
    """
    If no worker can start, the server ends with status 1 and the error in one line.
    """
    (tmp_path / "game.py").write_text(
        "import os\n"
        "from openfl_twisted.protocols.broadcast import EchoProtocol as App\n"
        "if os.getpgid(0) == os.getpid() != os.getsid(0):\n"
        "    raise RuntimeError('no database')\n"
    )
    arguments = ("openfl-xml", "--app=game:App", "--workers=2", f"--listen={ANY}")
    server = run(*TWISTD, *arguments, path=str(tmp_path))
    assert await server.ended == 1
    printed = server.printed.decode()
    assert len(re.findall("RuntimeError: no database", printed)) == 1, printed
    assert "restarting" not in printed


@live
async def test_reload(tmp_path: Path) -> None:
    """
    With C{--reload}, changed code replaces the running code; clients receive the farewell, and no
    connection is refused. Code with an error does not: the error is logged. Neither does code
    that can be imported, but not started.
    """
    game = tmp_path / "game.py"

    def write(answer: str, more: str = "") -> None:
        game.write_text(
            "import os\n"
            "from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol\n"
            f"{more}\n"
            "class Player(XMLSocketProtocol):\n"
            "    def messageReceived(self, message):\n"
            f"        self.sendMessage({answer})\n"
        )

    async def answer() -> bytes:
        client = await dial(port)
        client.send(b"?\0")
        # The worker can stop before it has received the message.
        await until(lambda: b"\0" in client.received or client.lost.called)
        if not client.lost.called:
            await client.close()
        return client.received

    async def untilAnswer(wanted: bytes) -> None:
        while await answer() != wanted:
            pass

    write("'one'")
    listen = f"--listen={ANY}"
    arguments = ("openfl-xml", "--app=game:Player", "--reload", "--farewell=bye", listen)
    server = run(*TWISTD, *arguments, path=str(tmp_path))
    await server.until(b"--reload is for development")
    port = await listeningPort(server)
    client = await dial(port)
    client.send(b"?\0")
    await client.until(b"one\0")
    # The file has the same size, and probably the same time in seconds.
    write("'two'")
    await untilAnswer(b"two\0")
    assert await client.untilLost() == b"one\0bye\0"
    await server.until(b"reloading: game.py has changed")
    write("'six")
    await server.until(b"SyntaxError: unterminated string literal (detected at line 6) (game.py")
    assert await answer() == b"two\0"
    write("'ten'", "if os.getpgid(0) == os.getpid() != os.getsid(0): raise OSError('not here')")
    await server.until(b"cannot reload: worker 1 exited with status 1")
    assert await answer() == b"two\0"
    write("'ten'")
    await untilAnswer(b"ten\0")
    printed = await stop(server)
    assert printed.count("SyntaxError") == 1
    assert "restarting" not in printed


@live
async def test_reloadResume(tmp_path: Path) -> None:
    """
    After a reload, clients resume their memberships in the new process, and receive the messages
    that they missed. This applies to clients that were connected, and to clients that were not.
    """
    game = tmp_path / "game.py"

    def write(version: str) -> None:
        game.write_text(
            "from openfl_twisted.rooms.roomprotocol import XMLRoomProtocol\n"
            "class Player(XMLRoomProtocol):\n"
            "    def joinRoom(self, room, name=None):\n"
            "        super().joinRoom(room, name)\n"
            f"        self.write(b'{version}\\0')\n"
        )

    async def join(name: str) -> tuple[Buffered, str]:
        client = await dial(port)
        client.send(f'<join room="chess" name="{name}"/>\0'.encode())
        received = await client.until(b"version")
        found = re.search(r'token="(.+?)"', str(received))
        assert found is not None
        return client, found[1]

    async def resume(token: str) -> Buffered:
        client = await dial(port)
        client.send(f'<resume token="{token}"/>\0'.encode())
        await client.until(b'lost="0" />\0')
        return client

    write("version 1")
    listen = f"--listen={ANY}"
    arguments = ("--app=game:Player", "--reload", "--resume=60", "--farewell=bye", listen)
    server = run(*TWISTD, "openfl-xml", *arguments, path=str(tmp_path))
    await server.until(b"--reload is for development")
    port = await listeningPort(server)
    ann, annToken = await join("ann")
    ben, benToken = await join("ben")
    await ben.close()
    ann.send(b"<say>before</say>\0<who/>\0")
    await ann.until(b"</who>")
    write("version 2")
    received = await ann.untilLost()
    assert received.endswith(b"bye\0")
    assert b"<left" not in received
    ann = await resume(annToken)
    ann.send(b"<say>after</say>\0<who/>\0")
    await ann.until(b'name="ben" connected="false"')
    ben = await resume(benToken)
    received = await ben.until(b"after</say>\0")
    assert received.count(b"<say") == 2
    assert b'<say from="ann">before</say>\0<say from="ann">after</say>\0' in received
    cid, _ = await join("cid")
    assert b"version 2" in cid.received
    printed = await stop(server)
    assert "memberships" not in printed


@live
async def test_endpoints(tmp_path: Path) -> None:
    """
    Workers share UNIX sockets and TLS ports. The file of a UNIX socket remains when a
    worker ends, and is removed with the server.
    """
    certificate, path = tmp_path / "server.pem", tmp_path / "game.sock"
    trustme.CA().issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(certificate)
    server = twistd(
        *("openfl-xml", "--echo", "--workers=2", f"--listen={ANY}"),
        *(f"--listen=unix:{path}:mode=600", f"--tls-certificate={certificate}"),
    )
    await startedOn(server)
    assert path.stat().st_mode & 0o777 == 0o600
    [(_, pid), _] = STARTED.findall(server.printed.decode())
    os.kill(int(pid), 15)
    await server.until(b"restarting in 0.5 s")
    client = Buffered()
    await connectProtocol(UNIXClientEndpoint(theReactor(), str(path)), client)
    client.send(b"hello\0")
    await client.until(b"hello\0")
    await until(lambda: len(STARTED.findall(server.printed.decode())) == 3)
    await stop(server)
    await client.untilLost()
    assert not path.exists()


@live
async def test_inUse() -> None:
    """
    A port of another server is an error, even if that server shares it.
    """
    server = twistd("openfl-echo", "--workers=2", f"--listen={ANY}")
    port = await startedOn(server)
    listen = f"--listen=tcp:{port}:interface={HOST}"
    other = twistd("openfl-echo", "--workers=2", listen)
    assert await other.ended == 1
    assert b"cannot listen on 127.0.0.1:" in other.printed
    assert b"Traceback" not in other.printed
    await stop(server)


# In this process


async def echo(port: Any, client: Buffered) -> None:
    """
    Send a message to an echo server, then close all.
    """
    client.send(b"hello\0")
    await client.until(b"hello\0")
    await client.close()
    await until(lambda: not readFromClients())
    await port.stopListening()


async def share(description: str, *, isShared: bool = False) -> tuple[ReservingReactor, Any]:
    """
    Reserve a port for two workers, and listen as the second one.

    @return: the reactor of the supervisor, and the port of the worker.
    """
    reserving = ReservingReactor(theReactor(), 2, isShared=isShared)
    await serverEndpoint(reserving, description).listen(Factory.forProtocol(Protocol))
    [reserved] = reserving.ports
    reserved.startListening()
    inheriting = InheritingReactor(theReactor(), os.dup(reserved.fileno(1)))
    endpoint = serverEndpoint(inheriting, description)
    return reserving, await endpoint.listen(XMLSocketFactory(EchoProtocol))


@live
async def test_reusedPort() -> None:
    """
    Each worker has its own socket. When a worker closes its port or ends, its socket does
    not listen, and another process can listen on it later.
    """
    for description in (ANY, "openfl:tcp\\:0\\:interface=127.0.0.1", "tcp6:0:interface=\\:\\:1"):
        reserving, port = await share(description)
        [reserved] = reserving.ports
        assert reserved.getHost() == port.getHost()
        assert deepenBacklog(port) is port
        address = (port.getHost().host, port.getHost().port)
        with socket.create_connection(address):
            pass
        await port.stopListening()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        reserved.workerEnded(1)
        inheriting = InheritingReactor(theReactor(), os.dup(reserved.fileno(1)))
        again: Any = inheriting.listenTCP(0, XMLSocketFactory(EchoProtocol))
        with socket.create_connection(address):
            pass
        reserved.workerEnded(1)
        again.stopReading()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        await again.stopListening()
        await reserved.stopListening()


@live
async def test_sharedPort() -> None:
    """
    If the workers share one socket, a connection that a stopped worker has not accepted is
    accepted by the next worker.
    """
    reserving, port = await share(ANY, isShared=True)
    number = port.getHost().port
    await port.stopListening()
    [reserved] = reserving.ports
    reserved.workerEnded(0)
    client = await dial(number)
    endpoint = serverEndpoint(InheritingReactor(theReactor(), os.dup(reserved.fileno(1))), ANY)
    await echo(await endpoint.listen(XMLSocketFactory(EchoProtocol)), client)
    await reserved.stopListening()


@live
async def test_inheritedPort(tmp_path: Path) -> None:
    """
    Without C{SO_REUSEPORT}, and for UNIX sockets and open sockets, all workers have the
    same socket.
    """
    with patch.object(ports, "_hasReusePort", return_value=False):
        reserving, port = await share(ANY)
        client = await dial(port.getHost().port)
        await echo(port, client)
        [reserved] = reserving.ports
        assert reserved.fileno(0) == reserved.fileno(1)
        reserved.workerEnded(0)
        await reserved.stopListening()
    path = tmp_path / "game.sock"
    reserving, port = await share(f"unix:{path}")
    client = Buffered()
    await connectProtocol(UNIXClientEndpoint(theReactor(), str(path)), client)
    await echo(port, client)
    assert path.exists()
    await reserving.ports[0].stopListening()
    assert not path.exists()
    with socket.socket() as opened:
        opened.bind((HOST, 0))
        opened.listen()
        opened.setblocking(False)
        reserving = ReservingReactor(theReactor(), 2)
        reserving.adoptStreamPort(opened.fileno(), socket.AF_INET, Factory())
        [reserved] = reserving.ports
        inheriting = InheritingReactor(theReactor(), os.dup(reserved.fileno(0)))
        endpoint = serverEndpoint(inheriting, "systemd:domain=INET:index=5")
        listening: Any = await endpoint.listen(XMLSocketFactory(EchoProtocol))
        await echo(listening, await dial(listening.getHost().port))
        await reserved.stopListening()


@live
async def test_sslPort(tmp_path: Path) -> None:
    """
    A port with TLS is reserved and inherited like others.
    """
    path = tmp_path / "server.pem"
    trustme.CA().issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(path)
    reserving, port = await share(f"ssl:0:privateKey={path}:certKey={path}:interface={HOST}")
    assert isinstance(port.factory, ServerTLSFactory)
    await port.stopListening()
    await reserving.ports[0].stopListening()


@live
async def test_cannotReserve() -> None:
    """
    A port in use cannot be reserved.
    """
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        with pytest.raises(CannotListenError):
            ReservingReactor(theReactor(), 2).listenTCP(
                other.getsockname()[1], Factory(), interface=HOST
            )


@live
async def test_link() -> None:
    """
    A worker tells its supervisor that it is listening, and stops when the supervisor has
    closed the connection.
    """
    own, other = socket.socketpair()
    own.setblocking(False)
    listening: Deferred[None] = Deferred()
    link = LinkProtocol({"listening": lambda: listening.callback(None)}, Clock())
    theReactor().adoptStreamConnection(
        own.fileno(), socket.AF_UNIX, Factory.forProtocol(lambda: link)
    )
    own.close()
    stopped: Deferred[None] = Deferred()
    side = WorkerSide(1, 0)
    with patch.object(worker, "LINK", other.detach()):
        answering = side.start({"add": lambda one: one + 1})
    await listening
    assert await link.ask("add", one=1) == 2
    with patch.object(side, "_reactor") as reactor:
        reactor.stop = lambda: stopped.callback(None)
        assert link.transport is not None
        link.transport.loseConnection()
        await stopped
    assert answering.connected == 0
