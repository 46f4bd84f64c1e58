"""
Certificate extensions for L{tests.laboratory}: common and invalid ones.
"""

import ipaddress
from collections.abc import Iterable
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

Names = Iterable[str | x509.GeneralName]

UNKNOWN_1 = b"\x5b\4\2\5\0"
UNKNOWN_2 = b"\x5c\4\2\5\0"
"""
The first two identifiers of L{unknown} in DER, with their content.
"""


def usage(**allowed: bool) -> x509.KeyUsage:
    """
    Create a key usage extension with the given usages only.
    """
    everything = {
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    }  # fmt: skip
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in everything})


def purposes(*kinds: str) -> x509.ExtendedKeyUsage:
    """
    Create an extended key usage extension, with purposes such as C{"SERVER_AUTH"}.
    """
    return x509.ExtendedKeyUsage([getattr(ExtendedKeyUsageOID, kind) for kind in kinds])


def critical(value: x509.ExtensionType) -> x509.Extension[Any]:
    """
    Mark an extension as critical.
    """
    return x509.Extension(value.oid, True, value)


def unknown(content: bytes = b"\5\0", number: int = 1) -> x509.UnrecognizedExtension:
    """
    Create an extension with an unknown identifier.
    """
    return x509.UnrecognizedExtension(
        x509.ObjectIdentifier(f"1.3.6.1.4.1.55738.9{number}"), content
    )


def alternativeNames(names: Names) -> x509.SubjectAlternativeName:
    """
    Create a subject alternative name; IP addresses are recognized.
    """
    return x509.SubjectAlternativeName([_generalName(name) for name in names])


def malformedNames(content: bytes) -> x509.UnrecognizedExtension:
    """
    Create a malformed subject alternative name.
    """
    return x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, content)


def _generalName(name: str | x509.GeneralName) -> x509.GeneralName:
    if not isinstance(name, str):
        return name
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
