"""
Tests for L{openfl_twisted.net.datagramsocket}, on an in-memory network.
"""

import socket
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import errors
from openfl_twisted.events import DatagramSocketDataEvent, Event
from openfl_twisted.net import DatagramSocket
from openfl_twisted.testing import Datagram, EventRecorder, MemoryNetwork
from openfl_twisted.testing._sockets import MemoryDatagramSocket


class DatagramSocketTests(SynchronousTestCase):
    """
    L{DatagramSocket}.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.reactor = self.network.reactor
        self.socket = DatagramSocket(reactor=self.reactor)
        self.sent: list[Datagram] = []
        self.network.datagrams.filter = self.record
        # A port in use.
        DatagramSocket(reactor=self.reactor).bind(7)

    def record(self, datagram: Datagram) -> bool:
        self.sent.append(datagram)
        return True

    def eventsOf(self, socket: DatagramSocket | None = None) -> list[Event]:
        """
        Record the events of a socket.

        @return: the list of events.
        """
        socket = socket or self.socket
        socket.receive()
        return EventRecorder(socket).events

    def send(self, data: bytes, port: int, source: tuple[str, int]) -> None:
        """
        Deliver a datagram to the local machine, from any sender.
        """
        destination = "::1" if ":" in source[0] else "127.0.0.1"
        self.network.datagrams.hold()
        self.network.datagrams.held.append(Datagram(data, source, (destination, port)))
        self.network.datagrams.release()
        self.network.flush()

    def assertRefused(self, kind: type[errors.Error], call: Any, *arguments: Any) -> None:
        """
        Check that a call raises an error.
        """
        self.assertRaises(kind, call, *arguments)

    def test_new(self) -> None:
        """
        A new socket is neither bound nor connected.
        """
        socket = self.socket
        self.assertTrue(DatagramSocket.isSupported)
        self.assertEqual((socket.bound, socket.connected), (False, False))
        self.assertEqual((socket.localAddress, socket.localPort), (None, 0))
        self.assertEqual((socket.remoteAddress, socket.remotePort), (None, 0))

    def test_reactor(self) -> None:
        """
        The default reactor is the global one.
        """
        from twisted.internet import reactor

        self.assertIs(DatagramSocket()._reactor, reactor)

    def test_bind(self) -> None:
        """
        A socket can be bound once; an unavailable address is refused.
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
        Nothing is read before C{receive}, whether it is called before or after C{bind}.
        Earlier datagrams are not lost.
        """
        self.socket.bind(8000)
        recorder = EventRecorder(self.socket)
        self.send(b"waiting", 8000, ("127.0.0.1", 81))
        self.assertEqual(recorder.events, [])
        self.socket.receive()
        self.socket.receive()
        self.network.flush()
        self.assertEqual(recorder.types, ["data"])
        early = DatagramSocket(reactor=self.reactor)
        events = self.eventsOf(early)
        early.bind(8001)
        self.send(b"at once", 8001, ("127.0.0.1", 81))
        self.assertEqual(len(events), 1)

    def test_connect(self) -> None:
        """
        Connecting requires a valid destination and binds the socket. Another peer
        replaces the first.
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
        Without a connected peer each datagram has a destination, and the socket is
        bound to a matching address.
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
        [datagram] = self.sent
        self.assertEqual((datagram.data, datagram.destination), (b"bc", ("127.0.0.1", 80)))
        six = DatagramSocket(reactor=self.reactor)
        six.send(b"abc", 0, 0, "::1", 80)
        self.assertEqual(six.localAddress, "::")

    def test_noRoute(self) -> None:
        """
        An error of the system contains its reason.
        """
        self.network.makeUnreachable("192.0.2.1")
        error = self.assertRaises(errors.IOError, self.socket.send, b"a", 0, 0, "192.0.2.1", 80)
        self.assertIn("Network is unreachable", str(error))

    def test_sendToThePeer(self) -> None:
        """
        A connected socket sends a part of an array, and accepts no other destination.
        """
        self.socket.connect("127.0.0.1", 80)
        for address, port in [("127.0.0.1", 80), ("127.0.0.1", 0), (None, 80)]:
            self.assertRefused(
                errors.IllegalOperationError, self.socket.send, b"abc", 0, 0, address, port
            )
        self.socket.send(b"abcdef", 2, 3)
        self.socket.send(b"")
        self.assertEqual([datagram.data for datagram in self.sent], [b"cde", b""])
        self.assertEqual({datagram.destination for datagram in self.sent}, {("127.0.0.1", 80)})

    def test_none(self) -> None:
        """
        Sending C{None} is an error.
        """
        error = self.assertRaises(errors.TypeError, self.socket.send, None)
        self.assertEqual(error.errorID, 2007)

    def test_options(self) -> None:
        """
        Options can be set before and after C{bind}; invalid values are refused.
        """
        for bind in (False, True):
            if bind:
                self.socket.bind()
            self.assertEqual((self.socket.broadcast, self.socket.multicastTTL), (bind, 1 + bind))
            self.socket.broadcast = True
            self.socket.multicastTTL = 2
            self.socket.multicastInterface = "127.0.0.1"
            self.assertEqual(self.socket.multicastInterface, "127.0.0.1")
        self.socket.multicastInterface = None
        self.assertIsNone(self.socket.multicastInterface)
        for ttl in (-1, 256):
            self.assertRefused(errors.RangeError, setattr, self.socket, "multicastTTL", ttl)
        name = "multicastInterface"
        for address in ("localhost", "::1"):
            self.assertRefused(errors.ArgumentError, setattr, self.socket, name, address)

    def test_groups(self) -> None:
        """
        A socket can join groups of the IP version to which it is bound.
        """
        self.assertRefused(errors.IOError, self.socket.joinGroup, "239.1.2.3")
        self.socket.bind()
        self.assertRefused(errors.IOError, self.socket.joinGroup, "ff02::1")
        for address in ("127.0.0.1", "localhost", "::1"):
            self.assertRefused(errors.ArgumentError, self.socket.joinGroup, address)
        self.assertRefused(errors.ArgumentError, self.socket.joinGroup, "239.1.2.3", "::1")
        other = DatagramSocket(reactor=self.reactor)
        other.bind(0, "::")
        self.assertRefused(errors.ArgumentError, other.joinGroup, "ff02::1", "nowhere0")

    def test_notAnAddress(self) -> None:
        """
        The error for a host name says that an IP address is required.
        """
        error = self.assertRaises(errors.ArgumentError, self.socket.bind, 8087, "localhost")
        words = "'localhost' must be an IP address, such as 127.0.0.1"
        self.assertEqual(str(error), f"Error #2004: One of the parameters is invalid. ({words})")
        self.assertEqual(error.errorID, 2004)
        self.socket.bind("8087")  # type: ignore[arg-type]
        self.assertEqual(self.socket.localPort, 8087)

    def test_otherSenders(self) -> None:
        """
        A connected socket receives from its peer only, in any notation of its address.
        """
        events = self.eventsOf()
        self.socket.connect("[0:0:0:0:0:0:0:1]", 80)
        self.assertEqual(self.socket.remoteAddress, "::1")
        for data, source in [
            (b"another address", ("::2", 80)),
            (b"another port", ("::1", 81)),
            (b"peer", ("::1", 80)),
        ]:
            self.send(data, self.socket.localPort, source)
        self.assertEqual([getattr(event, "data", None) for event in events], [b"peer"])

    def test_event(self) -> None:
        """
        The event contains the addresses of both sides.
        """
        events = self.eventsOf()
        self.socket.bind(8000, "127.0.0.1")
        self.send(b"abc", 8000, ("127.0.0.2", 81))
        [event] = events
        assert isinstance(event, DatagramSocketDataEvent)
        self.assertEqual(
            (event.srcAddress, event.srcPort, event.dstAddress, event.dstPort, event.data),
            ("127.0.0.2", 81, "127.0.0.1", 8000, b"abc"),
        )

    def test_close(self) -> None:
        """
        A closed socket cannot be used again.
        """
        self.socket.connect("127.0.0.1", 80)
        self.network.run(self.socket.close())
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
        self.network.run(DatagramSocket(reactor=self.reactor).close())

    def test_closeInListener(self) -> None:
        """
        A listener that closes the socket receives no further datagram, even if the port
        has read several.
        """
        received: list[bytes] = []

        def close(event: DatagramSocketDataEvent) -> None:
            received.append(bytes(event.data))
            self.socket.close()

        self.socket.bind(8000, "127.0.0.1")
        self.socket.addEventListener(DatagramSocketDataEvent.DATA, close)
        self.socket.receive()
        sender = DatagramSocket(reactor=self.reactor)
        for data in (b"a", b"b"):
            sender.send(data, 0, 0, "127.0.0.1", 8000)
        self.network.flush()
        self.assertEqual(received, [b"a"])

    def test_optionRefused(self) -> None:
        """
        If the system refuses an option, the socket is not bound. It can be bound after
        the option has been changed.
        """
        self.socket.multicastInterface = "127.0.0.9"

        def refuse(handle: object, level: int, option: int, value: object) -> None:
            if option == socket.IP_MULTICAST_IF and value == b"\x7f\0\0\x09":
                raise OSError(99, "no such address")

        self.patch(MemoryDatagramSocket, "setsockopt", refuse)
        self.assertRefused(errors.IOError, self.socket.bind, 8000, "127.0.0.1")
        self.assertFalse(self.socket.bound)
        self.network.flush()
        self.socket.multicastInterface = None
        self.socket.bind(8000, "127.0.0.1")
        self.assertTrue(self.socket.bound)
