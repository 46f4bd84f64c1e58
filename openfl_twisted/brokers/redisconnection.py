"""
A connection to Redis or Valkey, 6 or newer.

Commands are written to the transport without a C{Deferred} for each. Commands and
replies are written and parsed by hiredis (the extra C{redis}).
"""

from collections.abc import Iterator
from typing import Any

from openfl_twisted.brokers.brokerlink import BrokerConnection, BrokerLink
from openfl_twisted.brokers.redisreplies import RedisProblem, RedisReader, Reply, command

_MAX_REPLY = 16 * 1024 * 1024
"""
Default maximum size of a reply including all its items, in bytes: 16 MiB.
"""


class RedisLogin:
    """
    The login for a Redis server. The C{repr} contains no password.
    """

    def __init__(self, user: str | None = None, password: str | None = None) -> None:
        """
        @param user: the user; C{None} for C{default}.
        @param password: the password; C{None} without a password.
        """
        self._user = user or "default"
        self._password = password

    def hello(self, protocol: bytes) -> bytes:
        """
        Return the first command, which logs in and selects the protocol version.

        @param protocol: the version of RESP: 2 or 3.
        @return: C{HELLO}, with the user and the password if a password is set.
        """
        words = [b"HELLO", protocol]
        if self._password is not None:
            words += [b"AUTH", self._user.encode(), self._password.encode()]
        return command(*words)

    def problem(self, text: str) -> str:
        """
        Explain why the login has failed.

        @param text: the error reply. The text can contain the password, because older servers
            repeat unknown commands.
        @return: the reason, as human-readable text with the password masked.
        """
        if "unknown command" in text.lower():
            return "the broker is too old: Redis 6 or newer is required"
        if self._password:
            text = text.replace(self._password, "***")
        return f"error reply: {text}"


class RedisConnection(BrokerConnection):
    """
    One connection to Redis.

    @cvar protocol: the version of RESP.
    @ivar greeted: whether the server has accepted the login.
    """

    protocol = b"3"
    greeted = False

    def __init__(self, link: BrokerLink, login: RedisLogin, maxReply: int = _MAX_REPLY) -> None:
        """
        @param link: see
            L{BrokerConnection<openfl_twisted.brokers.brokerlink.BrokerConnection>}.
        @param maxReply: maximum size of a reply including all its items (bytes). A larger
            reply aborts the connection.
        """
        super().__init__(link)
        self._login = login
        self._reader = RedisReader(maxReply)

    def welcomed(self) -> None:
        """
        Called when the server has accepted the login.
        """
        raise NotImplementedError

    def replyReceived(self, reply: Reply) -> None:
        """
        Called with each reply after the login.

        @param reply: the reply; C{None} if the string or list does not exist.
        """
        raise NotImplementedError

    def connectionMade(self) -> None:
        super().connectionMade()
        self.transport.write(self._login.hello(self.protocol))

    def read(self, data: bytes) -> Iterator[Reply]:
        return self._reader.receive(data)

    def eventReceived(self, event: Any) -> None:
        if self.greeted:
            self.replyReceived(event)
        elif isinstance(event, RedisProblem):
            self.fail(self._login.problem(event.text))
        else:
            self.greeted = True
            self.welcomed()
