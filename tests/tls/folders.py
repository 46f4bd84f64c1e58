"""
Servers with certificates in a directory, and clients of them.
"""

import contextlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trustme
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.tls.server import ServerCertificates

AUTHORITY = trustme.CA()


class Folder:
    """
    A directory with the files of a server.
    """

    def __init__(self, test: SynchronousTestCase) -> None:
        folder = TemporaryDirectory()
        test.addCleanup(folder.cleanup)
        self.path = Path(folder.name)
        self._written = 0

    def write(self, file: str, *pieces: trustme.Blob | bytes) -> Path:
        """
        Write a file with a new modification time.
        """
        path = self.path / file
        path.write_bytes(
            b"".join(piece if isinstance(piece, bytes) else piece.bytes() for piece in pieces)
        )
        self._written += 1
        os.utime(path, ns=(self._written, self._written))
        return path

    def issue(self, file: str, *names: str, common: str | None = None) -> Path:
        """
        Write a certificate with its key.
        """
        issued = AUTHORITY.issue_cert(*names, common_name=common)
        return self.write(file, issued.private_key_and_cert_chain_pem)


def client(**settings: Any) -> SSL.Context:
    """
    Create a client context without verification.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    if "newest" in settings:
        context.set_max_proto_version(settings["newest"])
    if "ciphers" in settings:
        context.set_cipher_list(settings["ciphers"])
    return context


def shake(server: SSL.Connection, caller: SSL.Connection) -> None:
    """
    Perform a handshake between two in-memory connections.
    """
    server.set_accept_state()
    caller.set_connect_state()
    done: set[SSL.Connection] = set()
    for _ in range(10):
        for one, other in ((caller, server), (server, caller)):
            try:
                one.do_handshake()
                done.add(one)
            except SSL.WantReadError:
                pass
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(1 << 20))
        if len(done) == 2:
            return
    raise AssertionError("the handshake has no end")


def served(certificates: ServerCertificates, name: bytes | None = None, **settings: Any) -> str:
    """
    Connect to a server.

    @return: the common name of its certificate.
    """
    server = SSL.Connection(certificates.context(), None)
    caller = SSL.Connection(client(**settings), None)
    if name is not None:
        caller.set_tlsext_host_name(name)
    shake(server, caller)
    certificate = caller.get_peer_certificate(as_cryptography=True)
    assert certificate is not None
    [common] = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common.value)
