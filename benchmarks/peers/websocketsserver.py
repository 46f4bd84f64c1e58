"""
WebSocket echo server with C{websockets} on C{asyncio}.
"""

import asyncio

from websockets.asyncio.server import ServerConnection, serve


async def echo(connection: ServerConnection) -> None:
    """
    Send each received message back.
    """
    async for message in connection:
        await connection.send(message)


async def main() -> None:
    """
    Run the server until the process is terminated.
    """
    async with serve(echo, "127.0.0.1", 0, compression=None, backlog=1024) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
