"""
Server names, and matching them against certificates (RFC 9525).
"""

import ipaddress
import re

import idna
from cryptography import x509
from cryptography.x509.verification import Subject
from service_identity import CertificateError
from service_identity.hazmat import DNS_ID, DNSPattern, IPAddress_ID, IPAddressPattern

from openfl_twisted.wire.x509.certificates import printable

_MAX_NAME = 253
# Allow underscores: host names contain no underscores, but service names and the names of many test
# machines do.
_name = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.(?!-)[a-z0-9_-]{1,63})*")
# A host name as defined by RFC 1123.
_hostName = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")


class ServerName:
    """
    The name of a server: a DNS name or an IP address.

    @ivar text: the name as given.
    @ivar address: the IP address; C{None} for a DNS name.
    @ivar dns: the DNS name in ASCII, lower case, without a trailing dot; C{None} for an
        IP address or an invalid name.
    """

    def __init__(self, text: str) -> None:
        """
        @param text: a DNS name in any script, or an IP address (IPv6 with or without
            brackets).
        """
        self.text = text
        self.address: ipaddress.IPv4Address | ipaddress.IPv6Address | None = None
        self.dns: str | None = None
        # A link-local address includes its interface, which is never in a certificate.
        bare = text.removeprefix("[").removesuffix("]").partition("%")[0]
        try:
            self.address = ipaddress.ip_address(bare)
        except ValueError:
            self.dns = _ascii(text)

    def matches(self, certificate: x509.Certificate) -> bool:
        """
        Check whether a certificate matches this server name. As required by RFC 9525, only the
        C{subjectAltName} counts, not the C{commonName}.

        @param certificate: a certificate whose extensions can be parsed.
        @return: whether the certificate matches. A C{*} in a certificate represents
            the first label of a name with at least three labels.
        """
        try:
            names = certificate.extensions.get_extension_for_class(
                x509.SubjectAlternativeName
            ).value
        except x509.ExtensionNotFound:
            return False
        if self.address is not None:
            address = IPAddress_ID(self.address)
            return any(
                address.verify(IPAddressPattern(each))
                for each in names.get_values_for_type(x509.IPAddress)
                if not isinstance(each, ipaddress.IPv4Network | ipaddress.IPv6Network)
            )
        if self.dns is None:
            return False
        try:
            exact, below = DNS_ID(self.dns), DNS_ID(_withoutIDN(self.dns))
        except ValueError:
            # The name is a number, which the operating system treats as an IP address.
            return False
        # Do not parse all names: a certificate may have thousands, and parsing takes long. Skip
        # non-ASCII names, because their lower case can be ASCII.
        found = {name.lower() for name in names.get_values_for_type(x509.DNSName) if name.isascii()}
        wildcard = f"*.{self.dns.partition('.')[2]}"
        return any(
            _isFor(name, identifier)
            for wanted, identifier in ((self.dns, exact), (wildcard, below))
            for name in (wanted, f"{wanted}.")
            if name in found
        )

    @property
    def indication(self) -> bytes | None:
        """
        The DNS name to send to the server in SNI (RFC 6066); C{None} for an IP address.
        """
        return None if self.dns is None else self.dns.encode("ascii")

    @property
    def subject(self) -> Subject | None:
        """
        The name for C{cryptography}'s verifier; C{None} if the verifier does not support the
        name.
        """
        if self.address is not None:
            return x509.IPAddress(self.address)
        if self.dns is None or not _hostName.fullmatch(self.dns):
            return None
        return x509.DNSName(self.dns)


def describeNames(certificate: x509.Certificate, limit: int = 3) -> str:
    """
    List the server names of a certificate for an error message.

    @param certificate: a certificate whose extensions can be parsed.
    @param limit: maximum number of names (default 3).
    @return: DNS names and IP addresses without control characters, and the number of further
        names.
    """
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return "no name: it has no subjectAltName"
    names = [
        *extension.value.get_values_for_type(x509.DNSName),
        *map(str, extension.value.get_values_for_type(x509.IPAddress)),
    ]
    if not names:
        return "no DNS name or IP address"
    listed = [printable(name, 64) for name in names[:limit]]
    if len(names) > limit:
        listed.append(f"{len(names) - limit} more")
    return ", ".join(listed)


def _withoutIDN(name: str) -> str:
    """
    Replace the first label of a name if this label is in punycode (C{xn--}), because a
    wildcard in C{service_identity} does not match such a label.
    """
    label, dot, rest = name.partition(".")
    return f"idn{dot}{rest}" if label.startswith("xn--") else name


def _isFor(name: str, identifier: DNS_ID) -> bool:
    """
    Check whether a DNS name of a certificate matches a server. A malformed name matches
    no server, and does not affect the other names of the certificate.
    """
    # Handle spaces and a trailing dot here: service_identity would ignore spaces, and rejects a
    # trailing dot.
    if name.strip() != name:
        return False
    try:
        pattern = DNSPattern.from_bytes(name.removesuffix(".").encode())
    except (CertificateError, UnicodeError):
        return False
    return identifier.verify(pattern)


def _ascii(text: str) -> str | None:
    """
    Convert a DNS name to ASCII.

    @return: the converted name; C{None} if the name is invalid.
    """
    name = text.removesuffix(".")
    if len(name) > _MAX_NAME:
        # Refuse a longer name, because IDNA takes quadratic time.
        return None
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except UnicodeError:
            # IDNA 2008 does not allow emoji, but IDNA 2003 and browsers do.
            try:
                name = name.encode("idna").decode("ascii")
            except UnicodeError:
                return None
    name = name.lower()
    return name if len(name) <= _MAX_NAME and _name.fullmatch(name) else None
