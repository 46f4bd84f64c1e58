"""
WebSocket echo server with C{picows} on uvloop.
"""

import asyncio
import importlib
import sys
from typing import Any

# Imported dynamically, since it is not installed for the tests.
picows: Any = importlib.import_module("picows")


class Echo(picows.WSListener):  # type: ignore[misc]
    """
    Sends each received message back.
    """

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        """
        Answer a text or binary message with the same message, and a Close with a Close.
        """
        if frame.msg_type in (picows.WSMsgType.TEXT, picows.WSMsgType.BINARY):
            transport.send(frame.msg_type, frame.get_payload_as_bytes())
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()


def accept(request: Any) -> Echo:
    """
    Return the listener of a new connection.
    """
    return Echo()


async def main() -> None:
    """
    Run the server until the process is terminated.
    """
    server = await picows.ws_create_server(accept, "127.0.0.1", 0, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1:] == ["asyncio"]:
        asyncio.run(main())
    else:
        # Optional dependency: the server is skipped without it.
        importlib.import_module("uvloop").run(main())
