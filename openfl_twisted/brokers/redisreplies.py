"""
Commands and replies of Redis.
"""

from typing import NamedTuple, TypeAlias, Union


class RedisProblem(NamedTuple):
    """
    An error reply.

    @ivar text: an error code in capital letters, followed by a description.
    """

    text: str


Reply: TypeAlias = Union[bytes, str, int, RedisProblem, "list[Reply]", None]
"""
A reply from a server.
"""


def command(*words: bytes) -> bytes:
    """
    Encode a command.

    @param words: the name and the arguments of the command.
    @return: a RESP array of bulk strings, which may contain any bytes.
    """
    return b"*%d\r\n" % len(words) + b"".join(
        [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    )
