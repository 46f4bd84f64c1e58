"""
Limits of connections.
"""

from typing import Any, NamedTuple


class ConnectionLimits(NamedTuple):
    """
    Limits shared by all connections of a factory; 0 for no limit.

    @ivar maxQueue: maximum length of the send queue for a slow peer (bytes).
    @ivar maxLength: maximum length of a message without its terminator (bytes).
    @ivar maxUnread: maximum amount of received data that the application has not read
        (bytes).
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
The limits of a connection without limits.
"""


def checkLimit(name: str, limit: Any) -> None:
    """
    Check a limit or a timeout.

    @param name: the name of the parameter, for the error.
    @raise TypeError: if the limit is not a number.
    @raise ValueError: if the limit is negative or not a number.
    """
    text = f"{name} must be a number from 0, not {limit!r:.80}"
    if not isinstance(limit, int | float) or isinstance(limit, bool):
        raise TypeError(text)
    if not limit >= 0:
        raise ValueError(text)
