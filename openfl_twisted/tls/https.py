"""
Certificate verification for Twisted's HTTPS client.
"""

from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from openfl_twisted.tls.client import SecureConnectionCreator
from openfl_twisted.tls.trust import Trust


@implementer(IPolicyForHTTPS)
class SecurePolicyForHTTPS:
    """
    A C{contextFactory} for Twisted's C{Agent} and for treq. It verifies the servers to which
    they connect.
    """

    def __init__(self, trust: Trust | None = None) -> None:
        """
        @param trust: the trust anchors and rules (default: the CAs of this machine).
        """
        self._trust = trust

    def creatorForNetloc(self, hostname: bytes, port: int) -> SecureConnectionCreator:
        return SecureConnectionCreator(hostname.decode("ascii"), self._trust)
