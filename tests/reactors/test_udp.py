"""
Tests for L{openfl_twisted.reactors.udp}.
"""

import socket
from typing import Any

from twisted.internet.error import InvalidAddressError, MessageLengthError
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.reactors import udp
from openfl_twisted.reactors.udp import Port, listenUDP

HOST = "127.0.0.1"


class PortTests(SynchronousTestCase):
    """
    A port with cached addresses behaves like Twisted's.
    """

    def setUp(self) -> None:
        """
        Open a port, and a socket that receives its datagrams.
        """
        self.hearer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.hearer.close)
        self.hearer.bind((HOST, 0))
        self.hearer.settimeout(240)
        self.address = self.hearer.getsockname()
        reactor: Any = MemoryReactor()
        self.port = Port(0, DatagramProtocol(), HOST, 8192, reactor)
        self.port.startListening()
        self.addCleanup(self.port.connectionLost)

    def test_write(self) -> None:
        """
        Datagrams to one address arrive, the first and those that follow.
        """
        for number in range(3):
            self.port.write(b"%d" % number, self.address)
            data, sender = self.hearer.recvfrom(100)
            self.assertEqual((data, sender[1]), (b"%d" % number, self.port.getHost().port))

    def test_faults(self) -> None:
        """
        Host names, and datagrams that are too long, are refused each time.
        """
        for _ in range(2):
            self.assertRaises(InvalidAddressError, self.port.write, b"a", ("localhost", 80))
            self.port.write(b"a", self.address)
            self.assertRaises(MessageLengthError, self.port.write, b"a" * 70_000, self.address)

    def test_forgets(self) -> None:
        """
        The number of cached addresses is limited.
        """
        self.patch(udp, "_MAX_KNOWN", 2)
        for port in range(2000, 2010):
            self.port.write(b"a", (HOST, port))
            self.assertLessEqual(len(self.port._known), 2)

    def test_connected(self) -> None:
        """
        A connected port sends only to its peer.
        """
        other = ("127.0.0.2", 9)
        self.port.write(b"a", other)
        self.port.connect(*self.address)
        self.port.write(b"b")
        self.port.write(b"c", self.address)
        self.assertRaises(AssertionError, self.port.write, b"d", other)
        self.assertEqual([self.hearer.recv(10), self.hearer.recv(10)], [b"b", b"c"])


class ListenTests(SynchronousTestCase):
    """
    L{listenUDP}.
    """

    def test_otherReactor(self) -> None:
        """
        On a reactor with its own UDP ports, such a port is created.
        """

        class Reactor:
            def listenUDP(self, *arguments: Any) -> Any:
                return arguments

        protocol = DatagramProtocol()
        opened: Any = listenUDP(Reactor(), 80, protocol, HOST, 100)
        self.assertEqual(opened, (80, protocol, HOST, 100))
