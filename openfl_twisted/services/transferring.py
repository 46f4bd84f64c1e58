"""
Transfers memberships from a worker to the worker that replaces it.
"""

import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from openfl_twisted.logs import packageLogger
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.membership import Membership
from openfl_twisted.rooms.room import LobbyError
from openfl_twisted.workers.link import MAX_LENGTH
from openfl_twisted.workers.worker import EXPORT, IMPORT

_PART = MAX_LENGTH // 4
"""
Length of the encoded memberships after which a response ends (bytes).
"""

_MAX_MEMBERSHIP = MAX_LENGTH // 2
"""
Maximum length of an encoded membership (bytes). Together with L{_PART}, a response has at most
L{MAX_LENGTH} bytes.
"""


class MembershipTransfer:
    """
    Answers a supervisor's requests to export and import the memberships of a lobby.
    """

    log = packageLogger()

    def __init__(self, lobby: Lobby, closePorts: Callable[[], object]) -> None:
        """
        @param closePorts: closes the ports, so that clients reconnect to the other process.
        """
        self._lobby = lobby
        self._closePorts = closePorts
        self._exported: deque[Membership] | None = None

    def answers(self) -> dict[str, Callable[..., Any]]:
        """
        Return the functions that answer the requests.

        @return: maps the name of each request to the function that answers the request.
        """
        return {EXPORT: self.exportMembers, IMPORT: self.importMembers}

    def exportMembers(self) -> list[dict[str, Any]]:
        """
        Return the next memberships. The first call exports all memberships of the lobby, and
        closes the ports.

        @return: the memberships; empty if there are no further ones. Then all have been
            imported by the other process.
        """
        if self._exported is None:
            self._exported = deque(self._lobby.exportMembers())
            if not self._exported:
                return []
            self._closePorts()
        part, length = [], 0
        while self._exported and length < _PART:
            plain = self._exported.popleft().toPlain()
            size = len(json.dumps(plain))
            if size > _MAX_MEMBERSHIP:
                self.log.warn(
                    "membership of {name} dropped: longer than {limit} bytes",
                    name=plain["name"],
                    limit=_MAX_MEMBERSHIP,
                )
                continue
            part.append(plain)
            length += size
        if not part:
            self._lobby.endExport()
        return part

    def importMembers(self, members: Sequence[object]) -> int:
        """
        Import memberships of another process.

        @param members: the memberships.
        @return: the number of memberships that were dropped, for example because another
            member has the same name.
        """
        dropped = 0
        for plain in members:
            try:
                self._lobby.importMember(Membership.fromPlain(plain))
            except (LobbyError, ValueError):
                dropped += 1
        return dropped
