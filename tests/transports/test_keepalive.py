"""
Tests for L{openfl_twisted.transports.keepalive}.
"""

import socket

from twisted.internet.interfaces import ITCPTransport
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides

from openfl_twisted.transports import keepalive
from openfl_twisted.transports.keepalive import keepAlive
from tests.support.transports import SocketTransport


class KeepAliveTests(SynchronousTestCase):
    """
    L{keepAlive} enables the detection of vanished peers by the kernel.
    """

    def options(self, family: socket.AddressFamily) -> list[int]:
        """
        Return the options of a socket after L{keepAlive}.
        """
        transport = SocketTransport(family)
        self.addCleanup(transport.socket.close)
        # Inside TLS the transport of TCP is the transport's transport.
        outer = StringTransport()
        alsoProvides(outer, ITCPTransport)
        outer.transport = transport  # type: ignore[attr-defined]
        keepAlive(outer)
        values = [transport.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
        if family == socket.AF_INET:
            values += [
                transport.socket.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            ]
        return values

    def test_tcp(self) -> None:
        """
        A vanished TCP peer is detected after 60 + 4 * 15 seconds.
        """
        if not hasattr(socket, "TCP_KEEPIDLE"):
            self.skipTest("this system has other names for the times")
        self.assertEqual(self.options(socket.AF_INET), [1, 60, 15, 4])

    def test_other(self) -> None:
        """
        Other transports are unchanged.
        """
        if not hasattr(socket, "AF_UNIX"):
            self.skipTest("this system has no UNIX sockets")
        self.assertEqual(self.options(socket.AF_UNIX), [0])
        keepAlive(StringTransport())

    def test_otherSystem(self) -> None:
        """
        Options that the system does not support are skipped.
        """
        self.patch(keepalive, "_KEEP_ALIVE", (("TCP_OF_ANOTHER_SYSTEM", 1), ("TCP_KEEPCNT", 3)))
        transport = SocketTransport(socket.AF_INET)
        self.addCleanup(transport.socket.close)
        keepAlive(transport)
        self.assertEqual(transport.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT), 3)
