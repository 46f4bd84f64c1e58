"""
Tests for L{openfl_twisted.net.datagramsocket}: what can be seen without a
datagram. The rest is in C{tests/live/test_net.py}.
"""

import errno
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import errors
from openfl_twisted.events import DatagramSocketDataEvent
from openfl_twisted.net import DatagramSocket


class Address:
    """
    The address of a port.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port


class UDPPort:
    """
    A port that remembers what it was told.
    """

    def __init__(self, number: int, protocol: Any, interface: str) -> None:
        self.protocol = protocol
        self.interface = interface
        self.number = number or 50000
        self.reading = True
        self.sent: list[tuple[bytes, Any]] = []

    def getHost(self) -> Address:
        return Address(self.interface, self.number)

    def stopReading(self) -> None:
        self.reading = False

    def startReading(self) -> None:
        self.reading = True

    def write(self, data: bytes, address: Any) -> None:
        if len(data) > 65507:
            raise OSError(errno.EMSGSIZE, "Message too long")
        self.sent.append((data, address))

    def stopListening(self) -> None:
        self.reading = False


class UDPReactor:
    """
    A reactor that has such ports.
    """

    def __init__(self) -> None:
        self.ports: list[UDPPort] = []

    def listenUDP(self, port: int, protocol: Any, interface: str, maxPacketSize: int) -> UDPPort:
        if port == 7:
            raise CannotListenError(interface, port, OSError(errno.EADDRINUSE, "in use"))
        self.ports.append(UDPPort(port, protocol, interface))
        return self.ports[-1]


class DatagramSocketTests(SynchronousTestCase):
    """
    L{DatagramSocket} is bound, has a peer, and is closed.
    """

    def setUp(self) -> None:
        """
        Make a socket.
        """
        self.reactor = UDPReactor()
        self.socket = DatagramSocket(reactor=self.reactor)

    def assertRefused(self, kind: type[errors.Error], call: Any, *arguments: Any) -> None:
        """
        A call is refused.
        """
        self.assertRaises(kind, call, *arguments)

    def test_new(self) -> None:
        """
        At first it has neither address nor peer.
        """
        socket = self.socket
        self.assertTrue(DatagramSocket.isSupported)
        self.assertEqual((socket.bound, socket.connected), (False, False))
        self.assertEqual((socket.localAddress, socket.localPort), (None, 0))
        self.assertEqual((socket.remoteAddress, socket.remotePort), (None, 0))

    def test_reactor(self) -> None:
        """
        Unless it is told otherwise, it uses the reactor that runs.
        """
        from twisted.internet import reactor

        self.assertIs(DatagramSocket()._reactor, reactor)

    def test_bind(self) -> None:
        """
        An address is taken once; one that cannot be had is refused.
        """
        for arguments, kind in [
            ((-1,), errors.RangeError),
            ((65536,), errors.RangeError),
            ((0, "localhost"), errors.ArgumentError),
            ((7,), errors.IOError),
        ]:
            self.assertRefused(kind, self.socket.bind, *arguments)
        self.socket.bind(8000, "127.0.0.1")
        self.assertEqual((self.socket.localAddress, self.socket.localPort), ("127.0.0.1", 8000))
        self.assertRefused(errors.IOError, self.socket.bind)

    def test_receive(self) -> None:
        """
        Before C{receive} nothing is read, whether it is bound before or after.
        """
        self.socket.bind()
        [port] = self.reactor.ports
        self.assertFalse(port.reading)
        self.socket.receive()
        self.socket.receive()
        self.assertTrue(port.reading)
        early = DatagramSocket(reactor=self.reactor)
        early.receive()
        early.bind()
        self.assertTrue(self.reactor.ports[-1].reading)

    def test_connect(self) -> None:
        """
        A peer is an address that can be sent to; the socket is bound for it, and
        another peer replaces it.
        """
        for arguments, kind in [
            (("0.0.0.0", 80), errors.ArgumentError),
            (("::", 80), errors.ArgumentError),
            (("localhost", 80), errors.ArgumentError),
            (("127.0.0.1", 0), errors.RangeError),
            (("127.0.0.1", 65536), errors.RangeError),
        ]:
            self.assertRefused(kind, self.socket.connect, *arguments)
        self.socket.connect("127.0.0.1", 80)
        self.assertEqual(self.socket.localAddress, "0.0.0.0")
        self.socket.connect("127.0.0.2", 81)
        self.assertEqual((self.socket.remoteAddress, self.socket.remotePort), ("127.0.0.2", 81))
        self.assertRefused(errors.IOError, self.socket.connect, "::1", 80)

    def test_send(self) -> None:
        """
        Without a peer each datagram has its address; the socket is bound for
        it.
        """
        for arguments, kind in [
            ((b"abc",), errors.ArgumentError),
            ((b"abc", 0, 0, "localhost", 80), errors.ArgumentError),
            ((b"abc", 0, 0, "127.0.0.1", 0), errors.RangeError),
            ((b"abc", 4, 0, "127.0.0.1", 80), errors.RangeError),
            ((b"abc", 1, 3, "127.0.0.1", 80), errors.RangeError),
            ((bytes(65508), 0, 0, "127.0.0.1", 80), errors.IOError),
        ]:
            self.assertRefused(kind, self.socket.send, *arguments)
        self.socket.send(bytearray(b"abc"), 1, 0, "127.0.0.1", 80)
        self.assertEqual(self.reactor.ports[0].sent, [(b"bc", ("127.0.0.1", 80))])
        six = DatagramSocket(reactor=self.reactor)
        six.send(b"abc", 0, 0, "::1", 80)
        self.assertEqual(six.localAddress, "::")

    def test_sendToThePeer(self) -> None:
        """
        With a single peer a part of an array can be sent, and no other address
        is taken.
        """
        self.socket.connect("127.0.0.1", 80)
        for address, port in [("127.0.0.1", 80), ("127.0.0.1", 0), (None, 80)]:
            self.assertRefused(
                errors.IllegalOperationError, self.socket.send, b"abc", 0, 0, address, port
            )
        self.socket.send(b"abcdef", 2, 3)
        self.socket.send(b"")
        self.assertEqual(
            self.reactor.ports[0].sent, [(b"cde", ("127.0.0.1", 80)), (b"", ("127.0.0.1", 80))]
        )

    def test_nothingToSend(self) -> None:
        """
        C{None} is no datagram.
        """
        error = self.assertRaises(errors.TypeError, self.socket.send, None)
        self.assertEqual(error.errorID, 2007)

    def test_strangers(self) -> None:
        """
        Only the single peer is heard, however its address is written.
        """
        heard: list[bytes] = []
        self.socket.addEventListener(
            DatagramSocketDataEvent.DATA, lambda event: heard.append(event.data)
        )
        self.socket.connect("[0:0:0:0:0:0:0:1]", 80)
        self.assertEqual(self.socket.remoteAddress, "::1")
        received = self.reactor.ports[0].protocol.datagramReceived
        received(b"another address", ("::2", 80))
        received(b"another port", ("::1", 81))
        received(b"peer", ("::1", 80, 0, 0))
        self.assertEqual(heard, [b"peer"])

    def test_event(self) -> None:
        """
        A datagram is an event with the addresses of both sides.
        """
        events: list[DatagramSocketDataEvent] = []
        self.socket.addEventListener(DatagramSocketDataEvent.DATA, events.append)
        self.socket.bind(8000, "127.0.0.1")
        self.reactor.ports[0].protocol.datagramReceived(b"abc", ("127.0.0.2", 81))
        [event] = events
        self.assertEqual(
            (event.srcAddress, event.srcPort, event.dstAddress, event.dstPort, event.data),
            ("127.0.0.2", 81, "127.0.0.1", 8000, b"abc"),
        )

    def test_close(self) -> None:
        """
        Closed it is done for good.
        """
        self.socket.connect("127.0.0.1", 80)
        self.successResultOf(self.socket.close())
        self.assertEqual((self.socket.bound, self.socket.connected), (False, False))
        self.assertEqual((self.socket.localAddress, self.socket.localPort), (None, 0))
        self.assertEqual((self.socket.remoteAddress, self.socket.remotePort), (None, 0))
        for call, arguments in [
            (self.socket.close, ()),
            (self.socket.bind, ()),
            (self.socket.connect, ("127.0.0.1", 80)),
            (self.socket.send, (b"abc", 0, 0, "127.0.0.1", 80)),
            (self.socket.receive, ()),
        ]:
            self.assertRefused(errors.IOError, call, *arguments)
        self.successResultOf(DatagramSocket(reactor=self.reactor).close())
