"""
Peers and processes for live tests.
"""

import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IProcessTransport, IProtocolFactory, IReactorCore
from twisted.internet.protocol import ProcessProtocol, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.internet.tcp import Server
from twisted.python.failure import Failure

from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.transports.tcp import coalesceWrites

HOST = "127.0.0.1"

TWISTD = (str(Path(sys.executable).parent / "twistd"), "-n", "--pidfile=")
"""
The command C{twistd} of the current environment, in the foreground.
"""


def theReactor() -> Any:
    """
    Return the reactor that runs the tests.
    """
    from twisted.internet import reactor

    return cast("IReactorCore", reactor)


async def pause(seconds: float) -> None:
    """
    Wait for a time (seconds).
    """
    await deferLater(theReactor(), seconds)


class Buffered(Protocol):
    """
    A client that collects received data and can wait for it.
    """

    def __init__(self) -> None:
        self.received = b""
        self.lost: Deferred[None] = Deferred()
        self._wanted: tuple[bytes, Deferred[None]] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self._check()

    def _check(self) -> None:
        if self._wanted is not None and self._wanted[0] in self.received:
            (_, found), self._wanted = self._wanted, None
            found.callback(None)

    async def until(self, wanted: bytes) -> bytes:
        """
        Wait until the received data contains a text.

        @return: all received data.
        """
        found: Deferred[None] = Deferred()
        self._wanted = (wanted, found)
        self._check()
        await found
        return self.received

    async def untilLost(self) -> bytes:
        """
        Wait until the connection is lost.

        @return: all received data.
        """
        await self.lost
        return self.received

    def send(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    async def close(self) -> None:
        """
        Close the connection and wait until it is lost.
        """
        assert self.transport is not None
        self.transport.loseConnection()
        await self.lost

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)


async def connectThrough(one: Buffered, other: Buffered) -> None:
    """
    Let two clients of a broadcast server send until each receives the other's message.
    A client receives messages only after it has sent data.
    """
    for speaker, listener in ((one, other), (other, one)):
        while b"?" not in listener.received:
            speaker.send(b"?\0")
            await pause(0.02)


async def until(condition: Callable[[], object]) -> None:
    """
    Wait until a condition is true.
    """
    while not condition():
        await pause(0.01)


def readFromClients() -> int:
    """
    Return the number of server connections in this process that the reactor reads from.
    """
    return sum(isinstance(each, Server) for each in theReactor().getReaders())


async def dial(port: int) -> Buffered:
    client = Buffered()
    await connectProtocol(TCP4ClientEndpoint(theReactor(), HOST, port), client)
    return client


running: set["Process"] = set()
"""
The running programs started by L{run}.
"""


def killRunning() -> None:
    """
    Kill the programs that a test has left running.
    """
    for process in running:
        process.abandon()
        with suppress(ProcessExitedAlready):
            process.transport.signalProcess("KILL")
    running.clear()


class Process(ProcessProtocol):
    """
    A program whose output is collected.
    """

    transport: IProcessTransport

    def __init__(self) -> None:
        self.printed = b""
        self.ended: Deferred[int] = Deferred()
        self._wanted: tuple[bytes, Deferred[None]] | None = None

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self.printed += data
        self._check()

    def _check(self) -> None:
        if self._wanted is not None and self._wanted[0] in self.printed:
            (_, found), self._wanted = self._wanted, None
            found.callback(None)

    async def until(self, wanted: bytes) -> str:
        """
        Wait until the output contains a text.

        @return: the whole output.
        """
        found: Deferred[None] = Deferred()
        self._wanted = (wanted, found)
        self._check()
        await found
        return self.printed.decode()

    def abandon(self) -> None:
        """
        Stop waiting for output, because the test has ended.
        """
        self._wanted = None

    def processEnded(self, reason: Failure) -> None:
        if self._wanted is not None:
            (wanted, found), self._wanted = self._wanted, None
            found.errback(AssertionError(f"{wanted!r} was not printed: {self.printed.decode()}"))
        running.discard(self)
        value = reason.value
        assert isinstance(value, ProcessDone | ProcessTerminated)
        status = -value.signal if value.signal else value.exitCode
        self.ended.callback(status or 0)


def run(*arguments: str, **options: Any) -> Process:
    process = Process()
    theReactor().spawnProcess(process, arguments[0], arguments, env=None, **options)
    running.add(process)
    return process


def twistd(*arguments: str, **options: Any) -> Process:
    return run(*TWISTD, *arguments, **options)


async def portOf(process: Process) -> int:
    """
    Wait until a server logs its port.

    @return: the port.
    """
    printed = await process.until(b"listening on")
    found = re.search(r"listening on 127\.0\.0\.1:(\d+)", printed)
    assert found is not None, printed
    return int(found[1])


async def stop(process: Process) -> str:
    """
    Terminate a server, and wait until it has ended.

    @return: its output.
    """
    process.transport.signalProcess("TERM")
    assert await process.ended == -signal.SIGTERM
    assert "Traceback" not in process.printed.decode()
    return process.printed.decode()


@asynccontextmanager
async def serving(
    factory: IProtocolFactory, *, coalesces: bool = False
) -> AsyncIterator[tuple[int, GuardFactory]]:
    """
    Serve a factory with a guard while the block runs.

    @param coalesces: whether the port uses the TCP transport of the package.
    """
    guard = GuardFactory(factory)
    port = await TCP4ServerEndpoint(theReactor(), 0, interface=HOST).listen(guard)
    if coalesces:
        coalesceWrites(port)
    try:
        yield port.getHost().port, guard
    finally:
        await port.stopListening()
        await guard.closeAll(1)
