"""
Autobahn on Twisted: WebSocket echo.
"""

import importlib
from typing import Any

# Its types are not complete, so it is imported without.
websocket: Any = importlib.import_module("autobahn.twisted.websocket")


class Echo(websocket.WebSocketServerProtocol):  # type: ignore[misc]
    """
    Sends each message back.
    """

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """
        Send it back.
        """
        self.sendMessage(payload, isBinary)


def main() -> None:
    """
    Serve until somebody ends the process.
    """
    from twisted.internet import reactor

    loop: Any = reactor
    factory = websocket.WebSocketServerFactory()
    factory.protocol = Echo
    loop.listenTCP(0, factory, 1024, "127.0.0.1")
    loop.run()


if __name__ == "__main__":
    main()
