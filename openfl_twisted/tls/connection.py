"""
TLS connections. L{BoundedConnection} flushes pending data when the peer closes TLS, and limits
the number of bytes that OpenSSL sends in answer to the peer's TLS messages.
L{ServerTLSFactory} adds TLS to a server.
"""

import weakref
from typing import Any

from OpenSSL import SSL
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import (
    IOpenSSLContextFactory,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
    ITransport,
)
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol

from openfl_twisted.logs import packageLogger

_MAX_ANSWERS = 8192
"""
Maximum number of bytes sent in answer to the peer's TLS messages after the handshake:
about 300 key updates or refused renegotiations. A correct peer needs far fewer: one key
lasts for many millions of records (RFC 8446, 5.5).
"""

# Number of bytes read from the socket in one call: the length of the longest TLS record. All
# records read in one call are processed together, and short records take up to 1 microsecond per
# byte.
_READ_SIZE = 16 * 1024

_log = packageLogger()


class BoundedConnection(SSL.Connection):
    """
    An OpenSSL connection for Twisted's TLS. It limits the number of bytes that OpenSSL sends in
    answer to TLS messages, and flushes pending data when the peer closes TLS.

    OpenSSL answers each key update and each renegotiation request. The answers are written to
    the transport over which TLS runs. While the peer does not read, the answers
    accumulate in the send queue of this transport, which is unlimited.
    """

    # Whether the next bytes that OpenSSL sends are application data.
    _isSending = False
    # The total number of bytes in answers; None during the handshake.
    _answered: int | None = None

    def __init__(self, context: SSL.Context, protocol: TLSMemoryBIOProtocol | None) -> None:
        """
        @param protocol: the TLS protocol, used for the log and for flushing; C{None} if there
            is no TLS protocol.
        """
        super().__init__(context, None)
        # Use a weak reference: a reference cycle would delay freeing OpenSSL's memory until the
        # next garbage collection.
        self._protocol = None if protocol is None else weakref.ref(protocol)

    def do_handshake(self) -> None:
        super().do_handshake()
        self._answered = 0
        protocol = None if self._protocol is None else self._protocol()
        if protocol is not None and isinstance(protocol.transport, FileDescriptor):
            protocol.transport.bufferSize = _READ_SIZE

    def send(self, buf: bytes | bytearray | memoryview, flags: int = 0) -> int:
        self._isSending = True
        return super().send(buf, flags)

    def bio_read(self, bufsiz: int) -> bytes:
        isSending, self._isSending = self._isSending, False
        data = super().bio_read(bufsiz)
        if self._answered is not None and not isSending:
            self._answered += len(data)
        return data

    def recv(self, bufsiz: int, flags: int | None = None) -> bytes:
        """
        Receive data.

        @raise SSL.Error: if the answers to TLS messages exceed L{_MAX_ANSWERS}, or for the
            reasons that pyOpenSSL documents.
        """
        if self._answered is not None and self._answered > _MAX_ANSWERS:
            protocol = None if self._protocol is None else self._protocol()
            if protocol is not None:
                _log.warn(
                    "{peer} disconnected: answers to its TLS key updates and renegotiations exceed "
                    "{limit} bytes",
                    peer=protocol.getPeer(),
                    limit=_MAX_ANSWERS,
                )
            raise SSL.Error([("", "", "too many TLS key updates")])
        try:
            return super().recv(bufsiz, flags)
        except SSL.ZeroReturnError:
            self._flushPending()
            raise

    def _flushPending(self) -> None:
        """
        Send the pending data. Called when the peer has closed TLS: Twisted then also closes
        TLS, and would drop the application's answers to data that was received in the same
        read.
        """
        protocol = None if self._protocol is None else self._protocol()
        if protocol is None:
            return
        connection: Any = protocol.wrappedProtocol
        if not ITransport.providedBy(connection):
            # The wrapped protocol is not a connection, for example after startTLS. Its transport is
            # the connection.
            connection = getattr(connection, "transport", None)
        # Look up the method in the class, because Twisted's TLS protocol forwards unknown names to
        # its transport.
        flush = getattr(type(connection), "flush", None)
        if flush is not None:
            # Flush the data that is held until the end of the write batch.
            flush(connection)
        # Twisted's TLS protocol holds small writes to coalesce them, and sends them when it closes.
        protocol.loseConnection()


class ServerTLSFactory(TLSMemoryBIOFactory):
    """
    Adds TLS to the connections of a server. Twisted's TLS factory delays small writes until
    the next reactor iteration to join them. This factory does not, because a
    L{Connection<openfl_twisted.transports.connection.Connection>} has already joined the
    writes.
    """

    protocol = TLSMemoryBIOProtocol

    def __init__(
        self,
        creator: IOpenSSLServerConnectionCreator | IOpenSSLContextFactory,
        factory: IProtocolFactory,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param creator: creates the TLS connections, or their contexts.
        @param factory: the factory of the protocols inside TLS.
        @param clock: the clock (default: the global reactor).
        """
        super().__init__(creator, False, factory, clock)
