"""
WebSocket echo server with C{picows} on uvloop.
"""

import asyncio
import importlib
import sys

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server


class Echo(WSListener):
    """
    Sends each received message back.
    """

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """
        Send a message back.
        """
        if frame.msg_type in (WSMsgType.TEXT, WSMsgType.BINARY):
            transport.send(frame.msg_type, frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()


def accept(request: WSUpgradeRequest) -> WSListener:
    """
    Return the listener of a new connection.
    """
    return Echo()


async def main() -> None:
    """
    Run the server until the process is terminated.
    """
    server = await ws_create_server(accept, "127.0.0.1", 0, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1:] == ["asyncio"]:
        asyncio.run(main())
    else:
        # Optional dependency: the server is skipped without it.
        importlib.import_module("uvloop").run(main())
