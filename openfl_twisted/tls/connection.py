"""
OpenSSL connections that send everything, and a limited number of bytes on behalf of the
peer.
"""

import weakref
from typing import Any

from OpenSSL import SSL
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import ITransport
from twisted.protocols.tls import TLSMemoryBIOProtocol

from openfl_twisted.addresses import describe
from openfl_twisted.logs import packageLogger

MAX_ANSWERS = 8192
"""
Maximum number of bytes with which a connection answers TLS messages of its peer after
the handshake: about 300 key updates, or refused renegotiations. No honest peer comes
near: a key is for many millions of records (RFC 8446, 5.5).
"""

# The number of bytes that are read from the socket at a time: as many as in the longest record.
# Short records cost up to 1 microsecond for each byte, and are all processed in one call.
_READ_SIZE = 16 * 1024

_log = packageLogger()


class BoundedConnection(SSL.Connection):
    """
    An OpenSSL connection for Twisted's TLS that limits the answers to TLS messages, and
    sends the pending data when the peer closes TLS.

    Each key update and each request to renegotiate is answered. The answers go into the
    send queue of the transport, which has no limit below TLS, and stay there if the peer
    does not read.
    """

    # Whether the next bytes to be sent are those of the application.
    _isSending = False
    # The number of bytes of answers; None during the handshake.
    _answered: int | None = None

    def __init__(self, context: SSL.Context, protocol: TLSMemoryBIOProtocol | None) -> None:
        """
        @param context: the context.
        @param protocol: the protocol of TLS, for the log; C{None} for none.
        """
        super().__init__(context, None)
        # A cycle would keep the memory of OpenSSL until the next garbage collection.
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

        @raise SSL.Error: if too many TLS messages were answered; and as usual.
        """
        if self._answered is not None and self._answered > MAX_ANSWERS:
            protocol = None if self._protocol is None else self._protocol()
            if protocol is not None:
                _log.warn(
                    "{peer} closed: answers to its TLS key updates and renegotiations exceed "
                    "{limit} bytes",
                    peer=describe(protocol.getPeer()),
                    limit=MAX_ANSWERS,
                )
            raise SSL.Error([("", "", "too many TLS key updates")])
        try:
            return super().recv(bufsiz, flags)
        except SSL.ZeroReturnError:
            self._sendRest()
            raise

    def _sendRest(self) -> None:
        """
        Send the pending data. The peer has closed TLS, and Twisted answers that
        immediately: answers to data that was received in the same read would be lost.
        """
        protocol = None if self._protocol is None else self._protocol()
        if protocol is None:
            return
        connection: Any = protocol.wrappedProtocol
        flush = getattr(connection, "flush", None)
        if flush is not None and ITransport.providedBy(connection):
            # It holds data for the end of the write batch.
            flush()
        # Twisted's TLS joins small writes; this sends them.
        protocol.loseConnection()
