"""
TLS that knows exactly why a certificate was refused.

  - L{SecureConnectionCreator} judges servers, for any Twisted client:
    C{wrapClientTLS(SecureConnectionCreator("games.example"), endpoint)}. L{Trust}
    says whom it believes.
  - L{CertificateRefused} and L{HandshakeFailed} are the reasons for which such a
    connection is lost.
"""

from openfl_twisted.tls.client import (
    CertificateRefused,
    HandshakeFailed,
    SecureConnectionCreator,
    verdictOf,
)
from openfl_twisted.tls.trust import Trust

__all__ = [
    "CertificateRefused",
    "HandshakeFailed",
    "SecureConnectionCreator",
    "Trust",
    "verdictOf",
]
