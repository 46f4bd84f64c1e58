"""
TLS clients that report why a server's certificate was refused.

  - L{SecureConnectionCreator} verifies servers, for any Twisted client:
    C{wrapClientTLS(SecureConnectionCreator("games.example"), endpoint)}. L{Trust} contains the
    trust anchors and the verification rules.
  - L{CertificateRefused} and L{HandshakeFailed}: the reasons passed to
    C{connectionLost} when the handshake of such a connection fails.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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


def __getattr__(name: str) -> Any:
    """
    Import a public name when it is used: servers need none of them.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "trust" if name == "Trust" else "client"
    return getattr(import_module(f"{__name__}.{module}"), name)
