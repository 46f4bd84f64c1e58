"""
The two addresses that count for a policy file: from where a program came, and
where a file is.
"""

from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, urlsplit

from openfl_twisted.wire.policy.rule import shown


def _split(url: str) -> SplitResult:
    """
    Cut a URL into its parts.

    @raise ValueError: if it is none, or names no host.
    """
    try:
        parts = urlsplit(url)
        # To ask for the port is what checks it.
        named = parts.hostname and (parts.port is None or parts.port)
    except ValueError as problem:
        raise ValueError(f"{shown(url)} is no URL: {problem}") from None
    if not named or not all(c.isprintable() and not c.isspace() for c in url):
        raise ValueError(f"{shown(url)} is no URL of a host")
    return parts


@dataclass(frozen=True)
class Content:
    """
    A program of Flash, as far as a policy file asks about it.

    @ivar domain: the host from which it came: a name, or an address, IPv6 in
        brackets; empty if it came from none, and then only a rule for everybody
        matches.
    @ivar secure: whether it came by https.
    """

    domain: str = ""
    secure: bool = False

    @classmethod
    def fromURL(cls, url: str) -> Self:
        """
        Read where a program came from.

        @param url: its address, of http or https.
        @raise ValueError: if it is none.
        """
        parts = _split(url)
        if parts.scheme not in ("http", "https"):
            raise ValueError(f"{shown(url)} is no URL of http or https")
        host = parts.hostname or ""
        return cls(f"[{host}]" if ":" in host else host, parts.scheme == "https")


def policyAddress(url: str) -> tuple[str, int]:
    """
    Read where a socket policy file is: C{xmlsocket://games.example:8430}.

    @param url: as a program gives it to C{Security.loadPolicyFile}; it must
        name a port.
    @return: the host, IPv6 without brackets, and the port.
    @raise ValueError: if there is none; files of C{http} and others have no
        effect on sockets.
    """
    parts = _split(url)
    if parts.scheme != "xmlsocket" or parts.port is None:
        raise ValueError(f"{shown(url)} has no effect on sockets; only xmlsocket://host:port has")
    return parts.hostname or "", parts.port
