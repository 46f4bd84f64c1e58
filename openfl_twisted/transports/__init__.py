"""
Connections: the layer between a socket and a protocol.

L{Connection<openfl_twisted.transports.connection.Connection>} is the interface that
protocols use. Its implementations:

  - L{CoalescingTransport<openfl_twisted.transports.tcp.CoalescingTransport>}: a TCP connection
    that is itself the transport.
  - L{ConnectionWrapper<openfl_twisted.transports.wrapper.ConnectionWrapper>}: wraps any
    other transport, such as TLS or a UNIX socket.
  - L{WebSocketTransport<openfl_twisted.transports.websocket.WebSocketTransport>}: a WebSocket
    that runs over one of these connections.

The life of a connection on a TCP port with a guard:

  1. B{Accept}. The port creates the transport, and the guard's factory creates a wrapper with
     the protocol. The wrapper makes the transport call the protocol directly, and is then
     discarded. The guard counts the connection.
  2. B{Open}. The reactor calls C{doRead}, which calls the protocol. A protocol from this
     package has bound the connection, which makes the protocol the owner: the owner's limits
     apply.
  3. B{Full}. The socket does not accept more data. The registered producer is paused until the
     send queue is empty.
  4. B{Closing}. The protocol calls C{loseConnection}. The send queue is sent, and the guard
     limits the time until the connection is closed.
  5. B{Lost}. The reactor calls C{connectionLost}. The receive buffer is delivered, then the
     protocol is notified.

L{openfl_twisted.transports.states} defines the states. The invariants:

  - Data written during a B{write batch} is sent at the end of the batch, in one write for each
    receiver. More than 64 KiB for one receiver is sent earlier, to detect a peer that does not
    read. Each read by the reactor is a batch.
  - Data that the socket has not accepted stays in the B{send queue}. The limit of the
    queue applies to data written after the socket stopped accepting data. Above the
    limit, the peer is disconnected.
  - A protocol receives data only while the connection is B{reading}: the connection is neither
    paused nor closing, and its receive buffer is empty.
  - Other received data is held in the B{receive buffer}, followed by the EOF and the
    loss of the connection.
  - Data written before C{loseConnection} is sent before the connection is closed. Data written
    after C{loseConnection} is dropped, except from a registered pull producer.
"""
