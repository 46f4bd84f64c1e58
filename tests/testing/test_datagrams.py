"""
Tests for L{openfl_twisted.testing._datagrams}.
"""

import errno
import socket
from typing import Any

from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.internet.protocol import ConnectedDatagramProtocol, DatagramProtocol
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.testing import Datagram, MemoryNetwork
from openfl_twisted.testing._sockets import RECEIVE_BUFFER


class Receiver(DatagramProtocol):
    """
    Records datagrams.
    """

    noisy = False
    transport: Any

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Any]] = []

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.received.append((datagram, addr))


class DatagramTests(SynchronousTestCase):
    """
    Datagrams are delivered, delayed or lost.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.sender, self.receiver = Receiver(), Receiver()
        self.network.reactor.listenUDP(1000, self.sender, "127.0.0.1")
        self.network.reactor.listenUDP(2000, self.receiver, "127.0.0.1")

    def send(self, *datagrams: bytes, port: int = 2000, host: str = "127.0.0.1") -> None:
        """
        Send datagrams, and let them arrive.
        """
        for datagram in datagrams:
            self.sender.transport.write(datagram, (host, port))
        self.network.flush()

    def received(self) -> list[bytes]:
        """
        Return the received payloads.
        """
        return [data for data, _ in self.receiver.received]

    def test_arrive(self) -> None:
        """
        By default datagrams arrive in order, complete, with their source.
        """
        self.send(b"one", b"", b"three")
        address = ("127.0.0.1", 1000)
        self.assertEqual(
            self.receiver.received, [(b"one", address), (b"", address), (b"three", address)]
        )

    def test_latency(self) -> None:
        """
        Datagrams arrive after the latency.
        """
        self.network.datagrams.latency = 2
        self.send(b"slow")
        self.network.advance(1.9)
        self.assertEqual(self.received(), [])
        self.network.advance(0.1)
        self.assertEqual(self.received(), [b"slow"])

    def test_lost(self) -> None:
        """
        A filter selects the datagrams to lose.
        """
        self.network.datagrams.filter = lambda datagram: datagram.data != b"two"
        self.send(b"one", b"two", b"three")
        self.assertEqual(self.received(), [b"one", b"three"])

    def test_order(self) -> None:
        """
        Held datagrams are released in any order, and can be duplicated; later ones
        arrive as usual.
        """
        self.network.datagrams.hold()
        self.send(b"one", b"two", b"three")
        self.assertEqual(self.received(), [])
        self.assertEqual(
            self.network.datagrams.held[0],
            Datagram(b"one", ("127.0.0.1", 1000), ("127.0.0.1", 2000)),
        )
        self.network.datagrams.release((2, 0, 0))
        self.network.flush()
        self.assertEqual(self.received(), [b"three", b"one", b"one"])
        self.send(b"four")
        self.assertEqual(self.received()[3:], [b"four"])

    def test_heldChanged(self) -> None:
        """
        A test can remove held datagrams, and add others.
        """
        self.network.datagrams.hold()
        self.send(b"one", b"two")
        held = self.network.datagrams.held
        del held[0]
        held.append(Datagram(b"forged", ("127.0.0.1", 9), ("127.0.0.1", 2000)))
        self.network.datagrams.release()
        self.network.flush()
        self.assertEqual(
            self.receiver.received, [(b"two", ("127.0.0.1", 1000)), (b"forged", ("127.0.0.1", 9))]
        )

    def test_nobody(self) -> None:
        """
        Datagrams to an address without a receiver are lost without an error.
        """
        self.send(b"lost", port=3000)
        self.send(b"lost", host="192.0.2.1")
        self.network.blackhole("127.0.0.1", 2000)
        self.send(b"lost")
        self.network.refuse("127.0.0.1", 2000)
        self.send(b"lost")
        self.assertEqual(self.received(), [])

    def test_tooLong(self) -> None:
        """
        The size of datagrams is limited; a receiver truncates to its own limit.
        """
        with self.assertRaises(MessageLengthError):
            self.send(bytes(65508))
        self.send(bytes(65507))
        self.assertEqual([len(data) for data in self.received()], [8192])

    def test_tooMany(self) -> None:
        """
        Datagrams beyond the receive buffer are lost.
        """
        self.receiver.transport.stopReading()
        size = 50_000
        self.send(*[bytes(size)] * 10)
        self.receiver.transport.startReading()
        self.network.flush()
        self.assertEqual(len(self.received()), RECEIVE_BUFFER // size)

    def test_unbound(self) -> None:
        """
        The source address of a socket bound to all addresses depends on the
        receiver.
        """
        sender = Receiver()
        self.network.reactor.listenUDP(0, sender)
        sender.transport.write(b"a", ("127.0.0.1", 2000))
        self.network.flush()
        [(_, (host, port))] = self.receiver.received
        self.assertEqual((host, port), ("127.0.0.1", sender.transport.getHost().port))

    def test_ipv6(self) -> None:
        """
        IPv6 has separate ports.
        """
        six, other = Receiver(), Receiver()
        self.network.reactor.listenUDP(2000, six, "::1")
        self.network.reactor.listenUDP(3000, other, "::")
        other.transport.write(b"six", ("::1", 2000))
        self.network.flush()
        self.assertEqual(six.received, [(b"six", ("::1", 3000))])

    def test_taken(self) -> None:
        """
        A port has one receiver, and is free after its end.
        """
        with self.assertRaises(CannotListenError):
            self.network.reactor.listenUDP(2000, Receiver(), "127.0.0.1")
        self.network.run(self.receiver.transport.stopListening())
        self.network.reactor.listenUDP(2000, Receiver(), "127.0.0.1")

    def test_singlePeer(self) -> None:
        """
        A connected socket ignores datagrams of other peers, and is notified if its
        peer is missing.
        """
        refused: list[None] = []
        heard: list[bytes] = []

        class Connected(ConnectedDatagramProtocol):
            noisy = False
            transport: Any

            def datagramReceived(self, datagram: bytes, addr: Any = None) -> None:
                heard.append(datagram)

            def connectionRefused(self) -> None:
                refused.append(None)

        connected = Connected()
        self.network.reactor.listenUDP(4000, connected, "127.0.0.1")
        connected.transport.connect("127.0.0.1", 2000)
        connected.transport.write(b"hello")
        self.network.flush()
        self.assertEqual(self.receiver.received, [(b"hello", ("127.0.0.1", 4000))])
        self.send(b"stranger", port=4000)
        self.receiver.transport.write(b"peer", ("127.0.0.1", 4000))
        self.network.flush()
        self.assertEqual(heard, [b"peer"])
        self.network.run(self.receiver.transport.stopListening())
        connected.transport.write(b"gone")
        self.network.flush()
        self.assertEqual(refused, [None])

    def test_socket(self) -> None:
        """
        An unbound socket is bound when it sends; without a peer or an address it
        cannot send.
        """
        made = self.network.reactor.makeSocket(socket.AF_INET, socket.SOCK_DGRAM)
        with self.assertRaises(OSError) as caught:
            made.send(b"a")
        self.assertEqual(caught.exception.errno, errno.EDESTADDRREQ)
        self.assertTrue(made.writable)
        with self.assertRaises(BlockingIOError):
            made.recvfrom(10)
        made.sendto(b"a", ("127.0.0.1", 2000))
        self.network.flush()
        self.assertEqual(self.received(), [b"a"])

    def test_adopted(self) -> None:
        """
        A reactor adopts a bound socket.
        """
        made = self.network.reactor.makeSocket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("127.0.0.1", 5000))
        adopted = Receiver()
        self.network.reactor.adoptDatagramPort(made.fileno(), socket.AF_INET, adopted)
        made.close()
        self.send(b"a", port=5000)
        self.assertEqual(adopted.received, [(b"a", ("127.0.0.1", 1000))])
