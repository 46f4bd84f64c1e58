"""
The Twisted API: one module for each protocol, containing a C{Protocol} and its C{Factory}.

  - L{openfl_twisted.protocols.xmlsocket}: NUL-terminated text messages, as C{XMLSocket}
    uses them.
  - L{openfl_twisted.protocols.binarysocket}: numbers and strings in a byte stream, as
    C{Socket} uses them.
  - L{openfl_twisted.protocols.securesocket}: TLS clients that verify the server, for
    C{Socket} and any other protocol.
  - L{openfl_twisted.protocols.datagram}: UDP datagrams.
  - L{openfl_twisted.protocols.telnet}: a Telnet client.
  - L{openfl_twisted.protocols.policyfile}: a server for policy files.
  - L{openfl_twisted.protocols.oneport}: protocol detection, which accepts all client
    types on one port for any protocol.
  - L{openfl_twisted.protocols.websocket}: WebSockets for any protocol; the protocol uses the
    WebSocket like a TCP connection.
  - L{openfl_twisted.protocols.websocketclient}: an endpoint that opens WebSockets.
  - L{openfl_twisted.protocols.bridge}: forwards clients to a TCP server.
  - L{openfl_twisted.protocols.simpleserver} and
    L{openfl_twisted.protocols.serversocketexample}: the two example servers of the
    ActionScript guide.

L{openfl_twisted.transports.guard} counts, limits and logs the connections of any
factory. L{openfl_twisted.transports} provides write coalescing and limited send queues.

All names that programs need are exported by this package.
"""

from typing import TYPE_CHECKING

from openfl_twisted.lazyimports import lazyImporter

if TYPE_CHECKING:
    from openfl_twisted.protocols.allowing import WebSocketRequest
    from openfl_twisted.protocols.binarysocket import BinarySocketFactory, BinarySocketProtocol
    from openfl_twisted.protocols.bridge import BridgeFactory
    from openfl_twisted.protocols.broadcast import BroadcastProtocol, EchoProtocol
    from openfl_twisted.protocols.datagram import AsyncDatagramProtocol, DatagramEchoProtocol
    from openfl_twisted.protocols.lineecho import LineEchoFactory, LineEchoProtocol
    from openfl_twisted.protocols.oneport import OnePortFactory
    from openfl_twisted.protocols.policychecker import PermittedEndpoint
    from openfl_twisted.protocols.policyclient import PolicyClientProtocol, askForPolicy
    from openfl_twisted.protocols.policyfile import PolicyFileFactory, PolicyFileProtocol
    from openfl_twisted.protocols.proxyprotocol import ProxyProtocolEndpoint, ProxyProtocolFactory
    from openfl_twisted.protocols.securesocket import (
        SecureEndpoint,
        SecureSocketFactory,
        SecureSocketProtocol,
    )
    from openfl_twisted.protocols.serversocketexample import ServerSocketExampleFactory
    from openfl_twisted.protocols.simpleserver import FaithfulServerFactory, SimpleServerFactory
    from openfl_twisted.protocols.streamprotocol import StreamFactory, StreamProtocol
    from openfl_twisted.protocols.telnet import TelnetFactory, TelnetProtocol
    from openfl_twisted.protocols.websocket import WebSocketFactory, WebSocketProtocol
    from openfl_twisted.protocols.websocketclient import WebSocketEndpoint
    from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol

__all__ = [
    "AsyncDatagramProtocol",
    "BinarySocketFactory",
    "BinarySocketProtocol",
    "BridgeFactory",
    "BroadcastProtocol",
    "DatagramEchoProtocol",
    "EchoProtocol",
    "FaithfulServerFactory",
    "LineEchoFactory",
    "LineEchoProtocol",
    "OnePortFactory",
    "PermittedEndpoint",
    "PolicyClientProtocol",
    "PolicyFileFactory",
    "PolicyFileProtocol",
    "ProxyProtocolEndpoint",
    "ProxyProtocolFactory",
    "SecureEndpoint",
    "SecureSocketFactory",
    "SecureSocketProtocol",
    "ServerSocketExampleFactory",
    "SimpleServerFactory",
    "StreamFactory",
    "StreamProtocol",
    "TelnetFactory",
    "TelnetProtocol",
    "WebSocketEndpoint",
    "WebSocketFactory",
    "WebSocketProtocol",
    "WebSocketRequest",
    "XMLSocketFactory",
    "XMLSocketProtocol",
    "askForPolicy",
]

_MODULES = {
    "WebSocketRequest": "allowing",
    "BinarySocketFactory": "binarysocket",
    "BinarySocketProtocol": "binarysocket",
    "BridgeFactory": "bridge",
    "BroadcastProtocol": "broadcast",
    "EchoProtocol": "broadcast",
    "AsyncDatagramProtocol": "datagram",
    "DatagramEchoProtocol": "datagram",
    "LineEchoFactory": "lineecho",
    "LineEchoProtocol": "lineecho",
    "OnePortFactory": "oneport",
    "PermittedEndpoint": "policychecker",
    "PolicyClientProtocol": "policyclient",
    "askForPolicy": "policyclient",
    "PolicyFileFactory": "policyfile",
    "PolicyFileProtocol": "policyfile",
    "ProxyProtocolEndpoint": "proxyprotocol",
    "ProxyProtocolFactory": "proxyprotocol",
    "SecureEndpoint": "securesocket",
    "SecureSocketFactory": "securesocket",
    "SecureSocketProtocol": "securesocket",
    "ServerSocketExampleFactory": "serversocketexample",
    "FaithfulServerFactory": "simpleserver",
    "SimpleServerFactory": "simpleserver",
    "StreamFactory": "streamprotocol",
    "StreamProtocol": "streamprotocol",
    "TelnetFactory": "telnet",
    "TelnetProtocol": "telnet",
    "WebSocketFactory": "websocket",
    "WebSocketProtocol": "websocket",
    "WebSocketEndpoint": "websocketclient",
    "XMLSocketFactory": "xmlsocket",
    "XMLSocketProtocol": "xmlsocket",
}

__getattr__ = lazyImporter(__name__, _MODULES)
