"""
The options for the certificate of a server.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twisted.python import usage

from openfl_twisted.commandline import Group, Option

if TYPE_CHECKING:
    # Importing it takes long, and a server without TLS does not need it.
    from openfl_twisted.tls.server import ServerCertificates

CERTIFICATE_OPTIONS = [
    Option(
        Group.TLS,
        "tls-certificate",
        "PATH",
        (
            "PEM file with the certificate and its chain, or a directory of *.pem files selected "
            "by SNI. Enables TLS."
        ),
    ),
    Option(
        Group.TLS,
        "tls-key",
        "FILE",
        "PEM file with the private key, if it is not in the certificate file.",
    ),
]
"""
The options C{--tls-certificate} and C{--tls-key}.
"""


def readCertificates(options: Mapping[str, Any]) -> "ServerCertificates | None":
    """
    Read the certificates that the options name.

    @param options: the parsed options.
    @return: the certificates; C{None} without C{--tls-certificate}.
    @raise usage.UsageError: if a file cannot be read, or is not a certificate.
    """
    certificate, key = options["tls-certificate"], options["tls-key"]
    if certificate is None:
        if key is not None:
            raise usage.UsageError("--tls-key requires --tls-certificate")
        return None
    from openfl_twisted.tls.identities import CertificateError
    from openfl_twisted.tls.server import ServerCertificates

    try:
        return ServerCertificates(certificate, key)
    except CertificateError as problem:
        raise usage.UsageError(f"--tls-certificate: {problem}") from None
