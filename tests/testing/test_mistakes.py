"""
Likely mistakes in tests that use L{openfl_twisted.testing} are explained in one sentence.
"""

import unittest
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import errors
from openfl_twisted.net import DatagramSocket, SecureSocket, ServerSocket, Socket, XMLSocket
from openfl_twisted.protocols import OnePortFactory
from openfl_twisted.testing import (
    EVERY_BYTE,
    EventRecorder,
    MemoryNetwork,
    Peer,
    ScriptedPeer,
    atOffsets,
    connectedPair,
)


class ReactorTests(SynchronousTestCase):
    """
    L{MemoryNetwork.forTest}.
    """

    def setUp(self) -> None:
        self.cleanups: list[Callable[[], object]] = []

    def cleanUp(self) -> None:
        """
        End the test in the test.
        """
        while self.cleanups:
            self.cleanups.pop()()

    def test_forgottenReactor(self) -> None:
        """
        A socket without a reactor raises an exception until the test has ended.
        """
        network = MemoryNetwork.forTest(self.cleanups.append)
        self.addCleanup(self.cleanUp)
        for make in (DatagramSocket, SecureSocket, ServerSocket, Socket, XMLSocket):
            error = self.assertRaises(RuntimeError, make)
            self.assertEqual(
                str(error),
                f"{make.__name__}() uses the global reactor, but this test has a MemoryNetwork:"
                " pass reactor=network.reactor",
            )
            make(reactor=network.reactor)
            # Any explicit reactor is accepted.
            make(reactor=MemoryReactorClock())
        self.cleanUp()
        Socket()

    def test_otherNetworks(self) -> None:
        """
        A network that was created otherwise, or belongs to an ended test, forbids nothing.
        """
        MemoryNetwork()
        MemoryNetwork.forTest(self.cleanups.append)
        MemoryNetwork.forTest(self.cleanups.append)
        self.cleanups.pop()()
        self.assertRaises(RuntimeError, Socket)
        self.cleanUp()
        Socket()

    def test_check(self) -> None:
        """
        At the end of the test, the network is checked.
        """

        class GameTests(unittest.TestCase):
            def runTest(self) -> None:
                network = MemoryNetwork.forTest(self.addCleanup)
                network.reactor.callLater(0, lambda: 1 / 0)
                network.flush()

        result = unittest.TestResult()
        GameTests().run(result)
        [(_, text)] = result.errors
        self.assertIn("ZeroDivisionError", text)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        Socket()


class ErrorEventTests(SynchronousTestCase):
    """
    A socket whose error event has no listener.
    """

    def test_check(self) -> None:
        """
        The network raises the error #2044.
        """
        network = MemoryNetwork()
        XMLSocket("127.0.0.1", 1, reactor=network.reactor)
        network.flush()
        error = self.assertRaises(errors.Error, network.check)
        self.assertEqual(error.errorID, 2044)
        self.assertIn(
            "Error #2044: Unhandled IOErrorEvent:. text=Error #2031: Socket Error. The connection"
            " to 127.0.0.1:1 was refused",
            str(error),
        )

    def test_handled(self) -> None:
        """
        A listener, and a Deferred that fails, handle the error.
        """
        network = MemoryNetwork()
        socket = XMLSocket("127.0.0.1", 1, reactor=network.reactor)
        socket.addEventListener("ioError", lambda event: None)
        self.assertRaises(
            OSError, network.run, XMLSocket("127.0.0.1", 1, reactor=network.reactor).whenConnected()
        )
        network.check()


class ScriptTests(SynchronousTestCase):
    """
    A L{ScriptedPeer} that no test has verified.
    """

    def start(self) -> tuple[MemoryNetwork, ScriptedPeer]:
        network = MemoryNetwork()
        peer = ScriptedPeer().expect(b"hello")
        peer.listen(network, 8080)
        return network, peer

    def test_forgottenVerify(self) -> None:
        """
        The network verifies it at the end.
        """
        network, _ = self.start()
        error = self.assertRaises(AssertionError, network.check)
        self.assertIn("step 1 of 1, expect(b'hello'), is pending", str(error))

    def test_verified(self) -> None:
        """
        A peer that was verified is not verified again, even if it has failed.
        """
        network, peer = self.start()
        self.assertRaises(AssertionError, peer.verify)
        network.check()

    def test_complete(self) -> None:
        """
        A complete script passes.
        """
        network, _ = self.start()
        client = XMLSocket("localhost", 8080, reactor=network.reactor)
        client.addEventListener("connect", lambda event: client.send("hello"))
        network.flush()
        # The NUL byte of the message does not belong to the script.
        error = self.assertRaises(AssertionError, network.check)
        self.assertIn("the script is complete, then received", str(error))


class RefusedTests(SynchronousTestCase):
    """
    A connection to a host name without a server.
    """

    def test_localhost(self) -> None:
        """
        A refused connection is reported without advancing the clock.
        """
        network = MemoryNetwork()
        recorder = EventRecorder(XMLSocket("localhost", 8080, reactor=network.reactor))
        network.flush()
        self.assertEqual(recorder.types, ["ioError"])
        self.assertEqual(network.seconds(), 0)


class MistakeTests(SynchronousTestCase):
    """
    Arguments of a wrong type.
    """

    def fails(self, words: str, function: Any, *arguments: Any) -> None:
        """
        Check that a call raises C{TypeError} with a text.
        """
        error = self.assertRaises(TypeError, function, *arguments)
        self.assertIn(words, str(error))
        self.assertNotIn("\n", str(error))

    def test_text(self) -> None:
        """
        Peers send and receive bytes.
        """
        for name in ("expect", "send"):
            method = getattr(ScriptedPeer(), name)
            self.fails(f"{name}() needs bytes, not 'hello': encode the text", method, "hello")
            # bytes(5) would be five NUL bytes.
            self.fails(f"{name}() needs bytes, not 5", method, 5)
        pair = connectedPair(Peer(), Peer())
        self.fails("send() needs bytes, not 'hello': encode the text", pair.client.send, "hello")
        data: Any = bytearray(b"a")
        pair.client.send(data)
        pair.network.flush()
        self.assertEqual(pair.server.received, b"a")

    def test_notConnected(self) -> None:
        """
        A peer that is not connected cannot send.
        """
        error = self.assertRaises(RuntimeError, Peer().send, b"hello")
        self.assertEqual(str(error), "the peer is not connected yet: call network.flush() first")

    def test_listen(self) -> None:
        """
        A scripted peer needs a network, not its reactor, and a port.
        """
        network, peer = MemoryNetwork(), ScriptedPeer()
        for method in (peer.listen, peer.connect):
            self.fails("needs a MemoryNetwork, not <", method, network.reactor, 80)
            self.fails("needs an integer port, not '80'", method, network, "80")
        self.assertEqual(network.checks, [])

    def test_run(self) -> None:
        """
        C{run} needs the coroutine, and not the coroutine function.
        """
        network = MemoryNetwork()

        async def program() -> int:
            return 3

        self.assertEqual(network.run(program()), 3)
        self.fails("run() needs a Deferred or a coroutine, not <function", network.run, program)
        self.fails(": call the function", network.run, program)
        self.fails("run() needs a Deferred or a coroutine, not None", network.run, None)

    def test_advance(self) -> None:
        """
        Time cannot run backwards.
        """
        network = MemoryNetwork()
        for seconds in (-1, float("nan")):
            error = self.assertRaises(ValueError, network.advance, seconds)
            self.assertIn("the time must be a number of seconds from 0", str(error))

    def test_connectedPair(self) -> None:
        """
        A pair needs instances.
        """
        self.fails(": create an instance, or a factory", connectedPair, Peer, Peer())
        self.fails("needs protocols or factories, not 8080", connectedPair, Peer(), 8080)
        connectedPair(Factory.forProtocol(Peer), Peer())

    def test_recorder(self) -> None:
        """
        A recorder needs a dispatcher, and a list of types.
        """
        self.fails("EventRecorder() needs an EventDispatcher, not <", EventRecorder, Peer())
        socket = Socket(reactor=MemoryNetwork().reactor)
        self.fails("types must be a list of event types", EventRecorder, socket, "connect")

    def test_sizes(self) -> None:
        """
        Sizes of segments are integers.
        """
        flow = connectedPair(Peer(), Peer()).connection.toServer
        for sizes in (1, "12", b"12", ["1"], None, atOffsets):
            self.fails("sizes must be the sizes of segments in bytes", flow.split, sizes)

    def test_segments(self) -> None:
        """
        The sizes for all connections can be used several times.
        """
        network = MemoryNetwork()
        for sizes in ((), [1, 2], EVERY_BYTE, atOffsets(2, 5)):
            network.segments = sizes
            self.assertIs(network.segments, sizes)
        self.fails("not the iterator", setattr, network, "segments", iter([1]))
        self.fails("segments must be the sizes", setattr, network, "segments", lambda: ())
        self.assertEqual(repr(EVERY_BYTE), "EVERY_BYTE")

    def test_settings(self) -> None:
        """
        Settings have the right type and value, and their names are not misspelt.
        """
        network = MemoryNetwork()
        flow = connectedPair(Peer(), Peer(), network=network).connection.toServer
        for owner, name in (
            (network, "latency"),
            (network, "lookupTime"),
            (network.datagrams, "latency"),
            (flow, "latency"),
        ):
            words = f"{name} must be a number of seconds from 0, not "
            self.fails(words + "'0.2'", setattr, owner, name, "0.2")
            for value in (-1, float("nan"), float("inf")):
                error = self.assertRaises(ValueError, setattr, owner, name, value)
                self.assertEqual(str(error), f"{words}{value!r}")
            setattr(owner, name, 0.2)
            self.assertEqual(getattr(owner, name), 0.2)
        for object in (network, flow):
            self.fails("window must be an integer from 0, not 0.5", setattr, object, "window", 0.5)
        self.fails("the number of segments must be an integer", flow.release, "1")
        self.assertRaises(ValueError, flow.release, -3)
        self.fails("an offset must be an integer from 0, not '2'", atOffsets, "2")
        self.fails("the time must be a number of seconds", network.advance, "1")
        misspelt = self.assertRaises(AttributeError, setattr, network, "latancy", 1)
        self.assertIn("did you mean latency?", str(misspelt))
        self.assertRaises(AttributeError, setattr, flow, "latancy", 1)
        # Tests can add attributes.
        setattr(network, "game", 1)  # noqa: B010 - type checkers do not know the attribute

    def test_addHost(self) -> None:
        """
        A host has a name, then addresses.
        """
        network = MemoryNetwork()
        for arguments in (("10.0.0.1", "game.example"), ("game.example", "other.example")):
            error = self.assertRaises(ValueError, network.addHost, *arguments)
            self.assertIn("addHost() needs ", str(error))
        self.assertNotIn("game.example", network.names)

    def test_reactor(self) -> None:
        """
        Sockets and factories need the reactor of the network, not the network.
        """
        network: Any = MemoryNetwork()
        for make in (DatagramSocket, SecureSocket, ServerSocket, Socket, XMLSocket):
            with self.assertRaises(TypeError) as caught:
                make(reactor=network)
            self.assertIn("reactor must be a reactor, not <", str(caught.exception))
            self.assertIn(": pass its attribute reactor", str(caught.exception))
        with self.assertRaises(TypeError):
            OnePortFactory(Factory(), clock=network)
        with self.assertRaises(TypeError) as caught:
            connectedPair(Peer(), Peer(), network=network.reactor)
        self.assertIn("connectedPair() needs a MemoryNetwork, not <", str(caught.exception))

    def test_answer(self) -> None:
        """
        A connection attempt is answered with a factory.
        """
        network = MemoryNetwork()
        network.attempts.hold()
        XMLSocket("localhost", 8080, reactor=network.reactor)
        network.flush()
        [attempt] = network.attempts.held
        self.fails("answer() needs a factory, not <", attempt.answer, Peer())

    def test_scripts(self) -> None:
        """
        A script expects data.
        """
        error = self.assertRaises(ValueError, ScriptedPeer().expect, b"")
        self.assertIn("expect() needs at least one byte", str(error))

    def test_lost(self) -> None:
        """
        A peer whose connection is lost cannot send.
        """
        pair = connectedPair(Peer(), Peer())
        pair.server.close()
        pair.network.flush()
        error = self.assertRaises(RuntimeError, pair.client.send, b"hello")
        self.assertIn("the connection is lost: Connection was closed", str(error))

    def test_wait(self) -> None:
        """
        A program that waits for nothing on the network may use the global reactor.
        """
        network = MemoryNetwork()
        error = self.assertRaises(AssertionError, network.run, Deferred())
        self.assertIn("Does the program use the global reactor?", str(error))
