"""
The limits of the connections of a factory.
"""

from typing import NamedTuple


class ConnectionLimits(NamedTuple):
    """
    Limits that all connections of a factory share. 0 means no limit.

    @ivar maxQueue: maximum length of the send queue for a peer that does not read
        (bytes).
    @ivar maxLength: maximum length of a message without its end (bytes).
    @ivar maxUnread: maximum number of bytes that the protocol has not read.
    @ivar messageRate: maximum number of messages per second.
    @ivar byteRate: maximum number of bytes per second.
    """

    maxQueue: int = 0
    maxLength: int = 0
    maxUnread: int = 0
    messageRate: float = 0.0
    byteRate: float = 0.0


NO_LIMITS = ConnectionLimits()
"""
No limits at all.
"""
