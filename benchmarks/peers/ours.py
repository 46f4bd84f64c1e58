"""
The protocols of this package without the limits and logs of the C{twistd} commands.
"""

import sys
from typing import Any

from twisted.application.reactors import installReactor
from twisted.internet.interfaces import IProtocolFactory

from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.policyfile import PolicyFileFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.transports.acceptanswer import answerOnAccept
from openfl_twisted.transports.tcp import coalesceWrites
from openfl_twisted.wire.policy.file import PolicyFile

# The largest measured message is sent back.
MAX_LENGTH = 1 << 28


class Bytes(XMLSocketProtocol):
    """
    Sends each message back as bytes.
    """

    def lineReceived(self, line: bytes) -> None:
        self.sendLine(line)


class Text(XMLSocketProtocol):
    """
    Sends each message back as text.
    """

    def messageReceived(self, message: str) -> None:
        self.sendMessage(message)


class Lists(XMLSocketProtocol):
    """
    Sends all messages of a read back in one call.
    """

    def messagesReceived(self, messages: list[str]) -> None:
        self.sendMessages(messages)


class Broadcast(XMLSocketProtocol):
    """
    Sends each message to all clients.
    """

    factory: XMLSocketFactory

    def messageReceived(self, message: str) -> None:
        self.factory.broadcast(message)


class BroadcastLists(XMLSocketProtocol):
    """
    Sends all messages of a read to all clients in one call.
    """

    factory: XMLSocketFactory

    def messagesReceived(self, messages: list[str]) -> None:
        self.factory.broadcastMessages(messages)


PROTOCOLS: dict[str, type[XMLSocketProtocol]] = {"bytes": Bytes, "text": Text, "list": Lists}
BROADCASTERS: dict[str, type[XMLSocketProtocol]] = {"text": Broadcast, "list": BroadcastLists}


def makeFactory(mode: str, layer: str) -> IProtocolFactory:
    """
    Return the factory of a mode.
    """
    if mode == "policy-port":
        return PolicyFileFactory(PolicyFile.forPort)
    protocol = BROADCASTERS[layer] if mode == "broadcast" else PROTOCOLS[layer]
    factory = XMLSocketFactory(protocol, maxLength=MAX_LENGTH, maxQueue=MAX_LENGTH)
    return OnePortFactory(factory) if mode == "oneport" else factory


def main(reactorName: str, mode: str, layer: str) -> None:
    """
    Run the server until the process is terminated.

    @param reactorName: the reactor, as named by C{twistd}.
    @param mode: C{echo}, C{broadcast}, C{oneport} (echo with protocol detection) or
        C{policy-port}.
    @param layer: the argument of the handler: C{bytes}, C{text} or C{list}.
    """
    installReactor(reactorName)
    from twisted.internet import reactor

    loop: Any = reactor
    answerOnAccept(coalesceWrites(loop.listenTCP(0, makeFactory(mode, layer), 1024, "127.0.0.1")))
    loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
