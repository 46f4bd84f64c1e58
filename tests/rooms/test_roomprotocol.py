"""
Tests for L{openfl_twisted.rooms.roomprotocol} and
L{openfl_twisted.rooms.distributedrooms}.
"""

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.brokers.outbox import BrokerLimits, Outbox
from openfl_twisted.protocols.websocket import WebSocketFactory
from openfl_twisted.rooms.distributedrooms import DistributedRooms
from openfl_twisted.rooms.lobby import Lobby, LobbyObserver
from openfl_twisted.rooms.presence import Members, MemoryPresence, Present
from openfl_twisted.rooms.pubsub import MemoryBroker, MemoryPubSub
from openfl_twisted.rooms.room import Room, RoomLimits
from openfl_twisted.rooms.roomprotocol import (
    PathRoomProtocol,
    RoomFactory,
    XMLRoomProtocol,
)
from openfl_twisted.transports.limits import NO_LIMITS
from openfl_twisted.transports.receivebuffer import MAX_WORK
from tests.brokers.lossybroker import LossyBroker, LossyPubSub
from tests.doubles import TightTransport, linesOf
from tests.frames import BINARY, CLOSE, RESPONSE, frame, framesIn
from tests.frames import REQUEST as UPGRADE
from tests.rooms.roomclient import Client
from tests.support.recipients import RecordingRecipient


class PathTests(SynchronousTestCase):
    """
    Rooms named by the request path.
    """

    def setUp(self) -> None:
        self.lobby = Lobby(RoomLimits(maxMembers=2), Clock())
        self.factory = RoomFactory(PathRoomProtocol, self.lobby)

    def test_path(self) -> None:
        """
        Clients with the same path receive each other's messages, and no others.
        """
        one = Client(self.factory, "/chess%20club?x=1")
        two = Client(self.factory, "/chess%20club/")
        other = Client(self.factory, "/go")
        one.send("hello", "<say>as it is</say>")
        self.assertEqual(two.read(), ["hello", "<say>as it is</say>"])
        self.assertEqual((self.factory.messagesIn, self.factory.messagesOut), (2, 2))
        self.assertEqual((one.read(), other.read()), ([], []))
        self.assertEqual(set(self.lobby.rooms), {"chess club", "go"})

    def test_roomClosed(self) -> None:
        """
        When an operator closes the room, its members are disconnected with the reason.
        """
        one, other = Client(self.factory, "/chess"), Client(self.factory, "/go")
        self.lobby.closeRoom(self.lobby.rooms["chess"], "too loud")
        self.assertEqual(one.closed, [(1008, "too loud")])
        self.assertTrue(one.transport.disconnecting)
        self.assertFalse(other.transport.disconnecting)

    def test_firstMessage(self) -> None:
        """
        Without a path, the first message names the room.
        """
        one, two = Client(self.factory), Client(self.factory, "/")
        one.send("chess")
        two.send("chess", "hello")
        self.assertEqual(one.read(), ["hello"])

    def test_validUTF8(self) -> None:
        """
        Invalid UTF-8 is replaced in forwarded messages.
        """
        one, two = Client(self.factory, "/a"), Client(self.factory, "/a")
        one.transport.arrive(b"gr\xfc\xdfe\0")
        self.assertEqual(two.read(), ["gr\u00fc\u00dfe"])

    def test_full(self) -> None:
        """
        A client that cannot join is closed. The close reason is sent if the transport
        supports it.
        """
        for _ in "ab":
            Client(self.factory, "/a")
        with capturedLogs() as logs:
            third = Client(self.factory, "/a")
            fourth = Client(self.factory)
            fourth.send("a")
        for client in (third, fourth):
            self.assertTrue(client.transport.disconnecting)
        self.assertEqual(third.closed, [(1008, "the room has 2 members, the maximum")])
        self.assertIn("disconnected: the room has 2 members, the maximum", linesOf(logs)[0])
        self.assertIsNone(third.protocol.member)

    def test_leave(self) -> None:
        """
        A client whose connection is lost leaves its room.
        """
        one = Client(self.factory, "/a")
        one.reset()
        self.assertEqual(self.lobby.rooms, {})
        Client(self.factory).reset()

    def test_plainTransport(self) -> None:
        """
        A client that cannot join is closed on a transport without close reasons, too.
        """
        Client(self.factory, "/a")
        Client(self.factory, "/a")
        client = Client(self.factory)
        client.send("a")
        self.assertTrue(client.transport.disconnecting)


class XMLTests(SynchronousTestCase):
    """
    Requests in XML.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.lobby = Lobby(RoomLimits(resume=10), self.clock)
        self.factory = RoomFactory(XMLRoomProtocol, self.lobby, announces=True)
        self.one, self.two = Client(self.factory), Client(self.factory)

    def joinBoth(self) -> None:
        """
        Let both clients join the same room.
        """
        self.one.send('<join room="chess" name="Ann"/>')
        self.two.send('<join room="chess" name="Ben"/>')
        self.one.read()
        self.two.read()

    def test_join(self) -> None:
        """
        A client that joins receives a welcome with its token, and the other members are notified
        without it.
        """
        self.one.send('<join room="chess" name="Ann"/>')
        self.two.send('<join room="chess" name="Ben"/>')
        [welcome, joined] = self.one.read()
        assert self.one.protocol.member is not None
        token = self.one.protocol.member.token
        self.assertEqual(welcome, f'<welcome room="chess" name="Ann" token="{token}" />')
        self.assertEqual(joined, '<joined name="Ben" />')
        [other] = self.two.read()
        self.assertNotIn(token, other)

    def test_path(self) -> None:
        """
        The request path names the room.
        """
        client = Client(self.factory, "/chess")
        [welcome] = client.read()
        self.assertIn('room="chess" name="guest1"', welcome)

    def test_say(self) -> None:
        """
        A message is delivered to the others with the name of its sender. A private
        message is delivered to one member.
        """
        self.joinBoth()
        self.one.send("<say>hello <b>all</b></say>", '<say to="Ben">psst</say>')
        self.assertEqual(
            self.two.read(),
            [
                '<say from="Ann">hello <b>all</b></say>',
                '<say from="Ann" private="true">psst</say>',
            ],
        )
        self.one.send('<say to="Cleo">psst</say>')
        self.assertEqual(
            self.one.read(), ['<error code="nobody">the room has no member Cleo</error>']
        )

    def test_forwarded(self) -> None:
        """
        A message that is not a request is forwarded unchanged to the other members.
        """
        self.joinBoth()
        self.one.send("<move x='1'/>", "hello")
        self.assertEqual(self.two.read(), ["<move x='1'/>", "hello"])

    def test_lists(self) -> None:
        """
        A client can list the members of its room, and the rooms.
        """
        self.joinBoth()
        self.two.send('<set key="color" value="red"/>', "<who/>", "<rooms/>")
        self.assertEqual(self.one.read(), ['<set name="Ben" key="color" value="red" />'])
        self.assertEqual(
            self.two.read(),
            [
                (
                    '<who room="chess"><member name="Ann" connected="true" />'
                    '<member name="Ben" connected="true"><data key="color" value="red" /></member>'
                    "</who>"
                ),
                '<rooms><room name="chess" members="2" /></rooms>',
            ],
        )

    def test_leave(self) -> None:
        """
        A client that leaves, or joins another room, is no longer a member of its room.
        """
        self.joinBoth()
        self.one.send("<leave/>", "hello")
        self.assertEqual(self.two.read(), ['<left name="Ann" />'])
        self.assertEqual(self.one.read(), ['<error code="room">you are not in a room</error>'])
        self.two.send('<join room="go" name="Ben"/>')
        self.assertEqual(set(self.lobby.rooms), {"go"})

    def test_stay(self) -> None:
        """
        A client that cannot join another room stays in its current one.
        """
        self.joinBoth()
        self.one.send("<join/>", "<who/>")
        error, listing = self.one.read()
        self.assertIn('code="name"', error)
        self.assertIn('<member name="Ann"', listing)
        self.assertEqual(self.two.read(), [])

    def test_closing(self) -> None:
        """
        Messages sent to a member while its connection closes are kept until it resumes.
        """
        self.joinBoth()
        assert self.one.protocol.member is not None
        token = self.one.protocol.member.token
        self.one.protocol.transport.loseConnection()
        self.two.send("<say>1</say>", "<say>2</say>")
        self.one.reset()
        again = Client(self.factory)
        again.send(f'<resume token="{token}"/>')
        self.assertEqual(len(again.read()), 3)

    def test_invalid(self) -> None:
        """
        An invalid request is answered with an error, and the connection stays open.
        """
        for message, code in (
            ("<say>", "xml"),
            ("<join/>", "name"),
            ("<who/>", "room"),
            ("<leave/>", "room"),
            ("<say>x</say>", "room"),
            ('<set key="a"/>', "room"),
            ('<resume token="x"/>', "token"),
            ("hello", "room"),
        ):
            self.one.send(message)
            [error] = self.one.read()
            self.assertTrue(error.startswith(f'<error code="{code}">'), error)
        self.joinBoth()
        self.one.send('<resume token="x"/>', '<join room="chess" name="Ben"/>')
        codes = [error.split('"')[1] for error in self.one.read()]
        self.assertEqual(codes, ["room", "taken"])

    def test_roomClosed(self) -> None:
        """
        When an operator closes the room, each member receives an error, and no C{<left>} of the
        others. The members can join again.
        """
        self.joinBoth()
        self.lobby.closeRoom(self.lobby.rooms["chess"], "too <loud>")
        error = '<error code="closed">too &lt;loud&gt;</error>'
        self.assertEqual((self.one.read(), self.two.read()), ([error], [error]))
        self.one.send("<who/>", '<join room="chess" name="Ann"/>')
        refused, welcome = self.one.read()
        self.assertIn('code="room"', refused)
        self.assertIn("<welcome", welcome)

    def test_refused(self) -> None:
        """
        A refused request is logged once for each client and limit.
        """
        self.lobby.limits = RoomLimits(maxRooms=1)
        full = "the limit of 1 rooms is reached"
        self.joinBoth()
        with capturedLogs() as logs:
            for _ in range(5):
                self.one.send('<join room="go"/>', '<join room="chess" name="Ben"/>', "<say>")
            self.two.send('<join room="go"/>')
        self.assertEqual(
            [line.split(" refused: ")[1] for line in linesOf(logs)],
            [full, "the name Ben is taken", full],
        )
        self.assertEqual((self.lobby.refused["rooms"], self.lobby.refused["taken"]), (6, 5))

    def test_closed(self) -> None:
        """
        A client that exceeds a limit receives an error before its connection is closed.
        """
        self.factory.given |= {"messageRate": 1, "maxLength": 100}
        self.factory._limits = (None, NO_LIMITS)
        for message, code in [("x\0" * 10, "rate"), ("x" * 101, "message")]:
            client = Client(self.factory)
            before = self.factory.messagesOut
            client.send('<join room="go"/>')
            with capturedLogs() as logs:
                client.send(message)
            welcome, error = client.read()
            self.assertEqual(self.factory.messagesOut - before, 2)
            self.assertIn("<welcome", welcome)
            self.assertIn(f'<error code="{code}">', error)
            self.assertTrue(client.transport.disconnecting)
            self.assertEqual((len(linesOf(logs)), self.factory.cut[code]), (1, 1))
            self.assertEqual(self.lobby.rooms, {})

    def test_closedWebSocket(self) -> None:
        """
        A WebSocket client that exceeds a limit receives an error and a close code.
        """
        self.factory.given |= {"messageRate": 1, "maxLength": 100}
        self.factory._limits = (None, NO_LIMITS)
        for message, code, number in [
            (b"x\0" * 10, "rate", 1008),
            (b"x" * 101, "message", 1009),
            (b"x" * 201, "message", 1009),
        ]:
            factory = WebSocketFactory(self.factory, maxFrame=200, clock=Clock())
            protocol = factory.buildProtocol(None)
            transport = TightTransport(protocol, 1 << 20)
            transport.atOnce = False
            protocol.makeConnection(transport)
            transport.arrive(UPGRADE + frame(BINARY, message))
            _, *errors, (opcode, close) = framesIn(transport.drainAll()[len(RESPONSE) :])
            self.assertEqual((opcode, int.from_bytes(close[:2])), (CLOSE, number))
            [(_, error)] = errors
            self.assertIn(f'<error code="{code}">'.encode(), error)

    def test_resume(self) -> None:
        """
        A client that reconnects with its token resumes its membership and gets its missed
        messages.
        """
        self.joinBoth()
        assert self.one.protocol.member is not None
        token = self.one.protocol.member.token
        self.one.reset()
        self.two.send("<say>are you there?</say>", "<who/>")
        self.assertIn('<member name="Ann" connected="false" />', self.two.read()[-1])
        again = Client(self.factory)
        again.send(f'<resume token="{token}"/>')
        self.assertEqual(
            again.read(),
            [
                f'<welcome room="chess" name="Ann" token="{token}" lost="0" />',
                '<say from="Ben">are you there?</say>',
            ],
        )

    def test_replaced(self) -> None:
        """
        An open connection is closed when another one resumes its membership, and the
        member stays.
        """
        self.joinBoth()
        assert self.one.protocol.member is not None
        token = self.one.protocol.member.token
        again = Client(self.factory)
        again.send(f'<resume token="{token}"/>')
        self.assertTrue(self.one.transport.disconnecting)
        self.one.reset()
        again.read()
        self.two.send("<say>hello</say>")
        self.assertEqual(again.read(), ['<say from="Ben">hello</say>'])

    def test_kicked(self) -> None:
        """
        A client disconnected by the operator or by a limit leaves its room immediately,
        and cannot resume.
        """
        for reason in ("kicked", "too long", "closed for something"):
            self.setUp()
            self.joinBoth()
            assert self.one.protocol.member is not None
            token = self.one.protocol.member.token
            match reason:
                case "kicked":
                    self.one.protocol.disconnectedByOperator()
                    self.one.transport.loseConnection()
                case "too long":
                    self.one.transport.arrive(b"x" * (self.one.protocol.limits.maxLength + 1))
                case _:
                    self.one.protocol.closeFor(reason)
            self.assertEqual(self.two.read(), ['<left name="Ann" />'])
            self.one.reset()
            again = Client(self.factory)
            again.send(f'<resume token="{token}"/>')
            self.assertIn('<error code="token">', again.read()[0])
        self.one.protocol.disconnectedByOperator()

    def test_slow(self) -> None:
        """
        A slow client is disconnected and can resume. Its queued messages are lost, and
        their number is reported.
        """
        self.factory.given["maxQueue"] = 1000
        self.one = Client(self.factory)
        self.joinBoth()
        assert self.one.protocol.member is not None
        token = self.one.protocol.member.token
        self.one.transport.room = 0
        count = 0
        while not self.one.transport.disconnecting:
            count += 1
            self.two.send(f"<say>{count:03}</say>")
        self.assertEqual(self.factory.cut["queue"], 1)
        self.one.reset()
        again = Client(self.factory)
        again.send(f'<resume token="{token}"/>')
        # The first message was partly written, so it is not counted.
        self.assertIn(f'lost="{count - 1}"', again.read()[0])
        self.assertEqual(self.lobby.lost, count - 1)

    def test_slowCompressed(self) -> None:
        """
        The number of lost messages is correct with compression, too.
        """
        self.factory.given["maxQueue"] = 1000
        self.factory._limits = (None, NO_LIMITS)
        self.joinBoth()
        factory = WebSocketFactory(self.factory, clock=self.clock, compress=True)
        protocol = factory.buildProtocol(None)
        transport = TightTransport(protocol, 0)
        protocol.makeConnection(transport)
        transport.arrive(UPGRADE + frame(BINARY, b'<join room="chess" />\0'))
        transport.drainAll()
        count = 0
        while not transport.closed:
            count += 1
            self.two.send(f"<say>{count}</say>")
        self.assertEqual(self.lobby.lost, count - 1)

    def test_slowOutsideRoom(self) -> None:
        """
        A client that does not read the answers to its requests is disconnected. No room
        loses a message.
        """
        self.factory.given["maxQueue"] = 1000
        client = Client(self.factory)
        client.transport.room = 0
        while not client.transport.disconnecting:
            client.send("hello")
        self.assertEqual((self.factory.cut["queue"], self.lobby.lost), (1, 0))

    def test_tooLate(self) -> None:
        """
        A disconnected member leaves after the resume time.
        """
        self.joinBoth()
        self.one.reset()
        self.two.send("<say>too late</say>")
        self.clock.advance(10)
        self.assertEqual(self.two.read(), ['<left name="Ann" />'])
        self.assertEqual(self.lobby.lost, 1)


class SlowBroker:
    """
    Remote rooms with a broker that is congested after a number of messages.

    @ivar congestedFrom: number of messages.
    @ivar blocked: the callbacks waiting for the broker.
    """

    def __init__(self, lobby: Lobby) -> None:
        self.congestedFrom = 2
        self.blocked: list[Callable[[], object]] = []
        self.published: list[bytes] = []
        lobby.remoteRooms = self
        observer = LobbyObserver()
        observer.messageSent = lambda room, message: self.published.append(message)  # type: ignore[method-assign]
        lobby.observers.append(observer)

    @property
    def congested(self) -> bool:
        return len(self.published) >= self.congestedFrom

    def whenDrained(self, callback: Callable[[], object]) -> None:
        self.blocked.append(callback)

    def drain(self, count: int) -> None:
        """
        Accept further messages, and call the waiting callbacks.
        """
        self.congestedFrom += count
        blocked, self.blocked = self.blocked, []
        for each in blocked:
            each()

    def sendTo(self, room: Room, name: str, message: bytes) -> None:
        raise NotImplementedError

    def others(self, room: Room) -> Deferred[list[str]]:
        raise NotImplementedError


class CongestionTests(SynchronousTestCase):
    """
    Senders are paused while the broker is congested.
    """

    def setUp(self) -> None:
        lobby = Lobby(RoomLimits(), Clock())
        self.broker = SlowBroker(lobby)
        factory = RoomFactory(PathRoomProtocol, lobby)
        self.ann, self.ben = (Client(factory, "/a") for _ in range(2))

    def test_order(self) -> None:
        """
        All messages are handled in order, including those received in one read, and none
        while the broker is congested.
        """
        self.ann.transport.arrive(b"1\0002\0003\0004\0005\0")
        self.ann.send("6")
        self.assertEqual(self.broker.published, [b"1\0", b"2\0"])
        self.broker.drain(3)
        self.assertEqual(len(self.broker.published), 5)
        self.broker.drain(9)
        self.assertEqual(self.ben.read(), list("123456"))
        self.assertEqual(self.broker.blocked, [])

    def test_otherSenders(self) -> None:
        """
        The first message of another client is held too, since the broker would drop it.
        """
        self.ann.send("1", "2", "3")
        self.ben.send("4")
        self.assertEqual(len(self.broker.published), 2)
        self.broker.drain(2)
        self.assertEqual(self.broker.published[2:], [b"3\0", b"4\0"])

    def test_paused(self) -> None:
        """
        A held client can be paused and resumed in the meantime.
        """
        self.ann.send("1", "2", "3")
        self.ann.protocol.transport.pauseProducing()
        self.ann.protocol.transport.resumeProducing()
        self.assertEqual(len(self.broker.published), 2)
        self.broker.drain(1)
        self.assertEqual(len(self.broker.published), 3)

    def test_close(self) -> None:
        """
        Messages received before the client closed the connection are handled. The
        broker's callback does nothing then.
        """
        self.ann.transport.arrive(b"1\0002\0003\0004\0")
        self.ann.transport._close(ConnectionDone())
        self.assertEqual(self.broker.published, [b"1\0", b"2\0", b"3\0", b"4\0"])
        self.broker.drain(9)
        self.assertEqual(self.ben.read(), list("1234"))

    def test_reset(self) -> None:
        """
        Held messages are dropped when the connection is reset.
        """
        self.ann.transport.arrive(b"1\0002\0003\0")
        self.ann.reset()
        self.broker.drain(9)
        self.assertEqual(self.ben.read(), ["1", "2"])


class IterationTests(SynchronousTestCase):
    """
    Messages received in one read are handled in several reactor iterations. Expensive
    messages use up an iteration sooner.
    """

    def setUp(self) -> None:
        self.lobby = Lobby(RoomLimits(), Clock())
        self.clock = Clock()
        self.factory = RoomFactory(XMLRoomProtocol, self.lobby, announces=True)
        self.factory.clock = self.clock
        self.factory.given["maxQueue"] = 1 << 30
        self.client = Client(self.factory)

    def flood(self, message: str) -> int:
        """
        Receive 200 copies of a message in one read.

        @return: the number of answers in the first iteration.
        """
        before = self.factory.messagesOut
        self.client.transport.arrive((message + "\0").encode() * 200)
        first = self.factory.messagesOut - before
        while self.clock.getDelayedCalls():
            self.clock.advance(0)
        self.assertEqual(self.factory.messagesOut - before, 200)
        return first

    def test_longMessage(self) -> None:
        """
        A long message is delivered to few members in an iteration. A member that leaves
        or joins in the meantime does not receive it. Later messages of the sender follow
        it.
        """
        self.client.send('<join room="a"/>')
        recipients = [RecordingRecipient() for _ in range(20)]
        members = [self.lobby.join("a", recipient) for recipient in recipients]
        for recipient in recipients:
            recipient.received.clear()
        text = "<say>%s</say>" % ("x" * 1_000_000)
        self.client.send(text, "<say>b</say>")
        counts = []
        while self.clock.getDelayedCalls():
            counts.append(sum(bool(each.received) for each in recipients))
            if counts == [0, 0, 5]:
                self.lobby.leave(members.pop())
                late = RecordingRecipient()
                self.lobby.join("a", late)
                for each in (*recipients, late):
                    each.received.clear()
            [call] = self.clock.getDelayedCalls()
            run = cast("Any", call).func
            call.cancel()
            run()
        self.assertEqual(counts[:3], [0, 0, 5])
        received = [[len(each) for each in recipient.received] for recipient in recipients]
        short = len(b'<say from="guest1">b</say>\0')
        long = short + 1_000_000 - 1
        self.assertEqual(received, [[short]] * 5 + [[long, short]] * 14 + [[]])
        self.assertEqual([len(each) for each in late.received], [short])

    def test_longToAll(self) -> None:
        """
        In rooms named by their paths, too, a long message is delivered to few members in
        an iteration.
        """
        factory = RoomFactory(PathRoomProtocol, self.lobby, clock=self.clock)
        client = Client(factory, "/a")
        recipients = [RecordingRecipient() for _ in range(20)]
        for recipient in recipients:
            self.lobby.join("a", recipient)
        for recipient in recipients:
            recipient.received.clear()
        client.send("x" * 1_000_000)
        self.assertEqual(sum(len(each.received) for each in recipients), 0)
        while self.clock.getDelayedCalls():
            self.clock.advance(0)
        self.assertEqual([len(each.received) for each in recipients], [1] * 20)

    def test_rooms(self) -> None:
        """
        A list of many rooms counts as several messages, also for a client in no room.
        """
        few = self.flood("<rooms/>")
        for number in range(1000):
            self.lobby.join(f"room {number}", RecordingRecipient())
        self.assertEqual((few, self.flood("<rooms/>")), (200, 5))

    def test_who(self) -> None:
        """
        A list of many members counts as several messages, and as more if they have
        attributes.
        """
        self.client.send('<join room="a"/>')
        few = self.flood("<who/>")
        members = [self.lobby.join("a", RecordingRecipient()) for _ in range(400)]
        many = self.flood("<who/>")
        for member in members:
            for key in range(9):
                self.lobby.setAttribute(member, str(key), "x")
        self.assertEqual((few, many, self.flood("<who/>")), (200, 10, 2))

    def test_joinAndLeave(self) -> None:
        """
        Announcements of members that join and leave count once for each receiver, even if
        the client is in no room afterwards.
        """
        self.client.send('<join room="a"/>')
        for _ in range(400):
            self.lobby.join("a", RecordingRecipient())
        moves = '<leave/>\0<join room="a"/>'
        # Each request causes two announcements.
        self.assertEqual(self.flood(moves), 1)


class NodeTests(SynchronousTestCase):
    """
    Distributed rooms.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.broker = LossyBroker()
        self.board: list[Members] = []
        self.nodes: list[LossyPubSub] = []
        self.factories: list[RoomFactory] = []
        self.clients = [self.begin("Ann"), self.begin("Ben")]
        for client in self.clients:
            client.read()

    def begin(self, name: str, *, hasPresence: bool = True) -> Client:
        """
        Start a node with one client in a room.

        @param name: the client's name.
        @param hasPresence: whether the node has an L{IPresence}.
        """
        lobby = Lobby(RoomLimits(), self.clock)
        factory = RoomFactory(XMLRoomProtocol, lobby, announces=True)
        factory.clock = self.clock
        self.factories.append(factory)
        pubSub = LossyPubSub(self.broker, clock=self.clock)
        presence = MemoryPresence(pubSub.node, self.board) if hasPresence else None
        if presence is not None:
            presence.start()
        DistributedRooms(lobby, pubSub, presence, announces=True)
        pubSub.start()
        self.clock.advance(0)
        self.nodes.append(pubSub)
        client = Client(factory)
        client.send(f'<join room="chess" name="{name}"/>')
        self.clock.advance(0)
        return client

    def read(self, number: int) -> list[str]:
        """
        Return the messages received by a client since the last call.
        """
        self.clock.advance(0)
        return self.clients[number].read()

    def test_say(self) -> None:
        """
        A message is delivered once to the members on the other node, and not to its
        sender.
        """
        self.clients[0].send("<say>hello</say>", "<move/>")
        self.assertEqual(self.read(1), ['<say from="Ann">hello</say>', "<move/>"])
        self.assertEqual(self.read(0), [])

    def test_longMessage(self) -> None:
        """
        A long message from another node is delivered in several iterations. In the
        meantime, the broker is not read, and no later message overtakes the long one.
        """
        events: list[str] = []
        lobby, broker = Lobby(clock=self.clock), MemoryBroker()
        one, two = MemoryPubSub(broker), MemoryPubSub(broker)
        self.patch(two, "pauseReading", lambda: events.append("pause"))
        self.patch(two, "resumeReading", lambda: events.append("resume"))
        for each in (one, two):
            each.start()
        DistributedRooms(lobby, two)
        recipients = [RecordingRecipient() for _ in range(20)]
        members = [lobby.join("a", recipient) for recipient in recipients]
        [topic] = two.topics
        one.publish(topic, b"A" + b"x" * 1_000_000)
        one.publish(topic, b"T" + members[-1].name.encode() + b"\0private")
        one.publish(topic, b"T" + members[0].name.encode() + b"\0private")
        one.publish(topic, b"Ashort")
        self.assertEqual([each for each in recipients if each.received], [])
        self.assertEqual(events, ["pause"])
        lobby.leave(members[0])
        while self.clock.getDelayedCalls():
            self.clock.advance(0)
        self.assertEqual(events, ["pause", "resume"])
        received = [[each[:7] for each in recipient.received] for recipient in recipients]
        long = b"x" * 7
        self.assertEqual(received[0], [])
        self.assertEqual(received[1:-1], [[long, b"short"]] * 18)
        self.assertEqual(received[-1], [long, b"private", b"short"])

    def test_private(self) -> None:
        """
        A private message reaches a member on another node. An unknown name is not
        reported as an error.
        """
        self.clients[0].send('<say to="Ben">psst</say>', '<say to="Cleo">psst</say>')
        self.assertEqual(self.read(1), ['<say from="Ann" private="true">psst</say>'])
        self.assertEqual(self.read(0), [])

    def test_joinAndLeave(self) -> None:
        """
        Joins and leaves are announced to the other node. A node unsubscribes from a room
        without local members.
        """
        self.clients[0].send("<leave/>")
        self.assertEqual(self.read(1), ['<left name="Ann" />'])
        self.assertEqual(self.nodes[0].topics, [])
        self.clients[1].send("<say>hello</say>")
        self.assertEqual(self.read(0), [])

    def test_roomClosed(self) -> None:
        """
        Closing a room removes the members on this node only; the other node receives that they
        have left, and its room stays open.
        """
        lobby = self.factories[0].lobby
        self.assertEqual(lobby.closeRoom(lobby.rooms["chess"], "too loud"), 1)
        self.assertEqual(self.read(0), ['<error code="closed">too loud</error>'])
        self.assertEqual(self.read(1), ['<left name="Ann" />'])
        self.assertEqual(self.nodes[0].topics, [])
        self.clients[1].send("<who/>")
        [listing] = self.read(1)
        self.assertIn("Ben", listing)
        self.assertNotIn("Ann", listing)

    def test_who(self) -> None:
        """
        With presence, the list of members contains those of all nodes.
        """
        elsewhere = '<member name="Ben" connected="true" remote="true" />'
        self.clients[0].send("<who/>")
        [listing] = self.read(0)
        self.assertIn(elsewhere, listing)
        self.assertIn('<member name="Ann" connected="true" />', listing)
        self.clients[1].send("<leave/>")
        self.read(0)
        self.clients[0].send("<who/>")
        self.assertNotIn(elsewhere, self.read(0)[0])
        withoutPresence = self.begin("Cleo", hasPresence=False)
        withoutPresence.read()
        withoutPresence.send("<who/>", "<leave/>")
        self.assertEqual(
            withoutPresence.read(),
            ['<who room="chess"><member name="Cleo" connected="true" /></who>'],
        )

    def congest(self) -> list[bytes]:
        """
        Block the broker connection of the first node.

        @return: the list to which messages sent to the broker are appended.
        """
        pubSub: Any = self.nodes[0]
        sent: list[bytes] = []
        transmit = pubSub.transmit
        pubSub.isWritable = lambda: False

        def recordingTransmit(topic: str, data: bytes) -> bool:
            sent.append(data)
            accepted: bool = transmit(topic, data)
            return accepted

        pubSub.transmit = recordingTransmit
        return sent

    def test_backpressure(self) -> None:
        """
        While the broker is congested, its senders are paused and messages of other
        clients are held. None is lost.
        """
        pubSub: Any = self.nodes[0]
        pubSub.limits = BrokerLimits(maxMessages=10)
        pubSub._outbox = Outbox(pubSub.limits)
        sent = self.congest()
        sender, other = self.clients[0], Client(self.factories[0])
        sender.transport.arrive(b"<a/>\0" * 50)
        self.assertEqual(sender.transport.producerState, "paused")
        self.assertEqual((pubSub.waiting, pubSub.dropped), (6, 0))
        other.send('<join room="go"/>')
        self.assertEqual(other.read(), [])
        del pubSub.isWritable
        for _ in range(20):
            pubSub.flush()
            self.clock.advance(0)
        self.assertEqual(sender.transport.producerState, "producing")
        self.assertIn("<welcome", other.read()[0])
        # One message more: the join of the other client.
        self.assertEqual((len(sent), pubSub.dropped), (51, 0))
        self.assertEqual(self.read(1), ["<a/>"] * 50)

    def test_backpressureEnds(self) -> None:
        """
        Senders resume when the broker is lost. A sender disconnected in the meantime is
        ignored.
        """
        pubSub: Any = self.nodes[0]
        pubSub.limits = BrokerLimits(maxMessages=10)
        pubSub._outbox = Outbox(pubSub.limits)
        self.congest()
        closed, sender = Client(self.factories[0]), self.clients[0]
        closed.send('<join room="chess"/>')
        for client in (closed, sender):
            client.transport.arrive(b"<a/>\0" * 20)
            self.assertEqual(client.transport.producerState, "paused")
        closed.reset()
        self.broker.cut()
        self.assertEqual(sender.transport.producerState, "producing")

    def delayLookups(self) -> list[Deferred[list[Present]]]:
        """
        Delay the presence lookups of the first node.

        @return: the list to which the pending lookups are appended.
        """
        asked: list[Deferred[list[Present]]] = []

        def membersOf(room: str) -> Deferred[list[Present]]:
            asked.append(Deferred())
            return asked[-1]

        shared: Any = self.nodes[0]._listeners[0]
        self.patch(shared._presence, "membersOf", membersOf)
        return asked

    def test_whoOnceAtATime(self) -> None:
        """
        A second C{who} request is refused while the first is pending. One lookup serves
        all requests made since the previous one started.
        """
        asked = self.delayLookups()
        lobby = self.clients[0].protocol.lobby
        more = [Client(self.clients[0].protocol.factory) for _ in range(3)]
        for client in more:
            client.send('<join room="chess"/>')
        self.clients[0].send(*["<who/>"] * 100)
        for client in more:
            client.send("<who/>")
            client.read()
        self.assertEqual((len(asked), lobby.refused["busy"]), (1, 99))
        refusals = [each for each in self.read(0) if each.startswith('<error code="busy">')]
        self.assertEqual(len(refusals), 99)
        asked[0].callback([Present(b"x" * 16, "Dan", b"")])
        [listing] = self.read(0)
        self.assertIn('<member name="Dan" connected="true" remote="true" />', listing)
        self.assertEqual([client.read() for client in more], [[], [], []])
        self.assertEqual(len(asked), 2)
        asked[1].callback([Present(b"x" * 16, "Eve", b"")])
        for client in more:
            [listing] = client.read()
            self.assertIn("Eve", listing)
        self.clients[0].send("<who/>")
        self.assertEqual(len(asked), 3)

    def test_whoFails(self) -> None:
        """
        If the lookup fails, the list contains the local members, and the traceback is
        logged.
        """
        asked = self.delayLookups()
        self.clients[0].send("<who/>")
        asked[0].errback(ZeroDivisionError())
        [listing] = self.read(0)
        self.assertIn('<member name="Ann" connected="true" />', listing)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_malformed(self) -> None:
        """
        A malformed message from another node is dropped.
        """
        [topic] = self.nodes[0].topics
        self.nodes[0].publish(topic, b"")
        self.nodes[0].publish(topic, b"?what")
        self.assertEqual(self.read(1), [])

    def test_gap(self) -> None:
        """
        Members are notified of messages lost between nodes, but not of a lost broker
        connection, since their room works without it.
        """
        [topic] = self.nodes[1].topics
        shared: Any = self.nodes[1]._listeners[0]
        shared.down("the broker is unreachable")
        shared.up()
        shared.gap(topic, bytes(16), 3)
        shared.gap("another", bytes(16), 3)
        self.assertEqual(self.read(1), ['<gap missed="3" />'])
        shared._announces = False
        shared.gap(topic, bytes(16), 3)
        self.assertEqual(self.read(1), [])

    def test_gapInClosingRoom(self) -> None:
        """
        A room whose last member is disconnecting closes when it is notified of lost
        messages.
        """
        clock = Clock()
        lobby = Lobby(clock=clock)
        pubSub = LossyPubSub(LossyBroker(), clock=clock)
        pubSub.start()
        shared = DistributedRooms(lobby, pubSub, announces=True)
        factory = RoomFactory(PathRoomProtocol, lobby, clock=clock)
        clients = [Client(factory) for _ in range(2)]
        for client, room in zip(clients, ("chess", "go"), strict=True):
            client.send(room)
        clients[0].protocol.transport.loseConnection()
        shared.gap(pubSub.topics[0], bytes(16), 3)
        self.assertEqual(list(lobby.rooms), ["go"])


class HeldFaultTests(SynchronousTestCase):
    """
    A held message raises an exception when the connection is lost.
    """

    def test_leaves(self) -> None:
        """
        The member leaves the room nevertheless.
        """

        class Raising(PathRoomProtocol):
            def handleLine(self, line: bytes) -> None:
                if line == b"raise":
                    raise ValueError("a fault of the user's")
                super().handleLine(line)

        lobby = Lobby(clock=Clock())
        client = Client(RoomFactory(Raising, lobby, clock=Clock()))
        client.send("chess")
        self.assertEqual(lobby.members, 1)
        client.transport.arrive(b"x\0" * MAX_WORK + b"raise\0")
        client.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(lobby.members, 0)
