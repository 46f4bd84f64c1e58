"""
A client that sends a message, prints the first answer and disconnects. Run it with
`python client.py tcp:127.0.0.1:8080 "<hello/>"`.
"""

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.protocol import connectionDone
from twisted.internet.task import react
from twisted.python.failure import Failure

from openfl_twisted.protocols import XMLSocketProtocol


class Asker(XMLSocketProtocol):
    """
    Waits for the first message.
    """

    def __init__(self) -> None:
        self.answer: Deferred[str] = Deferred()
        self.ended: Deferred[None] = Deferred()

    def messageReceived(self, message: str) -> None:
        self.answer.callback(message)
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Fail if the connection is lost before the answer.
        """
        super().connectionLost(reason)
        if not self.answer.called:
            self.answer.errback(reason)
        self.ended.callback(None)


async def main(reactor: Any, endpoint: str, message: str) -> None:
    """
    Send the message, print the answer, and disconnect.
    """
    asker = Asker()
    await connectProtocol(clientFromString(reactor, endpoint), asker)
    asker.sendMessage(message)
    sys.stdout.write(await asker.answer + "\n")
    await asker.ended


if __name__ == "__main__":
    react(lambda *arguments: Deferred.fromCoroutine(main(*arguments)), sys.argv[1:])
