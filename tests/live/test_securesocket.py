"""
C{SecureSocket} on real sockets: all situations of L{tests.tls.situations}, and
OpenSSL's own server.
"""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure

from openfl_twisted.protocols.securesocket import (
    SecureEndpoint,
    SecureSocketFactory,
    SecureSocketProtocol,
)
from openfl_twisted.tls import CertificateRefused, HandshakeFailed, Trust
from openfl_twisted.wire.x509.certificates import CertificateStatus
from tests.clients.conftest import need
from tests.laboratory import HOST as NAME
from tests.laboratory import PAST, Identity, server
from tests.live import live
from tests.live.peers import HOST, Buffered, run, serving, theReactor
from tests.tls.handshakes import GREETING, VERSIONS, Outcome, serve
from tests.tls.situations import SITUATIONS, Scene
from tests.tls.situations.scenes import INTERMEDIATE, LEAF, ROOT, trusting

STATUSES = sorted({situation.status for situation in SITUATIONS})
TRUST = trusting(ROOT)


async def visit(port: int, scene: Scene) -> tuple[str, bytes]:
    """
    Connect to a server, send data immediately, and wait for the answer.

    @return: the status, and the answer.
    """
    endpoint = SecureEndpoint(
        TCP4ClientEndpoint(theReactor(), HOST, port), scene.host, scene.trust, timeout=240
    )
    factory: Any = Factory.forProtocol(Buffered)
    factory.noisy = False
    try:
        client: Any = await endpoint.connect(factory)
    except HandshakeFailed as reason:
        assert isinstance(reason, CertificateRefused) == (
            reason.verdict.status != CertificateStatus.UNKNOWN
        )
        return reason.verdict.status, b""
    client.send(GREETING)
    answer = await client.until(b"welcome")
    await client.close()
    return CertificateStatus.TRUSTED, answer


@live
@pytest.mark.parametrize("status", STATUSES)
async def test_situations(status: str) -> None:
    """
    Each situation has the same result as in memory, with both TLS versions, and an
    untrusted server receives no data.
    """
    for situation in SITUATIONS:
        if situation.status != status:
            continue
        for name, version in VERSIONS.items():
            scene, outcome = situation.scene(), Outcome()
            factory = serve(scene.server, outcome, version)
            factory.noisy = False
            async with serving(factory) as (port, _):
                found, answer = await visit(port, scene)
            about = f"{situation.name}, {name}"
            assert found == status, about
            trusted = status == CertificateStatus.TRUSTED
            assert outcome.received == (GREETING if trusted else b""), about
            assert answer == (b"welcome" if trusted else b""), about


class Visitor(SecureSocketProtocol):
    """
    Sends a line when it is connected, and records the result.
    """

    def __init__(self) -> None:
        self.outcome: Deferred[str] = Deferred()
        self.lost: Deferred[None] = Deferred()
        self.received = ""

    def connectionMade(self) -> None:
        self.writeUTFBytes("secret\n")
        self.flush()

    def socketDataReceived(self, bytesLoaded: int) -> None:
        self.received += self.readUTFBytes(bytesLoaded)
        if self.received.endswith("\n"):
            self.transport.loseConnection()
            self.outcome.callback(f"{self.serverCertificateStatus}: {self.received}")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)

    def handshakeFailed(self, reason: Failure) -> None:
        self.outcome.callback(f"{self.serverCertificateStatus}: {reason.getErrorMessage()}")
        self.lost.callback(None)


@asynccontextmanager
async def openssl(path: Path, identity: Identity, *options: str) -> AsyncIterator[Any]:
    """
    Run C{openssl s_server}, which answers with each line reversed.

    @return: its process and its port.
    """
    need(shutil.which("openssl"), "openssl is not installed")
    file = str(identity.save(path / "server.pem"))
    process = run(
        str(shutil.which("openssl")), "s_server", "-accept", f"{HOST}:0", "-rev", "-cert", file,
        "-key", file, "-cert_chain", file, *options,
    )  # fmt: skip
    try:
        printed = await process.until(b"ACCEPT ")
        while (found := re.search(r"ACCEPT \S*:(\d+)\s", printed)) is None:
            printed = await process.until(b"\n")
        yield process, int(found[1])
    finally:
        process.transport.signalProcess("KILL")
        await process.ended


async def call(port: int, trust: Trust = TRUST, host: str = NAME) -> str:
    """
    Connect with a C{SecureSocketFactory}.

    @return: the status, and the received data or the reason.
    """
    visitor = Visitor()
    factory = SecureSocketFactory(lambda: visitor, host, trust, timeout=240)
    factory.noisy = False
    await TCP4ClientEndpoint(theReactor(), HOST, port).connect(factory)
    result = await visitor.outcome
    await visitor.lost
    return result


@live
@pytest.mark.parametrize("options", [(), ("-tls1_2",), ("-tls1_3",)])
async def test_opensslTrusted(tmp_path: Path, options: tuple[str, ...]) -> None:
    """
    A valid OpenSSL server is trusted, with each TLS version.
    """
    async with openssl(tmp_path, LEAF, *options) as (_, port):
        assert await call(port) == "trusted: terces\n"


@live
@pytest.mark.parametrize(
    ("leaf", "host", "says"),
    [
        (server(INTERMEDIATE, ends=PAST), NAME, "expired: the certificate of CN=the server has"),
        (
            LEAF,
            "other.example",
            "principalMismatch: the certificate of CN=the server is not valid for",
        ),
        (server(None), NAME, "untrustedSigners: the certificate of CN=the server is not signed"),
    ],
)
async def test_opensslRefused(tmp_path: Path, leaf: Identity, host: str, says: str) -> None:
    """
    An invalid OpenSSL server is refused, and receives no data.
    """
    async with openssl(tmp_path, leaf) as (process, port):
        assert (await call(port, host=host)).startswith(says)
        assert b"secret" not in process.printed


@live
async def test_opensslUnknown(tmp_path: Path) -> None:
    """
    An OpenSSL server with an old TLS version has the status C{unknown}.
    """
    security = ("-cipher", "ALL:@SECLEVEL=0")
    async with openssl(tmp_path, LEAF, "-tls1_1", *security) as (_, port):
        result = await call(port)
    assert result.startswith("unknown: the TLS handshake failed: ")
    assert "neither TLS 1.2 nor TLS 1.3" in result
