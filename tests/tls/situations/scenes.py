"""
The parts of a situation, and common CAs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from openfl_twisted.tls import Trust
from tests.laboratory import HOST, Identity, PrivateKey, authority, server
from tests.tls.handshakes import Presenting, Script, showing

ROOT = authority("Root")
INTERMEDIATE = authority("Intermediate", ROOT)
STRANGER = authority("Stranger")
LEAF = server(INTERMEDIATE)


@dataclass(frozen=True)
class Scene:
    """
    A server, and a client that connects to it.

    @ivar server: the configuration of the server.
    @ivar trust: the trust of the client.
    @ivar host: the requested host name.
    """

    server: Presenting | Script
    trust: Trust
    host: str = HOST


@dataclass(frozen=True)
class Situation:
    """
    A scene with its expected result.

    @ivar name: the name.
    @ivar status: the expected status.
    @ivar scene: creates the scene.
    @ivar says: text that the reason must contain.
    """

    name: str
    status: str
    scene: Callable[[], Scene]
    says: str = ""


def trusting(*anchors: Identity, **options: Any) -> Trust:
    """
    Trust the given certificates only.
    """
    certificates = tuple(anchor.certificate for anchor in anchors)
    return Trust(platform=False, anchors=certificates, **options)


def exhibit(leaf: Identity | bytes, host: str = HOST, trust: Trust | None = None) -> Scene:
    """
    Create a scene with an arbitrary certificate, without a private key.
    """
    der = leaf.der if isinstance(leaf, Identity) else leaf
    return Scene(showing(der, INTERMEDIATE.der), trust or trusting(ROOT), host)


def scene(
    leaf: Identity = LEAF,
    *more: Identity,
    anchors: Sequence[Identity] = (ROOT,),
    chain: Sequence[x509.Certificate] | None = None,
    key: PrivateKey | None = None,
    host: str = HOST,
    staple: bytes = b"",
    knows: Sequence[Identity] = (),
    **options: Any,
) -> Scene:
    """
    Create a scene.

    @param leaf: the server.
    @param more: certificates sent after the chain.
    @param anchors: the trust anchors of the client.
    @param chain: the certificates that the server sends (default: a correct chain).
    @param key: another private key of the server.
    @param host: the requested host name.
    @param staple: the OCSP response that the server sends.
    @param knows: untrusted certificates that the client knows.
    @param options: other parameters of L{Trust}.
    """
    sent = leaf.chain if chain is None else tuple(chain)
    sent += tuple(each.certificate for each in more)
    known = tuple(each.certificate for each in knows)
    return Scene(
        Presenting(sent, key or leaf.key, staple),
        trusting(*anchors, intermediates=known, **options),
        host,
    )
