"""
What there is to see of a server that runs: in plain values, for metrics and for
the dashboard.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from openfl_twisted.protocols.guard import GuardFactory
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.policyfile import PolicyFileFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.relay import IRelay
from openfl_twisted.tls.identities import Identity


class Watched(Protocol):
    """
    A service with a guard; see L{openfl_twisted.services.serving.ServerService}.

    @ivar factory: the guard of all its connections.
    @ivar lobby: its rooms, if there are any.
    @ivar relay: the way to other nodes, if there is one.
    """

    factory: GuardFactory
    lobby: Lobby | None
    relay: IRelay | None


RELAY_COUNTERS = {
    "published": "Messages handed to the broker",
    "received": "Messages of other nodes that have come",
    "dropped": "Messages not handed to the broker",
    "gaps": "How often messages of another node were missing",
    "missed": "Messages that were missing, in all gaps",
    "duplicates": "Messages that came again or too late, and were dropped",
    "malformed": "Messages that were not of a node, and were dropped",
    "refused": "How often the broker has refused something",
    "reconnects": "How often the relay was up again",
}
"""
What a relay counts, and what it means.
"""


class Overview:
    """
    Looks at a service. What it has no part for is C{None}, or left out.
    """

    def __init__(self, service: Watched) -> None:
        """
        @param service: the service, which need not be complete yet.
        """
        self._service = service

    @property
    def guard(self) -> GuardFactory:
        """
        The guard of the connections.
        """
        return self._service.factory

    @property
    def door(self) -> OnePortFactory | None:
        """
        The door that recognizes callers, if there is one.
        """
        door = self.guard.wrappedFactory
        return door if isinstance(door, OnePortFactory) else None

    @property
    def identities(self) -> Sequence[Identity]:
        """
        The certificates for TLS that are in use.
        """
        certificates = getattr(self._service, "certificates", None)
        return [] if certificates is None else certificates.identities

    @property
    def served(self) -> Any:
        """
        The factory behind everything.
        """
        factory: Any = self.guard
        while (inner := getattr(factory, "wrappedFactory", None)) is not None:
            factory = inner
        return factory

    @property
    def messages(self) -> tuple[int, int] | None:
        """
        How many messages have come and gone, if they are counted.
        """
        served = self.served
        if not hasattr(served, "messagesIn"):
            return None
        return served.messagesIn, served.messagesOut

    @property
    def refusals(self) -> dict[str, int]:
        """
        How many connections have been refused, by the limit.
        """
        door = self.door
        undecided = {} if door is None else {"undecided": door.refusals}
        return {**self.guard.refusals, **undecided}

    @property
    def cut(self) -> dict[str, int]:
        """
        How many connections have been closed by a limit, by its name; empty if
        that is not counted.
        """
        return getattr(self.served, "cut", {})

    @property
    def foreign(self) -> dict[str, int]:
        """
        Number of connections closed because the client spoke another protocol,
        by that protocol; empty if they are not counted.
        """
        found = [getattr(each, "foreign", None) or {} for each in (self.door, self.served)]
        names = sorted({name for counted in found for name in counted})
        return {name: sum(counted.get(name, 0) for counted in found) for name in names}

    @property
    def policyRequests(self) -> dict[str, int] | None:
        """
        How policy requests have ended, if there can be any.
        """
        door, served = self.door, self.served
        if door is not None:
            # A request that came late has been answered behind the door.
            late = [served] if isinstance(served, XMLSocketFactory) else []
            counters: list[OnePortFactory | XMLSocketFactory] = [door, *late]
            outcomes = {
                "answered": sum(each.answered for each in counters),
                "unanswered": sum(each.unanswered for each in counters),
            }
        elif isinstance(served, PolicyFileFactory):
            outcomes = {
                "answered": served.answered,
                "unanswered": served.unanswered,
                "refused": served.refused,
            }
        else:
            return None
        return outcomes

    @property
    def lobby(self) -> Lobby | None:
        """
        The rooms, if there are any.
        """
        return self._service.lobby

    @property
    def relay(self) -> IRelay | None:
        """
        The way to other nodes, if there is one.
        """
        return self._service.relay


def countsOf(relay: IRelay) -> dict[str, int]:
    """
    Get what a relay has counted, see L{RELAY_COUNTERS}.

    @param relay: a relay, whether it is up or not.
    @return: the counters by their names, since the relay was made.
    """
    return {name: getattr(relay, name) for name in RELAY_COUNTERS}
