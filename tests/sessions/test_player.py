"""
Tests for L{openfl_twisted.sessions._player} and L{openfl_twisted.sessions._runplayer}.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.sessions._masks import Masks
from openfl_twisted.sessions._player import PlayerFactory, Result
from openfl_twisted.sessions._runplayer import RunPlayer
from openfl_twisted.sessions._script import Difference
from openfl_twisted.sessions._session import CLIENT, SERVER, End, Gap, Header, Message, Session
from openfl_twisted.testing import EVERY_BYTE, MemoryNetwork, Peer
from openfl_twisted.wire.dialects import DIALECTS
from tests.sessions.sessioncase import session
from tests.sessions.strategies import endingSessions, masksOf, rawSessions, variable

PORT = 9339


class PlayCase(SynchronousTestCase):
    """
    Base class: a network.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork.forTest(self.addCleanup)

    def listen(self, *sessions: Session, **options: Any) -> PlayerFactory:
        """
        Play the server of sessions.
        """
        factory = PlayerFactory(sessions, clock=self.network.reactor, **options)
        self.network.reactor.listenTCP(PORT, factory, interface="127.0.0.1")
        return factory

    def connectFactory(self, factory: Any) -> Any:
        """
        Connect a client to the server.
        """
        return TCP4ClientEndpoint(self.network.reactor, "127.0.0.1", PORT).connect(factory)

    def connect(self) -> Peer:
        """
        Connect a peer to the server.
        """
        peer: Peer = self.network.run(self.connectFactory(Factory.forProtocol(Peer)))
        self.network.flush()
        return peer

    def send(self, peer: Peer, data: bytes) -> None:
        """
        Send data, and let the server receive it.
        """
        peer.send(data)
        self.network.flush()

    def close(self, peer: Peer) -> None:
        """
        Close the connection of a peer.
        """
        peer.close()
        self.network.flush()

    def player(
        self, sessions: Sequence[Session], masks: Masks | None = None, **options: Any
    ) -> RunPlayer:
        """
        Create a player of clients that connect to the server.
        """
        return RunPlayer(
            sessions,
            lambda session, factory: self.connectFactory(factory),
            masks,
            clock=self.network.reactor,
            **options,
        )

    def call(self, *sessions: Session, **options: Any) -> list[Result]:
        """
        Play the clients of sessions, and return the results.
        """
        found: list[Result] = self.network.run(self.player(sessions, **options).start())
        self.network.flush()
        return found


class Server(Factory[Peer]):
    """
    A server whose connections are peers.

    @ivar peers: the connections, in order.
    """

    noisy = False

    def __init__(self) -> None:
        self.peers: list[Peer] = []

    def buildProtocol(self, addr: object) -> Peer:
        self.peers.append(Peer())
        return self.peers[-1]


class PlayerTests(PlayCase):
    """
    L{PlayerFactory} plays the server of sessions.
    """

    def test_session(self) -> None:
        """
        A client that behaves as recorded is answered as recorded.
        """
        reports: list[Result] = []
        factory = self.listen(session("<hi", ">a", "<b", end="client"), report=reports.append)
        peer = self.connect()
        self.assertEqual(peer.received, b"hi\0")
        self.send(peer, b"a")
        self.send(peer, b"\0")
        self.assertEqual(peer.received, b"hi\0b\0")
        self.assertFalse(peer.closed)
        self.assertRaises(AssertionError, factory.verify)
        self.close(peer)
        factory.verify()
        self.assertEqual(factory.results, reports)
        [result] = reports
        self.assertEqual(result, Result("a.session", 3, 3, None, result.peer))
        self.assertIn("127.0.0.1", result.peer)

    def test_ends(self) -> None:
        """
        The server closes or resets the connection as recorded; otherwise the client does.
        """
        for how, closes in (("server", True), ("limit", True), ("stopped", True), ("lost", True)):
            self.setUp()
            factory = self.listen(session(">a", "<b", end=how))
            peer = self.connect()
            self.assertFalse(peer.closed)
            self.send(peer, b"a\0")
            self.assertEqual(peer.closed, closes)
            if how != "lost":
                self.assertEqual(peer.received, b"b\0")
            factory.verify()
        for end in ("client", None):
            self.setUp()
            factory = self.listen(session(">a", "<b", end=end))
            peer = self.connect()
            self.send(peer, b"a\0")
            self.assertFalse(peer.closed)
            self.close(peer)
            factory.verify()

    def test_difference(self) -> None:
        """
        A client that differs is disconnected; the result contains the difference.
        """
        factory = self.listen(session(">a", "<b", ">c", end="client"))
        peer = self.connect()
        self.send(peer, b"a\0X\0c\0")
        self.assertTrue(peer.closed)
        [result] = factory.results
        self.assertEqual((result.done, result.total), (1, 3))
        self.assertIn("a.session:4: message 3 of 3, sent by the client", result.problem or "")
        error = self.assertRaises(Difference, factory.verify)
        self.assertEqual(str(error), result.problem)

    def test_early(self) -> None:
        """
        A client that closes too early is a difference.
        """
        factory = self.listen(session(">a", ">b", end="client"))
        self.close(self.connect())
        self.assertIn("message 1 of 2 had not been received", factory.results[0].problem or "")

    def test_selects(self) -> None:
        """
        Each connection selects a session, and has its own values.
        """
        masks = masksOf(key="key=([a-z]+);")
        ann = session("<hi", ">ann key=x;", "<1 key=x;", name="ann")
        ben = session("<hi", ">ben key=y;", "<2 key=y;", name="ben")
        factory = self.listen(ann, ben, masks=masks)
        one, two = self.connect(), self.connect()
        self.send(one, b"ben key=one;\0")
        self.send(two, b"ben key=two;\0")
        self.assertEqual(one.received, b"hi\0002 key=one;\0")
        self.assertEqual(two.received, b"hi\0002 key=two;\0")
        self.close(one)
        self.close(two)
        self.assertEqual([result.session for result in factory.results], ["ben", "ben"])

    def test_given(self) -> None:
        """
        Given values are sent.
        """
        self.listen(session("<p={p};", hidden={"p": "p=(.*?);"}), given={"p": "7"})
        self.assertEqual(self.connect().received, b"p=7;\0")

    def test_compute(self) -> None:
        """
        An exception of a compute function is the problem of the connection.
        """

        def compute(known: object, recorded: str) -> str:
            raise ValueError("no")

        masks = Masks([variable("p", "p=(.)", compute=compute)])
        factory = self.listen(session(">a", "<p=1"), masks=masks)
        peer = self.connect()
        self.send(peer, b"a\0")
        self.assertTrue(peer.closed)
        self.assertIn(
            "masks: variable p: compute failed: ValueError: no", factory.results[0].problem or ""
        )
        factory = self.listenAgain(session("<p=1"), masks)
        self.assertIn("compute failed", factory.results[0].problem or "")

    def listenAgain(self, given: Session, masks: Masks) -> PlayerFactory:
        """
        Serve a session on a new network, and connect to it.
        """
        self.network = MemoryNetwork()
        factory = self.listen(given, masks=masks)
        self.assertTrue(self.connect().closed)
        return factory

    def test_speed(self) -> None:
        """
        The server waits as long as recorded, divided by the speed, also before it closes.
        """
        self.listen(session(">a", "<b", "<c", end="server"), speed=2.0)
        peer = self.connect()
        self.send(peer, b"a\0")
        self.assertEqual(peer.received, b"")
        self.network.advance(0.5)
        self.assertEqual(peer.received, b"b\0")
        self.network.advance(0.49)
        self.assertEqual(peer.received, b"b\0")
        self.network.advance(0.02)
        self.assertEqual(peer.received, b"b\0c\0")
        self.assertFalse(peer.closed)
        self.network.advance(0.5)
        self.assertTrue(peer.closed)

    def test_longPause(self) -> None:
        """
        The server waits at most 10 seconds, and not at all for messages of the same time.
        """
        given = session("<a", "<b")
        given.messages = [Message(b"a\0", SERVER, 50.0, 1), Message(b"b\0", SERVER, 50.0, 2)]
        self.listen(given, speed=1.0)
        peer = self.connect()
        self.network.advance(9.9)
        self.assertEqual(peer.received, b"")
        self.network.advance(0.2)
        self.assertEqual(peer.received, b"a\0b\0")

    def test_receivesWhileWaiting(self) -> None:
        """
        Messages that are received during a pause are compared immediately, and do not shorten
        the pause.
        """
        factory = self.listen(session("<a", ">x", "<b"), speed=1.0)
        peer = self.connect()
        self.send(peer, b"x\0")
        self.assertEqual(peer.received, b"")
        self.network.advance(1)
        self.assertEqual(peer.received, b"a\0")
        self.network.advance(1)
        self.assertEqual(peer.received, b"a\0b\0")
        other = self.connect()
        self.send(other, b"y\0")
        self.assertTrue(other.closed)
        self.network.advance(5)
        self.assertEqual(other.received, b"")
        self.assertEqual(len(factory.results), 1)

    def test_closedWhileWaiting(self) -> None:
        """
        The timer of a pause is canceled when the connection is closed.
        """
        self.listen(session("<a"), speed=1.0)
        self.close(self.connect())
        self.assertEqual(self.network.reactor.getDelayedCalls(), [])

    def test_sessionChangesWhileWaiting(self) -> None:
        """
        If a message during a pause selects another session, the pause of the next message is not
        skipped.
        """
        one = session("<a", ">x", "<b")
        two = session(">y", "<c", "<d")
        self.listen(one, two, speed=1.0)
        peer = self.connect()
        self.network.advance(0.5)
        self.send(peer, b"y\0")
        self.network.advance(0.5)
        self.assertEqual(peer.received, b"c\0")
        self.network.advance(0.9)
        self.assertEqual(peer.received, b"c\0")
        self.network.advance(0.2)
        self.assertEqual(peer.received, b"c\0d\0")

    def test_loose(self) -> None:
        """
        A loose server answers messages in any order, and reports unknown messages.
        """
        notes: list[tuple[str, str]] = []
        factory = self.listen(
            session("<hi", ">a", "<1", ">b", "<2", end="server"),
            loose=True,
            note=lambda *note: notes.append(note),
        )
        peer = self.connect()
        self.send(peer, b"b\0?\0a\0")
        self.assertEqual(peer.received, b"hi\0002\0001\0")
        self.assertEqual([text for _, text in notes], ["?"])
        self.close(peer)
        factory.verify()
        [result] = factory.results
        self.assertEqual((result.done, result.total, result.session), (2, 3, "a.session"))

    def test_looseCompute(self) -> None:
        """
        An exception of a compute function also ends a loose connection.
        """
        masks = Masks([variable("p", "p=(.)", compute=lambda known, recorded: 5)])
        factory = self.listen(session("<p=1"), masks=masks, loose=True)
        self.assertTrue(self.connect().closed)
        self.assertIn("compute must return text, not 5", factory.results[0].problem or "")

    def test_invalid(self) -> None:
        """
        Sessions that cannot be played are refused.
        """
        clock = self.network.reactor
        self.assertRaises(ValueError, PlayerFactory, [], clock=clock)
        other = session(dialect="lines")
        error = self.assertRaises(ValueError, PlayerFactory, [session(), other], clock=clock)
        self.assertEqual(str(error), "the sessions have different dialects: lines, xml")
        PlayerFactory([session(), other], dialect=DIALECTS["lines"], clock=clock)
        gap = Session(gaps=[Gap(1, "disk")])
        self.assertRaises(ValueError, PlayerFactory, [gap], clock=clock)

    def test_afterDifference(self) -> None:
        """
        Data that is received after a difference is ignored.
        """
        factory = self.listen(session(">a"))
        protocol: Any = factory.buildProtocol(None)
        self.patch(factory, "buildProtocol", lambda addr: protocol)
        self.send(self.connect(), b"X\0")
        protocol.bytesReceived(b"Y\0")
        self.assertNotIn("Y", factory.results[0].problem or "")


class RunTests(PlayCase):
    """
    L{RunPlayer} plays the clients of sessions.
    """

    def serve(self) -> Server:
        """
        Listen with a server that the test controls.
        """
        server = Server()
        self.network.reactor.listenTCP(PORT, server, interface="127.0.0.1")
        return server

    def start(self, *sessions: Session, **options: Any) -> list[Any]:
        """
        Start to play sessions. The results are added to the returned list.
        """
        results: list[Any] = []
        self.player(sessions, **options).start().addBoth(results.append)
        self.network.flush()
        return results

    @given(st.one_of(endingSessions(), rawSessions()), st.data())
    def test_selfPlay(self, given: Session, data: Any) -> None:
        """
        Any session is completed against its own server, however the streams are split.
        """
        ways: list[Iterable[int]] = [(), EVERY_BYTE, data.draw(st.lists(st.integers(1, 9)))]
        total = len(given.messages)
        given.end = data.draw(
            st.sampled_from(
                [None, *(End(how, 99.0, 99) for how in ("client", "server", "stopped"))]
            )
        )
        for sizes in ways:
            self.network = MemoryNetwork()
            self.network.segments = sizes
            factory = self.listen(given)
            self.assertEqual(self.call(given), [Result("session", total, total, None)])
            factory.verify()

    def test_sends(self) -> None:
        """
        Messages are sent when everything before them has been received; the connection is closed
        as recorded, and the result is known when it is closed.
        """
        server = self.serve()
        results = self.start(session(">a", "<b", ">c", "<d", ">e", end="client"))
        [peer] = server.peers
        self.assertEqual(peer.received, b"a\0")
        self.send(peer, b"b\0d")
        self.assertEqual(peer.received, b"a\0c\0")
        self.assertEqual(results, [])
        self.send(peer, b"\0")
        self.assertEqual(peer.received, b"a\0c\0e\0")
        self.assertTrue(peer.closed)
        self.assertEqual(results, [[Result("a.session", 5, 5, None)]])

    def test_lastMessageArrives(self) -> None:
        """
        The results are not known before the last message has been sent.
        """
        self.network.latency = 1.0
        server = self.serve()
        self.call(session(">a" * 100, end="client"))
        self.network.advance(5)
        self.assertEqual(len(server.peers[0].received), 200)

    def test_order(self) -> None:
        """
        The numbers of the run give the order between connections.
        """
        one, two = session(">a", "<b", ">c", name="one"), session(">x", ">y", name="two")
        for each, numbers in ((one, (1, 2, 5)), (two, (3, 4))):
            each.messages = [
                Message(message.data, message.side, 0.0, n)
                for message, n in zip(each.messages, numbers, strict=True)
            ]
            each.end = End(CLIENT, 0.0, 6)
        server = self.serve()
        results = self.start(one, two)
        self.assertEqual(len(server.peers), 1)
        self.send(server.peers[0], b"b\0")
        first, second = server.peers
        self.assertEqual((first.received, second.received), (b"a\0c\0", b"x\0y\0"))
        self.assertEqual([result.session for result in results[0]], ["one", "two"])
        self.assertTrue(first.closed and second.closed)

    def test_withoutNumbers(self) -> None:
        """
        Without numbers, the order within a session is that of its lines.
        """
        given = session(">a", "<b", ">c", end="server")
        given.messages[1] = Message(b"b\0", SERVER)
        given.messages[2] = Message(b"c\0", CLIENT)
        given.end = End(SERVER)
        other = Session(Header(dialect="xml"), [Message(b"z\0", CLIENT)], name="other")
        server = self.serve()
        results = self.start(given, other)
        self.assertEqual(len(server.peers), 2)
        self.send(server.peers[1], b"b\0")
        self.assertEqual(server.peers[1].received, b"a\0c\0")
        self.close(server.peers[1])
        self.assertEqual([result.problem for result in results[0]], [None, None])

    def test_sharedValues(self) -> None:
        """
        A value that is learned on one connection is sent on the next one.
        """
        one = session("<login=abc;", end="client", name="one")
        two = session(">login=abc;", end="client", name="two")
        two.messages = [Message(two.messages[0].data, CLIENT, 0.0, 9)]
        two.end = End(CLIENT, 0.0, 10)
        server = self.serve()
        self.start(one, two, masks=masksOf(login="login=([a-z]+);"))
        self.send(server.peers[0], b"login=xyz;\0")
        self.assertEqual(server.peers[1].received, b"login=xyz;\0")

    def test_masksOf(self) -> None:
        """
        The masks of a single session replace the common masks.
        """
        own = Masks([variable("p", "p=(.)", compute=lambda known, recorded: "own")])
        common = Masks([variable("p", "p=(.)", compute=lambda known, recorded: "common")])
        server = self.serve()
        given = [session(">p=1", end="client", name=name) for name in ("one", "two")]
        self.start(*given, masks=common, masksOf={"two": own})
        self.assertEqual([peer.received for peer in server.peers], [b"p=common\0", b"p=own\0"])

    def test_given(self) -> None:
        """
        A hidden value must be given, unless it is computed or learned from any session.
        """
        given = session(">p={p};", hidden={"p": "p=(.*?);"}, end="client")
        error = self.assertRaises(ValueError, self.player, [given])
        self.assertEqual(
            str(error), "a.session needs a value for p: --set p=..., or compute in the masks"
        )
        server = self.serve()
        self.start(given, given={"p": "secret"})
        self.assertEqual(server.peers[0].received, b"p=secret;\0")
        first = session("<p={p};", hidden={"p": "p=(.*?);"}, end="client", name="first")
        self.player([first, given], masksOf(p="p=(.*?);"))
        self.assertRaises(ValueError, self.player, [first, given])

    def test_difference(self) -> None:
        """
        At the first difference, the connection is reset; the other sessions are still played.
        """
        server = self.serve()
        results = self.start(
            session("<a", ">b", name="one"), session(">c", name="two", end="client")
        )
        self.send(server.peers[0], b"X\0a\0")
        self.assertTrue(server.peers[0].closed)
        self.assertEqual(server.peers[0].received, b"")
        one, two = results[0]
        self.assertIn("one:2: message 1 of 2, sent by the server", one.problem)
        self.assertEqual((one.done, one.total), (0, 2))
        self.assertEqual(two, Result("two", 1, 1, None))

    def test_surplus(self) -> None:
        """
        Data after the last message is a difference.
        """
        server = self.serve()
        results = self.start(session("<a", end="server"))
        self.send(server.peers[0], b"a\0b\0")
        self.assertIn("the server said more than was recorded: b", results[0][0].problem)

    def test_closesEarly(self) -> None:
        """
        A server that closes before everything was received is a difference.
        """
        server = self.serve()
        results = self.start(session(">a", "<b", end="server"))
        self.close(server.peers[0])
        self.assertIn("a.session:3: message 2 of 2 had not been received", results[0][0].problem)

    def test_closesBeforeSending(self) -> None:
        """
        A server that closes before everything was sent is a difference.
        """
        server = self.serve()
        results = self.start(session("<a", ">b", end="client", name="one"), speed=1.0)
        self.network.advance(0.1)
        self.send(server.peers[0], b"a\0")
        self.close(server.peers[0])
        self.network.advance(5)
        self.assertEqual(results[0][0].problem, "one: the server closed the connection too early")
        self.assertEqual(results[0][0].done, 1)

    def test_closesBeforeClient(self) -> None:
        """
        A server that closes when everything was sent and received is accepted.
        """
        server = self.serve()
        results = self.start(session("<a", end="client"), speed=1.0)
        self.send(server.peers[0], b"a\0")
        self.close(server.peers[0])
        self.network.advance(5)
        self.assertEqual(results, [[Result("a.session", 1, 1, None)]])

    def test_closesLate(self) -> None:
        """
        A server may close later than recorded, within the timeout.
        """
        server = self.serve()
        results = self.start(session("<a", end="server"), timeout=3.0)
        self.send(server.peers[0], b"a\0")
        self.network.advance(2.9)
        self.assertEqual(results, [])
        self.close(server.peers[0])
        self.assertEqual(results, [[Result("a.session", 1, 1, None)]])

    def test_neverCloses(self) -> None:
        """
        A server that does not close as recorded is a difference.
        """
        server = self.serve()
        results = self.start(session("<a", end="server"), timeout=3.0)
        self.send(server.peers[0], b"a\0")
        self.network.advance(3)
        self.assertEqual(
            results[0][0].problem, "a.session: the server had not closed the connection within 3 s"
        )
        self.assertTrue(server.peers[0].closed)

    def test_timeout(self) -> None:
        """
        A message that is not received in time is a difference. Each step has the whole time.
        """
        server = self.serve()
        results = self.start(session("<a", "<b", ">c", name="one"), session(">x", name="two"))
        self.network.advance(4.9)
        self.send(server.peers[0], b"a\0")
        self.network.advance(4.9)
        self.assertEqual(results, [])
        self.network.advance(0.2)
        one, two = results[0]
        self.assertEqual(one.problem, "one:3: message 2 of 3 had not been received within 5 s: b")
        self.assertEqual(two, Result("two", 1, 1, None))
        self.assertTrue(server.peers[0].closed)

    def test_closingTimeout(self) -> None:
        """
        If the connection is not closed in time after the client has closed it, it is reset, which
        is accepted.
        """
        server = self.serve()
        self.network.window = 100
        given = session("<a", ">" + "b" * 5000, end="client")
        results = self.start(given, timeout=3.0)
        [peer] = server.peers
        peer.transport.pauseProducing()
        self.send(peer, b"a\0")
        self.network.advance(2.9)
        self.assertEqual(results, [])
        self.network.advance(0.2)
        self.assertEqual(results, [[Result("a.session", 2, 2, None)]])

    def test_speed(self) -> None:
        """
        The client waits as long as recorded since the previous message, divided by the speed,
        also before it closes.
        """
        server = self.serve()
        results = self.start(session(">a", ">b", "<c", ">d", end="client"), speed=2.0)
        [peer] = server.peers
        self.assertEqual(peer.received, b"")
        self.network.advance(0.5)
        self.assertEqual(peer.received, b"a\0")
        self.network.advance(0.5)
        self.assertEqual(peer.received, b"a\0b\0")
        self.send(peer, b"c\0")
        self.network.advance(0.49)
        self.assertEqual(peer.received, b"a\0b\0")
        self.network.advance(0.02)
        self.assertEqual(peer.received, b"a\0b\0d\0")
        self.assertFalse(peer.closed)
        self.network.advance(0.5)
        self.assertTrue(peer.closed)
        self.assertEqual(len(results), 1)

    def test_pausesAreNoTimeouts(self) -> None:
        """
        A recorded pause can be longer than the timeout; it is at most 10 seconds.
        """
        given = session(">a", end="client")
        given.messages = [Message(b"a\0", CLIENT, 60.0, 1)]
        given.end = End(CLIENT, 60.0, 2)
        server = self.serve()
        results = self.start(given, speed=1.0, timeout=1.0)
        self.network.advance(9.9)
        self.assertEqual(server.peers[0].received, b"")
        self.network.advance(0.2)
        self.assertEqual(server.peers[0].received, b"a\0")
        self.assertEqual(results, [[Result("a.session", 1, 1, None)]])

    def test_failsDuringPause(self) -> None:
        """
        If a session fails during its pause, the pause of the next session is not skipped.
        """
        server = self.serve()
        two = session(">b", name="two", end="client")
        two.messages = [Message(b"b\0", CLIENT, 1.0, 9)]
        two.end = End(CLIENT, 1.0, 10)
        self.start(session(">a", name="one", end="client"), two, speed=1.0)
        self.send(server.peers[0], b"X\0")
        self.network.advance(1)
        self.assertEqual(server.peers[1].received, b"")
        self.network.advance(1)
        self.assertEqual(server.peers[1].received, b"b\0")

    def test_refused(self) -> None:
        """
        A connection that is refused fails the run; the other connections are reset.
        """
        server = self.serve()
        connects: list[Any] = [self.connectFactory]

        def connect(session: Session, factory: Any) -> Any:
            if connects:
                return connects.pop()(factory)
            raise Refused

        given = [session(">a", name="one"), session(">b", name="two")]
        given[1].messages = [Message(b"b\0", CLIENT, 0.0, 1)]
        given[0].messages = [Message(b"a\0", CLIENT, 0.0, 1)]
        given[0].end = given[1].end = End(CLIENT, 0.0, 5)
        results: list[Any] = []
        run = RunPlayer(given, connect, clock=self.network.reactor)
        run.start().addErrback(lambda reason: results.append(reason.value))
        self.network.flush()
        self.assertIsInstance(results[0], Refused)
        self.assertTrue(server.peers[0].closed)
        self.network.advance(60)
        self.assertEqual(len(results), 1)

    def test_notAccepted(self) -> None:
        """
        If a connection attempt takes longer than the timeout, the session fails. The connection
        is reset when it is opened later.
        """
        server = self.serve()
        attempts: list[tuple[Any, Deferred[Any]]] = []

        def connect(session: Session, factory: Any) -> Any:
            attempts.append((factory, Deferred()))
            return attempts[-1][1]

        run = RunPlayer([session("<a", ">b")], connect, clock=self.network.reactor)
        results: list[Any] = []
        run.start().addBoth(results.append)
        self.network.advance(5)
        self.assertEqual(
            results[0][0].problem,
            "a.session: the server had not accepted the connection within 5 s",
        )
        protocol: Any = self.network.run(self.connectFactory(attempts[0][0]))
        self.network.flush()
        self.assertTrue(server.peers[0].closed)
        # Received data and the failure of an attempt are ignored now.
        protocol.bytesReceived(b"X\0")
        attempts[0][1].errback(Refused())
        self.assertEqual(len(results), 1)

    def test_compute(self) -> None:
        """
        An exception of a compute function is the problem of the session.
        """

        def compute(known: object, recorded: str) -> str:
            raise ValueError("no")

        masks = Masks([variable("p", "p=(.)", compute=compute)])
        server = self.serve()
        [[one, two]] = self.start(
            session(">p=1", ">x", name="one"), session(">a", name="two"), masks=masks
        )
        self.assertIn("masks: variable p: compute failed: ValueError: no", one.problem)
        self.assertIsNone(two.problem)
        self.assertEqual(server.peers[0].received, b"")

    def test_ends(self) -> None:
        """
        The client closes a connection that was lost, or whose end was not recorded.
        """
        server = self.serve()
        for end in ("lost", None):
            results = self.start(session(">a", end=end))
            self.assertTrue(server.peers[-1].closed)
            self.assertEqual(len(results), 1)

    def test_nothing(self) -> None:
        """
        A run without sessions, and a session without messages, are played.
        """
        self.assertEqual(self.call(), [])
        self.serve()
        self.assertEqual(self.call(session(end="client")), [Result("a.session", 0, 0, None)])

    def test_manyConnections(self) -> None:
        """
        A recorded evening of several connections can be played against its own servers.
        """
        numbers = iter(range(1, 1000))
        given = []
        for name in "abc":
            each = session("<key=1;", f">{name} key=1;", "<ok", end="client", name=name)
            given.append(each)
        for _ in range(3):
            for each in given:
                at = len([message for message in each.messages if message.line < 0])
                message = each.messages[at]
                each.messages[at] = Message(message.data, message.side, 0.0, next(numbers), -1)
        for each in given:
            each.end = End(CLIENT, 0.0, next(numbers))
        masks = masksOf(key="key=([0-9]+);")
        self.network.segments = EVERY_BYTE
        factory = self.listen(*given, masks=masks)
        results = self.call(*given, masks=masks)
        self.assertEqual([result.problem for result in results], [None] * 3)
        factory.verify()
        self.assertEqual({result.session for result in factory.results}, set("abc"))
