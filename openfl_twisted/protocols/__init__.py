"""
Twisted's door: one module, one Protocol/Factory pair.

  - L{openfl_twisted.protocols.xmlsocket}: text messages, as C{XMLSocket} has
    them.
  - L{openfl_twisted.protocols.binarysocket}: numbers and strings in a stream,
    as C{Socket} has them.
  - L{openfl_twisted.protocols.securesocket}: the same in TLS, to a server that
    is trusted; and any other protocol so.
  - L{openfl_twisted.protocols.datagram}: datagrams.
  - L{openfl_twisted.protocols.telnet}: a client of Telnet.
  - L{openfl_twisted.protocols.policyfile}: answers policy requests on a port of
    its own.
  - L{openfl_twisted.protocols.oneport}: every kind of client on one port, in
    front of any other protocol.
  - L{openfl_twisted.protocols.websocket}: a WebSocket that looks like TCP to
    the protocol above it.
  - L{openfl_twisted.protocols.bridge}: leads clients on to a server that only
    speaks TCP.
  - L{openfl_twisted.transports.guard}: counts, limits and logs the connections
    of any factory.
  - L{openfl_twisted.protocols.simpleserver} and
    L{openfl_twisted.protocols.serversocketexample}: the two servers of the
    guide's chapter on sockets.

Beneath them all lies L{openfl_twisted.transports.buffered}: bytes leave in one
write for each read, and a peer that does not read is cut off.
"""
