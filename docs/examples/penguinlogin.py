"""
The server of `penguin.py` with passwords. Run it with
`openfl-xml --app penguinlogin:LoginPenguin`.
"""

import time
from hashlib import md5

from penguin import Penguin

from openfl_twisted.dispatch import handler

PASSWORDS = {"Ann": "snow", "Ben": "ice"}


def swappedHash(text: str) -> str:
    digest = md5(text.encode(), usedforsecurity=False).hexdigest()
    return digest[16:] + digest[:16]


def passwordHash(password: str, key: str) -> str:
    """
    Return the hash of a password that a Club Penguin client sends.
    """
    return swappedHash(swappedHash(password).upper() + key + "Y(02.>'H}t\":E1")


class LoginPenguin(Penguin):
    @handler
    def login(self, nick: str, pword: str) -> None:
        if nick in PASSWORDS and pword == passwordHash(PASSWORDS[nick], self.key):
            super().login(nick, pword)
        else:
            self.send("e", 101)
            self.transport.loseConnection()

    @handler("j#js")
    def joinServer(self, number: int) -> None:
        if self.number:
            self.send("js", 1)
            self.send("lp", f"{self.number}|{self.nick}", int(time.time() * 1000))
