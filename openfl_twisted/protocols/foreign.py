"""
Refusing clients of other protocols: HTTP, TLS on a port without a certificate,
and PROXY headers that no proxy was configured to send.

Without this, a web page could send messages to an application by an HTTP request
whose body contains them, and a TLS handshake would be forwarded as garbage.
"""

from collections.abc import Collection
from typing import Any

from twisted.logger import Logger

from openfl_twisted.addresses import describe
from openfl_twisted.wire.firstbytes import MOST_BYTES, Signature, recognize
from openfl_twisted.wire.httprequest import HTTPAnswer

REASONS = {
    Signature.HTTP: "client sent an HTTP request, but this port does not speak HTTP",
    Signature.TLS: "client sent a TLS handshake, but this port has no certificate",
    Signature.PROXY: "peer sent a PROXY protocol header, but this port expects none; "
    "listen on haproxy:tcp:PORT behind a proxy that sends it",
}
"""
Why a client is refused, for the log.
"""

# A fatal alert, handshake_failure (RFC 8446, 6), in the record of a server that knows no version.
_ALERT = b"\x15\x03\x01\x00\x02\x02\x28"


def refuse(transport: Any, signature: Signature, reason: str, log: Logger) -> None:
    """
    Answer a client in its own protocol, log why, and close the connection.

    @param transport: the connection.
    @param signature: the protocol of the client.
    @param reason: why it is refused, for the log.
    @param log: the logger.
    """
    log.warn("{peer} refused: {reason}", peer=describe(transport.getPeer()), reason=reason)
    if signature is Signature.TLS:
        transport.write(_ALERT)
    elif signature is Signature.HTTP:
        transport.write(HTTPAnswer(400, f"Refused: {reason}.").encode())
    transport.loseConnection()


class FirstBytes:
    """
    Holds the first bytes of a connection until it is certain whether they are
    those of another protocol.

    @ivar received: the bytes received.
    """

    __slots__ = ("_among", "received")

    def __init__(self, among: Collection[Signature]) -> None:
        """
        @param among: the protocols to look for.
        """
        self._among = among
        self.received = b""

    def receive(self, data: bytes) -> Signature | None:
        """
        Add a chunk.

        @param data: the chunk.
        @return: the protocol, C{Signature.NONE} if it is none of those;
            C{None} while further bytes can decide.
        """
        self.received += data
        return recognize(self.received[:MOST_BYTES], self._among)
