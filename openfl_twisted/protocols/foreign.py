"""
Refusal of clients that use another protocol: HTTP, TLS on a port without a certificate, and
unexpected PROXY headers.

Without the refusal, a web page could send messages to an application in the body of an HTTP
request, and a TLS handshake would be delivered to the application as garbage.
"""

from collections.abc import Collection
from typing import Any

from twisted.logger import Logger

from openfl_twisted.wire.firstbytes import MOST_BYTES, Signature, recognize
from openfl_twisted.wire.httprequest import HTTPAnswer

REASONS = {
    Signature.HTTP: "client sent an HTTP request, but this port does not speak HTTP",
    Signature.TLS: "client sent a TLS handshake, but this port has no certificate",
    Signature.PROXY: "peer sent a PROXY protocol header, but this port expects none; "
    "listen on haproxy:tcp:PORT behind a proxy that sends it",
}
"""
The reason why a client of each protocol is refused, for the log.
"""

# A fatal handshake_failure alert (RFC 8446, 6), in a record with the lowest version.
_ALERT = b"\x15\x03\x01\x00\x02\x02\x28"


def refuse(transport: Any, signature: Signature, reason: str, log: Logger) -> None:
    """
    Answer a client in its own protocol, log why, and close the connection.

    @param transport: the connection.
    @param reason: why the client is refused, for the log.
    """
    log.warn("{peer} refused: {reason}", peer=transport.getPeer(), reason=reason)
    if signature is Signature.TLS:
        transport.write(_ALERT)
    elif signature is Signature.HTTP:
        transport.write(HTTPAnswer(400, f"Refused: {reason}.").encode())
    transport.loseConnection()


class FirstBytes:
    """
    Buffers the first bytes of a connection until it is known which protocol they match, if
    any.

    @ivar received: the received bytes.
    """

    __slots__ = ("_among", "received")

    def __init__(self, among: Collection[Signature]) -> None:
        """
        @param among: the protocols to detect.
        """
        self._among = among
        self.received = b""

    def receive(self, data: bytes) -> Signature | None:
        """
        Add a received chunk.

        @return: the detected protocol; C{Signature.NONE} if the bytes match none of the
            protocols; C{None} if more bytes are needed.
        """
        self.received += data
        return recognize(self.received[:MOST_BYTES], self._among)
