"""
Shows what a SecureSocket thinks of a server's certificate, for each status that
there is. C{python certificates.py expired} makes such a server on this machine,
connects to it, and prints what the program sees.
"""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import react
from twisted.protocols.tls import TLSMemoryBIOFactory

from openfl_twisted.events import Event, IOErrorEvent
from openfl_twisted.net import SecureSocket
from openfl_twisted.protocols.relay import EchoProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.security import CertificateStatus
from openfl_twisted.tls import Trust
from openfl_twisted.tls.server import ServerCertificates, ServerConnectionCreator

HOST = "localhost"
NOW = datetime.now(UTC)


@dataclass
class Party:
    """
    Somebody with a certificate and a key.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def issue(
    name: str,
    issuer: Party | None = None,
    *,
    authority: bool = False,
    host: str = HOST,
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    days: tuple[int, int] = (-30, 30),
) -> Party:
    """
    Issue a certificate; without an issuer it signs itself.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days[0]))
        .not_valid_after(NOW + timedelta(days[1]))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
    )
    if not authority:
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        builder = builder.add_extension(names, critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    signer = key if issuer is None else issuer.key
    return Party(builder.sign(signer, hashes.SHA256()), key)


def revoke(party: Party, issuer: Party) -> x509.CertificateRevocationList:
    """
    Revoke a certificate.
    """
    entry = x509.RevokedCertificateBuilder().serial_number(party.certificate.serial_number)
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    builder = builder.last_update(NOW - timedelta(1)).next_update(NOW + timedelta(1))
    builder = builder.add_revoked_certificate(entry.revocation_date(NOW).build())
    return builder.sign(issuer.key, hashes.SHA256())


ROOT = issue("Example Root", authority=True)
TRUST = Trust(platform=False, anchors=(ROOT.certificate,))


def scene(status: str) -> tuple[list[Party], Trust]:
    """
    Choose a server, and whom the client believes.

    @return: the server and the authorities it names, and the client's trust.
    """
    match status:
        case CertificateStatus.EXPIRED:
            return [issue("server", ROOT, days=(-30, -1))], TRUST
        case CertificateStatus.NOT_YET_VALID:
            return [issue("server", ROOT, days=(1, 30))], TRUST
        case CertificateStatus.PRINCIPAL_MISMATCH:
            return [issue("server", ROOT, host="other.example")], TRUST
        case CertificateStatus.UNTRUSTED_SIGNERS:
            return [issue("server")], TRUST
        case CertificateStatus.INVALID_CHAIN:
            between = issue("Example Intermediate", ROOT, authority=True, days=(-30, -1))
            return [issue("server", between), between], TRUST
        case CertificateStatus.INVALID:
            return [issue("server", ROOT, purpose=ExtendedKeyUsageOID.CLIENT_AUTH)], TRUST
        case CertificateStatus.REVOKED:
            server = issue("server", ROOT)
            anchors = (ROOT.certificate,)
            return [server], Trust(platform=False, anchors=anchors, revoked=(revoke(server, ROOT),))
        case _:
            return [issue("server", ROOT)], TRUST


STATUSES = sorted(
    value for name, value in vars(CertificateStatus).items() if not name.startswith("_")
)


async def main(reactor: Any, status: str = "") -> None:
    """
    Make a server, connect to it, and print what comes of it.
    """
    if status not in STATUSES:
        raise SystemExit(f"name a status: {', '.join(STATUSES)}")
    parties, trust = scene(status)
    endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    factory: Any = XMLSocketFactory(EchoProtocol)
    if status != CertificateStatus.UNKNOWN:
        with TemporaryDirectory() as folder:
            path = Path(folder, "server.pem")
            chain = b"".join(party.certificate.public_bytes(Encoding.PEM) for party in parties)
            key = parties[0].key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            path.write_bytes(chain + key)
            creator = ServerConnectionCreator(ServerCertificates(path))
        factory = TLSMemoryBIOFactory(creator, False, factory)
    port = await endpoint.listen(factory)

    socket = SecureSocket(trust=trust)
    outcome: Deferred[Event] = Deferred()
    socket.addEventListener(Event.CONNECT, outcome.callback)
    socket.addEventListener(IOErrorEvent.IO_ERROR, outcome.callback)
    socket.connect(HOST, port.getHost().port)
    event = await outcome
    sys.stdout.write(f"{socket.serverCertificateStatus}\n{getattr(event, 'text', event.type)}\n")
    if socket.connected:
        socket.close()
    await port.stopListening()


if __name__ == "__main__":
    react(lambda *arguments: Deferred.fromCoroutine(main(*arguments)), sys.argv[1:])
