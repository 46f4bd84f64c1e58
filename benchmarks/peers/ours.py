"""
Handlers for C{twistd openfl-xml --app}, and a program that serves them without the limits
and logs of that command.
"""

import sys
from typing import Any

from twisted.internet.interfaces import IProtocolFactory

from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.policyfile import PolicyFileFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.reactors import installDefault
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
    Sends all messages of a read to all clients in one call.
    """

    factory: XMLSocketFactory

    def messagesReceived(self, messages: list[str]) -> None:
        self.factory.broadcastMessages(messages)


def makeFactory(mode: str, handler: type[XMLSocketProtocol]) -> IProtocolFactory:
    """
    Return the factory of a mode.
    """
    if mode == "policy-port":
        return PolicyFileFactory(PolicyFile.forPort)
    factory = XMLSocketFactory(handler, maxLength=MAX_LENGTH, maxQueue=MAX_LENGTH)
    return OnePortFactory(factory) if mode == "oneport" else factory


def main(mode: str, name: str) -> None:
    """
    Run the server until the process is terminated.

    @param mode: C{echo}, C{oneport} (with protocol detection) or C{policy-port}.
    @param name: the class of the handler.
    """
    installDefault()
    from twisted.internet import reactor

    loop: Any = reactor
    factory = makeFactory(mode, globals()[name])
    answerOnAccept(coalesceWrites(loop.listenTCP(0, factory, 1024, "127.0.0.1")))
    loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
