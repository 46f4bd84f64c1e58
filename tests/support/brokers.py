"""
Real brokers, started by the tests.
"""

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.conftest import need
from tests.live.peers import HOST, Process, run


@dataclass(frozen=True)
class Kind:
    """
    A type of broker.

    @ivar name: its program, and the package that contains it.
    @ivar scheme: the scheme of its URL.
    @ivar secure: the scheme of its URL with TLS.
    @ivar ready: the output when it listens.
    @ivar command: its arguments.
    @ivar tls: its arguments for TLS, with a certificate and a key.
    @ivar password: its arguments for a password.
    """

    name: str
    scheme: str
    secure: str
    ready: bytes
    command: Callable[[int], list[str]]
    tls: Callable[[int, str, str], list[str]]
    password: list[str]


REDIS = Kind(
    "redis-server",
    "redis",
    "rediss",
    b"Ready to accept connections",
    lambda port: ["--bind", HOST, "--port", str(port), "--save", ""],
    lambda port, certificate, key: [
        "--bind", HOST, "--port", "0", "--tls-port", str(port), "--save", "",
        "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate,
        "--tls-auth-clients", "no",
    ],
    ["--user", "me", "on", ">s/cret", "~*", "&*", "+@all", "--requirepass", "other"],
)  # fmt: skip

NATS = Kind(
    "nats-server",
    "nats",
    "nats+tls",
    b"Server is ready",
    lambda port: ["-a", HOST, "-p", str(port)],
    lambda port, certificate, key: [
        "-a", HOST, "-p", str(port), "--tls", "--tlscert", certificate, "--tlskey", key,
    ],
    ["--user", "me", "--pass", "s/cret"],
)  # fmt: skip

everyBroker = pytest.mark.parametrize("kind", [REDIS, NATS], ids=lambda kind: kind.scheme)


@asynccontextmanager
async def broker(kind: Kind, path: Path, arguments: list[str]) -> AsyncIterator[Process]:
    """
    Run a broker while the block runs.
    """
    need(shutil.which(kind.name), f"{kind.name} is not installed (apt-get install {kind.name})")
    process = run(str(shutil.which(kind.name)), *arguments, path=str(path))
    try:
        await process.until(kind.ready)
        yield process
    finally:
        process.transport.signalProcess("KILL")
        await process.ended
