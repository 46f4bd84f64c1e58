"""
Revocation: CRLs and OCSP responses.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponseBuilder, OCSPResponseStatus

from openfl_twisted.wire.x509.certificates import CertificateStatus
from tests.extensions import critical, purposes
from tests.laboratory import FUTURE, PAST, Identity, Kind, authority, keyFor, server
from tests.tls.situations.scenes import INTERMEDIATE, LEAF, ROOT, STRANGER, Scene, Situation, scene

REVOKED = OCSPCertStatus.REVOKED
UNKNOWN = OCSPCertStatus.UNKNOWN
MUST_STAPLE = x509.TLSFeature([x509.TLSFeatureType.status_request])
OTHER = server(INTERMEDIATE)
NOON = datetime(2020, 6, 1, 12, tzinfo=UTC)
DEMANDING = server(INTERMEDIATE, MUST_STAPLE)

Make = Callable[[], Scene]


def lists(*revoked: x509.CertificateRevocationList, **options: Any) -> Scene:
    """
    A valid server, and a client with CRLs.
    """
    return scene(revoked=revoked, **options)


def listed(*revoked: Identity, **properties: Any) -> Scene:
    """
    A valid server, and a client with a CRL of its intermediate.
    """
    return lists(INTERMEDIATE.revocationList(*revoked, **properties))


def above(*revoked: Identity, **properties: Any) -> Scene:
    """
    A valid server, and a client with a CRL of its root.
    """
    return lists(ROOT.revocationList(*revoked, **properties))


def stapled(
    *arguments: Any,
    leaf: Identity = LEAF,
    hard: bool = False,
    time: datetime | None = None,
    **properties: Any,
) -> Scene:
    """
    A server that staples an OCSP response.
    """
    staple = INTERMEDIATE.staple(leaf, *arguments, **properties)
    return scene(leaf, staple=staple, hardRevocation=hard, time=time)


def responder(**properties: Any) -> Identity:
    """
    Create an OCSP responder for the intermediate.
    """
    return server(INTERMEDIATE, purposes("OCSP_SIGNING"), name="Responder", **properties)


def withKeys(kind: Kind, status: OCSPCertStatus) -> Scene:
    """
    A server with an OCSP response signed with a key of the given type.
    """
    root = authority(f"Root {kind}", kind=kind)
    leaf = server(root)
    # The Web PKI excludes EdDSA, so the profile is not webpki.
    return scene(leaf, anchors=[root], staple=root.staple(leaf, status), hardRevocation=True)


def refusal() -> bytes:
    """
    Return an OCSP response without a result.
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    return OCSPResponseBuilder.build_unsuccessful(OCSPResponseStatus.TRY_LATER).public_bytes(
        Encoding.DER
    )


def otherPath() -> Scene:
    """
    A server below so many intermediates that OpenSSL does not find the path that
    C{cryptography} finds.
    """
    above = [ROOT]
    for number in range(12):
        above.append(authority(f"Intermediate {number}", above[-1]))
    leaf = server(above[-1])
    return scene(leaf, revoked=[each.revocationList() for each in above])


def otherPathRevoked() -> Scene:
    """
    A server below a revoked intermediate that OpenSSL does not find.
    """
    above = [ROOT]
    for number in range(12):
        above.append(authority(f"Intermediate {number}", above[-1]))
    return scene(server(above[-1]), revoked=[ROOT.revocationList(above[1])])


def unlisted(*, hard: bool) -> Scene:
    """
    A server below many intermediates, and a client with one CRL.
    """
    above = [ROOT]
    for number in range(12):
        above.append(authority(f"Intermediate {number}", above[-1]))
    return scene(server(above[-1]), revoked=[ROOT.revocationList()], hardRevocation=hard)


def forgedStaple() -> Scene:
    """
    A server with an OCSP response whose signature is invalid.
    """
    staple = INTERMEDIATE.staple(LEAF, REVOKED)
    return scene(staple=staple[:-1] + bytes([staple[-1] ^ 1]))


def otherRoot(*, listed: bool, **options: Any) -> Scene:
    """
    A server with paths to two roots. Only the path that OpenSSL does not use is valid.
    Proof of non-revocation is required.

    @param listed: whether the client has a CRL of that root.
    """
    second = authority("Second root")
    wrong = authority(
        "Twofold", ROOT, critical(x509.NameConstraints([x509.DNSName("other.example")], None))
    )
    right = authority("Twofold", second)
    lists = [ROOT.revocationList(), right.revocationList()]
    if listed:
        lists.append(second.revocationList())
    leaf = server(wrong)
    return scene(leaf, right, anchors=[ROOT, second], revoked=lists, hardRevocation=True)


def otherProof(*, proved: bool) -> Scene:
    """
    A server with two paths, of which the second is valid, and a client without a CRL of
    its intermediate. Proof of non-revocation is required.
    """
    wrong = authority(
        "Twofold", ROOT, critical(x509.NameConstraints([x509.DNSName("other.example")], None))
    )
    right = authority("Twofold", ROOT)
    leaf = server(wrong)
    staple = right.staple(leaf) if proved else b""
    lists = [ROOT.revocationList()]
    return scene(leaf, right, revoked=lists, staple=staple, hardRevocation=True)


def namesake(*, stapled: bool = False) -> Scene:
    """
    A server that sends the certificate of its issuer after that of a CA of the same
    name with another key, which OpenSSL uses. Proof of non-revocation is required.

    @param stapled: whether the proof is an OCSP response of that CA, not its CRL.
    """
    other = authority("Twofold", ROOT, key=keyFor("another"), without=[x509.SubjectKeyIdentifier])
    right = authority("Twofold", ROOT)
    leaf = server(right)
    return scene(
        leaf,
        chain=[leaf.certificate, other.certificate, right.certificate],
        revoked=[] if stapled else [ROOT.revocationList(), other.revocationList()],
        staple=other.staple(leaf) if stapled else b"",
        hardRevocation=True,
    )


def bothLists(**options: Any) -> Scene:
    """
    A valid server, and a client with the CRLs of the whole chain.
    """
    return lists(INTERMEDIATE.revocationList(OTHER), ROOT.revocationList(), **options)


SOFT: dict[str, Make] = {
    "a list without it": lambda: listed(OTHER),
    "lists of the whole chain without it": bothLists,
    "an empty list": listed,
    "an old list": lambda: listed(ends=PAST),
    "no list of its issuer": lambda: lists(STRANGER.revocationList(LEAF)),
    "a list of a stranger with the name of its issuer": lambda: lists(
        authority("Other", ROOT).revocationList(LEAF)
    ),
    "many authorities and their lists": otherPath,
    "many authorities and one list": lambda: unlisted(hard=False),
    "a good staple": stapled,
    "a good staple by name": lambda: stapled(byName=True),
    "a good staple that never ends": lambda: stapled(ends=None),
    "a good staple of a responder": lambda: stapled(responder=responder()),
    "a good staple of a responder by name": lambda: stapled(responder=responder(), byName=True),
    "a staple with unknown status": lambda: stapled(UNKNOWN),
    "an old staple": lambda: stapled(ends=PAST),
    "a staple of tomorrow": lambda: stapled(begins=FUTURE),
    "a staple about another": lambda: scene(staple=INTERMEDIATE.staple(OTHER)),
    "a revoking staple about another": lambda: scene(staple=INTERMEDIATE.staple(OTHER, REVOKED)),
    "a revoking staple of a stranger": lambda: scene(staple=STRANGER.staple(LEAF, REVOKED)),
    "a revoking staple that is forged": forgedStaple,
    "a revoking staple of an expired responder": lambda: stapled(
        REVOKED, responder=responder(ends=PAST)
    ),
    "a revoking staple of another server": lambda: stapled(REVOKED, responder=OTHER),
    "an invalid staple": lambda: scene(staple=b"staple"),
    "a staple that refuses to answer": lambda: scene(staple=refusal()),
    "a demanded staple": lambda: stapled(leaf=DEMANDING),
    "a demanded proof in a staple": lambda: stapled(hard=True),
    "a demanded proof in a staple of a responder": lambda: stapled(
        hard=True, responder=responder()
    ),
    "a demanded proof in lists": lambda: bothLists(hardRevocation=True),
    "a demanded proof on another path": lambda: otherRoot(listed=True),
    "a demanded proof in a staple on another path": lambda: otherProof(proved=True),
    "a demanded proof in a list and in a staple": lambda: lists(
        ROOT.revocationList(), staple=INTERMEDIATE.staple(LEAF), hardRevocation=True
    ),
    "a demanded staple that begins in half a minute": lambda: stapled(
        leaf=DEMANDING, begins=NOON + timedelta(seconds=30), time=NOON
    ),
    "a demanded staple that begins in five minutes": lambda: stapled(
        leaf=DEMANDING, begins=NOON + timedelta(minutes=5), time=NOON
    ),
    "a demanded proof signed with RSA": lambda: withKeys("RSA", OCSPCertStatus.GOOD),
    "a demanded proof signed with P-384": lambda: withKeys("P-384", OCSPCertStatus.GOOD),
    "a demanded proof signed with Ed25519": lambda: withKeys("Ed25519", OCSPCertStatus.GOOD),
}

HARD: dict[str, Make] = {
    "a list that lists it": lambda: listed(OTHER, LEAF),
    "a list of its root that lists it": lambda: _belowRoot(),
    "an old list that lists it": lambda: listed(LEAF, ends=PAST),
    "a list that lists its intermediate": lambda: above(INTERMEDIATE),
    "one of several lists": lambda: lists(
        STRANGER.revocationList(), ROOT.revocationList(), INTERMEDIATE.revocationList(LEAF)
    ),
    "a list and a good staple": lambda: lists(
        INTERMEDIATE.revocationList(LEAF), staple=INTERMEDIATE.staple(LEAF)
    ),
    "a list though it is pinned": lambda: lists(INTERMEDIATE.revocationList(LEAF), anchors=[LEAF]),
    "a revoking staple": lambda: stapled(REVOKED),
    "an old revoking staple": lambda: stapled(REVOKED, ends=PAST),
    "an old revoking staple that it demands": lambda: stapled(REVOKED, leaf=DEMANDING, ends=PAST),
    "a revoking staple by name": lambda: stapled(REVOKED, byName=True),
    "a revoking staple of a responder": lambda: stapled(REVOKED, responder=responder()),
    "a revoking staple that it demands": lambda: stapled(REVOKED, leaf=DEMANDING),
    "a revoking staple and a list without it": lambda: lists(
        INTERMEDIATE.revocationList(), staple=INTERMEDIATE.staple(LEAF, REVOKED)
    ),
    "a revoking staple signed with RSA": lambda: withKeys("RSA", REVOKED),
    "a revoking staple signed with Ed25519": lambda: withKeys("Ed25519", REVOKED),
    "a revoking staple where a proof is demanded": lambda: stapled(REVOKED, hard=True),
}

UNPROVED: dict[str, Make] = {
    "a list that its issuer did not sign": lambda: listed(LEAF, key=keyFor("another")),
    "an empty list that its issuer did not sign": lambda: listed(key=keyFor("another")),
    "a list of tomorrow": lambda: listed(begins=FUTURE),
    "a demanded staple that begins in an hour": lambda: stapled(
        leaf=DEMANDING, begins=NOON + timedelta(hours=1), time=NOON
    ),
    "a demanded staple that is missing": lambda: scene(DEMANDING),
    "a demanded staple that is old": lambda: stapled(leaf=DEMANDING, ends=PAST),
    "a demanded staple with unknown status": lambda: stapled(UNKNOWN, leaf=DEMANDING),
    "an invalid demanded staple": lambda: scene(DEMANDING, staple=b"staple"),
    "a demanded staple about another": lambda: scene(DEMANDING, staple=INTERMEDIATE.staple(OTHER)),
    "a demanded proof that is missing": lambda: scene(hardRevocation=True),
    "a demanded proof in an old list": lambda: lists(
        INTERMEDIATE.revocationList(ends=PAST), ROOT.revocationList(), hardRevocation=True
    ),
    "a demanded proof in an old staple": lambda: stapled(ends=PAST, hard=True),
    "a demanded proof in a staple with unknown status": lambda: stapled(UNKNOWN, hard=True),
    "a demanded proof that is missing on another path": lambda: otherProof(proved=False),
    "a demanded proof in a list of a namesake on another path": namesake,
    "a demanded staple of a namesake": lambda: namesake(stapled=True),
    "a demanded proof for its intermediate": lambda: lists(
        INTERMEDIATE.revocationList(), hardRevocation=True
    ),
}

SITUATIONS = [
    *(Situation(name, CertificateStatus.TRUSTED, make) for name, make in SOFT.items()),
    *(Situation(name, CertificateStatus.REVOKED, make) for name, make in HARD.items()),
    *(Situation(name, CertificateStatus.INVALID, make) for name, make in UNPROVED.items()),
    Situation(
        "a demanded staple that begins too late",
        CertificateStatus.INVALID,
        lambda: stapled(leaf=DEMANDING, begins=NOON + timedelta(minutes=6), time=NOON),
        "(the OCSP response is not valid before 2020-06-01 12:06 UTC)",
    ),
    Situation(
        "a demanded staple that was not sent",
        CertificateStatus.INVALID,
        lambda: scene(DEMANDING),
        "it requires a valid OCSP response from the server (the server sent none)",
    ),
    Situation(
        "a revoked intermediate below many authorities",
        CertificateStatus.INVALID_CHAIN,
        otherPathRevoked,
    ),
    Situation(
        "a demanded proof for an authority on another path",
        CertificateStatus.INVALID_CHAIN,
        lambda: otherRoot(listed=False),
    ),
    Situation(
        "a demanded proof below many authorities",
        CertificateStatus.INVALID_CHAIN,
        lambda: unlisted(hard=True),
    ),
]


def _belowRoot() -> Scene:
    leaf = server(ROOT)
    return scene(leaf, revoked=[ROOT.revocationList(leaf)])
