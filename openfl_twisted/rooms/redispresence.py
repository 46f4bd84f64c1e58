"""
Who is where, in Redis: keys that expire unless their node is alive.
"""

from collections import deque
from typing import cast

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import packageLogger
from openfl_twisted.rooms.brokerlink import BrokerLink, LinkUser
from openfl_twisted.rooms.brokerrelay import PREFIX
from openfl_twisted.rooms.outbox import RelayLimits
from openfl_twisted.rooms.presence import IPresence, Members, Present
from openfl_twisted.rooms.redisconnection import (
    RedisConnection,
    RedisLogin,
    RedisProblem,
    Reply,
    checkInstalled,
    command,
)

LIFETIME = 60
"""
How many seconds a node's members are kept when nothing is heard of it, if nobody
says otherwise. They are written anew three times in that.
"""

MAX_NODES = 1000
"""
Of how many nodes the members of a room are looked up.
"""

MAX_PENDING = 100_000
"""
How many replies are waited for at a time.
"""


class RedisPresenceConnection(RedisConnection):
    """
    A connection on which each command has its reply.
    """

    def __init__(self, link: BrokerLink, login: RedisLogin) -> None:
        """
        @param link: see
            L{BrokerConnection<openfl_twisted.rooms.brokerlink.BrokerConnection>}.
        @param login: who we are.
        """
        super().__init__(link, login)
        # What waits for the replies, or nothing.
        self._replies: deque[Deferred[Reply] | None] = deque()

    @property
    def takesMore(self) -> bool:
        """
        Whether commands can be written.
        """
        return self.writable and len(self._replies) < MAX_PENDING

    def welcomed(self) -> None:
        """
        Begin.
        """
        self.ready()

    def ask(self, *words: bytes) -> Deferred[Reply]:
        """
        Write a command.

        @param words: its name, and what belongs to it.
        @return: fires with the reply; with a L{RedisProblem} if there will be
            none.
        """
        return self._write([words])

    def transact(self, commands: list[tuple[bytes, ...]]) -> Deferred[Reply]:
        """
        Write commands of which the server does all or none.

        @param commands: the commands, in order: their words. They stand between
            C{MULTI} and C{EXEC}.
        @return: fires with the list of their replies; with a L{RedisProblem} if
            there will be none.
        """
        return self._write([(b"MULTI",), *commands, (b"EXEC",)])

    def _write(self, commands: list[tuple[bytes, ...]]) -> Deferred[Reply]:
        """
        Write commands, all or none of them.

        @return: fires with the reply to the last.
        """
        if not self.takesMore:
            return succeed(RedisProblem("the broker does not read"))
        last: Deferred[Reply] = Deferred()
        self._replies.extend([None] * (len(commands) - 1))
        self._replies.append(last)
        self.transport.write(b"".join([command(*words) for words in commands]))
        return last

    def writePing(self) -> None:
        """
        Ask for a sign of life.
        """
        self.ask(b"PING")

    def replyReceived(self, reply: Reply) -> None:
        """
        Give a reply to who waits for it. There is nothing else here: nothing is
        subscribed to.
        """
        if not self._replies:
            self.fail("the broker replies to what nobody has asked")
            return
        self._answer(reply)

    def _answer(self, reply: Reply) -> None:
        waiting = self._replies.popleft()
        if waiting is not None:
            waiting.callback(reply)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        There are no replies any more.
        """
        super().connectionLost(reason)
        while self._replies:
            self._answer(RedisProblem("the connection is lost"))


@implementer(IPresence)
class RedisPresence(LinkUser):
    """
    Who is where, in Redis.

    For each room there is a set of the nodes that have somebody in it, and for
    each of these a hash of its members. All expire, and are written anew while
    the node is alive.

    @ivar description: where the server is, for people; without passwords.
    """

    log = packageLogger()

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        description: str,
        node: bytes,
        *,
        login: RedisLogin | None = None,
        prefix: str = PREFIX,
        lifetime: int = LIFETIME,
        limits: RelayLimits | None = None,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param endpoint: how to get to the server; with TLS, if that is wanted.
        @param description: where that is, for people; without passwords.
        @param node: the name of this node.
        @param login: who we are; C{None} for nobody special.
        @param prefix: what stands in front of all keys.
        @param lifetime: how many seconds everything is kept.
        @param limits: how long connecting and the like may take.
        @param clock: measures the time; C{None} for the reactor.
        @raise ImportError: if txredisapi is not installed.
        """
        checkInstalled()
        self.description = description
        self._members = Members(node)
        self._prefix = prefix
        self._lifetime = lifetime
        self._clock = clockOrReactor(clock)
        who = login or RedisLogin()
        self._link = BrokerLink(
            endpoint,
            description,
            lambda link: RedisPresenceConnection(link, who),
            self,
            limits or RelayLimits(),
            self._clock,
        )
        self._refreshing: IDelayedCall | None = None
        self._problem = ""
        # The rooms that are to be written as a whole, as soon as the server reads.
        self._stale: dict[str, None] = {}

    def start(self) -> Deferred[bool]:
        """
        Connect, and stay connected.
        """
        return self._link.start()

    def stop(self) -> Deferred[None]:
        """
        Take all members away, and close the connection.
        """
        rooms = dict.fromkeys(self._members.rooms)
        self._members.rooms.clear()
        self._writeRooms(rooms)
        self._stopRefreshing()
        return self._link.stop()

    def set(self, room: str, member: str, data: bytes) -> None:
        """
        Write down a member.
        """
        self._members.set(room, member, data)
        self._change(room, (b"HSET", self._here(room), member.encode(), data))

    def remove(self, room: str, member: str) -> None:
        """
        Take a member away.
        """
        if self._members.remove(room, member):
            self._change(room, (b"HDEL", self._here(room), member.encode()))

    def membersOf(self, room: str) -> Deferred[list[Present]]:
        """
        List who is in a room.
        """
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

    # What the link calls

    def linkUp(self) -> None:
        """
        The server is reached: write everything, as it may have forgotten it.
        """
        self._problem = ""
        self._refresh()

    def linkDown(self, reason: str) -> None:
        """
        The server cannot be reached. What it has not been told expires.
        """
        self._stopRefreshing()
        self._stale.clear()
        self._warn(f"is not reached: {reason}")

    def linkWritable(self) -> None:
        """
        The server reads again: write what it has not got.
        """
        self._writeRooms(self._stale)

    # What is written

    def _refresh(self) -> None:
        """
        Write everything, and again in a while.
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
        Write a change of a room; or the room, later, if the server does not read.
        """
        connection = self._connection
        if connection is None:
            return
        if not connection.takesMore:
            self._stale[room] = None
            return
        connection.transact([change, *self._listing(room)]).addCallback(self._look)

    def _writeRooms(self, rooms: dict[str, None]) -> None:
        """
        Write rooms as a whole, as far as the server reads, and take them out.
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
            connection.transact([*commands, *self._listing(room)]).addCallback(self._look)

    def _listing(self, room: str) -> list[tuple[bytes, ...]]:
        """
        Make the commands that say whether this node has somebody in a room.
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
    def _connection(self) -> RedisPresenceConnection | None:
        return cast("RedisPresenceConnection | None", self._link.connection)

    def _ask(self, *words: bytes) -> Deferred[Reply]:
        if self._connection is None:
            return succeed(RedisProblem("there is no connection"))
        return self._connection.ask(*words)

    def _look(self, reply: Reply) -> None:
        """
        Say it once if the server refuses what is written.
        """
        if isinstance(reply, RedisProblem) and self._connection is not None:
            self._warn(f"says: {reply.text}")

    def _warn(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self.log.warn(
                "who is where: {redis} {problem}", redis=self.description, problem=problem
            )

    def _here(self, room: str, node: bytes | None = None) -> bytes:
        """
        Name the hash with the members of a node in a room.
        """
        name = (self._members.node if node is None else node).hex()
        return f"{self._prefix}:here:{name}:{room}".encode()

    def _where(self, room: str) -> bytes:
        """
        Name the set of the nodes that have somebody in a room.
        """
        return f"{self._prefix}:where:{room}".encode()


def _membersIn(node: bytes, fields: Reply) -> list[Present]:
    """
    Read the hash of a node.
    """
    if not isinstance(fields, list):
        return []
    return [
        Present(node, member.decode(errors="replace"), data)
        for member, data in zip(fields[::2], fields[1::2], strict=False)
        if isinstance(member, bytes) and isinstance(data, bytes)
    ]
