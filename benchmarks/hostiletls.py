"""
TLS servers that send certificates whose verification is expensive: rows of
C{python benchmarks/hostile.py}.

Each attack has a client verify the certificates many times, in memory, while the
other client of the benchmark continues. No private key is needed for that: a
TLS 1.2 server sends its certificates before it proves anything.
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
    A CA.

    @ivar name: its name.
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
    Issue a certificate. Without an issuer it is self-signed.
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

    @param count: the number of its names.
    @param suffix: the end of all names but one.
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
    Write the first messages of a TLS 1.2 server, as handshake records.
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
        for start in range(0, len(message), 16384):
            piece = message[start : start + 16384]
            records += b"\x16\x03\x03" + len(piece).to_bytes(2) + piece
    return records


def verify(trust: Trust, data: bytes) -> tuple[float, str]:
    """
    Verify the certificates of a server.

    @return: the time in milliseconds, and the certificate status.
    """
    protocol: Any = None
    connection: Any = SecureConnectionCreator(HOST, trust).clientConnectionForTLS(protocol)
    connection.set_connect_state()
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        connection.bio_write(data)
    begun = time.perf_counter()
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        status = connection.judge.verdict.status
    except HandshakeFailed as problem:
        status = problem.verdict.status
    return (time.perf_counter() - begun) * 1000, status


def row(words: str, root: CA, chain: Sequence[CA]) -> Attack:
    """
    Make a row: a client connects to a server again and again.

    @param words: a description of the attack.
    @param root: the CA that the client trusts.
    @param chain: the certificates that the server sends.
    """
    trust = Trust(platform=False, anchors=(root.certificate,))
    data = flight([each.certificate for each in chain])

    async def attack(scene: Any) -> str:
        verify(trust, data)
        costs, status = [], ""
        for _ in range(TIMES):
            cost, status = verify(trust, data)
            costs.append(cost)
            await scene.pause(0.002)
        median, worst = statistics.median(costs), max(costs)
        return f"{len(data)} bytes cost {median:.1f} ms, at most {worst:.1f} ms ({status})"

    attack.__doc__ = f"TLS: {words}"
    return attack


def constrained(issuer: CA, count: int, constraints: int) -> list[CA]:
    """
    Make a server with many names below a CA with many name constraints.
    """
    excluded = [x509.DNSName(f"e{number}.x") for number in range(constraints)]
    limited = issue("Limited", issuer, x509.NameConstraints(None, excluded))
    return [server(limited, count), limited]


def twins(issuer: CA) -> list[CA]:
    """
    Make a server with many paths below a CA with many name constraints, all of which
    exclude the server.
    """
    labels = "b" * 50 + "." + "a" * 60
    excluded = [x509.DNSName(f"e{number}.{labels}.x") for number in range(49)]
    constraints = x509.NameConstraints(None, [*excluded, x509.DNSName(HOST)])
    limited = issue("Limited", issuer, constraints)
    every = [issue("Twin", limited)]
    every += [issue("Twin", limited, key=every[0].key) for _ in range(8)]
    return [server(every[0], 170, f".{labels}.x"), *every, limited]


def crossSigned() -> list[CA]:
    """
    Make a server below ten CAs that have all signed each other. One of them has a
    forged certificate of the root, so the client searches a path.
    """
    every = [issue(f"CA {number}") for number in range(10)]
    forged = issue("CA 9", issue("Root"), key=every[9].key)
    others = [issue(one.name, other, key=one.key) for one, other in permutations(every, 2)]
    return [server(every[0]), *others, forged]


def wrongKeys() -> list[CA]:
    """
    Make a server, and many CAs with the name of its issuer and another key.
    """
    forger, key = issue("Root"), ec.generate_private_key(ec.SECP384R1())
    right = issue("CA", forger, key=ec.generate_private_key(ec.SECP384R1()))
    return [server(right), *(issue("CA", forger, key=key) for _ in range(100))]


def slowKey(issuer: CA) -> CA:
    """
    Make a server with an RSA key whose exponent is as long as its modulus.
    """

    class Slow:
        def public_key(self) -> rsa.RSAPublicKey:
            return rsa.RSAPublicNumbers((1 << 3000) + 1, (1 << 3071) + 1).public_key()

    return issue("Slow", issuer, key=Slow())


def rows() -> list[Attack]:
    """
    Make all rows. To make the certificates takes a while, and is not measured.
    """
    root = issue("Root")
    return [
        row("1000 names, 600 constraints, unknown CA", root, constrained(issue("X"), 1000, 600)),
        row("1000 names, 600 constraints, trusted CA", root, constrained(root, 1000, 600)),
        row("190 names, 50 constraints, as allowed", root, constrained(root, 190, 50)),
        row("190 names, 50 constraints, 9 twins", root, twins(root)),
        row("a certificate with 5500 names", root, [server(root, 5500)]),
        row("90 certificates of CAs that sign each other", root, crossSigned()),
        row("100 P-384 keys for one issuer", root, wrongKeys()),
        row("an RSA exponent of 3000 bits", root, [slowKey(root), root]),
    ]
