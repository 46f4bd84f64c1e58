"""
The life of a connection, between a socket and a protocol.

Rules:

  - What is written during a B{write batch} leaves at its end, in one write for each
    receiver; after 64 KiB earlier, so that it is known whether the peer reads. Each
    read of the reactor is a batch.
  - What the socket has not taken waits. What is written while it waits counts for the
    B{send queue}'s limit; over the limit, the peer is disconnected.
  - A protocol receives data only while the connection is B{reading}: neither paused
    nor closing, and with nothing in the receive buffer.
  - What was received in the meantime waits in the B{receive buffer}. The end of the
    connection waits behind it.
  - What was written before C{loseConnection} is sent before the connection is closed;
    what is written after it is not sent. A pull producer may finish.
"""
