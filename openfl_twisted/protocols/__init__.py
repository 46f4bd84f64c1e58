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
  - L{openfl_twisted.protocols.bridge}: forwards clients to a TCP server.
  - L{openfl_twisted.protocols.simpleserver} and
    L{openfl_twisted.protocols.serversocketexample}: the two example servers of the
    ActionScript guide.

L{openfl_twisted.transports.guard} counts, limits and logs the connections of any
factory. L{openfl_twisted.transports} provides write coalescing and limited send queues.
"""
