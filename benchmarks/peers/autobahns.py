"""
WebSocket echo server with Autobahn on Twisted.
"""

import importlib
from typing import Any

# Imported dynamically, since its type annotations are incomplete.
websocket: Any = importlib.import_module("autobahn.twisted.websocket")


class Echo(websocket.WebSocketServerProtocol):  # type: ignore[misc]
    """
    Sends each message back.
    """

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(payload, isBinary)


def main() -> None:
    """
    Run the server until the process is terminated.
    """
    from twisted.internet import reactor

    loop: Any = reactor
    factory = websocket.WebSocketServerFactory()
    factory.protocol = Echo
    loop.listenTCP(0, factory, 1024, "127.0.0.1")
    loop.run()


if __name__ == "__main__":
    main()
