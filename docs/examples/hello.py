"""
An XMLSocket client that sends a message and prints the answer. Run it with
C{python hello.py}.
"""

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from openfl_twisted.net import XMLSocket


async def main(reactor: Any, port: str = "8080") -> None:
    socket = XMLSocket("127.0.0.1", int(port))
    await socket.whenConnected()
    socket.send("<hello/>")
    async for message in socket.messages():
        sys.stdout.write(message + "\n")
        socket.close()


if __name__ == "__main__":
    react(lambda *arguments: Deferred.fromCoroutine(main(*arguments)), sys.argv[1:])
