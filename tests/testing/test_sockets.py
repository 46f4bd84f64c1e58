"""
Tests for L{openfl_twisted.testing._sockets}, with calls that
Twisted's transports do not make.
"""

import errno
import socket
from typing import Any

from twisted.internet import error
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.testing import MemoryNetwork, Peer


class SocketTests(SynchronousTestCase):
    """
    Sockets behave as on Linux.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork()

    def make(self) -> Any:
        """
        Make a TCP socket.
        """
        return self.network.reactor.makeSocket(socket.AF_INET, socket.SOCK_STREAM)

    def assertFails(self, number: int, call: Any, *arguments: Any) -> None:
        """
        A call fails with a number of C{errno}.
        """
        with self.assertRaises(OSError) as caught:
            call(*arguments)
        self.assertEqual(caught.exception.errno, number)

    def connected(self) -> tuple[Any, Any]:
        """
        Make two connected sockets.
        """
        listening, client = self.make(), self.make()
        listening.listen(5)
        self.assertEqual(client.connect_ex(listening.getsockname()), errno.EINPROGRESS)
        self.assertEqual(client.connect_ex(listening.getsockname()), errno.EALREADY)
        self.network.flush()
        self.assertEqual(client.connect_ex(listening.getsockname()), errno.EISCONN)
        self.assertTrue(client.writable)
        accepted, address = listening.accept()
        self.assertEqual(address, client.getsockname())
        return client, accepted

    def test_new(self) -> None:
        """
        A new socket has no address, and is neither readable nor writable.
        """
        made = self.make()
        self.assertEqual(made.getsockname(), ("0.0.0.0", 0))
        self.assertFails(errno.ENOTCONN, made.getpeername)
        self.assertFails(errno.ENOTCONN, made.shutdown, socket.SHUT_RDWR)
        self.assertEqual((made.readable, made.writable), (False, False))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.assertEqual(made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), 1)
        made.close()
        self.assertEqual(made.fileno(), -1)

    def test_bind(self) -> None:
        """
        An address can be bound once; with C{SO_REUSEADDR}, also again if the other
        socket does not listen.
        """
        one, other, third = self.make(), self.make(), self.make()
        for each in (one, other):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", 80))
        self.assertFails(errno.EINVAL, one.bind, ("127.0.0.1", 81))
        other.bind(("127.0.0.1", 80))
        self.assertFails(errno.EADDRINUSE, third.bind, ("127.0.0.1", 80))
        one.listen(1)
        self.assertFails(errno.EADDRINUSE, other.listen, 1)
        self.assertFails(errno.EWOULDBLOCK, one.accept)

    def test_readAndWrite(self) -> None:
        """
        Calls that would block fail, and EOF is empty.
        """
        client, accepted = self.connected()
        self.assertFails(errno.EWOULDBLOCK, client.recv, 10)
        self.assertEqual(client.send(b"abc"), 3)
        self.network.flush()
        self.assertEqual((accepted.recv(2), accepted.recv(2)), (b"ab", b"c"))
        self.assertEqual(client.sendmsg([b"ab", memoryview(b"c")]), 3)
        self.network.flush()
        self.assertEqual(accepted.recv(10), b"abc")
        client.shutdown(socket.SHUT_WR)
        self.assertFails(errno.EPIPE, client.send, b"d")
        self.network.flush()
        self.assertEqual(accepted.recv(10), b"")
        accepted.shutdown(socket.SHUT_RD)
        self.assertEqual(accepted.recv(10), b"")

    def test_full(self) -> None:
        """
        A full window accepts no data.
        """
        self.network.window = 10
        client, _ = self.connected()
        self.assertEqual(client.send(bytes(15)), 10)
        self.assertFails(errno.EWOULDBLOCK, client.send, b"a")
        self.assertFalse(client.writable)

    def test_reset(self) -> None:
        """
        After a reset only previous data can be read.
        """
        client, accepted = self.connected()
        client.send(b"abc")
        self.network.flush()
        self.network.connections[-1].reset()
        self.assertTrue(accepted.writable)
        self.assertEqual(accepted.recv(10), b"abc")
        self.assertFails(errno.ECONNRESET, accepted.recv, 10)
        self.assertFails(errno.EPIPE, accepted.send, b"a")
        self.assertFails(errno.ECONNRESET, client.send, b"a")

    def test_strangers(self) -> None:
        """
        A reactor adopts only its own IP sockets.
        """
        reactor = self.network.reactor
        for family, kind in [
            (socket.AF_INET, ValueError),
            (socket.AF_UNIX, error.UnsupportedAddressFamily),
        ]:
            with self.assertRaises(kind):
                reactor.adoptStreamPort(0, family, Factory())

    def test_adoptedConnection(self) -> None:
        """
        A reactor adopts an accepted connection, also over IPv6; without a protocol
        it is closed.
        """
        reactor = self.network.reactor
        listening = reactor.makeSocket(socket.AF_INET6, socket.SOCK_STREAM)
        listening.bind(("::1", 80))
        listening.listen(5)
        clients = []
        for build in (Peer, lambda: None):
            client = reactor.makeSocket(socket.AF_INET6, socket.SOCK_STREAM)
            client.connect_ex(("::1", 80, 0, 0))
            self.network.flush()
            accepted, _ = listening.accept()
            factory: Any = Factory()
            factory.buildProtocol = lambda address, build=build: build()
            made = reactor.adoptStreamConnection(accepted.fileno(), socket.AF_INET6, factory)
            accepted.close()
            self.network.flush()
            clients.append(client)
            if made is not None:
                self.assertEqual(made.getPeer().host, "::1")
        self.assertFails(errno.EWOULDBLOCK, clients[0].recv, 10)
        self.assertEqual(clients[1].recv(10), b"")
