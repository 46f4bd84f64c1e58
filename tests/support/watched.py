"""
Requests to the metrics and dashboard ports of a server.
"""

import re

from tests.live.peers import HOST, Buffered, Process, dial

TOKEN = "to-look-at-it-all"


async def siteOf(server: Process, name: str) -> int:
    """
    Wait until a server logs the port of the metrics or the dashboard.

    @return: the port.
    """
    printed = await server.until(f"{name} on".encode())
    return int(re.findall(rf"{name} on http://{HOST}:(\d+)/", printed)[0])


async def ask(port: int, path: str) -> Buffered:
    """
    Send a request to a metrics or dashboard port.
    """
    client = await dial(port)
    client.send(f"GET {path} HTTP/1.0\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    return client
