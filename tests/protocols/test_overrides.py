"""
Likely mistakes in overrides of the methods of a protocol.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.dispatch import JSONDispatchProtocol, XtDispatchProtocol
from openfl_twisted.protocols import (
    AsyncDatagramProtocol,
    BinarySocketFactory,
    OnePortFactory,
    PolicyFileFactory,
    TelnetProtocol,
    XMLSocketFactory,
    XMLSocketProtocol,
)
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.roomprotocol import PathRoomProtocol, RoomFactory
from openfl_twisted.testing import MemoryNetwork, Peer, connectedPair
from openfl_twisted.wire.policy.file import PolicyFile


class Waiting(XMLSocketProtocol):
    """
    Its handler waits indefinitely.

    @ivar calls: the names of the called methods.
    """

    def __init__(self) -> None:
        self.waiting: Deferred[None] = Deferred()
        self.calls: list[str] = []

    def messageReceived(self, message: str) -> Deferred[None]:
        return self.waiting


class Incomplete(Waiting):
    """
    Overrides C{connectionLost} without C{super}.
    """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.calls.append("Incomplete")


class Twice(Incomplete):
    """
    Overrides the incomplete method without C{super}.
    """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.calls.append("Twice")


class Complete(Incomplete):
    """
    Calls the incomplete method with C{super}.
    """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.calls.append("Complete")


class Mixin:
    """
    A class of the application that is not a protocol.
    """

    def connectionLost(self: Any, reason: Failure = connectionDone) -> None:
        self.calls.append("Mixin")


class Mixed(Mixin, Waiting):
    """
    Inherits C{connectionLost} from the class of the application.
    """


class Raising(Waiting):
    """
    Raises an exception before it calls C{super}.
    """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.calls.append("Raising")
        raise LookupError


class ConnectionLostTests(SynchronousTestCase):
    """
    An override of C{connectionLost} that does not call C{super}.
    """

    def test_completed(self) -> None:
        """
        The connection is removed from its factory, and its handlers are cancelled. Other
        overrides are not called.
        """
        for kind, calls in (
            (Incomplete, ["Incomplete"]),
            (Twice, ["Twice"]),
            (Complete, ["Incomplete", "Complete"]),
            (Mixed, ["Mixin"]),
            (Raising, ["Raising"]),
        ):
            factory = XMLSocketFactory(kind)
            pair = connectedPair(Peer(), factory)
            pair.client.send(b"a\0")
            pair.network.flush()
            [protocol] = factory.connections
            protocol.transport.abortConnection()
            pair.network.flush()
            self.assertEqual(protocol.calls, calls)
            self.assertEqual(list(factory.connections), [])
            self.assertTrue(protocol.waiting.called)
        self.flushLoggedErrors(LookupError)

    def test_room(self) -> None:
        """
        The member leaves its room after the override, which can still use the member.
        """
        names = []

        class Leaving(PathRoomProtocol):
            def connectionLost(self, reason: Failure = connectionDone) -> None:
                names.append(None if self.member is None else self.member.name)

        lobby = Lobby()
        pair = connectedPair(Peer(), RoomFactory(Leaving, lobby))
        pair.client.send(b"chess\0")
        pair.network.flush()
        self.assertEqual(lobby.members, 1)
        pair.client.close()
        pair.network.flush()
        self.assertEqual(lobby.members, 0)
        self.assertEqual(names, ["guest1"])

    def test_inheritedCoroutine(self) -> None:
        """
        C{connectionLost} cannot be a coroutine function of another base class either.
        """

        class Saving:
            async def connectionLost(self, reason: Failure) -> None: ...

        with self.assertRaisesRegex(TypeError, "Player.connectionLost cannot be a coroutine"):
            type("Player", (Saving, Waiting), {})

    def test_unconnected(self) -> None:
        """
        A test can call the override of a protocol that is not connected.
        """
        protocol = Incomplete()
        protocol.connectionLost(connectionDone)
        self.assertEqual(protocol.calls, ["Incomplete"])


class ParameterTests(SynchronousTestCase):
    """
    Overrides with the wrong parameters.
    """

    def test_wrong(self) -> None:
        """
        The error says how to define the method.
        """

        def none(self: Any) -> None: ...

        def two(self: Any, one: Any, other: Any) -> None: ...

        for name, method, how in (
            ("messageReceived", none, "messageReceived(self, message)"),
            ("messageReceived", two, "messageReceived(self, message)"),
            ("messagesReceived", none, "messagesReceived(self, messages)"),
            ("connectionLost", none, "connectionLost(self, reason)"),
            ("connectionMade", two, "connectionMade(self)"),
            ("sendQueueDropped", none, "sendQueueDropped(self, chunks)"),
        ):
            with self.assertRaises(TypeError) as caught:
                type("Player", (XMLSocketProtocol,), {name: method})
            self.assertEqual(
                str(caught.exception),
                f"Player.{name} has the wrong parameters: define it as def {how}",
            )

    def test_right(self) -> None:
        """
        Other names, defaults and variable parameters are accepted.
        """

        class Player(PathRoomProtocol):
            def handleLine(self, line: bytes, isFirst: bool = False) -> None: ...

            def joinRoom(self, name: str) -> None:  # type: ignore[override]
                ...

            def connectionLost(self, *arguments: Any, **named: Any) -> None: ...

            def playerMoved(self, x: int) -> None: ...

        class Jumper(Player):
            # A method of the application can change its parameters.
            def playerMoved(self, x: int, y: int) -> None:  # type: ignore[override]
                ...

        RoomFactory(Jumper, Lobby())
        RoomFactory(Player, Lobby())


class LimitTests(SynchronousTestCase):
    """
    Limits that a class sets.
    """

    def test_wrong(self) -> None:
        """
        A limit is a number that is not negative.
        """
        for name, value, kind, text in (
            ("MAX_LENGTH", "1M", TypeError, "must be a number from 0, not '1M'"),
            ("maxQueue", -1, ValueError, "must be a number from 0, not -1"),
        ):
            with self.assertRaises(kind) as caught:
                type("Player", (Waiting,), {name: value})
            self.assertEqual(str(caught.exception), f"Player.{name} {text}")

    def test_misspelt(self) -> None:
        """
        A misspelt limit is a warning at the line of the class.
        """
        for name, right in (
            ("MAX_LENGHT", "MAX_LENGTH"),
            ("maxLength", "MAX_LENGTH"),
            ("maxQeue", "maxQueue"),
            ("message_rate", "messageRate"),
            ("framming", "framing"),
            ("maxRoom", None),
        ):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                type("Player", (Waiting,), {name: 5})
            self.assertEqual(
                [(str(warning.message), warning.filename) for warning in caught],
                [(f"Player.{name} is not used: did you mean {right}?", __file__)] * bool(right),
            )

    def test_policy(self) -> None:
        """
        A factory uses its own policy file instead of that of the class.
        """

        class Player(Waiting):
            policy = PolicyFile.forPort

        makers: list[Any] = [XMLSocketFactory, partial(RoomFactory, lobby=Lobby())]
        for make in makers:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                make(Player)
            [warning] = caught
            text = "Player.policy is not used with a factory: pass policy= to the factory, or use"
            self.assertIn(text, str(warning.message))
            self.assertEqual(warning.filename, __file__)

    def test_settings(self) -> None:
        """
        Misspelt settings of other protocols are warnings too.
        """
        for base, name, right in (
            (JSONDispatchProtocol, "namekey", "nameKey"),
            (XtDispatchProtocol, "extention", "extension"),
            (XtDispatchProtocol, "allowExtra", "allowsExtra"),
            (XMLSocketProtocol, "polic", "policy"),
            (TelnetProtocol, "new_line", "newline"),
        ):
            with self.assertWarnsText(f"Player.{name} is not used: did you mean {right}?"):
                type("Player", (base,), {name: "x"})

    @contextmanager
    def assertWarnsText(self, text: str) -> Iterator[None]:
        """
        Check that the block causes one warning.
        """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        self.assertEqual([str(warning.message) for warning in caught], [text])


class FactoryTests(SynchronousTestCase):
    """
    Classes instead of factories.
    """

    def test_class(self) -> None:
        """
        The error says how to create the factory. A factory that overrides C{doStart} works.
        """

        class Own(XMLSocketFactory[Any]):
            def doStart(self) -> None:
                XMLSocketFactory.doStart(self)
                started.append(self)

        started: list[Any] = []
        factories: list[tuple[Any, str]] = [
            (XMLSocketFactory, "YourProtocol"),
            (BinarySocketFactory, "YourProtocol"),
            (RoomFactory, "YourProtocol, lobby"),
            (PolicyFileFactory, "policy"),
            (OnePortFactory, "wrappedFactory"),
        ]
        for cls, arguments in factories:
            reactor = MemoryNetwork().reactor
            name = cls.__name__
            text = f"a factory is needed, not the class {name}: pass {name}({arguments})"
            for listen in (reactor.listenTCP, partial(reactor.connectTCP, "127.0.0.1")):
                error = self.assertRaises(TypeError, listen, 8080, cls)
                self.assertEqual(str(error), text)
        factory = Own(Waiting)
        MemoryNetwork().reactor.listenTCP(8080, factory)
        MemoryNetwork().reactor.listenTCP(8080, PolicyFileFactory(PolicyFile.forPort))
        self.assertEqual((started, factory.numPorts), ([factory], 1))

    def test_buildProtocol(self) -> None:
        """
        A protocol that an override of C{buildProtocol} creates has its factory.
        """
        other: Any = XMLSocketFactory(Waiting)

        class Building(XMLSocketFactory[Any]):
            made: Any = None

            def buildProtocol(self, addr: Any) -> Any:
                return self.made

        factory = Building(Waiting)
        self.assertIsNone(factory.buildProtocol(None))
        for before, after in ((None, factory), (other, other)):
            factory.made = Waiting()
            factory.made.factory = before
            self.assertIs(factory.buildProtocol(None).factory, after)

    def test_init(self) -> None:
        """
        An override of C{__init__} must call C{super}.
        """

        class Own(XMLSocketFactory[Any]):
            protocol = Waiting

            def __init__(self) -> None:
                self.users: list[str] = []

        error = self.assertRaises(TypeError, MemoryNetwork().reactor.listenTCP, 8080, Own())
        self.assertEqual(str(error), "Own.__init__ must call super().__init__(YourProtocol)")


class DatagramTests(SynchronousTestCase):
    """
    Overrides of methods of C{AsyncDatagramProtocol} without C{super}.
    """

    def test_overrides(self) -> None:
        """
        The handler is cancelled when the port is closed.
        """

        class Own(AsyncDatagramProtocol):
            def __init__(self) -> None:
                self.waiting: Deferred[None] = Deferred()
                self.isStopped = False

            def datagramReceived(self, datagram: bytes, addr: Any) -> Deferred[None]:
                return self.waiting

            def stopProtocol(self) -> None:
                self.isStopped = True

        network = MemoryNetwork()
        protocol = Own()
        port = network.reactor.listenUDP(9000, protocol)
        network.reactor.listenUDP(9001, AsyncDatagramProtocol()).write(b"a", ("127.0.0.1", 9000))
        network.flush()
        port.stopListening()
        network.flush()
        self.assertTrue(protocol.isStopped)
        self.assertTrue(protocol.waiting.called)
        self.assertEqual(network.reactor.getDelayedCalls(), [])
