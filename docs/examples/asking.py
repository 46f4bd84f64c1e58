"""
A client that requests the sum of 40 and 2 over a `Socket`. Run it with
`python asking.py 9339`.
"""

import sys

from twisted.internet.defer import Deferred

from openfl_twisted import run
from openfl_twisted.events import ProgressEvent
from openfl_twisted.net import Socket


async def main(port: str) -> None:
    """
    Send the numbers, and print the answer.
    """
    socket = Socket()
    answered: Deferred[None] = Deferred()

    def onData(event: ProgressEvent) -> None:
        if socket.bytesAvailable >= 4:
            answered.callback(None)

    socket.addEventListener(ProgressEvent.SOCKET_DATA, onData)
    socket.connect("127.0.0.1", int(port))
    await socket.whenConnected()
    socket.writeInt(40)
    socket.writeInt(2)
    socket.flush()
    await answered
    sys.stdout.write(f"{socket.readInt()}\n")
    socket.close()


if __name__ == "__main__":
    run(main, *sys.argv[1:])
