"""
Presence through Redis: lists of members in keys that a running node renews, and that expire
after a crash of the node.
"""

from collections import deque
from typing import cast

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.brokers.brokerlink import BrokerLink, LinkUser
from openfl_twisted.brokers.brokerpubsub import PREFIX
from openfl_twisted.brokers.outbox import BrokerLimits
from openfl_twisted.brokers.redisconnection import RedisConnection, RedisLogin
from openfl_twisted.brokers.redisreplies import RedisProblem, Reply, command
from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import packageLogger
from openfl_twisted.rooms.presence import Members, Present
from openfl_twisted.types import AnyClock, AnyEndpoint

_LIFETIME = 60
"""
Default time after which the members of a crashed node expire (seconds). A running node writes
its members three times in this time.
"""

MAX_NODES = 1000
"""
Maximum number of nodes whose members are looked up for one room.
"""

MAX_PENDING = 100_000
"""
Maximum number of commands without a reply.
"""


class _RedisPresenceConnection(RedisConnection):
    """
    A connection on which the server answers each command with one reply.
    """

    # All lists of RESP2 are of one type.
    protocol = b"2"

    def __init__(self, link: BrokerLink, login: RedisLogin) -> None:
        super().__init__(link, login)
        # For each expected reply, the Deferred to fire with the reply, or None.
        self._replies: deque[Deferred[Reply] | None] = deque()

    @property
    def takesMore(self) -> bool:
        """
        Whether commands can be written.
        """
        return self.writable and len(self._replies) < MAX_PENDING

    def welcomed(self) -> None:
        self.ready()

    def ask(self, *words: bytes) -> Deferred[Reply]:
        """
        Send a command.

        @param words: the name and the arguments of the command.
        @return: fires with the reply, or with a L{RedisProblem} if there is no connection.
        """
        return self._write([words])

    def transact(self, commands: list[tuple[bytes, ...]]) -> Deferred[Reply]:
        """
        Send commands as a transaction: the server executes all commands or no command.

        @param commands: the name and arguments of each command. The commands are sent between
            C{MULTI} and C{EXEC}.
        @return: fires with the list of the replies, or with a L{RedisProblem} if the
            connection is lost.
        """
        return self._write([(b"MULTI",), *commands, (b"EXEC",)])

    def _write(self, commands: list[tuple[bytes, ...]]) -> Deferred[Reply]:
        """
        Send all commands. If this is not possible, send no command.

        @return: fires with the reply to the last command.
        """
        if not self.takesMore:
            return succeed(RedisProblem("the send buffer to the broker is full"))
        last: Deferred[Reply] = Deferred()
        self._replies.extend([None] * (len(commands) - 1))
        self._replies.append(last)
        self.transport.write(b"".join([command(*words) for words in commands]))
        return last

    def writePing(self) -> None:
        self.ask(b"PING")

    def replyReceived(self, reply: Reply) -> None:
        """
        Fire the Deferred of the oldest command. Redis sends no other
        messages, since this connection has no subscriptions.
        """
        if not self._replies:
            self.fail("the broker has sent an unexpected reply")
            return
        self._answer(reply)

    def _answer(self, reply: Reply) -> None:
        waiting = self._replies.popleft()
        if waiting is not None:
            waiting.callback(reply)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        while self._replies:
            self._answer(RedisProblem("the connection was lost"))


class RedisPresence(LinkUser):
    """
    An L{IPresence} that shares the list of members through Redis.

    For each room, Redis stores a set of the nodes with members in the room, and for each of
    these nodes a hash of its members. All keys expire, so a running node rewrites its keys
    before they expire.

    @ivar description: the address of the server, as shown in logs, without passwords.
    """

    log = packageLogger()

    def __init__(
        self,
        endpoint: AnyEndpoint,
        description: str,
        node: bytes,
        *,
        login: RedisLogin | None = None,
        prefix: str = PREFIX,
        lifetime: int = _LIFETIME,
        limits: BrokerLimits | None = None,
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param endpoint: the endpoint of the server, including TLS if the server requires TLS.
        @param prefix: the prefix of all keys.
        @param lifetime: the time after which keys expire (seconds).
        @param limits: timeouts; C{None} for the defaults.
        @param clock: the clock; C{None} for the reactor.
        """
        self.description = description
        self._members = Members(node)
        self._prefix = prefix
        self._lifetime = lifetime
        self._clock = clockOrReactor(clock)
        user = login or RedisLogin()
        self._link = BrokerLink(
            endpoint,
            description,
            lambda link: _RedisPresenceConnection(link, user),
            self,
            limits or BrokerLimits(),
            self._clock,
        )
        self._refreshing: IDelayedCall | None = None
        self._problem = ""
        # The rooms that must be written completely as soon as the server reads again.
        self._stale: dict[str, None] = {}

    def start(self) -> Deferred[bool]:
        return self._link.start()

    def stop(self) -> Deferred[None]:
        rooms = dict.fromkeys(self._members.rooms)
        self._members.rooms.clear()
        self._writeRooms(rooms)
        self._stopRefreshing()
        return self._link.stop()

    def set(self, room: str, member: str, data: bytes) -> None:
        self._members.set(room, member, data)
        self._change(room, (b"HSET", self._here(room), member.encode(), data))

    def remove(self, room: str, member: str) -> None:
        if self._members.remove(room, member):
            self._change(room, (b"HDEL", self._here(room), member.encode()))

    def membersOf(self, room: str) -> Deferred[list[Present]]:
        return Deferred.fromCoroutine(self._lookUp(room))

    async def _lookUp(self, room: str) -> list[Present]:
        found = []
        nodes = await self._ask(b"SMEMBERS", self._where(room))
        if isinstance(nodes, list):
            others = [each for each in nodes if isinstance(each, bytes)][:MAX_NODES]
            others = [each for each in others if each != self._members.node]
            hashes = await gatherResults(
                [self._ask(b"HGETALL", self._here(room, each)) for each in others]
            )
            for node, fields in zip(others, hashes, strict=True):
                found += _membersIn(node, fields)
        return self._members.of(room) + found

    # Called by the link

    def linkUp(self) -> None:
        """
        Write all members, because the server may have lost its data.
        """
        self._problem = ""
        self._refresh()

    def linkDown(self, reason: str) -> None:
        """
        Stop writing. Unwritten changes are lost; the keys expire.
        """
        self._stopRefreshing()
        self._stale.clear()
        self._warn(f"no connection: {reason}")

    def linkWritable(self) -> None:
        self._writeRooms(self._stale)

    def _refresh(self) -> None:
        """
        Write all members now, and again whenever a third of the lifetime has passed.
        """
        self._stopRefreshing()
        self._refreshing = self._clock.callLater(self._lifetime / 3, self._refresh)
        self._stale.update(dict.fromkeys(self._members.rooms))
        self._writeRooms(self._stale)

    def _stopRefreshing(self) -> None:
        if self._refreshing is not None and self._refreshing.active():
            self._refreshing.cancel()
        self._refreshing = None

    def _change(self, room: str, change: tuple[bytes, ...]) -> None:
        """
        Write a change in a room. If the server does not read, write the complete room later.
        """
        connection = self._connection
        if connection is None:
            return
        if not connection.takesMore:
            self._stale[room] = None
            return
        connection.transact([change, *self._listing(room)]).addCallback(self._check)

    def _writeRooms(self, rooms: dict[str, None]) -> None:
        """
        Write complete rooms until the server stops reading, and remove each written room from
        C{rooms}.
        """
        connection = self._connection
        while rooms and connection is not None and connection.takesMore:
            room = next(iter(rooms))
            del rooms[room]
            commands: list[tuple[bytes, ...]] = [(b"DEL", self._here(room))]
            members = self._members.of(room)
            if members:
                fields = [word for each in members for word in (each.member.encode(), each.data)]
                commands.append((b"HSET", self._here(room), *fields))
            connection.transact([*commands, *self._listing(room)]).addCallback(self._check)

    def _listing(self, room: str) -> list[tuple[bytes, ...]]:
        """
        Return the commands that update the set of the nodes with members in a room: they add
        this node if it has members, and otherwise remove it.
        """
        here, where = self._here(room), self._where(room)
        if room not in self._members.rooms:
            return [(b"SREM", where, self._members.node)]
        lifetime = b"%d" % self._lifetime
        return [
            (b"EXPIRE", here, lifetime),
            (b"SADD", where, self._members.node),
            (b"EXPIRE", where, lifetime),
        ]

    @property
    def _connection(self) -> _RedisPresenceConnection | None:
        return cast("_RedisPresenceConnection | None", self._link.connection)

    def _ask(self, *words: bytes) -> Deferred[Reply]:
        if self._connection is None:
            return succeed(RedisProblem("there is no connection"))
        return self._connection.ask(*words)

    def _check(self, reply: Reply) -> None:
        if isinstance(reply, RedisProblem) and self._connection is not None:
            self._warn(f"error reply: {reply.text}")

    def _warn(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self.log.warn("presence in {redis}: {problem}", redis=self.description, problem=problem)

    def _here(self, room: str, node: bytes | None = None) -> bytes:
        """
        Return the key of the hash with the members of a node in a room.
        """
        name = (self._members.node if node is None else node).hex()
        return f"{self._prefix}:here:{name}:{room}".encode()

    def _where(self, room: str) -> bytes:
        """
        Return the key of the set of the nodes with members in a room.
        """
        return f"{self._prefix}:where:{room}".encode()


def _membersIn(node: bytes, fields: Reply) -> list[Present]:
    if not isinstance(fields, list):
        return []
    return [
        Present(node, member.decode(errors="replace"), data)
        for member, data in zip(fields[::2], fields[1::2], strict=False)
        if isinstance(member, bytes) and isinstance(data, bytes)
    ]
