"""
A server for clients that use `Socket`: it adds two numbers. Run it with
`python adding.py tcp:9339:interface=127.0.0.1`.
"""

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react

from openfl_twisted.endpoints import openflEndpoint
from openfl_twisted.protocols import BinarySocketFactory, BinarySocketProtocol


class Adder(BinarySocketProtocol):
    """
    Sends the sum of each pair of received ints.
    """

    def socketDataReceived(self, bytesLoaded: int) -> None:
        """
        Add all complete pairs: TCP can split the stream anywhere.
        """
        while self.bytesAvailable >= 8:
            self.writeInt(self.readInt() + self.readInt())


async def main(reactor: Any, endpoint: str) -> None:
    """
    Listen until the program is stopped. `openflEndpoint` accepts browsers too.
    """
    server = openflEndpoint(serverFromString(reactor, endpoint))
    port: Any = await server.listen(BinarySocketFactory(Adder))
    sys.stdout.write(f"listening on {port.getHost().host}:{port.getHost().port}\n")
    sys.stdout.flush()
    await Deferred()


if __name__ == "__main__":
    react(lambda *arguments: Deferred.fromCoroutine(main(*arguments)), sys.argv[1:])
