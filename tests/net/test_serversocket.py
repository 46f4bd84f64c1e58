"""
Tests for L{openfl_twisted.net.serversocket}. Addresses are taken from the
system, connections come in memory.
"""

import socket
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import errors
from openfl_twisted.events import ServerSocketConnectEvent
from openfl_twisted.net import ServerSocket, Socket
from tests.net.network import Peer, record, types


class ServerSocketTests(SynchronousTestCase):
    """
    L{ServerSocket} is bound, listens, and gets connections.
    """

    def setUp(self) -> None:
        """
        Make a server.
        """
        self.reactor = MemoryReactorClock()
        self.server = ServerSocket(reactor=self.reactor)

    def assertRefused(self, kind: type[errors.Error], call: Any, *arguments: Any) -> None:
        """
        A call is refused, and says why.
        """
        error = self.assertRaises(kind, call, *arguments)
        self.assertNotEqual(str(error), "")

    def close(self) -> None:
        """
        Free the address.
        """
        if self.server.bound:
            self.server.close()

    def bind(self, port: int = 0, address: str = "127.0.0.1") -> None:
        """
        Take an address until the test ends.
        """
        self.server.bind(port, address)
        self.addCleanup(self.close)

    def accept(self) -> Peer:
        """
        Have a client connect.
        """
        factory: Any = self.reactor.adoptedPorts[-1][2]
        return Peer(factory.buildProtocol(None))

    def test_new(self) -> None:
        """
        At first it has no address and does not listen.
        """
        self.assertTrue(ServerSocket.isSupported)
        self.assertEqual((self.server.bound, self.server.listening), (False, False))
        self.assertEqual((self.server.localAddress, self.server.localPort), (None, 0))

    def test_reactor(self) -> None:
        """
        Unless it is told otherwise, it uses the reactor that runs.
        """
        from twisted.internet import reactor

        self.assertIs(ServerSocket()._server.reactor, reactor)

    def test_bind(self) -> None:
        """
        Bound it has an address, and the port that the system chose.
        """
        self.bind()
        self.assertEqual((self.server.bound, self.server.listening), (True, False))
        self.assertEqual(self.server.localAddress, "127.0.0.1")
        self.assertGreater(self.server.localPort, 1023)

    def test_bindTo6(self) -> None:
        """
        IPv6 addresses are taken too, in brackets or not.
        """
        try:
            self.bind(0, "[::1]")
        except errors.IOError as error:
            self.skipTest(f"this machine has no IPv6: {error}")
        self.assertEqual(self.server.localAddress, "::1")

    def test_cannotBind(self) -> None:
        """
        What cannot be an address, and what cannot be had, is refused.
        """
        for arguments, kind in [
            ((-1,), errors.RangeError),
            ((65536,), errors.RangeError),
            ((0, "localhost"), errors.ArgumentError),
            ((0, ""), errors.ArgumentError),
            ((0, None), errors.ArgumentError),
            ((0, "192.0.2.1"), errors.IOError),
        ]:
            self.assertRefused(kind, self.server.bind, *arguments)
        self.bind()
        self.assertRefused(errors.IOError, self.server.bind)
        self.server.listen()
        other = ServerSocket(reactor=self.reactor)
        self.assertRefused(errors.IOError, other.bind, self.server.localPort, "127.0.0.1")

    def test_listen(self) -> None:
        """
        It must be bound before, and listens once.
        """
        self.assertRefused(errors.IOError, self.server.listen)
        self.bind()
        self.assertRefused(errors.RangeError, self.server.listen, -1)
        self.server.listen(5)
        self.assertTrue(self.server.listening)
        self.assertRefused(errors.IOError, self.server.listen)

    def test_backlog(self) -> None:
        """
        The backlog is the system's: 0 is its maximum, and more is no more.
        """
        asked = []

        class Bound(socket.socket):
            def listen(self, backlog: int = 0) -> None:
                asked.append(backlog)

        self.patch(socket, "socket", Bound)
        for backlog in (0, 5, 10**9):
            server = ServerSocket(reactor=self.reactor)
            server.bind(0, "127.0.0.1")
            server.listen(backlog)
            server.close()
        self.assertEqual(asked, [socket.SOMAXCONN, 5, socket.SOMAXCONN])

    def test_systemRefusesToListen(self) -> None:
        """
        If the system does not let it listen, this is an error with the reason.
        """

        class Bound(socket.socket):
            def listen(self, backlog: int = 0) -> None:
                raise OSError(1, "some reason")

        self.patch(socket, "socket", Bound)
        self.bind()
        error = self.assertRaises(errors.IOError, self.server.listen)
        self.assertIn("some reason", str(error))

    def test_close(self) -> None:
        """
        Closed it is done for good.
        """
        self.assertRefused(errors.Error, self.server.close)
        self.bind()
        self.server.listen()
        self.successResultOf(self.server.close())
        self.assertEqual((self.server.bound, self.server.listening), (False, False))
        self.assertEqual((self.server.localAddress, self.server.localPort), (None, 0))
        self.assertRefused(errors.Error, self.server.close)
        self.assertRefused(errors.IOError, self.server.bind)
        self.assertRefused(errors.IOError, self.server.listen)

    def test_connect(self) -> None:
        """
        Each client comes as an event with a connected socket, which itself has
        no C{connect}.
        """
        sockets: list[Socket] = []
        self.server.addEventListener(
            ServerSocketConnectEvent.CONNECT, lambda event: sockets.append(event.socket)
        )
        self.bind()
        self.server.listen()
        peer = self.accept()
        [accepted] = sockets
        events = record(accepted)
        self.assertTrue(accepted.connected)
        self.assertEqual(accepted.remoteAddress, "192.168.1.1")
        peer.send(b"abc")
        self.assertEqual(accepted.readUTFBytes(3), "abc")
        accepted.writeUTFBytes("def")
        accepted.flush()
        self.assertEqual(peer.received, b"def")
        self.server.close()
        self.assertTrue(accepted.connected)
        peer.close()
        self.reactor.advance(0)
        self.assertEqual(types(events), ["socketData", "close"])

    def test_refusedByTheProgram(self) -> None:
        """
        A program sends a client away by closing its socket.
        """
        self.server.addEventListener(
            ServerSocketConnectEvent.CONNECT, lambda event: event.socket.close()
        )
        self.bind()
        self.server.listen()
        peer = self.accept()
        peer.transport.drain()
        self.assertTrue(peer.transport.closed)

    def test_nobodyListens(self) -> None:
        """
        Without a listener a client is sent away: nobody could ever use it.
        """
        self.bind()
        self.server.listen()
        self.assertTrue(self.accept().transport.closed)
