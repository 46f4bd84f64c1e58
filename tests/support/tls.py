"""
TLS contexts.
"""

from OpenSSL.SSL import Context
from twisted.internet.interfaces import IOpenSSLContextFactory
from zope.interface import implementer


@implementer(IOpenSSLContextFactory)
class Contexts:
    """
    Returns a TLS context to Twisted.
    """

    def __init__(self, context: Context) -> None:
        self.context = context

    def getContext(self) -> Context:
        return self.context
