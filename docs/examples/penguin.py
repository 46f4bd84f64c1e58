"""
A Club Penguin style server. Run it with `openfl-xml --app penguin:Penguin`.
"""

import secrets
from itertools import count

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.dispatch import SmartFoxProtocol, handler


class Penguin(SmartFoxProtocol):
    numbers = count(100)
    number, place, x, y, nick, key = 0, 0, 0, 0, "", ""

    def tell(self, name: str, *values: str | int) -> None:
        for each in [p for p in self.factory.connections if 0 < p.place == self.place]:
            each.send(name, self.number, *values)

    @handler
    def verChk(self, v: int) -> None:
        self.sendSystem("apiOK" if v == 153 else "apiKO")

    @handler
    def rndK(self) -> None:
        self.key = secrets.token_hex(5)
        self.sendSystem("rndK", f"<k>{self.key}</k>", room=-1)

    @handler
    def login(self, nick: str, pword: str) -> None:
        # A real server compares pword with a hash of the account's password and the key.
        if self.number or not self.key or not nick.isalnum():
            self.send("e", 101)
        else:
            self.number, self.nick = next(self.numbers), nick
            self.send("l", self.number, nick)

    @handler("j#jr")
    def joinRoom(self, target: int, x: int = 0, y: int = 0) -> None:
        self.tell("rp")
        if self.number:
            self.place, self.x, self.y = target, x, y
            here = [p for p in self.factory.connections if p.place == target]
            self.send("jr", target, *(f"{p.number}|{p.nick}|{p.x}|{p.y}" for p in here))
            self.tell("ap", self.nick, x, y)

    @handler("u#sp")
    def move(self, x: int, y: int) -> None:
        self.x, self.y = x, y
        self.tell("sp", x, y)

    @handler("m#sm")
    def chat(self, sender: int, text: str) -> None:
        self.tell("sm", text)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.tell("rp")
