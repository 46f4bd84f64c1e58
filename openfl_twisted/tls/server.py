"""
TLS servers whose certificates can be renewed while they run.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from twisted.internet.interfaces import (
    IDelayedCall,
    IOpenSSLServerConnectionCreator,
    IReactorTime,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from openfl_twisted.addresses import describe
from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import packageLogger
from openfl_twisted.tls.ciphers import CIPHERS
from openfl_twisted.tls.trust import unwarned

HANDSHAKE_TIMEOUT = 20.0
"""
How many seconds a client gets for the handshake, if nobody says otherwise.
"""

_log = packageLogger()

# What tells one state of a file from another: its path, number, time and size.
_State = tuple[tuple[str, int, int, int], ...]


class CertificateError(ValueError):
    """
    A file has no certificate and key that a server could use.
    """


@dataclass(frozen=True)
class _Identity:
    """
    A certificate with its names.
    """

    context: SSL.Context
    names: frozenset[str]


class ServerCertificates:
    """
    The certificates of a server, from files. When a file is renewed the next
    handshake has the new certificate; a file that is broken is reported once,
    and the certificates are served that were there before.
    """

    def __init__(self, certificate: str | Path, key: str | Path | None = None) -> None:
        """
        @param certificate: a PEM file with the certificate, and those of the
            intermediate authorities after it; or a folder of such files, each
            with its key in it, whose names end in C{.pem}. Of a folder the one
            is used that is for the name for which the client asks; if there is
            none, the first in the order of the files' names.
        @param key: the PEM file with the private key; C{None} if it is in the
            certificate's file.
        @raise CertificateError: if there is no certificate that could be used.
        """
        self._certificate = Path(certificate)
        self._key = None if key is None else Path(key)
        if self._key is not None and self._certificate.is_dir():
            raise CertificateError(f"{certificate} is a folder: its files have their keys in them")
        self._state = self._look()
        self._identities = self._load()

    def context(self, name: str | None = None) -> SSL.Context:
        """
        Get OpenSSL's context for the certificate of a name.

        @param name: the name for which a client asks; C{None} if for none.
        """
        self._refresh()
        wildcard = None if name is None else f"*.{name.partition('.')[2]}"
        for wanted in (name, wildcard):
            for identity in self._identities:
                if wanted in identity.names:
                    return identity.context
        return self._identities[0].context

    def reload(self) -> None:
        """
        Read the files again. If one is invalid, the previous certificates stay in
        use, and the log contains the reason.
        """
        self._state = ()
        self._refresh()

    def _refresh(self) -> None:
        """
        Read the files again, if they are others than before.
        """
        try:
            state = self._look()
            if state == self._state:
                return
            self._state = state
            self._identities = self._load()
        except (OSError, CertificateError) as problem:
            _log.warn(
                "cannot reload certificates: {problem}; still using the previous ones",
                problem=problem,
            )
        else:
            _log.info("certificates reloaded from {path}", path=self._certificate)

    def _files(self) -> Iterator[Path]:
        """
        Name the files with certificates.
        """
        if self._certificate.is_dir():
            yield from sorted(self._certificate.glob("*.pem"))
        else:
            yield self._certificate

    def _look(self) -> _State:
        """
        Look at the files without reading them.
        """
        state = []
        for path in (*self._files(), *(() if self._key is None else (self._key,))):
            try:
                found = path.stat()
            except OSError:
                # That it is not there is a state as well.
                state.append((str(path), 0, 0, 0))
            else:
                state.append((str(path), found.st_ino, found.st_mtime_ns, found.st_size))
        return tuple(state)

    def _load(self) -> list[_Identity]:
        """
        Read all files.
        """
        identities = [_load(path, self._key or path, self.context) for path in self._files()]
        if not identities:
            raise CertificateError(f"{self._certificate}: there is no file *.pem in it")
        return identities


def _load(path: Path, key: Path, contextFor: Any) -> _Identity:
    """
    Read a certificate and its key.
    """
    try:
        certificates, secret = path.read_bytes(), key.read_bytes()
    except OSError as problem:
        raise CertificateError(f"{problem.filename}: {problem.strerror}") from None
    try:
        with unwarned():
            leaf, *others = x509.load_pem_x509_certificates(certificates)
            names = _names(leaf)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise CertificateError(f"{path}: there is no certificate in PEM in it") from None
    try:
        private = load_pem_private_key(secret, None)
    except TypeError:
        raise CertificateError(f"{key}: the private key is encrypted") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(f"{key}: there is no private key in PEM in it") from None
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(CIPHERS)
    context.set_options(
        SSL.OP_NO_COMPRESSION
        | SSL.OP_NO_RENEGOTIATION
        | SSL.OP_NO_TICKET
        | SSL.OP_CIPHER_SERVER_PREFERENCE
    )
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    try:
        context.use_certificate(leaf)
        for other in others:
            context.add_extra_chain_cert(other)
        context.use_privatekey(private)  # type: ignore[arg-type]
        context.check_privatekey()
    except (SSL.Error, TypeError, ValueError) as problem:
        reason = problem.args[0][-1][2] if isinstance(problem, SSL.Error) else str(problem)
        raise CertificateError(f"{key}: not the private key of {path}: {reason}") from None

    def serverNamed(connection: SSL.Connection) -> None:
        name = connection.get_servername()
        if name is not None:
            connection.set_context(contextFor(name.decode("ascii", "replace").lower()))

    context.set_tlsext_servername_callback(serverNamed)
    return _Identity(context, names)


def _names(certificate: x509.Certificate) -> frozenset[str]:
    """
    List the DNS names of a certificate.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(name.lower() for name in names.get_values_for_type(x509.DNSName))


@implementer(IOpenSSLServerConnectionCreator)
class ServerConnectionCreator:
    """
    Makes the TLS connections of a server.
    """

    def __init__(
        self,
        certificates: ServerCertificates,
        *,
        timeout: float = HANDSHAKE_TIMEOUT,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param certificates: what the server has.
        @param timeout: how many seconds a client gets for the handshake.
        @param clock: measures the time; C{None} for the reactor.
        """
        self._certificates = certificates
        self._timeout = timeout
        self._clock = clockOrReactor(clock)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """
        Make a connection, which is given up if its handshake takes too long.
        """
        connection = _TimedConnection(self._certificates.context(), None)
        connection.patience = self._clock.callLater(self._timeout, _cutOff, tlsProtocol)
        return connection


class _TimedConnection(SSL.Connection):
    """
    OpenSSL's connection, whose handshake has its time.
    """

    patience: IDelayedCall

    def do_handshake(self) -> None:
        """
        Go on with the handshake.
        """
        try:
            super().do_handshake()
        except SSL.WantReadError:
            raise
        except SSL.ZeroReturnError:
            # It was closed, in the manner of TLS. Twisted does not expect this one here.
            self._stop()
            raise SSL.Error([("", "", "the peer has ended the handshake")]) from None
        except SSL.Error:
            self._stop()
            raise
        self._stop()

    def bio_shutdown(self) -> None:
        """
        Hear that the connection beneath is lost.
        """
        self._stop()
        super().bio_shutdown()

    def _stop(self) -> None:
        if self.patience.active():
            self.patience.cancel()


def _cutOff(protocol: TLSMemoryBIOProtocol) -> None:
    """
    Give up a connection that has not come to its end of the handshake.
    """
    peer = describe(protocol.getPeer())
    _log.warn("{peer} cut off: its TLS handshake took too long", peer=peer)
    protocol.abortConnection()
