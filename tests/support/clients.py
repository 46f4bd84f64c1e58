"""
A client of a port with several client types, in memory.
"""

import contextlib
from itertools import repeat
from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import ClientFactory, Factory
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from openfl_twisted.testing import MemoryNetwork, Peer
from tests.frames import RESPONSE, framesIn
from tests.laboratory import authority, server

PAGE = b"GET /index.html HTTP/1.1\r\nHost: h\r\n\r\n"

IDENTITY = server(authority())
PORT = IPv4Address("TCP", "127.0.0.1", 80)
# The address of the client.
PEER = IPv4Address("TCP", "192.168.1.1", 54321)


class Client:
    """
    A client of any type, on a network of its own. Its data arrives in chunks of equal length.

    @ivar received: the received data, decrypted if it uses TLS.
    @ivar server: the protocol that the factory has built.
    @ivar connection: the connection, whose data can be stalled.
    """

    def __init__(
        self, factory: Factory[Any], clock: Clock, *, inTLS: bool = False, length: int = 1 << 20
    ) -> None:
        self.received = b""
        self.clock = clock
        self._peer = Peer()
        self._network = MemoryNetwork()
        self._network.addHost("client", PEER.host)
        self._network.attempts.hold()
        connecting: Any = ClientFactory.forProtocol(lambda: self._peer)
        connecting.noisy = False
        self._network.reactor.connectTCP(
            PORT.host, PORT.port, connecting, bindAddress=(PEER.host, PEER.port)
        )
        self._network.flush()
        [attempt] = self._network.attempts.held
        self.server: Any = attempt.answer(factory)
        [self.connection] = self._network.connections
        self.connection.toServer.split(repeat(length))
        self.tls: SSL.Connection | None = None
        if inTLS:
            self.startTLS()

    @property
    def closed(self) -> bool:
        """
        Whether the server has closed the connection.
        """
        self._flush()
        return self.connection.toServer.closed

    def startTLS(self) -> None:
        """
        Perform a TLS handshake, without verification.
        """
        self.tls = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        self.tls.set_connect_state()
        for _ in range(4):
            with contextlib.suppress(SSL.WantReadError):
                self.tls.do_handshake()
            self.exchange()

    def arrive(self, data: bytes) -> None:
        """
        Deliver bytes to the server, in chunks. The clock is not advanced.
        """
        if not self.connection.closed:
            self._peer.send(data)
        self._flush()

    def send(self, data: bytes) -> None:
        """
        Send bytes, and read the result.
        """
        if self.tls is None:
            self.arrive(data)
        else:
            self.tls.sendall(data)
        self.exchange()

    def finish(self) -> None:
        """
        Close this direction of the connection; the server can still send.
        """
        self._peer.transport.loseWriteConnection()
        self.exchange()

    def close(self) -> None:
        """
        Close both directions of the connection.
        """
        self._peer.close()
        self.exchange()

    def abort(self) -> None:
        """
        Reset the connection: the server is not notified of an EOF first.
        """
        self._peer.abort()
        self.exchange()

    def lose(self) -> None:
        """
        Let the server lose the connection although it does not read, as when a write fails.
        """
        self.server.underlying.connectionLost(Failure(ConnectionDone()))

    def exchange(self) -> None:
        """
        Exchange data until both sides are idle.
        """
        while True:
            # TLS collects the data written in one reactor iteration.
            self.clock.advance(0)
            self._flush()
            arrived = b"".join(self._peer.segments)
            self._peer.segments.clear()
            if self.tls is None:
                self.received += arrived
            elif arrived:
                self.tls.bio_write(arrived)
            if not self._answer() and not arrived:
                return

    def _answer(self) -> bool:
        """
        Read TLS data, and answer.

        @return: whether there was an answer.
        """
        if self.tls is None:
            return False
        with contextlib.suppress(SSL.WantReadError, SSL.ZeroReturnError):
            while True:
                self.received += self.tls.recv(1 << 16)
        with contextlib.suppress(SSL.WantReadError):
            self.arrive(self.tls.bio_read(1 << 20))
            return True
        return False

    def _flush(self) -> None:
        self._network.flush()
        self._network.check()

    @property
    def messages(self) -> list[tuple[int, bytes]]:
        """
        The frames received over a WebSocket.
        """
        assert self.received.startswith(RESPONSE), self.received
        return framesIn(self.received[len(RESPONSE) :])
