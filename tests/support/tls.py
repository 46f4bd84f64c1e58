"""
TLS contexts, and a TLS client that does not always read.
"""

import contextlib
from typing import Any

import trustme
from OpenSSL.SSL import TLS_METHOD, Connection, Context, WantReadError, ZeroReturnError
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from tests.doubles import TightTransport


@implementer(IOpenSSLContextFactory)
class Contexts:
    """
    Returns a TLS context to Twisted.
    """

    def __init__(self, context: Context) -> None:
        self.context = context

    def getContext(self) -> Context:
        return self.context


def contexts() -> tuple[Context, Context]:
    """
    Return the contexts of a server and of a client that does not verify.
    """
    server, client = Context(TLS_METHOD), Context(TLS_METHOD)
    trustme.CA().issue_cert("localhost").configure_cert(server)
    return server, client


class SlowClient:
    """
    A client that reads when the test calls it, from a server with a small buffer.
    """

    def __init__(self, factory: Factory[Any], room: int = 1000) -> None:
        self.clock = Clock()
        server, client = contexts()
        wrapper = TLSMemoryBIOFactory(Contexts(server), False, factory, self.clock)
        serving = wrapper.buildProtocol(None)
        self.transport = TightTransport(serving, room)
        self.transport.atOnce = False
        serving.makeConnection(self.transport)
        self.connection = Connection(client, None)
        self.connection.set_connect_state()
        self.received = b""
        self.ended = False
        while not self.received and not self.ended:
            try:
                self.connection.do_handshake()
            except WantReadError:
                self.read()
            else:
                break
            finally:
                self.write()

    def write(self) -> None:
        """
        Deliver the client's data to the server.
        """
        with contextlib.suppress(WantReadError):
            data = self.connection.bio_read(1 << 20)
            if self.transport.protocol is not None:
                self.transport.protocol.dataReceived(data)

    def send(self, data: bytes) -> None:
        """
        Encrypt bytes, and deliver them to the server.
        """
        self.connection.sendall(data)
        self.write()

    def read(self) -> None:
        """
        Read the received data, so that more can be sent.
        """
        self.clock.advance(0)
        arrived = self.transport.value()
        if arrived:
            self.connection.bio_write(arrived)
        try:
            while True:
                self.received += self.connection.recv(1 << 16)
        except ZeroReturnError:
            self.ended = True
        except WantReadError:
            pass
        self.transport.drain()

    def readAll(self) -> None:
        """
        Read until the end of the connection.
        """
        for _ in range(10_000):
            self.read()
            if self.ended:
                self.connection.shutdown()
                self.write()
                self.transport.drain()
                return
        raise AssertionError("there is no end")
