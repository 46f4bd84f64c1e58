"""
A connection to Redis or Valkey, 6 or newer.

Commands are written straight to the transport, without a C{Deferred} for each;
what the server says is read by txredisapi (the extra C{redis}).
"""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol, TypeAlias, Union

from openfl_twisted.rooms.brokerlink import BrokerConnection, BrokerLink

MAX_REPLY = 16 * 1024 * 1024
"""
The largest reply with all that is in it, in bytes, if nobody says otherwise:
16 MiB.
"""


class RedisProblem(NamedTuple):
    """
    A reply that says that something went wrong.

    @ivar text: a code in capital letters, and words.
    """

    text: str


Reply: TypeAlias = Union[bytes, str, int, RedisProblem, "list[Reply]", None]
"""
What a server says.
"""


class Reader(Protocol):
    """
    Reads what a server says, see L{openfl_twisted.rooms.redisreader.RedisReader}.
    """

    def receive(self, data: bytes) -> Iterator[Reply]:
        """
        Take the next piece of the stream.

        @param data: the piece.
        @return: the replies that it completes; to be taken to their end before
            the next piece.
        @raise StreamError: if it is not as the protocol has it, or a reply is
            too large.
        """


def newReader(maxReply: int = MAX_REPLY) -> Reader:
    """
    Make what reads a connection. This imports txredisapi, and so chooses the
    reactor.

    @param maxReply: the largest reply with all that is in it, in bytes.
    @return: the reader.
    @raise ImportError: if txredisapi is not installed.
    """
    from openfl_twisted.rooms.redisreader import RedisReader

    return RedisReader(maxReply)


def checkInstalled() -> None:
    """
    Make sure that there is what reads Redis.

    @raise ImportError: if not; it says how to get it.
    """
    if find_spec("txredisapi") is None:
        raise ImportError("Redis needs txredisapi: pip install 'openfl-twisted[redis]'")


def command(*words: bytes) -> bytes:
    """
    Write a command.

    @param words: its name, and what belongs to it.
    @return: a list of strings of RESP, which may hold any bytes.
    """
    return b"*%d\r\n" % len(words) + b"".join(
        [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    )


class RedisLogin:
    """
    Who we are for Redis. Its text has no password in it.
    """

    def __init__(self, user: str | None = None, password: str | None = None) -> None:
        """
        @param user: the user; C{None} for the one called C{default}.
        @param password: the password; C{None} if none is wanted.
        """
        self._user = user or "default"
        self._password = password

    def hello(self) -> bytes:
        """
        Write the first command, which also chooses the protocol.

        @return: C{HELLO 3}, with the user and the password if there is one.
        """
        words = [b"HELLO", b"3"]
        if self._password is not None:
            words += [b"AUTH", self._user.encode(), self._password.encode()]
        return command(*words)

    def problem(self, text: str) -> str:
        """
        Say why the broker has let nobody in.

        @param text: what it says; older servers repeat what they do not know,
            and so the password.
        @return: the same for people, with stars for the password.
        """
        if "unknown command" in text.lower():
            return "the broker is too old: Redis 6 or newer is needed"
        if self._password:
            text = text.replace(self._password, "***")
        return f"the broker says: {text}"


class RedisConnection(BrokerConnection):
    """
    One connection to Redis.

    @ivar greeted: whether the server knows who we are.
    """

    greeted = False

    def __init__(self, link: BrokerLink, login: RedisLogin, maxReply: int = MAX_REPLY) -> None:
        """
        @param link: see
            L{BrokerConnection<openfl_twisted.rooms.brokerlink.BrokerConnection>}.
        @param login: who we are.
        @param maxReply: the largest reply with all that is in it, in bytes; one
            that is larger ends the connection.
        """
        super().__init__(link)
        self._login = login
        self._reader = newReader(maxReply)

    def welcomed(self) -> None:
        """
        The server knows who we are.
        """
        raise NotImplementedError

    def replyReceived(self, reply: Reply) -> None:
        """
        The server has replied, or has something else to say.

        @param reply: what it says; C{None} is a string or a list that there is
            not.
        """
        raise NotImplementedError

    def connectionMade(self) -> None:
        """
        Introduce ourselves.
        """
        super().connectionMade()
        self.transport.write(self._login.hello())

    def read(self, data: bytes) -> Iterator[Reply]:
        """
        Read what the server has sent.
        """
        return self._reader.receive(data)

    def eventReceived(self, event: Any) -> None:
        """
        The server has said something.
        """
        if self.greeted:
            self.replyReceived(event)
        elif isinstance(event, RedisProblem):
            self.fail(self._login.problem(event.text))
        else:
            self.greeted = True
            self.welcomed()
