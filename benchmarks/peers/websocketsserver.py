"""
C{websockets} on C{asyncio}: WebSocket echo.
"""

import asyncio

from websockets.asyncio.server import ServerConnection, serve


async def echo(connection: ServerConnection) -> None:
    """
    Send each message back.
    """
    async for message in connection:
        await connection.send(message)


async def main() -> None:
    """
    Serve until somebody ends the process.
    """
    async with serve(echo, "127.0.0.1", 0, compression=None, backlog=1024) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
