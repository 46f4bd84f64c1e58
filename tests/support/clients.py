"""
A client of a port with several client types, in memory.
"""

import contextlib
from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock

from tests.doubles import TightTransport
from tests.frames import RESPONSE, framesIn
from tests.laboratory import authority, server

PAGE = b"GET /index.html HTTP/1.1\r\nHost: h\r\n\r\n"

IDENTITY = server(authority())
PORT = IPv4Address("TCP", "127.0.0.1", 80)
# The address of the peer of the transport.
PEER = IPv4Address("TCP", "192.168.1.1", 54321)


class Client:
    """
    A client of any type. Its data arrives in chunks of equal length.

    @ivar received: the received data, decrypted if it uses TLS.
    """

    def __init__(
        self,
        factory: Factory[Any],
        clock: Clock,
        *,
        inTLS: bool = False,
        length: int = 1 << 20,
        host: IPv4Address | UNIXAddress = PORT,
    ) -> None:
        self.received = b""
        self._read = 0
        self.clock = clock
        self.length = length
        protocol: Any = factory.buildProtocol(PEER)
        self.transport = TightTransport(protocol, 1 << 20, hostAddress=host)
        self.transport.atOnce = False
        protocol.makeConnection(self.transport)
        self.tls: SSL.Connection | None = None
        if inTLS:
            self.startTLS()

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
        Deliver bytes to the server, in chunks.
        """
        for start in range(0, len(data), self.length):
            if not self.transport.closed:
                self.transport.arrive(data[start : start + self.length])

    def send(self, data: bytes) -> None:
        """
        Send bytes, and read the result.
        """
        if self.tls is None:
            self.arrive(data)
        else:
            self.tls.sendall(data)
        self.exchange()

    def exchange(self) -> None:
        """
        Exchange data until both sides are idle.
        """
        while True:
            # TLS collects the data written in one reactor iteration.
            self.clock.advance(0)
            self.transport.drain()
            arrived = self.transport.delivered[self._read :]
            self._read += len(arrived)
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

    @property
    def messages(self) -> list[tuple[int, bytes]]:
        """
        The frames received over a WebSocket.
        """
        assert self.received.startswith(RESPONSE), self.received
        return framesIn(self.received[len(RESPONSE) :])
