"""
Knows what a factory has built.
"""

from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory
from zope.interface import implementer


@implementer(IProtocolFactory)
class WatchedFactory:
    """
    A factory whose protocols are remembered.

    @ivar built: the protocols, in order; C{None} where the factory has built
        none.
    """

    def __init__(self, factory: IProtocolFactory) -> None:
        """
        @param factory: builds the protocols.
        """
        self._factory = factory
        self.built: list[IProtocol | None] = []

    def doStart(self) -> None:
        """
        See C{IProtocolFactory}.
        """
        self._factory.doStart()

    def doStop(self) -> None:
        """
        See C{IProtocolFactory}.
        """
        self._factory.doStop()

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        """
        Build a protocol, and remember it.
        """
        self.built.append(self._factory.buildProtocol(addr))
        return self.built[-1]
