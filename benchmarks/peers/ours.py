"""
The protocols of this package by themselves, without what a command adds, on a
reactor as C{twistd} names it.
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

# The largest message that is measured comes back whole.
MOST = 1 << 28


class Bytes(XMLSocketProtocol):
    """
    Sends each message back, without making text of it.
    """

    def lineReceived(self, line: bytes) -> None:
        """
        Send it back.
        """
        self.sendLine(line)


class Text(XMLSocketProtocol):
    """
    Sends each message back.
    """

    def messageReceived(self, message: str) -> None:
        """
        Send it back.
        """
        self.sendMessage(message)


class Lists(XMLSocketProtocol):
    """
    Sends the messages of a read back together.
    """

    def messagesReceived(self, messages: list[str]) -> None:
        """
        Send them back.
        """
        self.sendMessages(messages)


class Broadcast(XMLSocketProtocol):
    """
    Sends each message to all.
    """

    factory: XMLSocketFactory

    def messageReceived(self, message: str) -> None:
        """
        Send it to all.
        """
        self.factory.broadcast(message)


class BroadcastLists(XMLSocketProtocol):
    """
    Sends the messages of a read to all together.
    """

    factory: XMLSocketFactory

    def messagesReceived(self, messages: list[str]) -> None:
        """
        Send them to all.
        """
        self.factory.broadcastMessages(messages)


PROTOCOLS: dict[str, type[XMLSocketProtocol]] = {"bytes": Bytes, "text": Text, "list": Lists}
SPEAKERS: dict[str, type[XMLSocketProtocol]] = {"text": Broadcast, "list": BroadcastLists}


def makeFactory(what: str, layer: str) -> IProtocolFactory:
    """
    Make what serves.
    """
    if what == "policy-port":
        return PolicyFileFactory(PolicyFile.forPort)
    protocol = SPEAKERS[layer] if what == "broadcast" else PROTOCOLS[layer]
    factory = XMLSocketFactory(protocol, maxLength=MOST, maxQueue=MOST)
    return OnePortFactory(factory) if what == "oneport" else factory


def main(reactorName: str, what: str, layer: str) -> None:
    """
    Serve until somebody ends the process.

    @param what: C{echo}; C{broadcast}; C{oneport} for an echo that every client
        can reach; C{policy-port}.
    @param layer: what the handler takes: C{bytes}, C{text} or C{list}.
    """
    installReactor(reactorName)
    from twisted.internet import reactor

    loop: Any = reactor
    answerOnAccept(coalesceWrites(loop.listenTCP(0, makeFactory(what, layer), 1024, "127.0.0.1")))
    loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
