"""
Who is calling? The first bytes of a connection tell.

Nothing is guessed from one piece: bytes are collected while they are a proper
beginning of something known, and the first byte that does not fit decides.
"""

import enum

from openfl_twisted.wire import policy


class Caller(enum.Enum):
    """
    The kinds of callers.
    """

    POLICY = "policy"
    """
    A player that asks for the policy file.
    """

    PLAIN = "plain"
    """
    Anybody else: the bytes are for the application.
    """


MOST_BYTES = policy.MAX_REQUEST_LENGTH
"""
With so many bytes a caller is always recognized.
"""


def recognize(data: bytes) -> Caller | None:
    """
    Recognize a caller.

    @param data: all the bytes that have come, from the first one on.
    @return: who it is, or C{None} while this cannot be said. Once it is said,
        further bytes do not change it.
    """
    if policy.requestLength(data):
        return Caller.POLICY
    if policy.mayBecomeRequest(data):
        return None
    return Caller.PLAIN
