"""
Tests for L{openfl_twisted.brokers.redispresence}, with an in-memory server.
"""

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.brokers import redispresence
from openfl_twisted.brokers.redispresence import RedisPresence
from openfl_twisted.brokers.redisreplies import command
from openfl_twisted.rooms.presence import IPresence, Present
from tests.brokers.doubles import LIMITS, NODE, OTHER, Broker, BrokerPeer
from tests.doubles import linesOf

HELLO = b"*2\r\n$5\r\nproto\r\n:2\r\n"


class RedisPresenceTests(SynchronousTestCase):
    """
    L{RedisPresence} with a Redis server.
    """

    HERE = b"openfl:here:" + NODE.hex().encode()

    def setUp(self) -> None:
        self.broker = Broker()
        self.clock = self.broker.clock
        self.presence = RedisPresence(
            self.broker.endpoint,
            "redis://broker:6379",
            NODE,
            lifetime=30,
            limits=LIMITS,
            clock=self.clock,
        )

    def connect(self, capacity: int | None = None) -> BrokerPeer:
        """
        Start the presence and complete its login.
        """
        started = self.presence.start()
        transport = self.logIn(capacity)
        self.assertTrue(self.successResultOf(started))
        return transport

    def logIn(self, capacity: int | None = None) -> BrokerPeer:
        """
        Accept a connection and complete the login.
        """
        transport = self.broker.accept(capacity)
        transport.arrive(HELLO)
        transport.takeOutput()
        return transport

    def storeCommands(self, room: bytes, *members: bytes, replace: bool = False) -> bytes:
        """
        Return the commands that store the members of a room.
        """
        here, where = self.HERE + b":" + room, b"openfl:where:" + room
        return b"".join(
            command(*words)
            for words in [
                (b"MULTI",),
                *([(b"DEL", here)] if replace else []),
                *([(b"HSET", here, *members)] if members else []),
                (b"EXPIRE", here, b"30"),
                (b"SADD", where, NODE),
                (b"EXPIRE", where, b"30"),
                (b"EXEC",),
            ]
        )

    def test_set(self) -> None:
        """
        A member is stored in one transaction, with keys that expire.
        """
        self.assertIsInstance(self.presence, IPresence)
        transport = self.connect()
        self.presence.set("hall", "änn", b"1")
        self.assertEqual(transport.takeOutput(), self.storeCommands(b"hall", "änn".encode(), b"1"))

    def test_remove(self) -> None:
        """
        A member is removed. With the last member, the node is removed from the room.
        """
        transport = self.connect()
        for member in ("ann", "bob"):
            self.presence.set("hall", member, b"")
        transport.takeOutput()
        self.presence.remove("hall", "ann")
        removing = command(b"HDEL", self.HERE + b":hall", b"ann")
        self.assertEqual(
            transport.takeOutput(),
            self.storeCommands(b"hall").replace(command(b"MULTI"), command(b"MULTI") + removing),
        )
        self.presence.remove("hall", "ann")
        self.assertEqual(transport.takeOutput(), b"")
        self.presence.remove("hall", "bob")
        self.assertEqual(
            transport.takeOutput(),
            self.removeCommands(command(b"HDEL", self.HERE + b":hall", b"bob")),
        )

    def removeCommands(self, memberCommand: bytes) -> bytes:
        """
        Return the transaction that removes this node from the room.
        """
        listing = command(b"SREM", b"openfl:where:hall", NODE)
        return command(b"MULTI") + memberCommand + listing + command(b"EXEC")

    def test_membersOf(self) -> None:
        """
        The members of this node are taken from memory, and those of other nodes from
        Redis. Unexpected values are ignored.
        """
        transport = self.connect()
        self.presence.set("hall", "ann", b"1")
        transport.takeOutput()
        transport.arrive(b"+OK\r\n" + b"+QUEUED\r\n" * 4 + b"*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n")
        lookup = self.presence.membersOf("hall")
        self.assertEqual(transport.takeOutput(), command(b"SMEMBERS", b"openfl:where:hall"))
        transport.arrive(b"*4\r\n$16\r\n%b\r\n$16\r\n%b\r\n$1\r\nx\r\n:1\r\n" % (NODE, OTHER))
        asked = transport.takeOutput()
        self.assertEqual(asked.count(b"HGETALL"), 2)
        self.assertIn(b"openfl:here:" + OTHER.hex().encode() + b":hall", asked)
        transport.arrive(b"*4\r\n$3\r\nbob\r\n$1\r\n2\r\n:1\r\n$1\r\n3\r\n-WRONGTYPE\r\n")
        self.assertEqual(
            self.successResultOf(lookup),
            [Present(NODE, "ann", b"1"), Present(OTHER, "bob", b"2")],
        )

    def test_manyNodes(self) -> None:
        """
        The number of nodes whose members are looked up is limited.
        """
        self.patch(redispresence, "MAX_NODES", 3)
        transport = self.connect()
        transport.takeOutput()
        lookup = self.presence.membersOf("hall")
        nodes = b"".join(b"$16\r\n%b\r\n" % (b"%016d" % number) for number in range(5))
        transport.arrive(b"*5\r\n" + nodes)
        self.assertEqual(transport.takeOutput().count(b"HGETALL"), 3)
        transport.arrive(b"*0\r\n" * 3)
        self.assertEqual(self.successResultOf(lookup), [])

    def test_down(self) -> None:
        """
        While Redis is unreachable, only the members of this node are listed. They are
        stored after connecting.
        """
        with capturedLogs() as logs:
            started = self.presence.start()
            self.broker.refuse()
        self.assertFalse(self.successResultOf(started))
        self.assertIn("presence in redis://broker:6379: no connection: ", linesOf(logs)[0])
        self.presence.set("hall", "ann", b"1")
        self.presence.set("hall", "bob", b"2")
        self.presence.set("attic", "eve", b"3")
        self.presence.remove("attic", "eve")
        self.assertEqual(len(self.successResultOf(self.presence.membersOf("hall"))), 2)
        self.clock.advance(2.5)
        transport = self.broker.accept()
        transport.takeOutput()
        transport.arrive(HELLO)
        self.assertEqual(
            transport.takeOutput(),
            self.storeCommands(b"hall", b"ann", b"1", b"bob", b"2", replace=True),
        )

    def test_lost(self) -> None:
        """
        A lookup pending when the connection is lost returns the members of this node, and
        the client reconnects.
        """
        transport = self.connect()
        self.presence.set("hall", "ann", b"1")
        lookup = self.presence.membersOf("hall")
        transport.breakConnection()
        self.assertEqual(self.successResultOf(lookup), [Present(NODE, "ann", b"1")])
        self.clock.advance(40)
        self.assertEqual(self.broker.accept().takeOutput(), command(b"HELLO", b"2"))

    def test_refresh(self) -> None:
        """
        All members are stored again three times per lifetime.
        """
        transport = self.connect()
        self.presence.set("hall", "ann", b"1")
        written = self.storeCommands(b"hall", b"ann", b"1", replace=True)
        for _ in range(3):
            for isDue in (False, True):
                transport.arrive(b"_\r\n" * transport.takeOutput().count(b"*"))
                self.clock.advance(5)
                output = transport.takeOutput()
                self.assertEqual(written in output, isDue)
                transport.arrive(b"_\r\n" * output.count(b"*"))

    def test_slow(self) -> None:
        """
        While Redis does not read, nothing is written. Changed rooms are then stored one
        by one, each completely.
        """
        transport = self.connect(capacity=1000)
        # More than the buffer of the transport.
        long = b"1" * 70_000
        self.presence.set("attic", "eve", long)
        self.presence.set("hall", "ann", long)
        self.presence.set("hall", "bob", b"2")
        self.presence.remove("attic", "eve")
        transport.connection.toServer.resume()
        attic = self.storeCommands(b"attic", b"eve", long)
        while len(transport.received) < len(attic) + 1000:
            self.broker.network.step()
        # The hall is being written, so the attic is still stored later, and only once.
        self.presence.set("attic", "zoe", b"1")
        self.presence.remove("attic", "zoe")
        output = transport.takeOutput()
        hall = self.storeCommands(b"hall", b"ann", long, b"bob", b"2", replace=True)
        self.assertIn(attic + hall, output)
        _, _, rest = output.partition(attic + hall)
        self.assertEqual(rest.count(b"SREM"), 1)
        self.assertNotIn(b"HSET", rest)

    def test_refused(self) -> None:
        """
        A refused command is logged once.
        """
        transport = self.connect()
        with capturedLogs() as logs:
            for _ in range(2):
                self.presence.set("hall", "ann", b"1")
                transport.arrive(b"-NOPERM you may not\r\n" * 6)
        self.assertEqual(
            linesOf(logs), ["presence in redis://broker:6379: error reply: NOPERM you may not"]
        )

    def test_tooManyReplies(self) -> None:
        """
        An unexpected reply closes the connection.
        """
        transport = self.connect()
        transport.arrive(b"+OK\r\n")
        self.assertTrue(transport.closed)

    def test_tooManyPending(self) -> None:
        """
        With too many pending replies, only the members of this node are listed, and
        storing is delayed.
        """
        self.patch(redispresence, "MAX_PENDING", 2)
        transport = self.connect()
        for _ in range(2):
            self.assertNoResult(self.presence.membersOf("hall"))
        self.assertEqual(self.successResultOf(self.presence.membersOf("hall")), [])
        transport.takeOutput()
        self.presence.set("attic", "ann", b"1")
        self.assertEqual(transport.takeOutput(), b"")
        transport.arrive(b"_\r\n_\r\n")
        self.clock.advance(10)
        self.assertIn(
            self.storeCommands(b"attic", b"ann", b"1", replace=True), transport.takeOutput()
        )

    def test_stop(self) -> None:
        """
        A stopped node removes its members.
        """
        transport = self.connect()
        self.presence.set("hall", "ann", b"1")
        transport.takeOutput()
        stopped = self.presence.stop()
        self.assertEqual(
            transport.takeOutput(), self.removeCommands(command(b"DEL", self.HERE + b":hall"))
        )
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])
