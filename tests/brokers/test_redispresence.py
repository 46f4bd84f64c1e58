"""
Tests for L{openfl_twisted.brokers.redispresence}, with a server in memory.
"""

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from openfl_twisted.brokers import redispresence
from openfl_twisted.brokers.redispresence import RedisPresence
from openfl_twisted.brokers.redisreplies import command
from openfl_twisted.rooms.presence import IPresence, Present
from tests.brokers.doubles import LIMITS, NODE, OTHER, Broker, Line
from tests.doubles import linesOf

HELLO = b"%1\r\n$5\r\nproto\r\n:3\r\n"


class RedisPresenceTests(SynchronousTestCase):
    """
    L{RedisPresence} and a server of Redis.
    """

    HERE = b"openfl:here:" + NODE.hex().encode()

    def setUp(self) -> None:
        self.broker = Broker()
        self.clock: Clock = self.broker.clock
        self.presence = RedisPresence(
            self.broker.way,
            "redis://broker:6379",
            NODE,
            lifetime=30,
            limits=LIMITS,
            clock=self.clock,
        )

    def begin(self, room: int = 1_000_000) -> Line:
        """
        Start, and be let in.
        """
        started = self.presence.start()
        line = self.letIn(room)
        self.assertTrue(self.successResultOf(started))
        return line

    def letIn(self, room: int = 1_000_000) -> Line:
        """
        Be let in.
        """
        line = self.broker.accept(room)
        line.arrive(HELLO)
        line.said()
        return line

    def written(self, room: bytes, *members: bytes, anew: bool = False) -> bytes:
        """
        The commands that write members down.
        """
        here, where = self.HERE + b":" + room, b"openfl:where:" + room
        return b"".join(
            command(*words)
            for words in [
                (b"MULTI",),
                *([(b"DEL", here)] if anew else []),
                *([(b"HSET", here, *members)] if members else []),
                (b"EXPIRE", here, b"30"),
                (b"SADD", where, NODE),
                (b"EXPIRE", where, b"30"),
                (b"EXEC",),
            ]
        )

    def test_set(self) -> None:
        """
        A member is written down with keys that expire, all of that or nothing.
        """
        verifyObject(IPresence, self.presence)
        line = self.begin()
        self.presence.set("hall", "änn", b"1")
        self.assertEqual(line.said(), self.written(b"hall", "änn".encode(), b"1"))

    def test_remove(self) -> None:
        """
        A member is taken away, and with the last one the node is.
        """
        line = self.begin()
        for member in ("ann", "bob"):
            self.presence.set("hall", member, b"")
        line.said()
        self.presence.remove("hall", "ann")
        removing = command(b"HDEL", self.HERE + b":hall", b"ann")
        self.assertEqual(
            line.said(),
            self.written(b"hall").replace(command(b"MULTI"), command(b"MULTI") + removing),
        )
        self.presence.remove("hall", "ann")
        self.assertEqual(line.said(), b"")
        self.presence.remove("hall", "bob")
        self.assertEqual(line.said(), self.gone(command(b"HDEL", self.HERE + b":hall", b"bob")))

    def gone(self, how: bytes) -> bytes:
        """
        The commands that say that nobody is in the hall.
        """
        listing = command(b"SREM", b"openfl:where:hall", NODE)
        return command(b"MULTI") + how + listing + command(b"EXEC")

    def test_membersOf(self) -> None:
        """
        The members of this node come from memory, and of the others from Redis;
        what somebody else has put there is passed over.
        """
        line = self.begin()
        self.presence.set("hall", "ann", b"1")
        line.said()
        line.arrive(b"+OK\r\n" + b"+QUEUED\r\n" * 4 + b"*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n")
        looking = self.presence.membersOf("hall")
        self.assertEqual(line.said(), command(b"SMEMBERS", b"openfl:where:hall"))
        line.arrive(b"~4\r\n$16\r\n%b\r\n$16\r\n%b\r\n$1\r\nx\r\n:1\r\n" % (NODE, OTHER))
        asked = line.said()
        self.assertEqual(asked.count(b"HGETALL"), 2)
        self.assertIn(b"openfl:here:" + OTHER.hex().encode() + b":hall", asked)
        line.arrive(b"%2\r\n$3\r\nbob\r\n$1\r\n2\r\n:1\r\n$1\r\n3\r\n-WRONGTYPE\r\n")
        self.assertEqual(
            self.successResultOf(looking),
            [Present(NODE, "ann", b"1"), Present(OTHER, "bob", b"2")],
        )

    def test_down(self) -> None:
        """
        While Redis cannot be reached there are the members of this node, and all
        of them are written when it can be.
        """
        with capturedLogs() as logs:
            started = self.presence.start()
            self.broker.refuse()
        self.assertFalse(self.successResultOf(started))
        self.assertIn("redis://broker:6379 cannot be reached: ", linesOf(logs)[0])
        self.presence.set("hall", "ann", b"1")
        self.presence.set("hall", "bob", b"2")
        self.presence.set("attic", "eve", b"3")
        self.presence.remove("attic", "eve")
        self.assertEqual(len(self.successResultOf(self.presence.membersOf("hall"))), 2)
        self.clock.advance(2.5)
        line = self.broker.accept()
        line.said()
        line.arrive(HELLO)
        self.assertEqual(line.said(), self.written(b"hall", b"ann", b"1", b"bob", b"2", anew=True))

    def test_lost(self) -> None:
        """
        Who looks up a room while the connection is lost gets the members of this
        node, and it is connected to again.
        """
        line = self.begin()
        self.presence.set("hall", "ann", b"1")
        looking = self.presence.membersOf("hall")
        line.lose()
        self.assertEqual(self.successResultOf(looking), [Present(NODE, "ann", b"1")])
        self.clock.advance(40)
        self.assertEqual(self.broker.accept().said(), command(b"HELLO", b"3"))

    def test_refresh(self) -> None:
        """
        While the node is alive everything is written again, three times in a
        lifetime.
        """
        line = self.begin()
        self.presence.set("hall", "ann", b"1")
        self.clock.advance(4)
        written = self.written(b"hall", b"ann", b"1", anew=True)
        for _ in range(3):
            line.arrive(b"_\r\n" * line.said().count(b"*"))
            self.clock.advance(6)
            said = line.said()
            self.assertIn(written, said)
            line.arrive(b"_\r\n" * said.count(b"*"))
            self.clock.advance(4)

    def test_slow(self) -> None:
        """
        While Redis does not read, nothing is written to it; when it does, the
        rooms that have changed are, one by one, each as a whole.
        """
        line = self.begin(room=50)
        self.presence.set("attic", "eve", b"1")
        first = line.value()
        self.presence.set("hall", "ann", b"1")
        self.presence.set("hall", "bob", b"2")
        self.presence.remove("attic", "eve")
        self.assertEqual(line.value(), first)
        line.drain()
        hall = self.written(b"hall", b"ann", b"1", b"bob", b"2", anew=True)
        self.assertEqual(line.value(), hall)
        line.drain()
        self.assertIn(b"SREM", line.value())
        self.assertNotIn(b"HSET", line.value())
        line.drain()
        self.assertEqual(line.value(), b"")

    def test_refused(self) -> None:
        """
        What Redis refuses is logged, once.
        """
        line = self.begin()
        with capturedLogs() as logs:
            for _ in range(2):
                self.presence.set("hall", "ann", b"1")
                line.arrive(b"-NOPERM you may not\r\n" * 6)
        self.assertEqual(linesOf(logs), ["presence: redis://broker:6379 says: NOPERM you may not"])

    def test_tooManyReplies(self) -> None:
        """
        A reply that nobody has asked for ends the connection.
        """
        line = self.begin()
        line.arrive(b"+OK\r\n")
        self.assertTrue(line.closed)

    def test_tooManyQuestions(self) -> None:
        """
        When too many replies are waited for there are only the members of this
        node, and what is written down waits.
        """
        self.patch(redispresence, "MAX_PENDING", 2)
        line = self.begin()
        for _ in range(2):
            self.assertNoResult(self.presence.membersOf("hall"))
        self.assertEqual(self.successResultOf(self.presence.membersOf("hall")), [])
        line.said()
        self.presence.set("attic", "ann", b"1")
        self.assertEqual(line.said(), b"")
        line.arrive(b"_\r\n_\r\n")
        self.clock.advance(10)
        self.assertIn(self.written(b"attic", b"ann", b"1", anew=True), line.said())

    def test_stop(self) -> None:
        """
        A node that ends takes its members away.
        """
        line = self.begin()
        self.presence.set("hall", "ann", b"1")
        line.said()
        stopped = self.presence.stop()
        self.assertEqual(line.said(), self.gone(command(b"DEL", self.HERE + b":hall")))
        line.drain()
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])
