"""
HTTPS clients that judge their server themselves.
"""

from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from openfl_twisted.tls.client import SecureConnectionCreator
from openfl_twisted.tls.trust import Trust


@implementer(IPolicyForHTTPS)
class SecurePolicyForHTTPS:
    """
    Judges the servers of Twisted's C{Agent}, and so of treq.
    """

    def __init__(self, trust: Trust | None = None) -> None:
        """
        @param trust: whom to believe; C{None} for the authorities of this
            machine.
        """
        self._trust = trust

    def creatorForNetloc(self, hostname: bytes, port: int) -> SecureConnectionCreator:
        return SecureConnectionCreator(hostname.decode("ascii"), self._trust)
