"""
Memberships as values, to continue them in another process: L{Membership}.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Maximum length of a token (characters).
_MAX_TOKEN = 64


@dataclass(frozen=True)
class Membership:
    """
    The membership of a member.

    @ivar room: the name of the room.
    @ivar name: the name of the member.
    @ivar token: the token to resume the membership.
    @ivar data: the attributes of the member.
    @ivar missed: the messages kept for the member, with their terminators.
    @ivar lost: number of messages that the member will never receive.
    @ivar remaining: time for which the membership is kept (seconds).
    """

    room: str
    name: str
    token: str
    data: dict[str, str]
    missed: Sequence[bytes]
    lost: int
    remaining: float

    def toPlain(self) -> dict[str, Any]:
        """
        Return the membership as values for JSON.
        """
        # Latin-1 has a character for each byte.
        missed = [message.decode("latin-1") for message in self.missed]
        return {**vars(self), "missed": missed}

    @classmethod
    def fromPlain(cls, plain: object) -> "Membership":
        """
        Return the membership that L{toPlain} has encoded.

        @raise ValueError: if a value is missing or invalid. The names are not checked: see
            L{Lobby.importMember<openfl_twisted.rooms.lobby.Lobby.importMember>}.
        """
        match plain:
            case {
                "room": str() as room,
                "name": str() as name,
                "token": str() as token,
                "data": dict() as data,
                "missed": list() as missed,
                "lost": int() as lost,
                "remaining": int() | float() as remaining,
            } if (
                0 < len(token) <= _MAX_TOKEN
                and lost >= 0
                and remaining >= 0
                and all(isinstance(each, str) for each in (*data, *data.values(), *missed))
            ):
                messages = [message.encode("latin-1") for message in missed]
                return cls(room, name, token, data, messages, lost, remaining)
        raise ValueError("not a membership")
