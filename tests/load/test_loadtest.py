"""
Tests for L{openfl_twisted.load._loadtest} and L{openfl_twisted.load._connection}.
"""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.internet.testing import StringTransport
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.load import TimedBot
from openfl_twisted.load._connection import BotConnection
from openfl_twisted.load._loadtest import (
    ANSWER_TIMEOUT,
    CLOSE_TIMEOUT,
    MAX_REASONS,
    LoadTest,
    Plan,
    Reasons,
)
from openfl_twisted.protocols.binarysocket import BinarySocketProtocol
from openfl_twisted.protocols.broadcast import BroadcastProtocol
from openfl_twisted.protocols.telnet import TelnetProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol
from openfl_twisted.testing import Peer
from tests.load.loadcase import LoadTestCase
from tests.load.walkers import Unborn, Walker


class Chatter(TimedBot, XMLSocketProtocol):
    """
    A bot for which only C{<b/>} is an answer.
    """

    def act(self) -> None:
        self.sendMessages(["<a/>", "<b/>"])

    def messageReceived(self, message: str) -> None:
        if message == "<b/>":
            self.countAnswer()


class Leaver(XMLSocketProtocol):
    """
    A bot that closes its connection.
    """

    def act(self) -> None:
        self.transport.loseConnection()


class Aborter(Leaver):
    """
    A bot that aborts its connection.
    """

    def act(self) -> None:
        self.transport.abortConnection()


class Failing(Walker):
    """
    A bot that fails when it receives a message.
    """

    def messageReceived(self, message: str) -> None:
        raise KeyError(message)


class FailingAtTheEnd(Walker):
    """
    A bot that fails when its connection is lost.
    """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        raise KeyError("x")


class Liner(LineReceiver):
    """
    A bot of Twisted's own protocols.
    """

    delimiter = b"\0"

    def act(self) -> None:
        """
        Send two lines, in two writes.
        """
        self.sendLine(b"hello")
        self.sendLine(b"world")

    def lineReceived(self, line: bytes) -> None:
        pass


class Binary(BinarySocketProtocol):
    """
    A bot that sends binary data.
    """

    def act(self) -> None:
        self.writeUTFBytes("hello\0")
        self.flush()

    def socketDataReceived(self, bytesLoaded: int) -> None:
        self.readUTFBytes(bytesLoaded)


class Telnet(TelnetProtocol):
    """
    A bot that sends nothing.
    """

    def act(self) -> None:
        pass

    def textReceived(self, text: str) -> None:
        pass


class Closer(Protocol):
    """
    A server that closes a connection when it receives data.
    """

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


class Resetter(Protocol):
    """
    A server that resets a connection when it receives data.
    """

    transport: Any

    def dataReceived(self, data: bytes) -> None:
        self.transport.abortConnection()


class RunTests(LoadTestCase):
    """
    L{LoadTest} connects bots and lets them act.
    """

    def test_echo(self) -> None:
        """
        Each bot acts at the given rate, and each answer is measured.
        """
        server = self.serve()
        self.network.latency = 0.01
        test = self.run_(self.load())
        statistics = test.statistics
        self.assertEqual(server.messagesIn, 100)
        self.assertEqual((statistics.requests, statistics.answers.count), (100, 100))
        self.assertEqual((statistics.messagesOut, statistics.messagesIn), (100, 100))
        self.assertEqual((statistics.bytesOut, statistics.bytesIn), (6500, 6500))
        for percent in (1, 50, 99):
            found = statistics.answers.percentile(percent)
            assert found is not None
            self.assertApproximates(found, 0.02, 0.001)
        self.assertEqual((test.connected, test.unanswered, test.late), (10, 0, 0))
        self.assertEqual((test.failed.counts, test.closed.counts), ({}, {}))
        self.assertApproximates(test.elapsed, 1.0, 0.001)
        self.assertTrue(test.succeeded)
        self.assertEqual(len(server.connections), 0)
        self.assertEqual(test.phase.name, "ended")

    def test_webSocket(self) -> None:
        """
        Bots can connect with WebSockets.
        """
        server = self.serve()
        test = self.run_(self.load(target="ws://127.0.0.1:8080/game"))
        self.assertEqual((server.messagesIn, test.statistics.answers.count), (100, 100))
        self.assertTrue(test.succeeded)

    def test_spread(self) -> None:
        """
        The bots act one after the other, evenly spread in time.
        """
        times: list[float] = []

        class Watcher(Walker):
            def act(self) -> None:
                times.append(clock.seconds())

        clock = self.reactor
        self.serve()
        self.run_(self.load(Watcher, Plan(4, 5.0, 1.0)))
        self.assertEqual(len(times), 20)
        for number, time in enumerate(times):
            self.assertApproximates(time - times[0], number * 0.05, 0.002)

    def test_connectRate(self) -> None:
        """
        The bots connect at a limited rate, and act when all have connected.
        """
        self.serve()
        test = self.load(plan=Plan(10, 1.0, 1.0, connectRate=2.0))
        running = Deferred.fromCoroutine(test.run())
        self.network.advance(4.4)
        self.assertEqual((test.connected, test.phase.name), (9, "connecting"))
        self.assertEqual(test.statistics.requests, 0)
        self.network.advance(0.2)
        self.assertEqual((test.connected, test.phase.name), (10, "running"))
        self.network.run(running)

    def test_noRate(self) -> None:
        """
        With the rate 0, bots only stay connected.
        """
        self.serve()
        test = self.run_(self.load(plan=Plan(2, 0.0, 5.0)))
        self.assertEqual((test.statistics.requests, test.elapsed), (0, 5.0))
        self.assertTrue(test.succeeded)

    def test_stop(self) -> None:
        """
        A test can be stopped in each phase. Connection attempts are cancelled, and missing
        answers are not awaited.
        """
        self.serve(BroadcastProtocol)
        for time, connected in [(0.0, 1), (0.5, 6), (1.2, 10), (2.5, 10)]:
            test = self.load(plan=Plan(10, 1.0, 1.0, connectRate=10.0))
            running = Deferred.fromCoroutine(test.run())
            self.network.advance(time)
            test.stop()
            self.network.advance(0.1)
            self.successResultOf(running)
            self.assertEqual((test.connected, test.connections), (connected, {}))
            self.assertEqual((test.failed.counts, test.closed.counts), ({}, {}))

    def test_stopWhileConnecting(self) -> None:
        """
        Pending connection attempts are cancelled, also after the last one was started.
        """
        for time in (0.05, 0.5):
            self.network.attempts.hold()
            test = self.load(plan=Plan(3, 1.0, 1.0, connectRate=10.0))
            running = Deferred.fromCoroutine(test.run())
            self.network.advance(time)
            test.stop()
            self.network.advance(0.1)
            self.successResultOf(running)
            self.assertEqual((test.connected, test.failed.counts), (0, {}))
            self.assertFalse(test.succeeded)

    def test_protocols(self) -> None:
        """
        On a protocol without messages, received data answers all unanswered requests.
        """
        self.serve()
        self.network.latency = 0.001
        for bot, requests in ((Liner, 200), (Binary, 100), (Telnet, 0)):
            test = self.run_(self.load(bot))
            self.assertEqual(test.statistics.requests, requests)
            self.assertEqual((test.statistics.answers.count, test.unanswered), (requests, 0))
            self.assertTrue(test.succeeded, test.closed.counts)


class AnswerTests(LoadTestCase):
    """
    Requests and answers.
    """

    def test_messages(self) -> None:
        """
        Each message that C{act} sends is a request, and each received message an answer.
        """
        self.serve()
        test = self.run_(self.load(Walker))
        self.assertEqual((test.statistics.requests, test.statistics.answers.count), (200, 200))

    def test_timedBot(self) -> None:
        """
        A L{TimedBot} decides which message is an answer; each call of C{act} is a request.
        """
        self.serve()
        test = self.run_(self.load(Chatter))
        self.assertEqual((test.statistics.requests, test.statistics.answers.count), (100, 100))
        self.assertEqual(test.statistics.messagesIn, 200)

    def test_withoutTest(self) -> None:
        """
        C{countAnswer} does nothing without a load test or an unanswered request.
        """
        Chatter().countAnswer()

        class Eager(Chatter):
            def messageReceived(self, message: str) -> None:
                self.countAnswer()
                self.countAnswer()

        self.serve()
        test = self.run_(self.load(Eager))
        self.assertEqual(test.statistics.answers.count, 100)

    def test_otherBots(self) -> None:
        """
        For the default bot, messages of other bots are not answers. A bot with too many
        unanswered requests skips its calls, so the number of requests is limited.
        """
        self.serve(BroadcastProtocol)
        test = self.run_(self.load(plan=Plan(5, 10.0, 2.0, maxUnanswered=3)))
        statistics = test.statistics
        self.assertGreater(statistics.messagesIn, 0)
        self.assertEqual((statistics.requests, statistics.skipped), (15, 85))
        self.assertEqual((statistics.answers.count, test.unanswered), (0, 15))

    def test_lateAnswers(self) -> None:
        """
        Late answers do not slow the schedule, and are awaited at the end.
        """
        self.serve()
        self.network.latency = 0.4
        test = self.run_(self.load(plan=Plan(2, 5.0, 2.0)))
        self.assertEqual((test.statistics.answers.count, test.unanswered), (20, 0))
        self.assertEqual((test.statistics.skipped, test.elapsed), (0, 2.0))

    def test_noAnswers(self) -> None:
        """
        The wait for answers at the end has a timeout.
        """
        self.listen(Factory.forProtocol(Peer))
        test = self.load(plan=Plan(1, 1.0, 1.0))
        before = self.reactor.seconds()
        self.run_(test)
        duration = self.reactor.seconds() - before
        self.assertApproximates(duration, 1 + ANSWER_TIMEOUT, 0.1)

    def test_notReading(self) -> None:
        """
        Bots whose server does not read skip their calls.
        """

        class Talker(Walker):
            def act(self) -> None:
                self.sendMessage("x" * 10_000)

        self.listen(Factory.forProtocol(Peer))
        self.network.window = 100
        test = self.load(Talker, Plan(1, 100.0, 1.0, maxUnanswered=1000))
        running = Deferred.fromCoroutine(test.run())
        self.network.advance(0.02)
        self.network.connections[0].toServer.stall()
        self.network.advance(1)
        self.assertGreater(test.statistics.skipped, 0)
        self.network.connections[0].toServer.resume()
        self.network.run(running)


class FailureTests(LoadTestCase):
    """
    Failed connection attempts, and connections that are closed early.
    """

    def assertClosed(self, test: LoadTest, count: int, words: str) -> None:
        """
        Check the number of closed connections and their reason.
        """
        [(reason, found)] = test.closed.counts.items()
        self.assertIn(words, reason)
        self.assertEqual(found, count)
        self.assertFalse(test.succeeded)

    def test_refused(self) -> None:
        """
        If no bot can connect, the test ends immediately.
        """
        test = self.run_(self.load())
        [(reason, count)] = test.failed.counts.items()
        self.assertIn("refused", reason)
        self.assertEqual((count, test.elapsed), (10, 0.0))
        self.assertFalse(test.succeeded)

    def test_timeout(self) -> None:
        """
        A connection attempt has a timeout, including the WebSocket handshake.
        """
        self.listen(Factory.forProtocol(Peer))
        plan = Plan(2, 1.0, 1.0, connectTimeout=2.0)
        test = self.run_(self.load(plan=plan, target="ws://127.0.0.1:8080/"))
        [(reason, count)] = test.failed.counts.items()
        self.assertIn("no answer within 2 seconds", reason)
        self.assertEqual(count, 2)

    def test_closedByServer(self) -> None:
        """
        Connections that the server closes or resets are counted. If all are lost, the test
        ends.
        """
        for server, words in ((Closer, "the server closed"), (Resetter, "reset")):
            port = self.reactor.listenTCP(0, Factory.forProtocol(server))
            target = f"tcp:127.0.0.1:{port.getHost().port}"
            test = self.run_(self.load(plan=Plan(10, 1.0, 60.0), target=target))
            self.assertClosed(test, 10, words)
            self.assertLess(test.elapsed, 2.0)
            self.assertEqual(test.unanswered, 10)

    def test_closeCode(self) -> None:
        """
        The reason contains the close code and the reason of a WebSocket.
        """
        self.serve(messageRate=1.0)
        test = self.run_(self.load(Walker, Plan(3, 10.0, 2.0), "ws://127.0.0.1:8080/"))
        self.assertClosed(test, 3, "WebSocket close code 1008 (rate limit exceeded")

    def test_closedByBot(self) -> None:
        """
        Connections that a bot closes are counted.
        """
        self.serve()
        for bot in (Leaver, Aborter):
            for target in ("tcp:127.0.0.1:8080", "ws://127.0.0.1:8080/"):
                self.assertClosed(self.run_(self.load(bot, target=target)), 10, "the bot closed")

    def test_error(self) -> None:
        """
        An exception in a bot closes its connection. The reason contains its place.
        """
        self.serve()
        for bot, words in [
            (Failing, "error in the bot: KeyError: '<a/>' (test_loadtest.py, line "),
            (FailingAtTheEnd, "error in the bot: KeyError: 'x' (test_loadtest.py, line "),
        ]:
            self.assertClosed(self.run_(self.load(bot)), 10, words)

    def test_async(self) -> None:
        """
        C{act} can be a coroutine function. While it runs, further calls are skipped. Its
        exception closes the connection; it is cancelled when the connection is lost.
        """
        events: list[str] = []
        clock = self.network.reactor

        class Walker(XMLSocketProtocol):
            async def act(self) -> None:
                self.sendMessage("<a/>")
                try:
                    await deferLater(clock, 0.25)
                except CancelledError:
                    events.append("cancelled")
                    raise
                if len(events) == 4:
                    raise KeyError("x")
                events.append("acted")

            def messageReceived(self, message: str) -> None: ...

        self.serve()
        test = self.run_(self.load(Walker, plan=Plan(1, 10.0, 2.0)))
        self.assertEqual(events, ["acted"] * 4)
        self.assertIn("error in the bot: KeyError: 'x'", str(test.closed.counts))
        self.assertGreater(test.statistics.skipped, 5)
        events.clear()
        self.run_(self.load(Walker, plan=Plan(1, 10.0, 0.2)))
        self.assertEqual(events, ["cancelled"])

    def test_unborn(self) -> None:
        """
        An exception in a bot's constructor is a failed connection attempt.
        """
        self.serve()
        for target in ("tcp:127.0.0.1:8080", "ws://127.0.0.1:8080/"):
            test = self.run_(self.load(Unborn, target=target))
            [(reason, count)] = test.failed.counts.items()
            self.assertIn("error in the bot: ValueError: no (walkers.py, line ", reason)
            self.assertEqual(count, 10)

    def test_notClosing(self) -> None:
        """
        Connections that the server does not close are aborted.
        """
        self.serve()
        test = self.load(plan=Plan(2, 0.0, 1.0), target="ws://127.0.0.1:8080/")
        running = Deferred.fromCoroutine(test.run())
        self.network.advance(0.5)
        for connection in self.network.connections:
            connection.toClient.hold()
        self.network.advance(0.5 + CLOSE_TIMEOUT - 0.1)
        self.assertEqual(len(test.connections), 2)
        self.network.advance(1.2)
        self.successResultOf(running)
        self.assertEqual((test.connections, test.closed.counts), ({}, {}))

    def test_errorAtTheStart(self) -> None:
        """
        An exception in C{connectionMade} is counted.
        """

        class Fleeting(Leaver):
            def connectionMade(self) -> None:
                raise KeyError("x")

        self.serve()
        test = self.run_(self.load(Fleeting))
        self.assertEqual(test.connected, 10)
        self.assertClosed(test, 10, "error in the bot: KeyError: 'x'")


class TransportTests(LoadTestCase):
    """
    L{BotConnection} as the transport of a bot.
    """

    def connect(self) -> tuple[BotConnection, StringTransport]:
        """
        Connect a bot to a transport without C{setTcpNoDelay}.
        """
        connection = BotConnection(Binary(), self.load())
        transport = StringTransport()
        connection.makeConnection(transport)
        return connection, transport

    def test_methods(self) -> None:
        """
        The methods of a transport are forwarded.
        """
        connection, transport = self.connect()
        connection.writeSequence([b"a", b"b"])
        self.assertEqual(transport.value(), b"ab")
        self.assertEqual(connection.getPeer(), transport.getPeer())
        self.assertEqual(connection.getHost(), transport.getHost())
        connection.unregisterProducer()
        connection.registerProducer(self, True)
        self.assertIs(transport.producer, self)
        connection.unregisterProducer()
        connection.pauseProducing()
        self.assertEqual(transport.producerState, "paused")
        connection.resumeProducing()
        self.assertEqual(transport.producerState, "producing")
        connection.stopProducing()
        self.assertTrue(transport.disconnecting)

    def test_closed(self) -> None:
        """
        A bot does not act while its connection is closing. The loss of a connection that was
        never reported as open is ignored.
        """
        connection, transport = self.connect()
        connection.loseConnection()
        connection.act()
        self.assertEqual(transport.value(), b"")
        connection.connectionLost()


class ReasonsTests(SynchronousTestCase):
    """
    L{Reasons}.
    """

    def test_limit(self) -> None:
        """
        The number of different reasons is limited.
        """
        reasons = Reasons()
        for number in range(MAX_REASONS + 5):
            reasons.add(str(number))
            reasons.add(str(number))
        self.assertEqual(len(reasons.counts), MAX_REASONS + 1)
        self.assertEqual(reasons.counts["other reasons"], 10)
        self.assertEqual(reasons.total, 2 * (MAX_REASONS + 5))
