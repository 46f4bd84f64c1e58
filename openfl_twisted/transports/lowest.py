"""
The lowest transport below TLS, a WebSocket and other layers.
"""

from typing import Any

from twisted.internet.interfaces import IReactorTime, ITransport

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.transports.buffered import BufferedTransport


def lowestTransport(transport: Any) -> Any:
    """
    Return the transport of the socket.

    @param transport: any transport.
    @return: the transport below all layers; the transport itself if it has no layers.
    """
    while True:
        if isinstance(transport, BufferedTransport):
            below: Any = transport.underlying
        else:
            below = getattr(transport, "transport", None)
        if not ITransport.providedBy(below):
            return transport
        transport = below


def clockOf(transport: Any) -> IReactorTime:
    """
    Return the reactor of a transport; the global reactor if it is not known.

    @param transport: any transport.
    """
    reactor = getattr(lowestTransport(transport), "reactor", None)
    return clockOrReactor(reactor if IReactorTime.providedBy(reactor) else None)
