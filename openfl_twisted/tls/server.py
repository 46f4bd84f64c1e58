"""
TLS on servers, with certificates that are reloaded while the server runs.
"""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from OpenSSL import SSL
from twisted.internet.interfaces import (
    IDelayedCall,
    IOpenSSLServerConnectionCreator,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from openfl_twisted.addresses import describe
from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import packageLogger
from openfl_twisted.tls.clientca import ClientCA, requireCertificate, shown
from openfl_twisted.tls.connection import BoundedConnection
from openfl_twisted.tls.identities import (
    CertificateError,
    CertificateUnreadable,
    Identity,
    load,
    readFile,
)
from openfl_twisted.types import AnyClock
from openfl_twisted.wire.httprequest import HTTPAnswer

__all__ = [
    "HANDSHAKE_TIMEOUT",
    "CertificateError",
    "ServerCertificates",
    "ServerConnectionCreator",
]

HANDSHAKE_TIMEOUT = 20.0
"""
Default timeout of a TLS handshake (seconds).
"""

_REPORT_INTERVAL = timedelta(days=1)
_log = packageLogger()

# The state of a file: inode, modification time and size; or an error number.
_FileState = tuple[int, int, int]

_HTTP = {"http request", "https proxy request"}
_WORDS = {
    "unsupported protocol": "the client supports neither TLS 1.2 nor TLS 1.3",
    "no shared cipher": "the client and the server have no cipher suite in common",
    "wrong version number": "the client does not speak TLS",
    "packet length too long": "the client does not speak TLS",
    "record layer failure": "the client does not speak TLS",
    "http request": "the client sent an HTTP request without TLS",
    "https proxy request": "the client sent an HTTP request without TLS",
    "peer did not return a certificate": "the client sent no certificate, but this server requires"
    " one (--tls-client-ca)",
}


class ServerCertificates:
    """
    The certificates of a server, read from files. A renewed file is loaded before the next
    handshake. If a file is invalid, the previous certificate stays in use, and the reason is
    logged once.
    """

    def __init__(
        self,
        certificate: str | Path,
        key: str | Path | None = None,
        *,
        clientCA: str | Path | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """
        @param certificate: a PEM file with the certificate chain; or a directory of PEM files
            named C{*.pem}, each with a certificate chain and its private key. In a directory,
            the certificate is selected by the server name that the client sends (SNI). If no
            certificate matches, the first certificate in the order of file names is used.
        @param key: the PEM file with the private key; C{None} if it is in the
            certificate file.
        @param clientCA: the PEM file with the CAs whose certificates clients must present (mutual
            TLS); C{None} if clients need no certificates.
        @param now: returns the current time, with a time zone.
        @raise CertificateError: if no usable certificate is found.
        """
        self._certificate = Path(certificate)
        self._key = None if key is None else Path(key)
        self._clientCA = None if clientCA is None else Path(clientCA)
        self._isDirectory = self._certificate.is_dir()
        if self._key is not None and self._isDirectory:
            raise CertificateError(
                f"{certificate} is a directory: omit the key option; each file must contain its key"
            )
        self._now = now
        self._reported: datetime | None = None
        # Whether this process can read the files when they are renewed.
        self._mayRead = True
        self._directoryProblem = ""
        self._states: dict[Path, tuple[_FileState, ...]] = {}
        self._found: dict[Path, Identity] = {}
        for path in self._files():
            self._states[path] = self._stateOf(path)
            self._found[path] = self._load(path)

    @property
    def requiresClients(self) -> bool:
        """
        Whether clients must present a certificate.
        """
        return self._clientCA is not None

    @property
    def identities(self) -> Sequence[Identity]:
        """
        The certificates in use, in the order of their files. Reading this property loads
        renewed files.
        """
        self._refresh()
        return [self._found[path] for path in sorted(self._found)]

    def context(self, name: str | None = None) -> SSL.Context:
        """
        Return the OpenSSL context of the certificate for a server name.

        @param name: the server name that the client sends; C{None} without SNI.
        """
        identities = self.identities
        if self._reported is not None and self._now() - self._reported >= _REPORT_INTERVAL:
            self.report()
        wildcard = None if name is None else f"*.{name.partition('.')[2]}"
        for wanted in (name, wildcard):
            for identity in identities:
                if wanted in identity.names:
                    return identity.context
        return identities[0].context

    def reload(self) -> None:
        """
        Reload the files. If a file is invalid, the previous certificate stays in use, and the
        reason is logged.
        """
        self._states = dict.fromkeys(self._states, ())
        self._directoryProblem = ""
        self._refresh()

    # Health

    def report(self) -> None:
        """
        Log a warning for each reason why clients refuse a certificate, or will refuse it
        within L{EXPIRY_WARNING<openfl_twisted.tls.identities.EXPIRY_WARNING>}. After the first
        call, the warnings are repeated once a day, when a client connects.
        """
        self._reported = self._now()
        for identity in self._found.values():
            self._warn(identity)

    def problems(self) -> list[str]:
        """
        Return the reasons why clients refuse the certificates, or will refuse them soon.

        @return: a sentence for each reason, which begins with the path of the file.
        """
        now = self._now()
        return [
            f"{identity.path}: the certificate {problem}"
            for identity in self._found.values()
            for problem in identity.problems(now)
        ]

    def checkRenewals(self) -> None:
        """
        Check that this process can reload the files: C{twistd --uid} reads the files as root,
        and then drops privileges. If the files cannot be read, a warning is logged immediately
        instead of when the files are renewed.
        """
        self._mayRead = True
        try:
            for path in self._files():
                for file in self._filesOf(path):
                    readFile(file)
        except CertificateUnreadable as problem:
            self._mayRead = False
            _log.warn(
                "renewed certificates cannot be loaded: {problem}; make the files readable by "
                "this user, or restart the server after each renewal",
                problem=problem,
            )
        except CertificateError:
            # An invalid file is reported when it is loaded.
            return

    def _warn(self, identity: Identity) -> None:
        for problem in identity.problems(self._now()):
            _log.warn("{path}: the certificate {problem}", path=str(identity.path), problem=problem)

    def connectionCreator(self, clock: AnyClock | None = None) -> "ServerConnectionCreator":
        """
        Create the object that creates TLS connections with these certificates.

        @param clock: the clock (default: the global reactor).
        """
        return ServerConnectionCreator(self, clock=clock)

    # Renewal

    def _refresh(self) -> None:
        """
        Load the files that have changed.
        """
        try:
            files = self._files()
        except CertificateError as problem:
            if str(problem) != self._directoryProblem:
                self._directoryProblem = str(problem)
                self._warnInvalid(problem)
            return
        self._directoryProblem = ""
        loaded = False
        for path in files:
            state = self._stateOf(path)
            if self._states.get(path) == state:
                continue
            self._states[path] = state
            try:
                self._found[path] = identity = self._load(path)
            except CertificateError as problem:
                self._warnInvalid(problem)
                continue
            loaded = True
            if self._reported is not None:
                self._warn(identity)
        for path in (self._states.keys() | self._found.keys()) - set(files):
            self._states.pop(path, None)
            # Keep at least one certificate in use.
            if path in self._found and len(self._found) > 1:
                del self._found[path]
                loaded = True
        if loaded:
            _log.info("certificates reloaded from {path}", path=self._certificate)

    def _warnInvalid(self, problem: CertificateError) -> None:
        if self._mayRead or not isinstance(problem, CertificateUnreadable):
            _log.warn(
                "cannot reload certificates: {problem}; still using the previous ones",
                problem=problem,
            )

    def _files(self) -> list[Path]:
        """
        Return the certificate files.

        @raise CertificateError: if the directory contains no certificate files.
        """
        if not self._isDirectory:
            return [self._certificate]
        try:
            names = sorted(os.listdir(self._certificate))
        except OSError as problem:
            kind = (
                CertificateUnreadable if isinstance(problem, PermissionError) else CertificateError
            )
            raise kind(f"{self._certificate}: {problem.strerror}") from None
        files = [self._certificate / name for name in names if name.endswith(".pem")]
        if not files:
            raise CertificateError(f"{self._certificate}: the directory contains no *.pem file")
        return files

    def _filesOf(self, path: Path) -> list[Path]:
        """
        Return the files that a certificate file needs, including itself.
        """
        return [path, *(each for each in (self._key, self._clientCA) if each is not None)]

    def _stateOf(self, path: Path) -> tuple[_FileState, ...]:
        """
        Return inode, modification time and size of a certificate's files. These values change
        when a file is replaced.
        """
        states: list[_FileState] = []
        for file in self._filesOf(path):
            try:
                found = file.stat()
            except OSError as problem:
                # A missing file also has a state: its error number.
                states.append((problem.errno or 0, 0, 0))
            else:
                states.append((found.st_ino, found.st_mtime_ns, found.st_size))
        return tuple(states)

    def _load(self, path: Path) -> Identity:
        identity = load(path, self._key or path, self.context)
        if self._clientCA is not None:
            ClientCA(self._clientCA).use(identity.context)
        return identity


@implementer(IOpenSSLServerConnectionCreator)
class ServerConnectionCreator:
    """
    Creates the TLS connections of a server. If the TLS handshake times out, the connection is
    aborted.
    """

    def __init__(
        self,
        certificates: ServerCertificates,
        *,
        timeout: float = HANDSHAKE_TIMEOUT,
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param timeout: maximum time for the handshake (seconds).
        @param clock: the clock (default: the global reactor).
        """
        self._certificates = certificates
        self._timeout = timeout
        self._clock = clockOrReactor(clock)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection = _TimedConnection(self._certificates.context(), tlsProtocol)
        connection.protocol = tlsProtocol
        connection.timeout = self._clock.callLater(self._timeout, _abort, tlsProtocol)
        if self._certificates.requiresClients:
            requireCertificate(connection)
        return connection


class _TimedConnection(BoundedConnection):
    """
    An OpenSSL connection with a timeout for the TLS handshake. If the handshake fails, the
    reason is logged.

    @ivar timeout: the delayed call that aborts the handshake.
    @ivar protocol: the TLS protocol; C{None} after the handshake.
    @ivar refusal: why the certificate of the client was refused; empty if it was not.
    """

    timeout: IDelayedCall
    protocol: TLSMemoryBIOProtocol | None
    refusal = ""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except SSL.WantReadError:
            raise
        except SSL.ZeroReturnError:
            # The client has sent close_notify. Twisted does not expect this exception during a
            # handshake.
            self._fail("the client closed the connection")
            raise SSL.Error([("", "", "the peer closed the connection")]) from None
        except SSL.Error as error:
            # The argument of SSL.Error is a list of problems. Other errors, such as SysCallError,
            # have no such list.
            match error.args:
                case ([*_, (_, _, reason)],):
                    self._fail(reason)
                case _:
                    self._fail("the connection was closed")
            raise
        certificate = self.get_peer_certificate()
        if certificate is not None and self.protocol is not None:
            _log.info(
                "{peer}: client certificate {subject}",
                peer=describe(self.protocol.getPeer()),
                subject=shown(certificate),
            )
        self._stop()

    def bio_shutdown(self) -> None:
        """
        Called when the underlying connection is lost.
        """
        self._stop()
        super().bio_shutdown()

    def _fail(self, reason: str) -> None:
        """
        Log why the handshake has failed. Further calls have no effect. If the client has sent
        an HTTP request, it receives an HTTP response.

        @param reason: OpenSSL's reason.
        """
        protocol = self.protocol
        self._stop()
        if protocol is None:
            return
        _, isAlert, alert = reason.partition(" alert ")
        words = self.refusal or _WORDS.get(reason, reason)
        if isAlert:
            words = f"the client sent the alert {alert!r}"
        peer = describe(protocol.getPeer())
        _log.warn("{peer}: TLS handshake failed: {reason}", peer=peer, reason=words)
        if reason in _HTTP and protocol.transport is not None:
            answer = HTTPAnswer(400, "This port requires TLS: use https or wss.")
            protocol.transport.write(answer.encode())

    def _stop(self) -> None:
        self.protocol = None
        if self.timeout.active():
            self.timeout.cancel()


def _abort(protocol: TLSMemoryBIOProtocol) -> None:
    peer = describe(protocol.getPeer())
    _log.warn("{peer} aborted: TLS handshake timed out", peer=peer)
    protocol.abortConnection()
