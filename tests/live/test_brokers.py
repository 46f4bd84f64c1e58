"""
Pub/sub and presence through real brokers, started by the tests.
"""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from twisted.internet.defer import Deferred

from openfl_twisted.brokers.brokerurl import presenceFromURL
from openfl_twisted.brokers.outbox import BrokerLimits
from openfl_twisted.rooms.presence import IPresence
from tests.live import live
from tests.live.nodes import LIMITS, node, present
from tests.live.peers import HOST, pause, theReactor
from tests.support.brokers import NATS, REDIS, Kind, broker, everyBroker
from tests.support.ports import freePort

pytestmark = pytest.mark.slow

IMPATIENT = replace(LIMITS, pingInterval=0.3, pingTimeout=3)


@live
@everyBroker
async def test_pubSub(kind: Kind, tmp_path: Path) -> None:
    """
    A message published by a node is received by the other nodes, in order, and not by
    itself.
    """
    port = freePort()
    url = f"{kind.scheme}://{HOST}:{port}"
    async with (
        broker(kind, tmp_path, kind.command(port)),
        node(url) as (one, early),
        node(url) as (other, watcher),
    ):
        assert (one.state.value, other.state.value) == ("up", "up")
        sent = [b"%d\r\n\0" % number + b"x" * (number % 100) for number in range(1000)]
        waiting = Deferred.fromCoroutine(watcher.until(sent[-1]))
        for payload in sent:
            assert one.publish("room", payload)
            one.publish("somewhere else *>", payload)
        await waiting
        assert watcher.received == sent
        assert early.received == []
        assert (other.received, other.gaps, other.duplicates) == (1000, 0, 0)


@live
@everyBroker
async def test_largest(kind: Kind, tmp_path: Path) -> None:
    """
    A payload of the maximum size is delivered.
    """
    port = freePort()
    url = f"{kind.scheme}://{HOST}:{port}"
    async with (
        broker(kind, tmp_path, kind.command(port)),
        node(url, BrokerLimits()) as (one, _),
        node(url, BrokerLimits()) as (_, watcher),
    ):
        payload = b"x" * BrokerLimits().maxPayload
        waiting = Deferred.fromCoroutine(watcher.until(payload))
        assert one.publish("room", payload)
        await waiting


@live
@everyBroker
async def test_restart(kind: Kind, tmp_path: Path) -> None:
    """
    After a broker is killed and restarted the nodes are connected again, and each
    message was received or counted as lost.
    """
    port = freePort()
    url = f"{kind.scheme}://{HOST}:{port}"
    async with node(url) as (one, first), node(url) as (other, watcher):
        assert (one.state.value, other.state.value) == ("down", "down")
        up = [Deferred.fromCoroutine(each.until("up")) for each in (first, watcher)]
        async with broker(kind, tmp_path, kind.command(port)):
            for each in up:
                await each
            waiting = Deferred.fromCoroutine(watcher.until(b"before"))
            one.publish("room", b"before")
            await waiting
            down = [Deferred.fromCoroutine(each.until("down")) for each in (first, watcher)]
        for each in down:
            await each
        for _ in range(50):
            assert one.publish("room", b"meanwhile")
        assert one.waiting == 50
        up = [Deferred.fromCoroutine(each.until("up")) for each in (first, watcher)]
        async with broker(kind, tmp_path, kind.command(port)):
            for each in up:
                await each
            waiting = Deferred.fromCoroutine(watcher.until(b"after"))
            one.publish("room", b"after")
            await waiting
            assert (one.published, one.dropped, one.reconnects) == (52, 0, 1)
            assert other.received + other.missed == 52


@live
@everyBroker
async def test_frozen(kind: Kind, tmp_path: Path) -> None:
    """
    A frozen broker is detected, and connected to again when it continues.
    """
    port = freePort()
    url = f"{kind.scheme}://{HOST}:{port}"
    async with (
        broker(kind, tmp_path, kind.command(port)) as process,
        node(url, IMPATIENT) as (one, first),
        node(url, IMPATIENT) as (_, watcher),
    ):
        down = [Deferred.fromCoroutine(each.until("down")) for each in (first, watcher)]
        process.transport.signalProcess(signal.SIGSTOP)
        for each in down:
            await each
        assert "not answered a ping" in one.problem
        up = [Deferred.fromCoroutine(each.until("up")) for each in (first, watcher)]
        process.transport.signalProcess(signal.SIGCONT)
        for each in up:
            await each
        waiting = Deferred.fromCoroutine(watcher.until(b"after"))
        one.publish("room", b"after")
        await waiting


@live
@everyBroker
async def test_password(kind: Kind, tmp_path: Path) -> None:
    """
    A correct password is accepted. With a wrong or missing password, the reason is
    reported.
    """
    port = freePort()
    where = f"{HOST}:{port}"
    async with broker(kind, tmp_path, [*kind.command(port), *kind.password]):
        async with node(f"{kind.scheme}://me:s%2Fcret@{where}") as (pubSub, _):
            assert pubSub.state.value == "up"
        for credentials in ("me:wr0ng@", ""):
            async with node(f"{kind.scheme}://{credentials}{where}") as (pubSub, _):
                assert pubSub.state.value == "down"
                assert pubSub.problem.startswith("error reply: ")
                assert "wr0ng" not in pubSub.problem


@live
async def test_token(tmp_path: Path) -> None:
    """
    NATS accepts a token.
    """
    port = freePort()
    async with broker(NATS, tmp_path, [*NATS.command(port), "--auth", "t0ken"]):
        for credentials, state in [("t0ken", "up"), ("other", "down")]:
            async with node(f"nats://{credentials}@{HOST}:{port}") as (pubSub, _):
                assert pubSub.state.value == state


@live
@everyBroker
async def test_tls(kind: Kind, tmp_path: Path) -> None:
    """
    A trusted broker is connected to with TLS. An untrusted broker, or one for another
    host, receives no data.
    """
    authority, stranger = trustme.CA(), trustme.CA()
    for name, each in [("good", authority), ("other", stranger)]:
        each.cert_pem.write_to_path(tmp_path / f"{name}.pem")
    for identity, ca, says in [
        (HOST, "good", ""),
        (HOST, "other", "is not signed"),
        ("other.example", "good", "is not valid for"),
    ]:
        issued = authority.issue_cert(identity)
        certificate, key = str(tmp_path / "server.pem"), str(tmp_path / "key.pem")
        Path(certificate).write_bytes(issued.cert_chain_pems[0].bytes())
        issued.private_key_pem.write_to_path(key)
        port = freePort()
        url = f"{kind.secure}://{HOST}:{port}?ca={tmp_path / ca}.pem"
        async with (
            broker(kind, tmp_path, kind.tls(port, certificate, key)),
            node(url) as (one, _),
            node(url) as (other, watcher),
        ):
            if says:
                assert other.state.value == "down"
                assert says in one.problem
                continue
            assert other.problem == ""
            waiting = Deferred.fromCoroutine(watcher.until(b"x" * 100_000))
            one.publish("room", b"x" * 100_000)
            await waiting


@live
@everyBroker
async def test_mutualTLS(kind: Kind, tmp_path: Path) -> None:
    """
    A broker that requires certificates accepts a node that presents one, and no other node.
    """
    authority = trustme.CA()
    ca, certificate, key, own = (str(tmp_path / name) for name in ("ca", "server", "key", "own"))
    authority.cert_pem.write_to_path(ca)
    issued = authority.issue_cert(HOST)
    Path(certificate).write_bytes(issued.cert_chain_pems[0].bytes())
    issued.private_key_pem.write_to_path(key)
    authority.issue_cert("node.example").private_key_and_cert_chain_pem.write_to_path(own)
    requiring = {
        REDIS.name: ["--tls-auth-clients", "yes", "--tls-ca-cert-file", ca],
        NATS.name: ["--tlsverify", "--tlscacert", ca],
    }
    port = freePort()
    url = f"{kind.secure}://{HOST}:{port}?ca={ca}"
    arguments = [*kind.tls(port, certificate, key), *requiring[kind.name]]
    async with broker(kind, tmp_path, arguments):
        async with node(f"{url}&certificate={own}") as (pubSub, _):
            assert (pubSub.state.value, pubSub.problem) == ("up", "")
        async with node(url) as (pubSub, _):
            assert pubSub.state.value == "down"


@live
@everyBroker
async def test_wrongTLS(kind: Kind, tmp_path: Path) -> None:
    """
    A mismatch of TLS between node and broker is reported with the reason.
    """
    port = freePort()
    async with (
        broker(kind, tmp_path, kind.command(port)),
        node(f"{kind.secure}://{HOST}:{port}", replace(LIMITS, loginTimeout=1)) as (pubSub, _),
    ):
        assert "TLS" in pubSub.problem


@live
async def test_presence(tmp_path: Path) -> None:
    """
    Nodes receive each other's members while both run, and after the broker has lost its
    data.
    """

    async def names(presence: IPresence, wanted: list[str]) -> None:
        while sorted(each.member for each in await presence.membersOf("hall")) != wanted:
            await pause(0.02)

    port = freePort()
    url = f"redis://{HOST}:{port}"
    async with present(url, b"1" * 16) as one:
        one.set("hall", "ann", b"early")
        async with broker(REDIS, tmp_path, REDIS.command(port)):
            async with present(url, b"2" * 16) as other:
                other.set("hall", "bob", b"")
                other.set("hall", "eve", b"")
                await names(one, ["ann", "bob", "eve"])
                other.remove("hall", "eve")
                await names(one, ["ann", "bob"])
                await names(other, ["ann", "bob"])
            await names(one, ["ann"])
        async with (
            broker(REDIS, tmp_path, REDIS.command(port)),
            present(url, b"3" * 16) as other,
        ):
            await names(other, ["ann"])


@live
async def test_presenceExpires(tmp_path: Path) -> None:
    """
    The entries of a node expire when it no longer renews them.
    """
    port = freePort()
    url = f"redis://{HOST}:{port}"
    async with broker(REDIS, tmp_path, REDIS.command(port)), present(url, b"1" * 16) as one:
        gone: Any = presenceFromURL(url, theReactor(), b"2" * 16, limits=LIMITS)
        gone._lifetime = 1
        await gone.start()
        gone.set("hall", "bob", b"")
        while not await one.membersOf("hall"):
            await pause(0.02)
        # Like a killed process, it sends nothing.
        gone._members.rooms.clear()
        await gone.stop()
        while await one.membersOf("hall"):
            await pause(0.05)
