"""
What a situation is made of, and the authorities that most of them share.
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

    @ivar server: what the server sends.
    @ivar trust: whom the client believes.
    @ivar host: whom it asks for.
    """

    server: Presenting | Script
    trust: Trust
    host: str = HOST


@dataclass(frozen=True)
class Situation:
    """
    Something that can happen to a client.

    @ivar name: what happens, in words.
    @ivar status: what the client makes of it.
    @ivar scene: makes the scene.
    @ivar says: words that the reason must have.
    """

    name: str
    status: str
    scene: Callable[[], Scene]
    says: str = ""


def trusting(*anchors: Identity, **options: Any) -> Trust:
    """
    Trust somebody, and nobody else.
    """
    certificates = tuple(anchor.certificate for anchor in anchors)
    return Trust(platform=False, anchors=certificates, **options)


def exhibit(leaf: Identity | bytes, host: str = HOST, trust: Trust | None = None) -> Scene:
    """
    Make a scene with a certificate that no real server would send, and no key.
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
    Make a scene.

    @param leaf: the server.
    @param more: what it sends behind its chain.
    @param anchors: whom the client trusts.
    @param chain: what the server sends, if not what a good one does.
    @param key: a key of the server's that is another one's.
    @param host: whom the client asks for.
    @param staple: the OCSP response that the server sends along.
    @param knows: what the client knows besides, and does not trust for that.
    @param options: more of L{Trust}.
    """
    sent = leaf.chain if chain is None else tuple(chain)
    sent += tuple(each.certificate for each in more)
    known = tuple(each.certificate for each in knows)
    return Scene(
        Presenting(sent, key or leaf.key, staple),
        trusting(*anchors, intermediates=known, **options),
        host,
    )
