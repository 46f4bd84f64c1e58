"""
The states of a connection.

A connection keeps flags and not its state, since each write asks for one flag only;
L{Connection.state<openfl_twisted.transports.connection.Connection.state>} tells the
state. A test holds that no connection leaves the table below.
"""

import enum


class State(enum.Enum):
    """
    The states of a connection.
    """

    OPEN = "open"
    """
    What is written is sent at the end of the batch. What is received is delivered,
    or held while the protocol does not read.
    """

    FULL = "full"
    """
    The peer does not read. What is written is held, up to the limit of the send queue;
    a producer is paused.
    """

    CLOSING = "closing"
    """
    This side has closed the connection. What was written before is sent; nothing more
    is delivered or accepted, except writes while a pull producer is registered.
    """

    ABORTED = "aborted"
    """
    This side has aborted the connection. The send queue is dropped.
    """

    ENDING = "ending"
    """
    The connection is lost, and the protocol has not received everything yet.
    """

    LOST = "lost"
    """
    The connection is lost, and the protocol was told.
    """


class Event(enum.Enum):
    """
    What can happen to a connection.
    """

    FULL = "peer does not read"
    DRAINED = "peer has read everything"
    CLOSE = "loseConnection"
    ABORT = "abortConnection, limit"
    LOST = "connectionLost"
    LOST_HOLDING = "connectionLost, data is held"
    DELIVERED = "everything is delivered, 30 s"


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
The state after each event. An event that is not here changes nothing.
"""
