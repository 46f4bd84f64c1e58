"""
The lowest transport below TLS, a WebSocket and other layers.
"""

from collections.abc import Iterator
from typing import Any

from twisted.internet.interfaces import IReactorTime, ITransport

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.transports.buffered import BufferedTransport


def transportsBelow(transport: Any) -> Iterator[Any]:
    """
    Return a transport and the transports below it, from top to bottom.
    """
    while ITransport.providedBy(transport):
        yield transport
        if isinstance(transport, BufferedTransport):
            transport = transport.underlying
        else:
            transport = getattr(transport, "transport", None)


def lowestTransport(transport: Any) -> Any:
    """
    Return the transport of the socket.

    @param transport: any transport.
    @return: the transport below all layers; the transport itself if it has no layers.
    """
    for each in transportsBelow(transport):
        transport = each
    return transport


def clockOf(transport: Any) -> IReactorTime:
    """
    Return the reactor of a transport; the global reactor if it is not known.

    @param transport: any transport.
    """
    reactor = getattr(lowestTransport(transport), "reactor", None)
    return clockOrReactor(reactor if IReactorTime.providedBy(reactor) else None)
