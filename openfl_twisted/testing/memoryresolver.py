"""
Looks up the names of a network in memory.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from zope.interface import implementer

if TYPE_CHECKING:
    from openfl_twisted.testing.kernel import Kernel


@implementer(IHostResolution)
class _Resolution:
    """
    A name that is looked up.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.cancelled = False

    def cancel(self) -> None:
        """
        Have nothing come of it any more.
        """
        self.cancelled = True


@implementer(IHostnameResolver)
class MemoryResolver:
    """
    Knows the names of a network; an address is its own name.
    """

    def __init__(self, kernel: "Kernel") -> None:
        """
        @param kernel: has the network, with its C{names} and C{lookupTime}.
        """
        self._kernel = kernel

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """
        See C{IHostnameResolver}.
        """
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)

        def found() -> None:
            if resolution.cancelled:
                return
            literal = isIPAddress(hostName) or isIPv6Address(hostName)
            for address in [hostName] if literal else self._kernel.network.names.get(hostName, ()):
                kind = IPv6Address if isIPv6Address(address) else IPv4Address
                if addressTypes is None or kind in addressTypes:
                    made: Any = kind
                    resolutionReceiver.addressResolved(
                        made(transportSemantics, address, portNumber)
                    )
            resolutionReceiver.resolutionComplete()

        self._kernel.later(self._kernel.network.lookupTime, found)
        return resolution
