"""
Recipients of room messages and observers of a lobby that record what they get.
"""

from openfl_twisted.rooms.lobby import LobbyObserver
from openfl_twisted.rooms.room import Member, Room


class RecordingRecipient:
    """
    Records the delivered messages.
    """

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.isReplaced = False
        self.reasons: list[str] = []

    def deliverMessage(self, message: bytes) -> None:
        self.received.append(message)

    def replaced(self) -> None:
        self.isReplaced = True

    def removed(self, reason: str) -> None:
        self.reasons.append(reason)


class RecordingObserver(LobbyObserver):
    """
    Records the events of a lobby as lines of text.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def joined(self, member: Member, room: Room) -> None:
        self.lines.append(f"{member.name} joined {room.name}")

    def left(self, member: Member, room: Room) -> None:
        self.lines.append(f"{member.name} left {room.name}")

    def messageSent(self, room: Room, message: bytes) -> None:
        self.lines.append(f"{message.decode()} in {room.name}")

    def roomOpened(self, room: Room) -> None:
        self.lines.append(f"{room.name} opened")

    def roomClosed(self, room: Room) -> None:
        self.lines.append(f"{room.name} closed")
