"""
Parsing of the two URLs that a policy decision depends on: the URL of the program, and
the URL of the policy file.
"""

from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, urlsplit

from openfl_twisted.wire.policy.rule import shown


def _split(url: str) -> SplitResult:
    """
    Split a URL.

    @raise ValueError: if the text is not a URL, or contains no host.
    """
    try:
        parts = urlsplit(url)
        # Reading this attribute checks the port.
        named = parts.hostname and (parts.port is None or parts.port)
    except ValueError as problem:
        raise ValueError(f"{shown(url)} is not a URL: {problem}") from None
    if not named or not all(c.isprintable() and not c.isspace() for c in url):
        raise ValueError(f"{shown(url)} is not a URL with a host")
    return parts


@dataclass(frozen=True)
class Content:
    """
    The origin of a Flash program, to which policy rules apply.

    @ivar domain: the host from which the program was loaded: a name, or an IP address (IPv6 in
        brackets). Empty if there is no host; then only a rule for the domain C{*} matches.
    @ivar secure: whether the program was loaded over https.
    """

    domain: str = ""
    secure: bool = False

    @classmethod
    def fromURL(cls, url: str) -> Self:
        """
        Return the origin of a program that was loaded from a URL.

        @param url: the URL of the program (http or https).
        @raise ValueError: if the text is not such a URL.
        """
        parts = _split(url)
        if parts.scheme not in ("http", "https"):
            raise ValueError(f"{shown(url)} is not an http or https URL")
        host = parts.hostname or ""
        return cls(f"[{host}]" if ":" in host else host, parts.scheme == "https")


def policyAddress(url: str) -> tuple[str, int]:
    """
    Parse the URL of a socket policy file, such as C{xmlsocket://games.example:8430}.

    @param url: the argument of C{Security.loadPolicyFile}; it must contain a port.
    @return: the host (IPv6 without brackets) and the port.
    @raise ValueError: if the text is not such a URL. Policy files with an C{http} URL have no
        effect on sockets.
    """
    parts = _split(url)
    if parts.scheme != "xmlsocket" or parts.port is None:
        raise ValueError(
            f"a policy file from {shown(url)} has no effect on sockets: use xmlsocket://HOST:PORT"
        )
    return parts.hostname or "", parts.port
