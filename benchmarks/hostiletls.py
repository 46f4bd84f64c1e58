"""
TLS servers whose certificates are expensive to verify, for
C{python -m benchmarks.hostile}.

In each attack, a client verifies the certificates repeatedly, in memory. The server needs
no private key, since a TLS 1.2 server sends its certificates before any proof.
"""

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL

from openfl_twisted.tls import HandshakeFailed, SecureConnectionCreator, Trust

HOST = "games.example"
TIMES = 50
ECDHE_ECDSA_AES128_GCM = 0xC02B

Key = ec.EllipticCurvePrivateKey
Attack = Callable[[Any], Awaitable[str]]


@dataclass
class CA:
    """
    A CA with its private key.

    @ivar name: its common name.
    @ivar key: its private key.
    @ivar certificate: its certificate.
    """

    name: str
    key: Key
    certificate: x509.Certificate


def issue(
    name: str,
    issuer: CA | None = None,
    *extensions: x509.ExtensionType,
    key: Any = None,
    ca: bool = True,
) -> CA:
    """
    Issue a certificate. It is self-signed if there is no issuer.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(name if issuer is None else issuer.name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(usage, critical=True)
    )
    signer = key if issuer is None else issuer.key
    public = signer.public_key()
    for extension in (
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(public),
        *extensions,
    ):
        critical = isinstance(extension, x509.NameConstraints)
        builder = builder.add_extension(extension, critical=critical)
    return CA(name, key, builder.sign(signer, hashes.SHA256()))


def server(issuer: CA, count: int = 1, suffix: str = ".y") -> CA:
    """
    Issue the certificate of a server.

    @param count: number of DNS names.
    @param suffix: the suffix of all names except the last one.
    """
    names = [*(f"n{number}{suffix}" for number in range(count - 1)), HOST]
    return issue(
        "server",
        issuer,
        x509.SubjectAlternativeName([x509.DNSName(name) for name in names]),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        ca=False,
    )


def flight(chain: Sequence[x509.Certificate]) -> bytes:
    """
    Encode the first messages of a TLS 1.2 server as handshake records.
    """
    hello = b"\x03\x03" + bytes(33) + ECDHE_ECDSA_AES128_GCM.to_bytes(2) + b"\0"
    hello += b"\x00\x05\xff\x01\x00\x01\x00"
    sent = b""
    for each in chain:
        der = each.public_bytes(Encoding.DER)
        sent += len(der).to_bytes(3) + der
    sent = len(sent).to_bytes(3) + sent
    records = b""
    for kind, body in ((2, hello), (11, sent)):
        message = bytes([kind]) + len(body).to_bytes(3) + body
        for offset in range(0, len(message), 16384):
            chunk = message[offset : offset + 16384]
            records += b"\x16\x03\x03" + len(chunk).to_bytes(2) + chunk
    return records


def verify(trust: Trust, data: bytes) -> tuple[float, str]:
    """
    Verify the certificates of a server.

    @return: the time (milliseconds), and the certificate status.
    """
    protocol: Any = None
    connection: Any = SecureConnectionCreator(HOST, trust).clientConnectionForTLS(protocol)
    connection.set_connect_state()
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        connection.bio_write(data)
    start = time.perf_counter()
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        status = connection.judge.verdict.status
    except HandshakeFailed as problem:
        status = problem.verdict.status
    return (time.perf_counter() - start) * 1000, status


def createAttack(description: str, root: CA, chain: Sequence[CA]) -> Attack:
    """
    Create an attack in which a client connects to a server repeatedly.

    @param description: the description of the attack.
    @param root: the client's trust anchor.
    @param chain: the certificate chain sent by the server.
    """
    trust = Trust(platform=False, anchors=(root.certificate,))
    data = flight([each.certificate for each in chain])

    async def attack(target: Any) -> str:
        verify(trust, data)
        costs, status = [], ""
        for _ in range(TIMES):
            cost, status = verify(trust, data)
            costs.append(cost)
            await target.pause(0.002)
        median, worst = statistics.median(costs), max(costs)
        return f"{len(data)} bytes cost {median:.1f} ms, at most {worst:.1f} ms ({status})"

    attack.__doc__ = f"TLS: {description}"
    return attack


def constrained(issuer: CA, count: int, constraints: int) -> list[CA]:
    """
    Issue a certificate with many names, and its issuer with many name constraints.
    """
    excluded = [x509.DNSName(f"e{number}.x") for number in range(constraints)]
    limited = issue("Limited", issuer, x509.NameConstraints(None, excluded))
    return [server(limited, count), limited]


def manyPaths(issuer: CA) -> list[CA]:
    """
    Issue a certificate with many paths to a CA. The CA has many name constraints, one of
    which excludes the server.
    """
    labels = "b" * 50 + "." + "a" * 60
    excluded = [x509.DNSName(f"e{number}.{labels}.x") for number in range(49)]
    constraints = x509.NameConstraints(None, [*excluded, x509.DNSName(HOST)])
    limited = issue("Limited", issuer, constraints)
    cas = [issue("Issuer", limited)]
    cas += [issue("Issuer", limited, key=cas[0].key) for _ in range(8)]
    return [server(cas[0], 170, f".{labels}.x"), *cas, limited]


def crossSigned() -> list[CA]:
    """
    Issue a certificate below ten CAs, all cross-signed by each other. One of them has a
    forged certificate of the root, so the client searches for a path.
    """
    cas = [issue(f"CA {number}") for number in range(10)]
    forged = issue("CA 9", issue("Root"), key=cas[9].key)
    others = [issue(one.name, other, key=one.key) for one, other in permutations(cas, 2)]
    return [server(cas[0]), *others, forged]


def wrongKeys() -> list[CA]:
    """
    Issue a certificate, and many CA certificates with the name of its issuer and another
    key.
    """
    forger, key = issue("Root"), ec.generate_private_key(ec.SECP384R1())
    right = issue("CA", forger, key=ec.generate_private_key(ec.SECP384R1()))
    return [server(right), *(issue("CA", forger, key=key) for _ in range(100))]


def slowKey(issuer: CA) -> CA:
    """
    Issue a certificate with an RSA key whose exponent is as long as its modulus.
    """

    class Slow:
        def public_key(self) -> rsa.RSAPublicKey:
            return rsa.RSAPublicNumbers((1 << 3000) + 1, (1 << 3071) + 1).public_key()

    return issue("Slow", issuer, key=Slow())


def createAttacks() -> list[Attack]:
    """
    Create all attacks. Issuing the certificates takes a while, and is not measured.
    """
    root = issue("Root")
    chains = {
        "1000 names, 600 constraints, unknown CA": constrained(issue("X"), 1000, 600),
        "1000 names, 600 constraints, trusted CA": constrained(root, 1000, 600),
        "190 names, 50 constraints (the limits)": constrained(root, 190, 50),
        "190 names, 50 constraints, 9 issuers": manyPaths(root),
        "a certificate with 5500 names": [server(root, 5500)],
        "90 certificates of cross-signed CAs": crossSigned(),
        "100 P-384 keys for one issuer": wrongKeys(),
        "an RSA exponent of 3000 bits": [slowKey(root), root],
    }
    return [createAttack(description, root, chain) for description, chain in chains.items()]
