"""
Servers that send certificates whose verification would cost too much.
"""

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from openfl_twisted.wire.x509._costs import (
    _MAX_ELEMENTS,
    _MAX_EXPONENT_BITS,
    _MAX_RSA_BITS,
    MAX_COMPARISONS,
)
from openfl_twisted.wire.x509.certificates import CertificateStatus
from tests.extensions import critical
from tests.laboratory import BEGIN, END, HOST, Identity, authority, keyFor, server, tlv
from tests.tls.handshakes import showing
from tests.tls.situations.scenes import (
    INTERMEDIATE,
    LEAF,
    ROOT,
    STRANGER,
    Scene,
    Situation,
    exhibit,
    scene,
    trusting,
)


def constraining(
    names: int, constraints: int, issuer: Identity | None = ROOT, *, known: bool = False
) -> Scene:
    """
    A server with many names below a CA with many name constraints.

    @param known: whether the CA is a root that the client trusts.
    """
    excluded = [x509.DNSName(f"e{number}.x") for number in range(constraints)]
    limited = authority(
        "Limited", None if known else issuer, critical(x509.NameConstraints(None, excluded))
    )
    leaf = server(limited, names=[HOST, *(f"n{number}.y" for number in range(names - 1))])
    return scene(leaf, anchors=[limited if known else ROOT])


def repeating(extension: x509.ObjectIdentifier, element: bytes, times: int) -> Scene:
    """
    A server with an extension of many small elements.
    """
    value = x509.UnrecognizedExtension(extension, tlv(0x30, element * times))
    return exhibit(server(INTERMEDIATE, value))


def below(numbers: rsa.RSAPublicNumbers) -> Scene:
    """
    A server below a CA with an unusual RSA key.
    """
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Slow")])
    slow = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(ROOT.certificate.subject)
        .public_key(numbers.public_key())
        .serial_number(77)
        .not_valid_before(BEGIN)
        .not_valid_after(END)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .sign(ROOT.key, hashes.SHA256())
    )
    leaf = server(authority("Slow", ROOT))
    return Scene(showing(leaf.der, slow.public_bytes(Encoding.DER)), trusting(ROOT))


def modulus(bits: int) -> int:
    """
    Return a number with the length of an RSA modulus.
    """
    return (1 << (bits - 1)) + 1


def signedByDSA() -> Scene:
    """
    A server below a CA with a DSA key.
    """
    # An EC algorithm identifier has the same length as that of a DSA key whose parameters are an
    # octet string.
    name = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
    dsa = bytes.fromhex("301306072a8648ce380401") + tlv(4, bytes(8))
    assert isinstance(keyFor("Intermediate"), ec.EllipticCurvePrivateKey)
    return Scene(showing(LEAF.der, INTERMEDIATE.rewrittenDER(name, dsa)), trusting(ROOT))


COSTLY = {
    "many names and constraints": (lambda: constraining(1000, 600), "600 name constraints"),
    "many names and constraints of a stranger": (
        lambda: constraining(1000, 600, STRANGER),
        "600 name constraints",
    ),
    "many names below a constrained root": (
        lambda: constraining(1000, 600, known=True),
        f"{MAX_COMPARISONS} comparisons",
    ),
    "a name too many": (lambda: constraining(197, 50), "201 names with 50 name constraints"),
    "ten thousand addresses": (
        lambda: repeating(x509.SubjectAlternativeName.oid, tlv(0x87, bytes(4)), 10_000),
        f"more than {_MAX_ELEMENTS} DER elements",
    ),
    "thirty thousand purposes": (
        lambda: repeating(x509.ExtendedKeyUsage.oid, tlv(6, b"\x2a"), 30_000),
        f"more than {_MAX_ELEMENTS} DER elements",
    ),
    "an RSA key that is too long": (
        lambda: below(rsa.RSAPublicNumbers(65537, modulus(_MAX_RSA_BITS + 1))),
        f"an RSA key of more than {_MAX_RSA_BITS} bits",
    ),
    "an RSA exponent that is too long": (
        lambda: below(rsa.RSAPublicNumbers((1 << _MAX_EXPONENT_BITS) + 1, modulus(3072))),
        f"an exponent of more than {_MAX_EXPONENT_BITS} bits",
    ),
    "a DSA key": (signedByDSA, "a DSA key"),
}

SITUATIONS = [
    *(
        Situation(name, CertificateStatus.INVALID, make, words)
        for name, (make, words) in COSTLY.items()
    ),
    Situation(
        "as many names and constraints as allowed",
        CertificateStatus.TRUSTED,
        lambda: constraining(196, 50),
    ),
    Situation(
        "the longest RSA key that is allowed",
        CertificateStatus.UNTRUSTED_SIGNERS,
        lambda: below(
            rsa.RSAPublicNumbers((1 << (_MAX_EXPONENT_BITS - 1)) + 1, modulus(_MAX_RSA_BITS))
        ),
    ),
]
