"""
A SmartFox 1.x server with rooms and chat. Run it with `openfl-xml --app smartfox:User`.
"""

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.dispatch import SmartFoxProtocol, handler
from openfl_twisted.wire.xmltext import element


class User(SmartFoxProtocol):
    rooms = {1: element("n", text="Lobby"), 2: element("n", text="Garden")}
    settings = {"priv": 0, "temp": 0, "game": 0, "ucnt": 0, "maxu": 50, "maxs": 0}
    number, place, nick = 0, 0, ""

    def members(self) -> list["User"]:
        return [each for each in self.factory.connections if 0 < each.place == self.place]

    def tell(self, action: str, *children: str) -> None:
        for each in self.members():
            each.sendSystem(action, *children, room=self.place)

    def describe(self) -> str:
        return element("u", element("n", text=self.nick), i=self.number, m=0, s=0, p=0)

    @handler
    def verChk(self, v: int) -> None:
        self.sendSystem("apiOK")

    @handler
    def login(self, nick: str, pword: str = "") -> None:
        if not nick or self.nick or nick in [each.nick for each in self.factory.connections]:
            self.sendSystem("logKO", element("login", e="Choose another name"))
        else:
            self.number, self.nick = max(u.number for u in self.factory.connections) + 1, nick
            self.sendSystem("logOK", element("login", n=nick, id=self.number, mod=0))

    @handler
    def getRmList(self) -> None:
        rooms = [element("rm", n, id=id, **self.settings) for id, n in self.rooms.items()]
        self.sendSystem("rmList", element("rmList", *rooms))

    @handler
    def joinRoom(self, id: int) -> None:
        if self.nick and id in self.rooms:
            self.tell("userGone", element("user", id=self.number))
            self.place = id
            self.tell("uER", self.describe())
            users = element("uLs", *[each.describe() for each in self.members()], r=id)
            self.sendSystem("joinOK", element("pid", id=0), element("vars"), users, room=id)

    @handler
    def pubMsg(self, txt: str) -> None:
        self.tell("pubMsg", element("user", id=self.number), element("txt", text=txt))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.tell("userGone", element("user", id=self.number))
