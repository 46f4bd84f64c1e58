"""
Requests to a dashboard.
"""

from tests.live.peers import Buffered, dial


async def ask(port: int, method: str, path: str, body: str = "", *headers: str) -> Buffered:
    """
    Send a request.

    @return: the connection, which collects the response.
    """
    client = await dial(port)
    lines = [f"{method} {path} HTTP/1.0", f"Content-Length: {len(body)}", *headers, "", body]
    client.send("\r\n".join(lines).encode())
    return client
