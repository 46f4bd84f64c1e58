"""
Trusted servers.
"""

from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from openfl_twisted.wire.x509.certificates import CertificateStatus
from tests.extensions import critical, purposes, usage
from tests.laboratory import END, FUTURE, HOST, PAST, authority, keyFor, server
from tests.tls.situations.scenes import (
    INTERMEDIATE,
    LEAF,
    ROOT,
    STRANGER,
    Scene,
    Situation,
    scene,
)

POLICIES = x509.CertificatePolicies(
    [x509.PolicyInformation(x509.ObjectIdentifier("1.2.3.4"), None)]
)
DISTRIBUTION = x509.CRLDistributionPoints(
    [x509.DistributionPoint([x509.UniformResourceIdentifier("http://a/")], None, None, None)]
)
# Maps a policy of the issuer to one of the subject.
MAPPINGS = x509.UnrecognizedExtension(
    x509.ObjectIdentifier("2.5.29.33"), bytes.fromhex("300c300a060355040306032a0304")
)


def crossed(*, leftOut: bool = False) -> Scene:
    """
    A server whose intermediate has two certificates: one of an unknown issuer, which is
    sent, and one of a trusted root, which is known or also sent.
    """
    theirs = authority("Crossed", STRANGER)
    ours = authority("Crossed", ROOT)
    leaf = server(theirs)
    if leftOut:
        return scene(leaf, knows=[ours])
    return scene(leaf, ours)


def expiredRoot() -> Scene:
    """
    A server that sends an expired cross-certificate of its root. The new root is known.
    """
    new = authority("New root")
    crossing = authority("New root", authority("Old root", ends=PAST))
    leaf = server(authority("Below", new))
    return scene(leaf, crossing, anchors=[new, crossing.issuer or new])


def expiredTwin() -> Scene:
    """
    A server below a root that the client knows twice: expired, and valid.
    """
    old = authority("Renewed", ends=PAST)
    return scene(server(old), anchors=[old, authority("Renewed")])


def long(length: int, ends: datetime = END, time: datetime | None = None) -> Scene:
    """
    A server below many intermediates.
    """
    above = ROOT
    for number in range(length):
        above = authority(f"Intermediate {number}", above, ends=ends)
    return scene(server(above, ends=ends), time=time)


def shuffled() -> Scene:
    """
    A server that sends its intermediates in the wrong order.
    """
    one = authority("One", ROOT)
    two = authority("Two", one)
    three = authority("Three", two)
    leaf = server(three)
    order = [leaf, two, STRANGER, three, one]
    return scene(leaf, chain=[each.certificate for each in order])


def withKey(kind: str) -> Scene:
    """
    A server whose chain has keys of one type.
    """
    root = authority(f"Root {kind}", kind=kind)
    leaf = server(authority(f"Intermediate {kind}", root, kind=kind), name=kind, kind=kind)
    return scene(leaf, anchors=[root])


def constrained(*constraints: x509.GeneralName, host: str = HOST) -> Scene:
    """
    A server below a CA with name constraints that allow it.
    """
    allowed = critical(x509.NameConstraints(list(constraints), None))
    return scene(server(authority("Limited", ROOT, allowed), names=[host]), host=host)


def addressed() -> Scene:
    """
    A server with an IP address and a common name, below a CA whose name constraints
    only allow other names and all addresses. OpenSSL treats the common name as a DNS
    name.
    """
    allowed = critical(x509.NameConstraints([x509.DNSName("example")], None))
    leaf = server(authority("Limited", ROOT, allowed), names=["127.0.0.1"], name="localhost")
    return scene(leaf, host="127.0.0.1")


def addressBelow(name: str, *, excluded: bool = False, **options: Any) -> Scene:
    """
    A server with an IP address and a common name, below a CA whose DNS constraints do
    not allow the common name.
    """
    domain = [x509.DNSName("localhost")]
    constraints = x509.NameConstraints(*((None, domain) if excluded else (domain, None)))
    limited = authority("Limited", ROOT, critical(constraints))
    leaf = server(limited, names=["127.0.0.1"], name=name)
    return scene(leaf, host="127.0.0.1", **options)


def marked(extension: x509.ExtensionType, *, atServer: bool = False, **options: Any) -> Scene:
    """
    A server below a CA with a critical extension that only OpenSSL processes.

    @param atServer: whether the server has the extension, and not the CA.
    """
    mark = critical(extension)
    leaf = server(INTERMEDIATE, mark) if atServer else server(authority("Marked", ROOT, mark))
    return scene(leaf, **options)


def onCurve(curve: ec.EllipticCurve, *, atRoot: bool = False) -> Scene:
    """
    A server below a CA whose key is on a curve that web CAs do not use.
    """
    key = ec.generate_private_key(curve)
    if atRoot:
        root = authority("Curve root", key=key)
        return scene(server(root), anchors=[root])
    return scene(server(authority("Curve", ROOT, key=key)))


def oldRoot() -> Scene:
    """
    A server below a trusted root with an X.509 version 1 certificate.
    """
    root = authority("Old root").versionOne()
    return scene(server(root), anchors=[root])


def loneLeaf() -> Scene:
    """
    A server with a self-signed certificate, which is trusted.
    """
    leaf = server(None)
    return scene(leaf, anchors=[leaf])


def plainLeaf() -> Scene:
    """
    A server with a minimal trusted certificate, as created by C{openssl req -x509}.
    """
    leaf = server(
        None,
        critical(x509.BasicConstraints(ca=True, path_length=None)),
        without=[x509.KeyUsage, x509.ExtendedKeyUsage],
    )
    return scene(leaf, anchors=[leaf])


def allowedEdwards() -> Scene:
    """
    A server with an Ed25519 key, below a CA with name constraints that allow it.
    """
    excluded = critical(x509.NameConstraints(None, [x509.DNSName("other.example")]))
    leaf = server(authority("Limited", ROOT, excluded), name="Ed25519", kind="Ed25519")
    return scene(leaf)


def pinnedBelow(*, leafPinned: bool) -> Scene:
    """
    A server whose certificate, or whose CA, is a trust anchor. Name constraints above
    a trust anchor have no effect.
    """
    host = "my_games.lab.example"
    excluded = critical(x509.NameConstraints(None, [x509.DNSName(host)]))
    middle = authority("Below", authority("Limited", ROOT, excluded))
    leaf = server(middle, names=["*.lab.example"])
    return scene(leaf, anchors=[leaf if leafPinned else middle], host=host)


def twoPaths() -> Scene:
    """
    A server with two paths, of which OpenSSL uses the wrong one: the first of two
    intermediates of the same name and key is limited to other servers.
    """
    limited = authority(
        "Twofold", ROOT, critical(x509.NameConstraints([x509.DNSName("other.example")], None))
    )
    free = authority("Twofold", ROOT)
    leaf = server(limited)
    return scene(leaf, free)


SITUATIONS = [
    Situation(name, CertificateStatus.TRUSTED, make)
    for name, make in {
        "a trusted root": lambda: scene(server(ROOT)),
        "an intermediate that is sent": scene,
        "an intermediate that is known": lambda: scene(chain=LEAF.chain[:1], knows=[INTERMEDIATE]),
        "an intermediate that is sent and known": lambda: scene(knows=[INTERMEDIATE]),
        "a root that is sent": lambda: scene(LEAF, ROOT),
        "everything sent twice": lambda: scene(LEAF, INTERMEDIATE, LEAF, ROOT, ROOT),
        "everything known twice": lambda: scene(
            anchors=[ROOT, ROOT], knows=[INTERMEDIATE, INTERMEDIATE, LEAF, LEAF]
        ),
        "strangers that are sent too": lambda: scene(LEAF, STRANGER, authority("X", STRANGER)),
        "a stranger that is trusted too": lambda: scene(anchors=[STRANGER, ROOT]),
        "a stranger that is known": lambda: scene(knows=[STRANGER]),
        "a cross-signed intermediate": crossed,
        "a cross-signed intermediate that is known": lambda: crossed(leftOut=True),
        "an expired root with its successor": expiredRoot,
        "an expired certificate of the root": expiredTwin,
        "authorities in the wrong order": shuffled,
        "two paths": twoPaths,
        "four intermediates": lambda: long(4),
        "fifteen intermediates": lambda: long(15),
        "sixteen intermediates": lambda: long(16),
        "fifteen intermediates that have expired since": lambda: long(
            15, PAST, PAST.replace(year=2009)
        ),
        "a certificate of its own": loneLeaf,
        "a certificate of its own that says little": plainLeaf,
        "a pinned server": lambda: scene(LEAF, anchors=[LEAF]),
        "a pinned server that sends no intermediate": lambda: scene(
            chain=LEAF.chain[:1], anchors=[LEAF]
        ),
        "a pinned server that sends its root": lambda: scene(LEAF, ROOT, anchors=[LEAF]),
        "a pinned intermediate": lambda: scene(anchors=[INTERMEDIATE]),
        "a pinned intermediate that is not sent": lambda: scene(
            chain=LEAF.chain[:1], anchors=[INTERMEDIATE]
        ),
        "a pinned intermediate and its root sent": lambda: scene(
            LEAF, ROOT, anchors=[INTERMEDIATE]
        ),
        "a pinned intermediate whose root has expired": lambda: scene(
            LEAF,
            authority("Root", ends=PAST),
            anchors=[INTERMEDIATE],
        ),
        "a pinned intermediate that is known too": lambda: scene(
            anchors=[INTERMEDIATE], knows=[INTERMEDIATE]
        ),
        "keys of RSA": lambda: withKey("RSA"),
        "keys of P-384": lambda: withKey("P-384"),
        "keys of Ed25519": lambda: withKey("Ed25519"),
        "a key of RSA below others": lambda: scene(
            server(INTERMEDIATE, critical(usage(digital_signature=True)), name="RSA", kind="RSA")
        ),
        "names that its authority may sign": lambda: constrained(x509.DNSName("example")),
        "an address of an authority for names": addressed,
        "an address and a common name that is not permitted": lambda: addressBelow("a.example"),
        "an address and an excluded common name": lambda: addressBelow(
            "test.localhost", excluded=True
        ),
        "an address and a common name that is not permitted strictly": lambda: addressBelow(
            "a.example", profile="webpki"
        ),
        "an authority with policy constraints": lambda: marked(x509.PolicyConstraints(0, None)),
        "an authority with policy constraints strictly": lambda: marked(
            x509.PolicyConstraints(0, None), profile="webpki"
        ),
        "an authority that inhibits any policy": lambda: marked(x509.InhibitAnyPolicy(0)),
        "an authority that inhibits any policy strictly": lambda: marked(
            x509.InhibitAnyPolicy(0), profile="webpki"
        ),
        "an authority with critical policies": lambda: marked(POLICIES),
        "critical policies": lambda: marked(POLICIES, atServer=True),
        "an authority with critical distribution points": lambda: marked(DISTRIBUTION),
        "critical distribution points": lambda: marked(DISTRIBUTION, atServer=True),
        "an authority with a critical OCSP no-check": lambda: marked(x509.OCSPNoCheck()),
        "an authority with policy mappings": lambda: marked(MAPPINGS),
        "a root with an old version": oldRoot,
        "an authority on P-224": lambda: onCurve(ec.SECP224R1()),
        "an authority on Brainpool": lambda: onCurve(ec.BrainpoolP256R1()),
        "a root on Brainpool": lambda: onCurve(ec.BrainpoolP384R1(), atRoot=True),
        "a name of the certificate with a dot at the end": lambda: scene(
            server(INTERMEDIATE, names=[HOST + "."])
        ),
        "an allowed name and a key of Ed25519": allowedEdwards,
        "a pinned server with an excluded name": lambda: pinnedBelow(leafPinned=True),
        "a pinned intermediate with an excluded name": lambda: pinnedBelow(leafPinned=False),
        "no purpose named": lambda: scene(server(INTERMEDIATE, without=[x509.ExtendedKeyUsage])),
        "more purposes": lambda: scene(
            server(INTERMEDIATE, purposes("CLIENT_AUTH", "SERVER_AUTH"))
        ),
        "no subject": lambda: scene(server(INTERMEDIATE, name="", key=keyFor("the server"))),
        "an unknown extension": lambda: scene(
            server(
                INTERMEDIATE,
                x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55738.9"), b"\5\0"),
            )
        ),
        "a subject in another script": lambda: scene(server(INTERMEDIATE, name="Spiel\u2764")),
        "a large serial number": lambda: scene(server(INTERMEDIATE, serial=2**158 + 1)),
        "a time at which it was valid": lambda: scene(
            server(INTERMEDIATE, ends=PAST), time=PAST.replace(year=2009)
        ),
        "a time at which it will be valid": lambda: scene(
            server(INTERMEDIATE, begins=FUTURE), time=FUTURE.replace(year=2095)
        ),
        "the strict profile": lambda: scene(profile="webpki"),
    }.items()
]
