"""
Rooms, their members and their limits: L{Room}, L{Member}, L{RoomLimits}.
"""

import re
import secrets
import unicodedata
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall

from openfl_twisted.transports.limits import checkLimit


class Recipient(Protocol):
    """
    The connection of a member.
    """

    def deliverMessage(self, message: bytes) -> None:
        """
        Send a message to the client. The message includes its terminator.
        """

    def replaced(self) -> None:
        """
        Called when another connection has resumed the membership.
        """

    def removed(self, reason: str) -> None:
        """
        Called when the member was removed because an operator has closed the room. The membership
        cannot be resumed.

        @param reason: the reason, as human-readable text.
        """


@dataclass(frozen=True)
class RoomLimits:
    """
    Limits of rooms and members; 0 for no limit. A room can have its own limits. C{maxRooms},
    C{maxKept}, and the maximum length of room and member names are always the limits of the
    lobby.

    @ivar maxRooms: maximum number of rooms.
    @ivar maxMembers: maximum number of members of a room.
    @ivar maxName: maximum length of the name of a room or member (characters).
    @ivar maxData: maximum number of attributes of a room or member; a key or
        value has at most C{maxName} characters.
    @ivar resume: time for which the membership of a disconnected member is kept
        (seconds); 0 to keep none.
    @ivar maxKept: maximum number of memberships that are kept at the same time;
        a further disconnected member leaves immediately.
    @ivar maxMissed: maximum number of messages kept for a disconnected member.
    @ivar maxMissedBytes: maximum total size of the messages kept for a disconnected member
        (bytes).
    """

    maxRooms: int = 1000
    maxMembers: int = 500
    maxName: int = 64
    maxData: int = 16
    resume: float = 0.0
    maxKept: int = 10_000
    maxMissed: int = 100
    maxMissedBytes: int = 64 * 1024

    def __post_init__(self) -> None:
        for name, limit in vars(self).items():
            checkLimit(name, limit)


REFUSALS = ("name", "taken", "full", "rooms", "data", "token", "busy")
"""
Codes of the refusals that a lobby counts, see L{LobbyError}.
"""


class LobbyError(Exception):
    """
    A lobby has refused a client's request.

    @ivar code: the reason in one word, for programs.
    """

    def __init__(self, code: str, text: str) -> None:
        """
        @param code: one of L{REFUSALS}; C{room} if the client is in no room, or is already in
            a room; C{nobody} if the room has no such member; or
            C{closed} if an operator has closed the room.
        @param text: the reason, as human-readable text.
        """
        super().__init__(text)
        self.code = code


def exceeds(number: int, limit: int) -> bool:
    """
    Check a number against a limit.

    @param limit: the maximum; 0 for no limit.
    @return: whether the number is above the limit.
    """
    return 0 < limit < number


# Invisible characters that Python regards as printable: characters with Unicode's property
# Default_Ignorable_Code_Point, and the empty Braille pattern.
_invisible = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)

# Names beyond this length are not normalized, because normalizing many combining marks takes
# quadratic time.
_REDUCED_LENGTH = 256


def displayed(name: str) -> str:
    """
    Reduce a name to its displayed form, so that names that look the same can be refused. The
    displayed form is the name in NFKC without invisible characters. Similar letters from
    different scripts stay different.

    @param name: the name. A name of more than 256 characters is not reduced.
    @return: the reduced name; empty if the name has no visible characters.
    """
    if name.isascii() or len(name) > _REDUCED_LENGTH:
        return name
    return _invisible.sub("", unicodedata.normalize("NFKC", name))


@dataclass(eq=False, slots=True)
class Member:
    """
    A member of a room.

    @ivar name: the name, unique in the room.
    @ivar room: the room; C{None} after the member has left.
    @ivar recipient: the connection; C{None} while the member is disconnected.
    @ivar data: the attributes.
    @ivar token: the token to resume the membership.
    @ivar lost: number of messages that the member will never receive.
    @ivar missed: the messages kept for the member while it is disconnected.
    @ivar missedBytes: the total size of the messages in C{missed} (bytes).
    @ivar expiry: the timer that ends the membership; C{None} while the member is connected.
    """

    name: str
    room: "Room | None"
    recipient: Recipient | None
    data: dict[str, str] = field(default_factory=dict)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    # The deque is created only when a message is missed: most members never miss a message, and an
    # empty deque takes more memory than the rest of the member.
    missed: deque[bytes] | tuple[()] = field(default=(), repr=False)
    missedBytes: int = 0
    lost: int = 0
    expiry: IDelayedCall | None = None

    @property
    def connected(self) -> bool:
        """
        Whether the member has a connection.
        """
        return self.recipient is not None


@dataclass(eq=False)
class Room:
    """
    A group of members that receive each other's messages.

    @ivar name: the name.
    @ivar limits: the limits. A change does not remove members.
    @ivar members: the members by name, in the order in which they joined.
    @ivar displayedNames: the displayed forms of the members' names, see L{displayed}.
    @ivar data: the attributes.
    """

    name: str
    limits: RoomLimits
    members: dict[str, Member] = field(default_factory=dict)
    displayedNames: set[str] = field(default_factory=set, repr=False)
    data: dict[str, str] = field(default_factory=dict)
