"""
Servers with rooms, and their members.
"""

from pathlib import Path

from tests.live.peers import HOST, Buffered, Process, dial, portOf, twistd
from tests.support.brokers import Kind

ANY_PORT = f"--listen=tcp:0:interface={HOST}"


async def node(
    kind: Kind, port: int, path: Path, *arguments: str, rooms: str = "xml"
) -> tuple[Process, int]:
    """
    Start a server, and wait for its connection to the broker.
    """
    option = f"--broker={kind.scheme}://{HOST}:{port}"
    server = twistd("openfl-xml", f"--rooms={rooms}", option, ANY_PORT, *arguments, path=str(path))
    await server.until(b"connected to the broker")
    return server, await portOf(server)


async def join(port: int, name: str) -> Buffered:
    client = await dial(port)
    client.send(f'<join room="chess" name="{name}"/>\0'.encode())
    await client.until(b"<welcome")
    return client
