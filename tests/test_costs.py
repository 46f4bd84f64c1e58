"""
The number of calls for one message must not increase unnoticed.
"""

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from unittest import mock

import twisted.internet
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.protocols.basic import LineReceiver
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.broadcast import BroadcastProtocol, EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.services import xmlserver
from openfl_twisted.services.serving import ServerService
from openfl_twisted.transports.guard import GuardFactory
from tests.costs import costsOf, counted, growth
from tests.frames import BINARY, REQUEST, RESPONSE, frame
from tests.reactors.ways import Peer, Way, way

MESSAGE = b"<move x='10'/>\0"

Work = Callable[[], object]


class CountingTests(SynchronousTestCase):
    """
    The counters of L{tests.costs}.
    """

    def test_calls(self) -> None:
        """
        Calls of Python functions are counted, calls of built-in functions are not.
        """

        def once(number: int) -> int:
            return abs(number)

        few, many = (costsOf(partial(list, map(once, range(n)))).calls for n in (1, 11))
        self.assertEqual(many - few, 10)

    def test_system(self) -> None:
        """
        Calls of socket methods are counted by name.
        """
        one, other = socket.socketpair()
        self.addCleanup(one.close)
        self.addCleanup(other.close)
        costs = costsOf(lambda: (one.send(b"x"), one.send(b"y"), other.recv(9)))
        self.assertEqual(costs.system, {"send": 2, "recv": 1})

    def test_searched(self) -> None:
        """
        Searched bytes are counted.
        """
        text = b"x" * 1000
        self.assertEqual(costsOf(lambda: (text.find(b"y"), text.split(b"y"))).searched, 2000)

    def test_square(self) -> None:
        """
        Quadratic work is detected: Twisted's C{LineReceiver} searches the whole buffer
        for each chunk.
        """
        self.assertGreater(growth(partial(longMessage, twisteds), 200), 3.5)


def received(protocol: Protocol) -> Protocol:
    """
    Connect a protocol that has already received a message.
    """
    protocol.makeConnection(StringTransport())
    protocol.dataReceived(MESSAGE)
    return protocol


def ours() -> Protocol:
    """
    Create a server that sends each message back.
    """
    made = XMLSocketFactory(EchoProtocol, maxLength=1 << 30).buildProtocol(None)
    assert made is not None
    return received(made)


def twisteds() -> Protocol:
    """
    Create Twisted's receiver for the same messages.
    """

    class Receiver(LineReceiver):
        delimiter = b"\0"
        MAX_LENGTH = 1 << 30

        def lineReceived(self, line: bytes) -> None:
            pass

    return received(Receiver())


def longMessage(make: Callable[[], Protocol], pieces: int) -> Work:
    """
    Receive one message in many chunks.
    """
    protocol = make()

    def work() -> None:
        for _ in range(pieces):
            protocol.dataReceived(b"x" * 1448)
        protocol.dataReceived(b"\0")

    return work


def manyMessages(reads: int) -> Work:
    """
    Receive many messages, ten in each read.
    """
    protocol = ours()

    def work() -> None:
        for _ in range(reads):
            protocol.dataReceived(MESSAGE * 10)

    return work


def toMany(members: int) -> Work:
    """
    Forward a message to many clients.
    """
    factory = XMLSocketFactory(BroadcastProtocol)
    protocols = [factory.buildProtocol(None) for _ in range(members)]
    for each in protocols:
        assert each is not None
        each.makeConnection(StringTransport())
    speaker: XMLSocketProtocol | None = protocols[0]
    assert speaker is not None
    return partial(speaker.dataReceived, MESSAGE)


class MessageTests(SynchronousTestCase):
    """
    The cost of messages.
    """

    def test_calls(self) -> None:
        """
        Each further message in the same read takes at most three calls, including its
        answer: the handler, C{sendMessage} and C{write}.
        """

        class Texts(XMLSocketProtocol):
            def messageReceived(self, message: str) -> None:
                self.sendMessage(message)

        few, many = (
            costsOf(partial(received(Texts()).dataReceived, MESSAGE * n)).calls for n in (2, 102)
        )
        self.assertLessEqual(many - few, 3 * 100)

    def test_list(self) -> None:
        """
        If a protocol handles the messages of a read as a list, as the built-in echo
        does, further messages take no calls.
        """
        few, many = (costsOf(partial(ours().dataReceived, MESSAGE * n)).calls for n in (2, 102))
        self.assertEqual(many, few)

    def test_read(self) -> None:
        """
        A read with one message takes at most twenty calls, including its answer.
        """
        self.assertLessEqual(costsOf(partial(ours().dataReceived, MESSAGE)).calls, 20)

    def test_messages(self) -> None:
        """
        Twice the messages take at most twice the work.
        """
        self.assertLess(growth(manyMessages, 100), 2.05)

    def test_chunks(self) -> None:
        """
        A message in twice the chunks takes at most twice the work.
        """
        self.assertLess(growth(partial(longMessage, ours), 200), 2.05)

    def test_members(self) -> None:
        """
        A broadcast to twice the clients takes at most twice the work.
        """
        self.assertLess(growth(toMany, 100), 2.05)


def bare(own: Way) -> IProtocolFactory:
    """
    Create the factory of an echo server.
    """
    return XMLSocketFactory(EchoProtocol, clock=own.reactor)


def guarded(own: Way) -> IProtocolFactory:
    """
    Create the factory of the same server for all client types.
    """
    return GuardFactory(OnePortFactory(bare(own), clock=own.reactor), clock=own.reactor)


class ConnectionTests(SynchronousTestCase):
    """
    The cost of echoing one message on a TCP connection over loopback: calls of this
    package, without the reactor and the user's handler.
    """

    def functionsOf(
        self, name: str, make: Callable[[Way], IProtocolFactory], *, webSocket: bool
    ) -> dict[str, int]:
        """
        Return the number of calls of each function of this package for one message.
        """
        times = 10
        with way(name) as own:
            peer = own.dial(own.listen(make(own)))
            message = MESSAGE
            if webSocket:
                message = frame(BINARY, MESSAGE)
                peer.send(REQUEST)
                own.until(lambda: len(peer.received) >= len(RESPONSE))

            def echo() -> None:
                peer.received.clear()
                peer.send(message)
                while not peer.received:
                    own.reactor.doIteration(1)
                    peer.read()

            # The first message is inspected.
            echo()
            with counted() as costs:
                for _ in range(times):
                    echo()
        apart = ("openfl_twisted.reactors.", "openfl_twisted.protocols.broadcast.EchoProtocol.")
        found = {
            name: count
            for name, count in costs.functions.items()
            if name.startswith("openfl_twisted.")
            and not name.startswith(apart)
            # The attributes that Twisted's reactors ask for.
            and "AcceptedTransport._get" not in name
        }
        self.assertEqual([count % times for count in found.values()], [0] * len(found))
        return {name: count // times for name, count in found.items()}

    def compare(self, make: Callable[[Way], IProtocolFactory], limit: int, **how: bool) -> None:
        """
        Compare the number of calls with its limit. Twisted's own reactors take one
        more, because each read is a batch.
        """
        for name, more in (("openfl", 0), ("epoll, joined", 1)):
            functions = self.functionsOf(name, make, **how)
            self.assertLessEqual(sum(functions.values()), limit + more, functions)

    def test_bare(self) -> None:
        """
        A message takes five calls: to receive it, to handle it, and to send its answer.
        """
        self.compare(bare, 5, webSocket=False)

    def test_guarded(self) -> None:
        """
        The guard and protocol detection are only called for the first message.
        """
        self.compare(guarded, 5, webSocket=False)

    def test_webSocket(self) -> None:
        """
        A WebSocket message takes eight calls, and nine on Twisted's own reactors.
        """
        self.compare(guarded, 8, webSocket=True)


class AsTypedTests(SynchronousTestCase):
    """
    The cost of a message for C{twistd openfl-xml} on the C{openfl} reactor, with the
    default limits: all calls of an iteration of the reactor, and its system calls.
    """

    @contextmanager
    def serving(self, *options: str) -> Iterator[tuple[Way, int]]:
        """
        Run the command in the block.

        @return: its reactor, and the port.
        """
        # The endpoints and timers of the command use the global reactor, which trial has
        # not imported yet.
        with (
            way("openfl") as own,
            mock.patch.object(twisted.internet, "reactor", own.reactor, create=True),
        ):
            parsed = xmlserver.Options()
            parsed.parseOptions(["--listen=tcp:0:interface=127.0.0.1", *options])
            service = xmlserver.makeService(parsed)
            assert isinstance(service, ServerService)
            service.startService()
            [port] = [each for each in own.reactor.getReaders() if hasattr(each, "getHost")]
            yield own, port.getHost().port
            for peer in own.peers:
                peer.close()
            own.turn(5)
            stopped = service.stopService()
            assert stopped is not None
            done: list[object] = []
            stopped.addCallback(done.append)
            own.until(lambda: done)

    def costsOf(
        self, own: Way, speaker: Peer, message: bytes, receivers: list[Peer]
    ) -> tuple[int, dict[str, int]]:
        """
        Return the number of Python calls for a message that is received and sent in one
        iteration, and the number of system calls by name.
        """
        times = 10
        functions: Counter[str] = Counter()
        system: Counter[str] = Counter()
        for attempt in range(times + 1):
            speaker.send(message)
            with counted() as costs:
                own.reactor.doIteration(1)
            for peer in receivers:
                peer.received.clear()
                peer.read()
                self.assertNotEqual(peer.received, b"")
            # The first message is inspected.
            if attempt:
                functions += costs.functions
                system += costs.system
        # The calls that end the block.
        calls = sum(
            count
            for name, count in functions.items()
            if not name.startswith(("tests.", "contextlib."))
        )
        self.assertEqual(calls % times, 0)
        return calls // times, {name: count // times for name, count in system.items()}

    def compareEcho(self, first: bytes, message: bytes, limit: int) -> None:
        """
        Compare the number of calls for an echoed message with its limit.
        """
        with self.serving("--echo") as (own, port):
            peer = own.dial(port)
            peer.send(first)
            own.until(lambda: peer.received)
            calls, system = self.costsOf(own, peer, message, [peer])
        self.assertLessEqual(calls, limit)
        self.assertEqual(system, {"poll": 1, "recv": 1, "send": 1})

    def compareReceivers(
        self, options: list[str], first: bytes, message: bytes, limit: int, more: int
    ) -> None:
        """
        Compare the number of calls for a message to many clients with its limits.

        @param limit: maximum number of calls for a message to one receiver.
        @param more: maximum number of calls for each further receiver.
        """
        found = []
        for receivers in (1, 11):
            with self.serving(*options) as (own, port):
                speaker, *others = [own.dial(port) for _ in range(receivers + 1)]
                for peer in (*others, speaker):
                    peer.send(first)
                own.turn(20)
                for peer in others:
                    peer.read()
                calls, system = self.costsOf(own, speaker, message, others)
                found.append(calls)
                self.assertEqual(system, {"poll": 1, "recv": 1, "send": receivers})
        one, many = found
        self.assertLessEqual(one, limit)
        self.assertLessEqual(many - one, 10 * more)

    def test_echo(self) -> None:
        """
        An echoed message takes twelve calls, of which six are the reactor's.
        """
        self.compareEcho(MESSAGE, MESSAGE, 12)

    def test_webSocket(self) -> None:
        """
        An echoed WebSocket message takes three more calls.
        """
        self.compareEcho(REQUEST, frame(BINARY, MESSAGE), 15)

    def test_broadcast(self) -> None:
        """
        A forwarded message takes one call for each receiver.
        """
        self.compareReceivers([], MESSAGE, MESSAGE, 17, 1)

    def test_say(self) -> None:
        """
        A C{<say>} takes five calls for each receiver.
        """
        join, say = b"<join room='r'/>\0", b"<say>hello</say>\0"
        self.compareReceivers(["--rooms=xml"], join, say, 67, 5)
