"""
The reactor.
"""

import os
import socket
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.application.reactors import Reactor, getReactorTypes
from twisted.internet.error import ConnectionFdescWentAway
from twisted.internet.protocol import ClientFactory, Factory
from twisted.python import context, log
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.reactors import epoll
from openfl_twisted.reactors.epoll import EpollClientTransport, EpollServerTransport, OpenFLReactor
from tests.reactors.conversations import Boom, Recorder
from tests.reactors.ways import HOST, MANY, Way


class Selectable:
    """
    Another selectable.
    """

    def __init__(self, own: socket.socket) -> None:
        self.socket = own
        self.reads: list[bytes] = []
        self.lost: list[Any] = []

    def fileno(self) -> int:
        return self.socket.fileno()

    def logPrefix(self) -> str:
        return "selectable"

    def doRead(self) -> None:
        self.reads.append(self.socket.recv(100))

    def connectionLost(self, reason: Failure) -> None:
        self.lost.append(reason.value)


class OpenFLReactorTests(SynchronousTestCase):
    """
    The reactor behaves like Twisted's reactor.
    """

    way: Way
    reactor: OpenFLReactor

    def setUp(self) -> None:
        """
        Create a reactor.
        """
        self.way = Way("openfl")
        self.addCleanup(self.way.close)
        self.reactor = self.way.reactor
        # Under pytest-twisted, a test may run within an event of the global reactor.
        self.before = context.get(log.ILogContext)

    def watch(self) -> tuple[Selectable, socket.socket]:
        """
        Make the reactor watch a readable descriptor.
        """
        own, other = socket.socketpair()
        self.addCleanup(own.close)
        self.addCleanup(other.close)
        selectable = Selectable(own)
        self.reactor.addReader(selectable)
        self.addCleanup(self.reactor.removeReader, selectable)
        return selectable, other

    def test_offered(self) -> None:
        """
        C{--reactor=openfl} is a plugin; listing the reactors imports nothing.
        """
        [found] = [
            cast("Reactor", each) for each in getReactorTypes() if each.shortName == "openfl"
        ]
        self.assertEqual(found.moduleName, "openfl_twisted.reactors.epoll")
        self.assertTrue(found.description.endswith("."))

    def test_install(self) -> None:
        """
        C{install} sets the reactor of the process.
        """
        installed: list[OpenFLReactor] = []
        self.patch(epoll, "installReactor", installed.append)
        self.patch(epoll, "OpenFLReactor", lambda: self.reactor)
        epoll.install()
        self.assertEqual(installed, [self.reactor])

    def test_failure(self) -> None:
        """
        An exception of a protocol closes only its own connection, and is logged once,
        with the connection's prefix.
        """
        bad, good = Recorder(), Recorder()

        def fail(data: bytes) -> None:
            raise Boom

        bad.react = fail
        good.react = lambda data: good.transport.write(data)
        events: list[dict[str, Any]] = []
        log.addObserver(events.append)
        self.addCleanup(log.removeObserver, events.append)
        one, two = self.way.meet(bad), self.way.meet(good)
        prefix = bad.transport.logstr
        one.send(b"x")
        two.send(b"y")
        self.way.until(lambda: one.end and two.received == b"y")
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.assertEqual([event["system"] for event in events if event["isError"]], [prefix])
        self.assertEqual(bad.events[-1], ("lost", "Boom"))

    def test_context(self) -> None:
        """
        Log lines of a handler have the prefix of its connection.
        """
        events: list[dict[str, Any]] = []
        log.addObserver(events.append)
        self.addCleanup(log.removeObserver, events.append)
        server = Recorder()
        server.react = lambda data: log.msg("from within")
        self.way.meet(server).send(b"x")
        self.way.until(lambda: b"x" in server.events)
        [found] = [event for event in events if event["message"] == ("from within",)]
        self.assertEqual(found["system"], server.transport.logstr)

    def test_contextKept(self) -> None:
        """
        A callee that keeps the context, as the thread pool does, keeps the context of
        its own event.
        """
        kept: list[Any] = []
        servers = [Recorder() for _ in range(3)]
        for server in servers:
            server.react = lambda data: kept.append(
                context.theContextTracker.currentContext().contexts[-1]
            )
        peers = [self.way.meet(server) for server in servers]
        for peer in peers:
            peer.send(b"x")
        self.way.until(lambda: len(kept) == 3)
        self.assertEqual(
            {context.call(each, context.get, log.ILogContext)["system"] for each in kept},
            {server.transport.logstr for server in servers},
        )
        self.assertEqual(context.get("something else", "nothing"), "nothing")
        self.assertEqual(context.call(kept[0], context.get, "something else", "nothing"), "nothing")

    def test_contextKeptAnyway(self) -> None:
        """
        A kept context is correct without C{sys.getrefcount}, too.
        """
        self.patch(epoll, "_countHolders", lambda held: float("nan"))
        self.test_contextKept()

    def test_contextOfOne(self) -> None:
        """
        An event has one log context; after it, the previous context is restored.
        """
        asked: list[Any] = []
        server = Recorder()
        server.react = lambda data: asked.extend(context.get(log.ILogContext) for _ in range(2))
        self.way.meet(server).send(b"x")
        self.way.until(lambda: b"x" in server.events)
        self.assertIs(asked[0], asked[1])
        self.assertIs(context.get(log.ILogContext), self.before)

    def test_buggyPrefix(self) -> None:
        """
        A selectable whose C{logPrefix} raises is still read. The exception is logged
        when the context is used.
        """
        selectable, other = self.watch()
        events: list[dict[str, Any]] = []
        log.addObserver(events.append)
        self.addCleanup(log.removeObserver, events.append)
        reads: list[str] = []

        def fail() -> str:
            raise Boom

        def read() -> None:
            reads.append(selectable.socket.recv(100).decode())
            log.msg("from within")

        selectable.logPrefix = fail  # type: ignore[method-assign]
        selectable.doRead = read  # type: ignore[method-assign]
        other.send(b"x")
        self.way.turn()
        self.assertEqual(reads, ["x"])
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        [found] = [event for event in events if event["message"] == ("from within",)]
        self.assertEqual(found["system"], "(buggy logPrefix method)")

    def test_interrupt(self) -> None:
        """
        C{KeyboardInterrupt} ends the program in any call.
        """

        def interrupt(*arguments: object) -> Any:
            raise KeyboardInterrupt

        selectable, other = self.watch()
        selectable.doRead = lambda: Boom()  # type: ignore[assignment, method-assign]
        selectable.connectionLost = interrupt  # type: ignore[assignment, method-assign]
        other.close()
        self.assertRaises(KeyboardInterrupt, self.reactor.doPoll, 0)
        self.assertIs(context.get(log.ILogContext), self.before)

    def test_lostDescriptor(self) -> None:
        """
        A selectable without a descriptor is notified that its connection is lost.
        """
        selectable, other = self.watch()
        number = selectable.fileno()
        selectable.fileno = lambda: -1  # type: ignore[method-assign]
        other.send(b"x")
        self.way.turn()
        self.assertIsInstance(selectable.lost[0], ConnectionFdescWentAway)
        self.assertEqual(selectable.reads, [])
        self.assertNotIn(number, self.reactor._selectables)

    def test_lostFails(self) -> None:
        """
        An exception of C{connectionLost} is logged.
        """
        selectable, other = self.watch()

        def fail(reason: Failure) -> None:
            raise Boom

        selectable.connectionLost = fail  # type: ignore[method-assign]
        selectable.doRead = lambda: Boom()  # type: ignore[assignment, method-assign]
        other.send(b"x")
        self.way.turn()
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    def test_removedMeanwhile(self) -> None:
        """
        A selectable that was removed by an earlier event of the same iteration is not
        called.
        """
        one, first = self.watch()
        two, second = self.watch()

        def takeAway(own: Selectable, other: Selectable) -> None:
            own.reads.append(b"")
            self.reactor.removeReader(other)

        one.doRead = lambda: takeAway(one, two)  # type: ignore[method-assign]
        two.doRead = lambda: takeAway(two, one)  # type: ignore[method-assign]
        first.send(b"x")
        second.send(b"x")
        self.way.turn()
        self.assertEqual(len(one.reads) + len(two.reads), 1)

    def test_waiting(self) -> None:
        """
        A program may run the reactor in a read, and wait for the answer to data it has
        written.
        """
        server = Recorder()
        answers: list[bytes] = []

        def ask(data: bytes) -> None:
            if data == b"begin":
                server.transport.write(b"question")
                for _ in range(MANY):
                    self.reactor.iterate(0.001)
                    peer.read()
                    if peer.received and not answers:
                        peer.send(b"answer")
                        answers.append(b"asked")
                    if answers[1:]:
                        return
            answers.append(data)

        server.react = ask
        peer = self.way.meet(server)
        peer.send(b"begin")
        self.way.until(lambda: answers == [b"asked", b"answer"])

    def test_writers(self) -> None:
        """
        Connections with unsent data are among the writers, and are removed with them.
        """
        server = Recorder()
        peer = self.way.meet(server)
        server.transport.write(b"x")
        self.assertIn(server.transport, self.reactor.getWriters())
        removed = self.reactor.removeAll()
        self.assertEqual(removed.count(server.transport), 1)
        self.assertNotIn(server.transport, self.reactor.getWriters())
        self.way.turn(2)
        peer.read()
        self.assertEqual(peer.received, b"")
        self.reactor.addReader(server.transport)

    def test_stop(self) -> None:
        """
        The reactor runs until C{stop} is called, even by a handler of data written by a
        timer. Exceptions in its own loop are logged.
        """

        class Stopping(Recorder):
            def connectionLost(self, reason: Failure | None = None) -> None:
                own.stop()

        own = self.reactor
        server = Stopping()
        peer = self.way.meet(server)

        def end() -> None:
            server.transport.write(b"farewell")
            server.transport.loseConnection()

        polls = [Boom()]
        poll = own.doIteration

        def failOnce(timeout: float | None) -> None:
            if polls:
                raise polls.pop()
            poll(timeout)

        own.doIteration = failOnce  # type: ignore[method-assign]
        own.callLater(0, end)
        own.run(installSignalHandlers=False)
        peer.read()
        self.assertEqual(peer.received, b"farewell")
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    def test_client(self) -> None:
        """
        Client connections coalesce writes, too: data written in C{connectionMade} and
        in a read arrives.
        """
        client = Recorder()
        client.begin = lambda: client.transport.write(b"hello")
        client.react = lambda data: client.transport.write(b"got " + data)
        server = Recorder()
        server.react = lambda data: server.transport.write(b"welcome")
        listening = Factory.forProtocol(lambda: server)
        connecting = cast("ClientFactory[Any]", ClientFactory.forProtocol(lambda: client))
        self.reactor.connectTCP(HOST, self.way.listen(listening), connecting)
        self.way.until(lambda: len(server.events) > 1 and b"got welcome" in server.events[1])
        self.assertIsInstance(client.transport, EpollClientTransport)
        self.assertIsInstance(server.transport, EpollServerTransport)
        client.transport.loseConnection()
        self.way.until(lambda: client.lost() and server.lost())

    def test_adopted(self) -> None:
        """
        Adopted TCP sockets coalesce writes; other sockets are Twisted's.
        """
        made: list[Recorder] = []

        def make() -> Recorder:
            made.append(Recorder())
            return made[-1]

        factory = Factory.forProtocol(make)
        factory.noisy = False
        for family, address in ((socket.AF_INET, (HOST, 0)), (socket.AF_UNIX, "socket")):
            with socket.socket(family) as bound:
                bound.setblocking(False)
                bound.bind(address)
                bound.listen()
                port: Any = self.reactor.adoptStreamPort(bound.fileno(), family, factory)
                with socket.socket(family) as peer:
                    peer.connect(bound.getsockname())
                    self.way.until(lambda: made)
                    self.assertEqual(
                        isinstance(made[-1].transport, EpollServerTransport),
                        family == socket.AF_INET,
                    )
                    own = os.dup(made[-1].transport.fileno())
                    try:
                        self.reactor.adoptStreamConnection(own, family, factory)
                    finally:
                        os.close(own)
                    self.assertEqual(
                        isinstance(made[-1].transport, EpollServerTransport),
                        family == socket.AF_INET,
                    )
                self.way.until(lambda: all(each.lost() for each in made))
                port.stopListening()
                self.way.turn(2)
            made.clear()


class TurnTests(SynchronousTestCase):
    """
    The order of reactor iterations.
    """

    def test_noTimeout(self) -> None:
        """
        Without events the reactor waits indefinitely; with data to send it does not
        wait.
        """
        way = Way("openfl")
        self.addCleanup(way.close)
        waits: list[float] = []

        def poll(timeout: float, most: int) -> list[tuple[int, int]]:
            waits.append(timeout)
            return []

        server = Recorder()
        way.meet(server)
        poller = way.reactor._poller
        way.reactor._poller = SimpleNamespace(poll=poll)
        way.reactor.doPoll(None)
        server.transport.write(b"x")
        way.reactor.doPoll(None)
        way.reactor._poller = poller
        self.assertEqual(waits, [-1, 0])


class DescriptorTests(SynchronousTestCase):
    """
    The set of descriptors that are read.
    """

    @given(st.lists(st.tuples(st.sampled_from(["add", "discard", "remove"]), st.integers(0, 70))))
    def test_likeASet(self, changes: list[tuple[str, int]]) -> None:
        """
        The descriptors behave like a C{set}.
        """
        wanted: set[int] = {3}
        made = epoll._Descriptors(wanted)
        for name, fd in changes:
            outcomes: list[type[Exception] | None] = []
            for each in (made, wanted):
                try:
                    getattr(each, name)(fd)
                    outcomes.append(None)
                except KeyError:
                    outcomes.append(KeyError)
            self.assertEqual(outcomes[0], outcomes[1])
            self.assertEqual(fd in made, fd in wanted)
            self.assertEqual([*made], sorted(wanted))
        self.assertNotIn(-1, made)
        self.assertNotIn(1 << 20, made)
