"""
Servers whose own certificate is refused.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from openfl_twisted.wire.x509.certificates import CertificateStatus
from tests.extensions import UNKNOWN_1, UNKNOWN_2, critical, purposes, unknown, usage
from tests.laboratory import (
    BEGIN,
    END,
    FUTURE,
    PAST,
    SHA1_RSA,
    SHA256_RSA,
    authority,
    brokenKey,
    server,
)
from tests.tls.situations.scenes import (
    INTERMEDIATE,
    LEAF,
    ROOT,
    Scene,
    Situation,
    exhibit,
    scene,
    trusting,
)

Make = Callable[[], Scene]


def weakDigest() -> Scene:
    """
    A server signed with SHA-1.
    """
    root = authority("Root RSA", kind="RSA")
    weak = server(root).rewritten(SHA256_RSA, SHA1_RSA, hashes.SHA1())
    return scene(weak, anchors=[root])


def twice() -> Scene:
    """
    A server with a duplicate extension.
    """
    leaf = server(INTERMEDIATE, unknown(number=1), unknown(number=2))
    return exhibit(leaf.rewritten(UNKNOWN_2, UNKNOWN_1))


def imposter() -> Scene:
    """
    A server with the certificate of another server.
    """
    leaf = server(INTERMEDIATE, name="RSA", kind="RSA")
    return scene(leaf, key=brokenKey("RSA"))


def own(**properties: Any) -> Scene:
    """
    A server with an invalid self-signed certificate, which is trusted.
    """
    leaf = server(None, **properties)
    return scene(leaf, anchors=[leaf])


def pinned(**properties: Any) -> Scene:
    """
    A server with an invalid certificate, which is trusted.
    """
    leaf = server(INTERMEDIATE, **properties)
    return scene(leaf, anchors=[leaf])


def pinnedImposter() -> Scene:
    """
    A server with the trusted certificate of another server.
    """
    leaf = server(INTERMEDIATE, name="RSA", kind="RSA")
    return scene(leaf, anchors=[leaf], key=brokenKey("RSA"))


def wholeChain(**properties: Any) -> Scene:
    """
    A server whose whole chain is invalid.
    """
    root = authority("Bad root", **properties)
    leaf = server(authority("Bad", root, **properties), **properties)
    return scene(leaf, anchors=[root])


REFUSED: dict[str, dict[str, Make]] = {
    CertificateStatus.EXPIRED: {
        "an expired certificate": lambda: scene(server(INTERMEDIATE, ends=PAST)),
        "an expired certificate of its own": lambda: own(ends=PAST),
        "an expired pinned certificate": lambda: pinned(ends=PAST),
        "an expired certificate in an expired chain": lambda: wholeChain(ends=PAST),
        "an expired certificate in an early chain": lambda: scene(
            server(authority("Bad", ROOT, begins=FUTURE), ends=PAST)
        ),
        "a time after it": lambda: scene(time=END + timedelta(days=1)),
        "the second after it": lambda: scene(time=END + timedelta(seconds=1)),
        "an expired certificate and the strict profile": lambda: scene(
            server(INTERMEDIATE, ends=PAST), profile="webpki"
        ),
    },
    CertificateStatus.NOT_YET_VALID: {
        "a certificate of tomorrow": lambda: scene(server(INTERMEDIATE, begins=FUTURE)),
        "a certificate of its own of tomorrow": lambda: own(begins=FUTURE),
        "a pinned certificate of tomorrow": lambda: pinned(begins=FUTURE),
        "a chain of tomorrow": lambda: wholeChain(begins=FUTURE),
        "a time before it": lambda: scene(time=BEGIN - timedelta(days=1)),
        "a certificate of tomorrow in an expired chain": lambda: scene(
            server(authority("Bad", ROOT, ends=PAST), begins=FUTURE)
        ),
    },
    CertificateStatus.INVALID: {
        "a serial number of 21 bytes": lambda: exhibit(LEAF.numbered(b"\0\x80" + bytes(20))),
        "a negative serial number": lambda: exhibit(LEAF.numbered(b"\xff\0")),
        "a negative serial number and the strict profile": lambda: exhibit(
            LEAF.numbered(b"\xff\0"), trust=trusting(ROOT, profile="webpki")
        ),
        "a critical purpose and the strict profile": lambda: scene(
            server(INTERMEDIATE, critical(purposes("SERVER_AUTH"))), profile="webpki"
        ),
        "a forged certificate": lambda: scene(server(INTERMEDIATE).forged()),
        "a certificate altered in one bit": lambda: scene(
            server(INTERMEDIATE).altered(b"the server", b"the servez")
        ),
        "another name written in": lambda: scene(
            server(INTERMEDIATE, names=["other.example"]).altered(
                b"other.example", b"games.example"
            )
        ),
        "a certificate for clients": lambda: scene(server(INTERMEDIATE, purposes("CLIENT_AUTH"))),
        "a certificate for mail": lambda: scene(server(INTERMEDIATE, purposes("EMAIL_PROTECTION"))),
        "a certificate for nothing": lambda: exhibit(
            server(INTERMEDIATE, critical(usage(crl_sign=True)))
        ),
        "an unknown critical extension": lambda: scene(server(INTERMEDIATE, critical(unknown()))),
        "a short key": lambda: scene(server(INTERMEDIATE, name="short", kind="RSA-1024")),
        "a certificate that is signed with SHA-1": weakDigest,
        "one extension twice": twice,
        "a version that does not exist": lambda: exhibit(
            server(INTERMEDIATE).rewrittenDER(b"\xa0\3\2\1\2", b"\xa0\3\2\1\7")
        ),
        "an invalid date": lambda: exhibit(
            server(INTERMEDIATE, ends=PAST).rewrittenDER(b"100101000000Z", b"109901000000Z")
        ),
        "a subject that is no text": lambda: exhibit(
            server(INTERMEDIATE).rewritten(b"the server", b"\xff" * 10)
        ),
        "an issuer that is no text": lambda: exhibit(
            server(INTERMEDIATE).rewritten(b"Intermediate", b"\xff" * 12)
        ),
        "an invalid certificate": lambda: exhibit(b"certificate"),
        "an empty certificate": lambda: exhibit(b""),
        "half a certificate": lambda: exhibit(LEAF.der[:200]),
        "a certificate and more": lambda: exhibit(LEAF.der + b"more"),
        "a large invalid certificate": lambda: exhibit(b"\x30" * 90_000),
        "a key that it does not have": imposter,
        "a key that it does not have and a pinned certificate": pinnedImposter,
        "no key identifier and the strict profile": lambda: scene(
            server(INTERMEDIATE, without=[x509.AuthorityKeyIdentifier]), profile="webpki"
        ),
    },
}

SITUATIONS = [
    Situation(name, status, make)
    for status, table in REFUSED.items()
    for name, make in table.items()
]
