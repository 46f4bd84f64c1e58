"""
TLS clients that report why a server's certificate was refused, and the certificates of clients.

  - L{SecureConnectionCreator} verifies servers, for any Twisted client:
    C{wrapClientTLS(SecureConnectionCreator("games.example"), endpoint)}. L{Trust} contains the
    trust anchors and the verification rules.
  - L{CertificateRefused} and L{HandshakeFailed}: the reasons passed to
    C{connectionLost} when the handshake of such a connection fails.
  - L{clientNameOf} returns the name in the certificate of a client.
"""

from typing import TYPE_CHECKING

from openfl_twisted.lazyimports import lazyImporter

if TYPE_CHECKING:
    from openfl_twisted.tls.client import (
        CertificateRefused,
        HandshakeFailed,
        SecureConnectionCreator,
        verdictOf,
    )
    from openfl_twisted.tls.clientca import clientNameOf
    from openfl_twisted.tls.trust import Trust

__all__ = [
    "CertificateRefused",
    "HandshakeFailed",
    "SecureConnectionCreator",
    "Trust",
    "clientNameOf",
    "verdictOf",
]


_MODULES = {
    "CertificateRefused": "client",
    "HandshakeFailed": "client",
    "SecureConnectionCreator": "client",
    "Trust": "trust",
    "clientNameOf": "clientca",
    "verdictOf": "client",
}

__getattr__ = lazyImporter(__name__, _MODULES)
