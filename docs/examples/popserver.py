"""
A POP3 server with one message, to try `popclient.py`. Run it with
`python popserver.py`.
"""

import sys
from io import BytesIO
from typing import Any

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.internet.task import react
from twisted.mail.pop3 import POP3, IMailbox, Mailbox
from zope.interface import implementer


class Inbox(Mailbox):
    """
    The messages of a user.
    """

    messages = (b"Subject: Welcome\r\n\r\nHello Ann\r\n",)

    def listMessages(self, index: int | None = None) -> Any:
        lengths = [len(message) for message in self.messages]
        return lengths if index is None else lengths[index]

    def getMessage(self, index: int) -> Any:
        return BytesIO(self.messages[index])

    def getUidl(self, index: int) -> bytes:
        return b"%d" % index


@implementer(IRealm)
class Inboxes:
    """
    Gives each user who has logged in an inbox.
    """

    def requestAvatar(self, user: object, mind: object, *interfaces: Any) -> Any:
        return IMailbox, Inbox(), lambda: None


class POP3Factory(Factory):
    """
    Serves the mailbox of the user `ann`, with the password `secret`.
    """

    portal = Portal(Inboxes(), [InMemoryUsernamePasswordDatabaseDontUse(ann=b"secret")])

    def buildProtocol(self, address: IAddress | None) -> Any:
        connection: Any = POP3()
        connection.factory, connection.portal = self, self.portal
        return connection


def main(reactor: Any) -> Deferred[None]:
    """
    Serve until the program is stopped.
    """
    port = reactor.listenTCP(1110, POP3Factory(), interface="127.0.0.1").getHost()
    sys.stdout.write(f"listening on {port.host}:{port.port}\n")
    sys.stdout.flush()
    return Deferred()


if __name__ == "__main__":
    react(main)
