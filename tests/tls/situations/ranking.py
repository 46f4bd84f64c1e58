"""
Certificates with two problems: the more severe one is reported.
"""

from datetime import datetime
from functools import partial
from itertools import combinations
from typing import Any

from openfl_twisted.wire.x509.certificates import CertificateStatus
from tests.extensions import critical, purposes, unknown
from tests.laboratory import END, FUTURE, PAST, Identity, authority, server
from tests.tls.situations.scenes import ROOT, STRANGER, Scene, Situation, scene

FAULTS = {
    "altered": CertificateStatus.INVALID,
    "revoked": CertificateStatus.REVOKED,
    "of an unknown root": CertificateStatus.UNTRUSTED_SIGNERS,
    "below a bad intermediate": CertificateStatus.INVALID_CHAIN,
    "of another name": CertificateStatus.PRINCIPAL_MISMATCH,
    "too early": CertificateStatus.NOT_YET_VALID,
    "too late": CertificateStatus.EXPIRED,
    "for clients": CertificateStatus.INVALID,
}
"""
Problems by severity, with the resulting status.
"""


def faulty(*faults: str) -> Scene:
    """
    A server with several problems.
    """
    properties: dict[str, Any] = {}
    extensions = []
    middle = authority("Middle", ROOT)
    if "below a bad intermediate" in faults:
        middle = authority("Middle", ROOT, critical(unknown()))
    if "of another name" in faults:
        properties["names"] = ["attacker.example"]
    if "too early" in faults:
        properties["begins"] = FUTURE
    if "too late" in faults:
        properties["ends"] = PAST
    if "for clients" in faults:
        extensions.append(purposes("CLIENT_AUTH"))
    leaf = server(middle, *extensions, **properties)
    revoked = [middle.revocationList(leaf)] if "revoked" in faults else []
    if "altered" in faults:
        leaf = leaf.altered(b"the server", b"the servez")
    anchors = [STRANGER if "of an unknown root" in faults else ROOT]
    return scene(leaf, anchors=anchors, revoked=revoked)


def above(
    *extensions: Any,
    revoked: bool = False,
    ends: datetime = END,
    root: Identity = ROOT,
    **properties: Any,
) -> Scene:
    """
    A server with a problem, below an intermediate with a problem.
    """
    middle = authority("Middle", ROOT, ends=ends)
    lists = [ROOT.revocationList(middle)] if revoked else []
    return scene(server(middle, *extensions, **properties), anchors=[root], revoked=lists)


OTHER = ["attacker.example"]

SITUATIONS = [
    *(
        Situation(f"a certificate {one} and {other}", FAULTS[one], partial(faulty, one, other))
        for one, other in combinations(FAULTS, 2)
        # The two dates exclude each other.
        if (one, other) != ("too early", "too late")
    ),
    Situation(
        "a certificate with every fault",
        CertificateStatus.INVALID,
        partial(faulty, *(fault for fault in FAULTS if fault != "too late")),
    ),
    Situation(
        "a server for clients below a revoked intermediate",
        CertificateStatus.REVOKED,
        lambda: above(purposes("CLIENT_AUTH"), revoked=True),
    ),
    Situation(
        "a server of another name below a revoked intermediate",
        CertificateStatus.REVOKED,
        lambda: above(revoked=True, names=OTHER),
    ),
    Situation(
        "a revoked and expired intermediate",
        CertificateStatus.REVOKED,
        lambda: above(revoked=True, ends=PAST),
    ),
    Situation(
        "a server of another name below an expired intermediate",
        CertificateStatus.INVALID_CHAIN,
        lambda: above(ends=PAST, names=OTHER),
    ),
    Situation(
        "an expired intermediate of an unknown root",
        CertificateStatus.UNTRUSTED_SIGNERS,
        lambda: above(ends=PAST, root=STRANGER),
    ),
    Situation(
        "a revoked intermediate of an unknown root",
        CertificateStatus.UNTRUSTED_SIGNERS,
        lambda: above(revoked=True, root=STRANGER),
    ),
]
