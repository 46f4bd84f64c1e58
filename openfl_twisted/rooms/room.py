"""
Who is in a room, how much there may be, and what is refused beyond that:
L{Room}, L{Member}, L{RoomLimits}.
"""

import re
import secrets
import unicodedata
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall


class Recipient(Protocol):
    """
    Somebody's connection.
    """

    def deliverMessage(self, message: bytes) -> None:
        """
        Send a message, which has its end.

        @param message: the bytes, as they go out.
        """

    def replaced(self) -> None:
        """
        Know that the place in the room belongs to another connection now.
        """


@dataclass(frozen=True)
class RoomLimits:
    """
    Limits of rooms and members; 0 for no limit. A room can have its own limits,
    except C{maxRooms}, C{maxKept}, and C{maxName} for names, which are those of
    the lobby.

    @ivar maxRooms: maximum number of rooms.
    @ivar maxMembers: maximum number of members of a room.
    @ivar maxName: maximum length of the name of a room or member (characters).
    @ivar maxData: maximum number of attributes of a room or member; a key or
        value has at most C{maxName} characters.
    @ivar resume: time for which the membership of a disconnected member is kept
        (seconds); 0 for not at all.
    @ivar maxKept: maximum number of memberships that are kept at the same time;
        a further disconnected member leaves immediately.
    @ivar maxMissed: maximum number of messages kept for a disconnected member.
    @ivar maxMissedBytes: their maximum size (bytes).
    """

    maxRooms: int = 1000
    maxMembers: int = 500
    maxName: int = 64
    maxData: int = 16
    resume: float = 0.0
    maxKept: int = 10_000
    maxMissed: int = 100
    maxMissedBytes: int = 64 * 1024


REFUSALS = ("name", "taken", "full", "rooms", "data", "token", "busy")
"""
What a lobby refuses, see L{LobbyError}.
"""


class LobbyError(Exception):
    """
    Something cannot be done. The text says why, for people.

    @ivar code: the same in one word, for programs.
    """

    def __init__(self, code: str, text: str) -> None:
        """
        @param code: one of L{REFUSALS}; or C{room} for who is in no room, or in
            one already, and C{nobody} for who is not there.
        @param text: why, for people.
        """
        super().__init__(text)
        self.code = code


def exceeds(number: int, limit: int) -> bool:
    """
    Check a number against a limit.

    @param number: the number.
    @param limit: the maximum; 0 for no limit.
    @return: whether it is above the limit.
    """
    return 0 < limit < number


# Letters, marks and symbols that are displayed as nothing: the ones of Unicode's
# Default_Ignorable_Code_Point that are printable for Python, and the empty Braille pattern.
_invisible = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)

# Normalization takes quadratic time for many combining marks.
_LONGEST_LOOK = 256


def lookOf(name: str) -> str:
    """
    Reduce a name to what is displayed, so that equal looks can be noticed: without
    invisible characters, and in the form NFKC. Letters of different scripts stay
    different, also if they look the same.

    @param name: the name. A name over 256 characters is not reduced.
    @return: the reduced name; empty if nothing is displayed.
    """
    if name.isascii() or len(name) > _LONGEST_LOOK:
        return name
    return _invisible.sub("", unicodedata.normalize("NFKC", name))


@dataclass(eq=False)
class Member:
    """
    Somebody in a room.

    @ivar name: how it is called; nobody else in the room is called so.
    @ivar room: where it is; C{None} once it has left.
    @ivar recipient: its connection; C{None} while it has none.
    @ivar data: what is said of it.
    @ivar token: with this it can take its place again.
    @ivar lost: how many messages it has missed for good.
    @ivar missed: the messages that are kept for it while it has no connection.
    @ivar missedBytes: how many bytes they have together.
    @ivar expiry: takes its place away then; C{None} while it has a connection.
    """

    name: str
    room: "Room | None"
    recipient: Recipient | None
    data: dict[str, str] = field(default_factory=dict)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    missed: deque[bytes] = field(default_factory=deque, repr=False)
    missedBytes: int = 0
    lost: int = 0
    expiry: IDelayedCall | None = None

    @property
    def connected(self) -> bool:
        """
        Whether it is connected.
        """
        return self.recipient is not None


@dataclass(eq=False)
class Room:
    """
    Some members who hear each other.

    @ivar name: how it is called.
    @ivar limits: how much there may be in it. They can be changed; who is in it
        stays.
    @ivar members: who is in it, by name, in the order in which they came.
    @ivar looks: the looks of their names, see L{lookOf}.
    @ivar data: what is said of it.
    """

    name: str
    limits: RoomLimits
    members: dict[str, Member] = field(default_factory=dict)
    looks: set[str] = field(default_factory=set, repr=False)
    data: dict[str, str] = field(default_factory=dict)
