"""
An XMLSocket client that sends a message and prints the answer. Run it with
`python hello.py`.
"""

import sys

from openfl_twisted import run
from openfl_twisted.net import XMLSocket


async def main(port: str = "8080") -> None:
    socket = XMLSocket("127.0.0.1", int(port))
    await socket.whenConnected()
    socket.send("<hello/>")
    async for message in socket.messages():
        sys.stdout.write(message + "\n")
        socket.close()


if __name__ == "__main__":
    run(main, *sys.argv[1:])
