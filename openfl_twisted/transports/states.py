"""
The states of a connection.

A connection stores flags instead of a state, so that each write tests only one flag.
L{Connection.state<openfl_twisted.transports.connection.Connection.state>} computes the
state. A test checks that connections only make the transitions in L{TRANSITIONS}.
"""

import enum


class State(enum.Enum):
    """
    A state of a connection.
    """

    OPEN = "open"
    """
    Written data is sent at the end of the write batch. Received data is delivered, or held
    while the protocol is paused.
    """

    FULL = "full"
    """
    The reactor waits until the socket accepts data, or a pull producer is registered. Written
    data is held in the send queue, up to the limit of the queue. A push producer is paused.
    """

    CLOSING = "closing"
    """
    The protocol has called C{loseConnection}. The send queue is being sent. Received data is
    dropped. Writes are also dropped, except while a pull producer is registered.
    """

    ABORTED = "aborted"
    """
    The protocol has called C{abortConnection}, or a limit was exceeded. The send queue
    was dropped.
    """

    ENDING = "ending"
    """
    The underlying transport is lost, but the protocol's C{connectionLost} has not been
    called. The receive buffer still holds data, because the protocol is paused or other
    connections are served first. Writes are dropped. A guard still counts the
    connection as open.

    The next state is L{State.LOST}. It begins when the buffer is empty and the protocol is not
    paused. It begins earlier if the protocol closes or aborts the connection (in the next
    reactor iteration), or after
    L{LATE_END_TIMEOUT<openfl_twisted.transports.receivebuffer.LATE_END_TIMEOUT>}. In these two
    cases, the held data is dropped.
    """

    LOST = "lost"
    """
    The connection is lost, and the protocol's C{connectionLost} was called.
    """


class Event(enum.Enum):
    """
    An event that can change the state of a connection.
    """

    FULL = "transport buffer is full"
    DRAINED = "send queue is empty"
    CLOSE = "loseConnection"
    ABORT = "abortConnection or limit"
    LOST = "connectionLost"
    LOST_HOLDING = "connectionLost, data is held"
    DELIVERED = "held data delivered or dropped"


TRANSITIONS = {
    (State.OPEN, Event.FULL): State.FULL,
    (State.OPEN, Event.CLOSE): State.CLOSING,
    (State.OPEN, Event.ABORT): State.ABORTED,
    (State.OPEN, Event.LOST): State.LOST,
    (State.OPEN, Event.LOST_HOLDING): State.ENDING,
    (State.FULL, Event.DRAINED): State.OPEN,
    (State.FULL, Event.CLOSE): State.CLOSING,
    (State.FULL, Event.ABORT): State.ABORTED,
    (State.FULL, Event.LOST): State.LOST,
    (State.FULL, Event.LOST_HOLDING): State.ENDING,
    (State.CLOSING, Event.ABORT): State.ABORTED,
    (State.CLOSING, Event.LOST): State.LOST,
    (State.ABORTED, Event.LOST): State.LOST,
    (State.ENDING, Event.DELIVERED): State.LOST,
}
"""
The state after each event. Any other event leaves the state unchanged.
"""
