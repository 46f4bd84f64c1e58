"""
The examples of the documentation run.
"""

import sys
from pathlib import Path

from tests.live import live
from tests.live.peers import HOST, dial, pause, portOf, run, stop, twistd

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def example(name: str, *arguments: str) -> list[str]:
    """
    Get the command that runs an example.
    """
    return [sys.executable, str(EXAMPLES / name), *arguments]


@live
async def test_shoutingAndClient() -> None:
    """
    The protocol of one's own answers, and the client prints the answer.
    """
    server = twistd(
        "openfl-xml",
        "--app=shouting:Shouter",
        f"--listen=tcp:0:interface={HOST}",
        path=str(EXAMPLES),
    )
    port = await portOf(server)
    client = run(*example("client.py", f"tcp:{HOST}:{port}", "<hello/>"))
    assert await client.ended == 0, client.printed
    assert client.printed == b"<HELLO/>\n"
    await stop(server)


@live
async def test_server() -> None:
    """
    The relay in a program of one's own relays.
    """
    server = run(*example("server.py", f"tcp:0:interface={HOST}"))
    port = await portOf(server)
    one, two = await dial(port), await dial(port)
    for client in (one, two):
        client.send(b"here\0")
    await pause(0.2)
    one.send(b"<hello/>\0")
    await two.until(b"<hello/>\0")
    await one.close()
    await two.close()
    server.transport.signalProcess("TERM")
    await server.ended
    assert "Traceback" not in server.printed.decode()
