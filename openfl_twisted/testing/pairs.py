"""
Two protocols that are connected in memory.
"""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from openfl_twisted.protocols.securesocket import SecureEndpoint
from openfl_twisted.testing.certificates import Credentials
from openfl_twisted.testing.connection import MemoryConnection
from openfl_twisted.testing.network import MemoryNetwork
from openfl_twisted.testing.watchedfactory import WatchedFactory

_Client = TypeVar("_Client", bound=Protocol)
_Server = TypeVar("_Server", bound=Protocol)


@dataclass(frozen=True)
class ConnectedPair(Generic[_Client, _Server]):
    """
    Two protocols with a connection between them.

    @ivar client: the protocol of the side that has connected.
    @ivar server: the protocol of the side that has listened.
    @ivar network: the network between them.
    @ivar connection: the connection, whose segments a test can cut and hold.
    """

    client: _Client
    server: _Server
    network: MemoryNetwork
    connection: MemoryConnection


def _factoryOf(given: Any) -> IProtocolFactory:
    """
    Get a factory, or make one that gives a protocol.
    """
    if IProtocolFactory.providedBy(given):
        factory: IProtocolFactory = given
        return factory
    made: IProtocolFactory = Factory.forProtocol(lambda: given)
    return made


def connectedPair(
    client: _Client | Factory[_Client],
    server: _Server | Factory[_Server],
    *,
    network: MemoryNetwork | None = None,
    tls: Credentials | None = None,
) -> ConnectedPair[_Client, _Server]:
    """
    Connect two protocols, and let both say what they say at first.

    @param client: the factory of the client, or its protocol.
    @param server: the factory of the server, or its protocol.
    @param network: the network; C{None} for a new one.
    @param tls: what the server shows; C{None} for a connection without TLS. The
        client judges it as a C{SecureSocket} does.
    @return: both. C{server} is what the server's factory has built: where that
        one wraps another, it is the wrapper.
    @raise HandshakeFailed: if the client does not trust the server; see
        L{openfl_twisted.tls}.
    @raise TimeoutError: Twisted's, if the server does not answer in TLS.
    """
    network = MemoryNetwork() if network is None else network
    watched = WatchedFactory(_factoryOf(server))
    listening: Any = watched if tls is None else tls.serverFactory(watched, network.reactor)
    port = network.reactor.listenTCP(0, listening, interface="127.0.0.1")
    endpoint: IStreamClientEndpoint = TCP4ClientEndpoint(
        network.reactor, "127.0.0.1", port.getHost().port
    )
    if tls is not None:
        endpoint = SecureEndpoint(endpoint, tls.host, tls.trust, clock=network.reactor)
    connected = network.run(endpoint.connect(_factoryOf(client)))
    port.stopListening()
    network.flush()
    built: Any = watched.built[-1]
    made: Any = connected
    return ConnectedPair(made, built, network, network.connections[-1])
