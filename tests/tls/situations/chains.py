"""
Servers with an invalid or untrusted path.
"""

from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from openfl_twisted.tls import Trust
from openfl_twisted.wire.x509.certificates import CertificateStatus
from tests.extensions import (
    UNKNOWN_1,
    UNKNOWN_2,
    Names,
    critical,
    malformedNames,
    purposes,
    unknown,
    usage,
)
from tests.laboratory import (
    FUTURE,
    HOST,
    PAST,
    SHA1_RSA,
    SHA256_RSA,
    Identity,
    Kind,
    authority,
    keyFor,
    server,
    tlv,
)
from tests.tls.handshakes import Presenting, showing
from tests.tls.situations.scenes import (
    INTERMEDIATE,
    LEAF,
    ROOT,
    STRANGER,
    Scene,
    Situation,
    scene,
    trusting,
)

Make = Callable[[], Scene]


def below(*extensions: Any, **properties: Any) -> Scene:
    """
    A server below an invalid intermediate.
    """
    return scene(server(authority("Bad", ROOT, *extensions, **properties)))


def nonCA(*extensions: Any, **properties: Any) -> Scene:
    """
    A server signed by another server.
    """
    return below(
        critical(x509.BasicConstraints(ca=False, path_length=None)), *extensions, **properties
    )


def limited(
    permitted: list[x509.GeneralName] | None,
    excluded: list[x509.GeneralName] | None,
    host: str = HOST,
    name: str | None = None,
) -> Scene:
    """
    A server below a CA that must not sign it.
    """
    constraints = critical(x509.NameConstraints(permitted, excluded))
    leaf = server(authority("Limited", ROOT, constraints), names=[name or host])
    return scene(leaf, host=host)


def unchecked(
    host: str, name: str, kind: str = "P-256", constraints: x509.ExtensionType | None = None
) -> Scene:
    """
    A server whose certificate is for a host name that its CA must not sign, and whose
    path C{cryptography} cannot verify.

    @param kind: the type of the CA's key.
    @param constraints: other name constraints, or a malformed extension.
    """
    excluded = constraints or x509.NameConstraints(None, [x509.DNSName(host)])
    limited = authority(f"Limited {kind}", ROOT, critical(excluded), kind=kind)
    return scene(server(limited, names=[name]), host=host)


def edwards(host: str) -> Scene:
    """
    A server with an Ed25519 key and a wildcard for a host name that its CA must not
    sign.
    """
    limited = authority("Limited", ROOT, critical(x509.NameConstraints(None, [x509.DNSName(host)])))
    leaf = server(limited, names=["*.lab.example"], name="Ed25519", kind="Ed25519")
    return scene(leaf, host=host)


def mixedPaths() -> Scene:
    """
    A server with two paths. OpenSSL uses the first and overlooks its name constraint.
    The second ends at a CA for clients only, which C{cryptography} accepts without the
    rules of the Web PKI.
    """
    host = "games.lab.example"
    limited = authority("Twofold", ROOT, critical(x509.NameConstraints(None, [x509.DNSName(host)])))
    clients = authority("Twofold", ROOT, purposes("CLIENT_AUTH"))
    return scene(server(limited, names=["*.lab.example"]), clients, host=host)


def tooDeep(*, atRoot: bool) -> Scene:
    """
    A server below more intermediates than one of them allows.
    """
    root = authority("Flat root", pathLength=0 if atRoot else None)
    first = authority("First", root, pathLength=None if atRoot else 0)
    return scene(server(authority("Second", first)), anchors=[root])


def changed(make: Callable[[Identity], Identity]) -> Scene:
    """
    A server whose intermediate was changed after it was signed.
    """
    intermediate = make(authority("Bad", ROOT))
    return scene(server(intermediate))


def weakDigest() -> Scene:
    """
    A server below an intermediate signed with SHA-1.
    """
    root = authority("Root RSA", kind="RSA")
    middle = authority("Intermediate RSA", root, kind="RSA")
    weak = middle.rewritten(SHA256_RSA, SHA1_RSA, hashes.SHA1())
    return scene(server(weak), anchors=[root])


def namesake() -> Scene:
    """
    A server that sends two intermediates of the same name, of which the first has not
    signed it.
    """
    plain = [x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier]
    right = authority("Namesake", ROOT, without=plain)
    wrong = authority("Namesake", ROOT, key=keyFor("another"), without=plain)
    leaf = server(right, without=plain)
    return scene(leaf, chain=[each.certificate for each in (leaf, wrong, right)])


def otherKeyIdentifier() -> Scene:
    """
    A server whose authority key identifier is wrong.
    """
    wrong = x509.AuthorityKeyIdentifier.from_issuer_public_key(keyFor("another").public_key())
    return scene(server(INTERMEDIATE, wrong))


def many(length: int) -> Scene:
    """
    A server below many intermediates.
    """
    above = ROOT
    for number in range(length):
        above = authority(f"Intermediate {number}", above)
    return scene(server(above))


def recited(other: Scene) -> Scene:
    """
    A server with a recorded handshake: Twisted's servers cannot send so many
    certificates.
    """
    assert isinstance(other.server, Presenting)
    chain = [each.public_bytes(Encoding.DER) for each in other.server.chain]
    return Scene(showing(*chain), other.trust, other.host)


def twice() -> Scene:
    """
    A server below an intermediate with a duplicate extension.
    """
    middle = authority("Bad", ROOT, unknown(number=1), unknown(number=2))
    return scene(server(middle.rewritten(UNKNOWN_2, UNKNOWN_1)))


def ownKnown() -> Scene:
    """
    A server with a self-signed certificate, which the client knows but does not trust.
    """
    leaf = server(None)
    return scene(leaf, anchors=[], knows=[leaf])


def onRoot(*extensions: Any, **properties: Any) -> Scene:
    """
    A server below an invalid root.
    """
    root = authority("Bad root", None, *extensions, **properties)
    return scene(server(root), anchors=[root])


def onPinned(**properties: Any) -> Scene:
    """
    A server below an invalid trusted intermediate.
    """
    middle = authority("Bad", ROOT, **properties)
    return scene(server(middle), anchors=[middle])


def expiredPinned() -> Scene:
    """
    A server below a trusted intermediate that has expired, with a host name that ends
    with a dot.
    """
    middle = authority("Bad", ROOT, ends=PAST)
    return scene(server(middle, names=[HOST, HOST + "."]), anchors=[middle])


def loop(*, known: bool = False) -> Scene:
    """
    A server below two CAs that have signed each other.
    """
    one = authority("One", authority("Two"))
    two = authority("Two", authority("One"))
    leaf = server(one)
    return scene(leaf, knows=[one, two]) if known else scene(leaf, two)


def unusual(constraints: x509.NameConstraints, key: ec.EllipticCurvePrivateKey) -> Scene:
    """
    A server below a CA with name constraints, and with a key type that C{cryptography}
    does not support.
    """
    return scene(server(authority("Limited", ROOT, critical(constraints), key=key)))


def misnumbered() -> Scene:
    """
    A server below a CA with a negative serial number.
    """
    middle = authority("Bad", ROOT)
    chain = [server(middle).der, middle.numbered(b"\xff\0")]
    return Scene(showing(*chain), trusting(ROOT))


def oldRoot(**options: Any) -> Scene:
    """
    A server below a trusted root with an X.509 version 1 certificate.
    """
    root = authority("Old root").versionOne()
    return scene(server(root), anchors=[root], **options)


def belowPinned() -> Scene:
    """
    A server signed by another server, which is trusted.
    """
    pinned = server(INTERMEDIATE, names=["other.example"])
    return scene(server(pinned), anchors=[pinned])


def knownRoot(kind: Kind, names: Names = (HOST,)) -> Scene:
    """
    A server below an untrusted root that the client knows. Its issuer name is its own
    in lower case, which is the same name for OpenSSL.
    """
    root = authority("Evil", kind=kind, issuerName="evil")
    return scene(server(root, names=names), knows=[root])


def controlling(*, named: bool) -> Scene:
    """
    A server below a CA whose name constraint has control characters.

    @param named: whether the server has a name with control characters instead.
    """
    odd = tlv(0x82, b"\x1b[31mred\x07")
    content = tlv(0x82, b"other.example") if named else odd
    constraints = x509.UnrecognizedExtension(
        x509.NameConstraints.oid, tlv(0x30, tlv(0xA1, tlv(0x30, content)))
    )
    names = malformedNames(tlv(0x30, tlv(0x82, HOST.encode()) + odd))
    limited = authority("Limited", ROOT, critical(constraints))
    return scene(server(limited, names) if named else server(limited))


REFUSED: dict[str, dict[str, Make]] = {
    CertificateStatus.UNTRUSTED_SIGNERS: {
        "an unknown root": lambda: scene(anchors=[STRANGER]),
        "an unknown root that is sent": lambda: scene(LEAF, ROOT, anchors=[STRANGER]),
        "no trust anchor": lambda: scene(anchors=[]),
        "no trust anchor and an unknown root sent": lambda: scene(LEAF, ROOT, anchors=[]),
        "a certificate of its own that is unknown": lambda: scene(server(None)),
        "a missing intermediate": lambda: scene(chain=LEAF.chain[:1]),
        "another intermediate": lambda: scene(chain=[LEAF.certificate, STRANGER.certificate]),
        "an intermediate known and its root not": lambda: scene(
            chain=LEAF.chain[:1], anchors=[], knows=[INTERMEDIATE]
        ),
        "a root known and not trusted": lambda: scene(anchors=[], knows=[ROOT, INTERMEDIATE]),
        "a root known and sent and not trusted": lambda: scene(
            LEAF, ROOT, anchors=[], knows=[ROOT]
        ),
        "a server known and not trusted": lambda: scene(anchors=[], knows=[LEAF]),
        "a certificate of its own that is known": ownKnown,
        "a root of the same name": lambda: scene(
            server(ROOT), anchors=[authority("Root", key=keyFor("another"))]
        ),
        "a sent root of the same name": lambda: scene(
            server(authority("Root", key=keyFor("another"))),
            authority("Root", key=keyFor("another")),
        ),
        "another pinned server": lambda: scene(anchors=[server(INTERMEDIATE)]),
        "another pinned intermediate": lambda: scene(anchors=[authority("Other", ROOT)]),
        "a server below a pinned one": belowPinned,
        "the authorities of this machine": lambda: Scene(scene().server, Trust()),
        "an underscore and an unknown root": lambda: scene(
            server(INTERMEDIATE, names=["my_service.example"]),
            anchors=[],
            host="my_service.example",
        ),
        "two authorities that have signed each other": loop,
        "two known authorities that have signed each other": lambda: loop(known=True),
        "a known root whose issuer is in small letters": lambda: knownRoot("P-256"),
        "a known root of Ed25519 whose issuer is in small letters": lambda: knownRoot("Ed25519"),
        "a known root and a dot at the end": lambda: knownRoot("P-256", [HOST, HOST + "."]),
        "no trusted root and the strict profile": lambda: scene(anchors=[], profile="webpki"),
    },
    CertificateStatus.INVALID_CHAIN: {
        "an expired intermediate": lambda: below(ends=PAST),
        "an intermediate of tomorrow": lambda: below(begins=FUTURE),
        "an expired root": lambda: onRoot(ends=PAST),
        "a root of tomorrow": lambda: onRoot(begins=FUTURE),
        "an expired pinned intermediate": lambda: onPinned(ends=PAST),
        "an expired pinned intermediate of Ed25519": lambda: onPinned(ends=PAST, kind="Ed25519"),
        "a pinned intermediate of Ed25519 of tomorrow": lambda: onPinned(
            begins=FUTURE, kind="Ed25519"
        ),
        "an expired pinned intermediate and a dot at the end": expiredPinned,
        "a name constraint with control characters": lambda: controlling(named=False),
        "a name with control characters below a constrained authority": lambda: controlling(
            named=True
        ),
        "a server as its issuer": nonCA,
        "a server as its issuer that may sign": lambda: nonCA(critical(usage(key_cert_sign=True))),
        "an issuer that says nothing of itself": lambda: below(
            without=[x509.BasicConstraints, x509.KeyUsage]
        ),
        "an issuer that may not sign certificates": lambda: below(
            critical(usage(digital_signature=True, crl_sign=True))
        ),
        "too many authorities below a root": lambda: tooDeep(atRoot=True),
        "too many authorities below an intermediate": lambda: tooDeep(atRoot=False),
        "seventeen intermediates": lambda: many(17),
        "fifty intermediates": lambda: many(50),
        "a hundred and twenty intermediates": lambda: recited(many(120)),
        "a name that is not permitted": lambda: limited([x509.DNSName("other.example")], None),
        "a name that is excluded": lambda: limited(None, [x509.DNSName(HOST)]),
        "a domain that is excluded": lambda: limited(None, [x509.DNSName("example")]),
        "a wildcard for what is excluded": lambda: limited(
            None, [x509.DNSName("games.lab.example")], "games.lab.example", "*.lab.example"
        ),
        "a wildcard for what is excluded and a key of Ed25519": lambda: edwards(
            "games.lab.example"
        ),
        "a wildcard for what is excluded below a key of Ed25519": lambda: unchecked(
            "games.lab.example", "*.lab.example", "Ed25519"
        ),
        "an allowed name below a constrained key of Ed25519": lambda: unchecked(
            HOST, HOST, "Ed25519", x509.NameConstraints(None, [x509.DNSName("other.example")])
        ),
        "constraints that cannot be read below a key of Ed25519": lambda: unchecked(
            HOST,
            HOST,
            "Ed25519",
            x509.UnrecognizedExtension(x509.NameConstraints.oid, b"\x30\x03\xa1\x01\x05"),
        ),
        "an excluded name with an underscore": lambda: unchecked(
            "my_bank.lab.example", "my_bank.lab.example"
        ),
        "a wildcard for an excluded name with an underscore": lambda: unchecked(
            "my_bank.lab.example", "*.lab.example"
        ),
        "a wildcard for an excluded name with a final hyphen": lambda: unchecked(
            "bank-.lab.example", "*.lab.example"
        ),
        "two paths that break different rules": mixedPaths,
        "constraints that the second verifier does not support": lambda: limited(
            [x509.DirectoryName(ROOT.certificate.subject)], None
        ),
        "an address that is not permitted": lambda: limited(
            [x509.IPAddress(IPv4Network("10.0.0.0/8"))], None, "127.0.0.1"
        ),
        "an issuer for clients only": lambda: below(purposes("CLIENT_AUTH")),
        "an issuer with an unknown critical extension": lambda: below(critical(unknown())),
        "an issuer with one extension twice": twice,
        "an issuer that was forged": lambda: changed(Identity.forged),
        "an issuer that was altered": lambda: changed(
            lambda middle: middle.altered(b"000101000000Z", b"000102000000Z")
        ),
        "an issuer with a short key": lambda: below(kind="RSA-1024", key=keyFor("s", "RSA-1024")),
        "an issuer that is signed with SHA-1": weakDigest,
        "two issuers of one name": namesake,
        "an issuer whose key has another number": otherKeyIdentifier,
        "an address that is not permitted and an excluded common name": lambda: scene(
            server(
                authority(
                    "Limited",
                    ROOT,
                    critical(
                        x509.NameConstraints(
                            [x509.IPAddress(IPv4Network("10.0.0.0/8"))],
                            [x509.DNSName("localhost")],
                        )
                    ),
                ),
                names=["127.0.0.1"],
                name="test.localhost",
            ),
            host="127.0.0.1",
        ),
        "a permitted domain that begins with a dot": lambda: limited(
            [x509.DNSName(".example")], None
        ),
        "an excluded domain that begins with a dot": lambda: limited(
            None, [x509.DNSName(".other.example")]
        ),
        "an allowed name below a constrained key on Brainpool": lambda: unusual(
            x509.NameConstraints(None, [x509.DNSName("other.example")]),
            ec.generate_private_key(ec.BrainpoolP256R1()),
        ),
        "constraints for addresses that are no networks below a key of Ed25519": lambda: unchecked(
            HOST,
            HOST,
            "Ed25519",
            x509.UnrecognizedExtension(
                x509.NameConstraints.oid, bytes.fromhex("300aa0083006870401020304")
            ),
        ),
        "an intermediate with an old version": lambda: scene(
            server(authority("Old", ROOT).versionOne())
        ),
        "a root with an old version and the strict profile": lambda: oldRoot(profile="webpki"),
        "an authority with a negative serial number": misnumbered,
        "a root for clients only": lambda: onRoot(purposes("CLIENT_AUTH")),
    },
}

SITUATIONS = [
    Situation(name, status, make)
    for status, table in REFUSED.items()
    for name, make in table.items()
]
