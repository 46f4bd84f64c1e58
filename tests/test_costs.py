"""
How much work a message is, counted: what must not become more without anybody
noticing.
"""

import socket
from collections.abc import Callable
from functools import partial

from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.protocols.basic import LineReceiver
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.broadcast import BroadcastProtocol, EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.transports.guard import GuardFactory
from tests.costs import costsOf, counted, growth
from tests.frames import BINARY, REQUEST, RESPONSE, frame
from tests.reactors.ways import Way, way

MESSAGE = b"<move x='10'/>\0"

Work = Callable[[], object]


class CountingTests(SynchronousTestCase):
    """
    What is counted.
    """

    def test_calls(self) -> None:
        """
        Each function of Python counts, and none that is built in.
        """

        def once(number: int) -> int:
            return abs(number)

        few, many = (costsOf(partial(list, map(once, range(n)))).calls for n in (1, 11))
        self.assertEqual(many - few, 10)

    def test_system(self) -> None:
        """
        Each method of a socket counts by its name.
        """
        one, other = socket.socketpair()
        self.addCleanup(one.close)
        self.addCleanup(other.close)
        costs = costsOf(lambda: (one.send(b"x"), one.send(b"y"), other.recv(9)))
        self.assertEqual(costs.system, {"send": 2, "recv": 1})

    def test_searched(self) -> None:
        """
        The bytes count in which something is searched.
        """
        text = b"x" * 1000
        self.assertEqual(costsOf(lambda: (text.find(b"y"), text.split(b"y"))).searched, 2000)

    def test_square(self) -> None:
        """
        Work that grows with the square of the input is seen: Twisted's
        C{LineReceiver} searches all that has come at each piece.
        """
        self.assertGreater(growth(partial(longMessage, twisteds), 200), 3.5)


def received(protocol: Protocol) -> Protocol:
    """
    Connect a protocol that has received a message already.
    """
    protocol.makeConnection(StringTransport())
    protocol.dataReceived(MESSAGE)
    return protocol


def ours() -> Protocol:
    """
    Make a server that sends each message back.
    """
    made = XMLSocketFactory(EchoProtocol, maxLength=1 << 30).buildProtocol(None)
    assert made is not None
    return received(made)


def twisteds() -> Protocol:
    """
    Make Twisted's receiver of the same messages.
    """

    class Receiver(LineReceiver):
        delimiter = b"\0"
        MAX_LENGTH = 1 << 30

        def lineReceived(self, line: bytes) -> None:
            pass

    return received(Receiver())


def longMessage(make: Callable[[], Protocol], pieces: int) -> Work:
    """
    Receive one message in many pieces.
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
    Hand a message on to many.
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
    What messages cost.
    """

    def test_calls(self) -> None:
        """
        A message more in the same read is at most four calls more, its answer
        among them.
        """
        few, many = (costsOf(partial(ours().dataReceived, MESSAGE * n)).calls for n in (2, 102))
        self.assertLessEqual(many - few, 4 * 100)

    def test_list(self) -> None:
        """
        To who takes the list of the messages of a read, a message more is no
        call more.
        """

        class Lists(XMLSocketProtocol):
            def messagesReceived(self, messages: list[str]) -> None:
                self.sendMessages(messages)

        few, many = (
            costsOf(partial(received(Lists()).dataReceived, MESSAGE * n)).calls for n in (2, 102)
        )
        self.assertEqual(many, few)

    def test_read(self) -> None:
        """
        A read with one message is at most twenty calls, its answer among them.
        """
        self.assertLessEqual(costsOf(partial(ours().dataReceived, MESSAGE)).calls, 20)

    def test_messages(self) -> None:
        """
        Twice as many messages are at most twice the work.
        """
        self.assertLess(growth(manyMessages, 100), 2.05)

    def test_pieces(self) -> None:
        """
        A message of twice as many pieces is at most twice the work.
        """
        self.assertLess(growth(partial(longMessage, ours), 200), 2.05)

    def test_members(self) -> None:
        """
        Twice as many who hear a message are at most twice the work.
        """
        self.assertLess(growth(toMany, 100), 2.05)


def bare(own: Way) -> IProtocolFactory:
    """
    Make the factory of an echo server.
    """
    return XMLSocketFactory(EchoProtocol, clock=own.reactor)


def guarded(own: Way) -> IProtocolFactory:
    """
    Make the factory of the same server for every type of client.
    """
    return GuardFactory(OnePortFactory(bare(own), clock=own.reactor), clock=own.reactor)


class ConnectionTests(SynchronousTestCase):
    """
    What one message that is echoed costs on a TCP connection, over the loopback
    interface: calls of this package, without the reactor and the user's handler.
    """

    def functionsOf(
        self, name: str, make: Callable[[Way], IProtocolFactory], *, webSocket: bool
    ) -> dict[str, int]:
        """
        Return how often each function of this package is called for one message.
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
        Compare the number of calls with its limit. On Twisted's own reactors there is one
        more, since each read is a batch.
        """
        for name, more in (("openfl", 0), ("epoll, joined", 1)):
            functions = self.functionsOf(name, make, **how)
            self.assertLessEqual(sum(functions.values()), limit + more, functions)

    def test_bare(self) -> None:
        """
        A message is five calls: of the connection to receive, of the protocol, and to
        send its answer.
        """
        self.compare(bare, 5, webSocket=False)

    def test_guarded(self) -> None:
        """
        A guard and protocol detection are not called for any message but the first.
        """
        self.compare(guarded, 5, webSocket=False)

    def test_webSocket(self) -> None:
        """
        A WebSocket message is ten calls, and eleven on Twisted's own reactors.
        """
        self.compare(guarded, 10, webSocket=True)
