"""
OpenSSL connections that flush pending data when the peer closes TLS, and limit the
bytes sent in answer to the peer's TLS messages; and the factory of TLS on servers.
"""

import weakref
from typing import Any

from OpenSSL import SSL
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import (
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
    ITransport,
)
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol

from openfl_twisted.logs import packageLogger

MAX_ANSWERS = 8192
"""
Maximum number of bytes sent in answer to the peer's TLS messages after the handshake:
about 300 key updates or refused renegotiations. A correct peer needs far fewer: one key
lasts for many millions of records (RFC 8446, 5.5).
"""

# Number of bytes read from the socket in one call: the length of the longest record. All records
# of one call are processed together, and short ones take up to 1 microsecond per byte.
_READ_SIZE = 16 * 1024

_log = packageLogger()


class BoundedConnection(SSL.Connection):
    """
    An OpenSSL connection for Twisted's TLS that limits the answers to TLS messages, and
    flushes pending data when the peer closes TLS.

    Each key update and each renegotiation request is answered. The answers are written
    to the transport below TLS, whose send queue is unlimited, and stay there if the
    peer does not read.
    """

    # Whether the next bytes to be sent are application data.
    _isSending = False
    # The number of bytes of answers; None during the handshake.
    _answered: int | None = None

    def __init__(self, context: SSL.Context, protocol: TLSMemoryBIOProtocol | None) -> None:
        """
        @param protocol: the TLS protocol, for the log and for flushing; C{None} for
            none.
        """
        super().__init__(context, None)
        # A reference cycle would delay freeing OpenSSL's memory until the next garbage collection.
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

        @raise SSL.Error: if the answers to TLS messages exceed L{MAX_ANSWERS}; also for
            the reasons that pyOpenSSL documents.
        """
        if self._answered is not None and self._answered > MAX_ANSWERS:
            protocol = None if self._protocol is None else self._protocol()
            if protocol is not None:
                _log.warn(
                    "{peer} disconnected: answers to its TLS key updates and renegotiations exceed "
                    "{limit} bytes",
                    peer=protocol.getPeer(),
                    limit=MAX_ANSWERS,
                )
            raise SSL.Error([("", "", "too many TLS key updates")])
        try:
            return super().recv(bufsiz, flags)
        except SSL.ZeroReturnError:
            self._flushPending()
            raise

    def _flushPending(self) -> None:
        """
        Send the pending data. Called when the peer has closed TLS: Twisted then closes
        TLS too, and would drop the answers to data received in the same read.
        """
        protocol = None if self._protocol is None else self._protocol()
        if protocol is None:
            return
        connection: Any = protocol.wrappedProtocol
        if not ITransport.providedBy(connection):
            # The protocol itself is wrapped, and has another transport, as after startTLS.
            connection = getattr(connection, "transport", None)
        # Looked up in the class: Twisted's TLS forwards other names to the transport below it.
        flush = getattr(type(connection), "flush", None)
        if flush is not None:
            # Flush data held until the end of the write batch.
            flush(connection)
        # Twisted's TLS coalesces small writes; closing sends them.
        protocol.loseConnection()


class ServerTLSFactory(TLSMemoryBIOFactory):
    """
    Adds TLS to the connections of a server. Unlike Twisted's own factory, it does not
    delay small writes until the next reactor iteration to join them: a
    L{Connection<openfl_twisted.transports.connection.Connection>} has joined them
    already.
    """

    protocol = TLSMemoryBIOProtocol

    def __init__(
        self,
        creator: IOpenSSLServerConnectionCreator,
        factory: IProtocolFactory,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param creator: creates the TLS connections.
        @param factory: the factory of the protocols inside TLS.
        @param clock: the clock (default: the global reactor).
        """
        super().__init__(creator, False, factory, clock)
