"""
Tests for L{openfl_twisted.net.serversocket}, on an in-memory network.
"""

import socket
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import errors
from openfl_twisted.events import ServerSocketConnectEvent
from openfl_twisted.net import ServerSocket, Socket
from openfl_twisted.testing import EventRecorder, MemoryNetwork, Peer
from openfl_twisted.testing._sockets import MemorySocket


class ServerSocketTests(SynchronousTestCase):
    """
    L{ServerSocket}.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.reactor = self.network.reactor
        self.server = ServerSocket(reactor=self.reactor)

    def assertRefused(self, kind: type[errors.Error], call: Any, *arguments: Any) -> None:
        """
        Check that a call raises an error with a reason.
        """
        error = self.assertRaises(kind, call, *arguments)
        self.assertNotEqual(str(error), "")

    def accept(self) -> Peer:
        endpoint = TCP4ClientEndpoint(self.reactor, "127.0.0.1", self.server.localPort)
        client = Peer()
        self.network.run(connectProtocol(endpoint, client))
        self.network.flush()
        return client

    def test_new(self) -> None:
        """
        A new socket has no address and does not listen.
        """
        self.assertTrue(ServerSocket.isSupported)
        self.assertEqual((self.server.bound, self.server.listening), (False, False))
        self.assertEqual((self.server.localAddress, self.server.localPort), (None, 0))

    def test_reactor(self) -> None:
        """
        The default reactor is the global one.
        """
        from twisted.internet import reactor

        self.assertIs(ServerSocket()._reactor, reactor)

    def test_bind(self) -> None:
        """
        A bound socket has an address, and the port chosen by the system.
        """
        self.server.bind(0, "127.0.0.1")
        self.assertEqual((self.server.bound, self.server.listening), (True, False))
        self.assertEqual(self.server.localAddress, "127.0.0.1")
        self.assertGreater(self.server.localPort, 1023)

    def test_bindTo6(self) -> None:
        """
        IPv6 addresses are accepted with and without brackets.
        """
        self.server.bind(0, "[::1]")
        self.assertEqual(self.server.localAddress, "::1")

    def test_cannotBind(self) -> None:
        """
        Invalid and unavailable addresses are refused.
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
        self.server.bind(0, "127.0.0.1")
        self.assertRefused(errors.IOError, self.server.bind)
        self.server.listen()
        other = ServerSocket(reactor=self.reactor)
        self.assertRefused(errors.IOError, other.bind, self.server.localPort, "127.0.0.1")

    def test_listen(self) -> None:
        """
        The socket must be bound, and can listen once.
        """
        self.assertRefused(errors.IOError, self.server.listen)
        self.server.bind(0, "127.0.0.1")
        self.assertRefused(errors.RangeError, self.server.listen, -1)
        self.server.listen(5)
        self.assertTrue(self.server.listening)
        self.assertRefused(errors.IOError, self.server.listen)

    def test_backlog(self) -> None:
        """
        The backlog is limited to the system's maximum, which is also the value of 0.
        """
        asked = []
        self.patch(MemorySocket, "listen", lambda made, backlog: asked.append(backlog))
        for backlog in (0, 5, 10**9):
            server = ServerSocket(reactor=self.reactor)
            server.bind(0, "127.0.0.1")
            server.listen(backlog)
            server.close()
        self.assertEqual(asked, [socket.SOMAXCONN, 5, socket.SOMAXCONN])

    def test_systemRefusesToListen(self) -> None:
        """
        If the system refuses to listen, the error contains the reason.
        """
        self.server.bind(80, "127.0.0.1")
        other = ServerSocket(reactor=self.reactor)
        other.bind(80, "127.0.0.1")
        other.listen()
        error = self.assertRaises(errors.IOError, self.server.listen)
        self.assertIn("Address already in use", str(error))

    def test_close(self) -> None:
        """
        A closed socket cannot be used again.
        """
        self.assertRefused(errors.Error, self.server.close)
        self.server.bind(0, "127.0.0.1")
        self.server.listen()
        self.network.run(self.server.close())
        self.assertEqual((self.server.bound, self.server.listening), (False, False))
        self.assertEqual((self.server.localAddress, self.server.localPort), (None, 0))
        self.assertRefused(errors.Error, self.server.close)
        self.assertRefused(errors.IOError, self.server.bind)
        self.assertRefused(errors.IOError, self.server.listen)

    def test_closeWithoutListening(self) -> None:
        """
        The port of a socket that does not listen is released immediately.
        """
        self.server.bind(80, "127.0.0.1")
        self.successResultOf(self.server.close())
        ServerSocket(reactor=self.reactor).bind(80, "127.0.0.1")

    def test_connect(self) -> None:
        """
        Each client is an event with a connected socket, which dispatches no C{connect}.
        """
        sockets: list[Socket] = []
        self.server.addEventListener(
            ServerSocketConnectEvent.CONNECT, lambda event: sockets.append(event.socket)
        )
        self.server.bind(0, "127.0.0.1")
        self.server.listen()
        peer = self.accept()
        [accepted] = sockets
        recorder = EventRecorder(accepted)
        self.assertTrue(accepted.connected)
        self.assertEqual(accepted.remoteAddress, "127.0.0.1")
        peer.send(b"abc")
        self.network.flush()
        self.assertEqual(accepted.readUTFBytes(3), "abc")
        accepted.writeUTFBytes("def")
        accepted.flush()
        self.network.flush()
        self.assertEqual(peer.received, b"def")
        self.server.close()
        self.assertTrue(accepted.connected)
        peer.close()
        self.network.flush()
        self.assertEqual(recorder.types, ["socketData", "outputProgress", "close"])

    def test_refusedByTheProgram(self) -> None:
        """
        A program refuses a client by closing its socket.
        """
        self.server.addEventListener(
            ServerSocketConnectEvent.CONNECT, lambda event: event.socket.close()
        )
        self.server.bind(0, "127.0.0.1")
        self.server.listen()
        self.assertTrue(self.accept().closed)

    def test_withoutListener(self) -> None:
        """
        Without a listener the client is disconnected, because its socket could never be
        used.
        """
        self.server.bind(0, "127.0.0.1")
        self.server.listen()
        self.assertTrue(self.accept().closed)

    def test_closeInListener(self) -> None:
        """
        A listener that closes the server receives no further connection, even if
        several are pending; those clients are disconnected.
        """
        accepted: list[Any] = []

        def close(event: ServerSocketConnectEvent) -> None:
            accepted.append(event.socket)
            self.server.close()

        self.server.addEventListener(ServerSocketConnectEvent.CONNECT, close)
        self.server.bind(0, "127.0.0.1")
        self.server.listen()
        port = self.server.localPort
        clients = [Socket("127.0.0.1", port, reactor=self.reactor) for _ in range(2)]
        self.network.flush()
        self.assertEqual(len(accepted), 1)
        self.assertEqual([client.connected for client in clients], [True, False])
