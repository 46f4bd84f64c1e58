"""
The configurations of the deployment guide, and programs that use them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from twisted.internet.error import ConnectError, ProcessExitedAlready

from tests.live.peers import Process, dial, pause, run

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"


def configured(name: str, folder: Path, *changes: tuple[str, str]) -> Path:
    """
    Write a configuration to a directory, with the ports and paths of the test.
    """
    text = (DEPLOY / name).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / name).write_text(text)
    return folder / name


@asynccontextmanager
async def running(port: int, *command: str | Path) -> AsyncIterator[Process]:
    """
    Run a program in the foreground, and wait until its port is open.
    """
    process = run(*map(str, command))
    try:
        while True:
            try:
                client = await dial(port)
            except ConnectError:
                if process.ended.called:
                    raise AssertionError(process.printed.decode()) from None
                await pause(0.02)
                continue
            await client.close()
            break
        yield process
    finally:
        # A program that failed to start has already ended.
        with suppress(ProcessExitedAlready):
            process.transport.signalProcess("TERM")
        await process.ended
