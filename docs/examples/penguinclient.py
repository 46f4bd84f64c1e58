"""
A Club Penguin client that logs in, joins a room, and talks to the first other player. Run it with
`python penguinclient.py tcp:127.0.0.1:6112 Ann snow`.
"""

import re
import sys
from collections.abc import Mapping
from typing import Any

from penguinlogin import PASSWORDS, passwordHash
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.task import react

from openfl_twisted.protocols import XMLSocketProtocol

VERSION = "<msg t='sys'><body action='verChk' r='0'><ver v='153' /></body></msg>"
KEY = "<msg t='sys'><body action='rndK' r='-1'></body></msg>"
LOGIN = (
    "<msg t='sys'><body action='login' r='0'><login z='w1'><nick><![CDATA[{}]]></nick>"
    "<pword><![CDATA[{}]]></pword></login></body></msg>"
)


def password(known: Mapping[str, str], recorded: str) -> str:
    """
    Compute the password hash for `penguin.toml`.
    """
    return passwordHash(PASSWORDS[known["nick"]], known["key"])


class PenguinClient(XMLSocketProtocol):
    number = ""

    def __init__(self, nick: str, password: str) -> None:
        self.nick, self.password = nick, password
        self.seen: list[str] = []
        self.ended: Deferred[list[str]] = Deferred()

    def connectionMade(self) -> None:
        self.sendMessage(VERSION)

    def messageReceived(self, message: str) -> None:
        if key := re.search("<k>(.*)</k>", message):
            self.sendMessage(LOGIN.format(self.nick, passwordHash(self.password, key[1])))
        elif "apiOK" in message:
            self.sendMessage(KEY)
        elif message.startswith("%xt%"):
            _, _, name, _, number, *values, _ = message.split("%")
            self.extensionReceived(name, number, values)

    def extensionReceived(self, name: str, number: str, values: list[str]) -> None:
        if name == "l":
            self.number = number
            self.sendMessage(f"%xt%s%j#js%-1%{number}%")
        elif name == "lp":
            self.sendMessage("%xt%s%j#jr%-1%100%330%300%")
        elif name == "jr":
            self.sendMessage("%xt%s%u#sp%-1%310%320%")
        elif number != self.number and name in ("ap", "sp", "sm", "rp"):
            self.seen.append(" ".join([name, number, *values]))
            if name == "ap":
                self.sendMessage(f"%xt%s%m#sm%-1%{self.number}%Hello {values[0]}%")
            elif name != "sp":
                self.transport.loseConnection()

    def connectionLost(self, *reason: Any) -> None:
        super().connectionLost(*reason)
        self.ended.callback(self.seen)


async def main(reactor: Any, endpoint: str, nick: str, password: str) -> None:
    client = PenguinClient(nick, password)
    await connectProtocol(clientFromString(reactor, endpoint), client)
    sys.stdout.write("\n".join(["seen:", *await client.ended, ""]))


if __name__ == "__main__":
    react(lambda *arguments: Deferred.fromCoroutine(main(*arguments)), sys.argv[1:])
