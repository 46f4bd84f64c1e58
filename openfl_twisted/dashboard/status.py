"""
The state of a running server as plain values, for the metrics and the dashboard.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from openfl_twisted.addresses import describe
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.policyfile import PolicyFileFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.pubsub import IPubSub
from openfl_twisted.tls.identities import Identity
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.wire.dialects import DIALECTS, Dialect

if TYPE_CHECKING:
    # Importing them takes long, and most servers do not need them.
    from openfl_twisted.dashboard.measuring import Measurements
    from openfl_twisted.sessions._recorder import Recorder


class Monitored(Protocol):
    """
    The interface of a monitored service, such as
    L{openfl_twisted.services.serving.ServerService}.

    @ivar factory: the factory that guards all connections.
    @ivar lobby: the rooms, if any.
    @ivar pubSub: sends messages to other nodes, if any.
    """

    factory: GuardFactory
    lobby: Lobby | None
    pubSub: IPubSub | None


BROKER_COUNTERS = {
    "published": "Messages sent to the broker",
    "received": "Messages received from other nodes",
    "dropped": "Messages dropped before they were sent to the broker",
    "gaps": "Gaps in the messages of another node",
    "missed": "Messages missing in all gaps",
    "duplicates": "Messages dropped because they were duplicates or too late",
    "malformed": "Messages dropped because they were malformed",
    "refused": "Commands refused by the broker",
    "reconnects": "Reconnections to the broker",
}
"""
The counters of an L{IPubSub}, and their meanings.
"""


class ServerStatus:
    """
    The state of a service. Values are C{None} or missing for features that the service does
    not have.

    @ivar service: the service; its attributes are read each time a value is requested.
    """

    def __init__(self, service: Monitored) -> None:
        self.service = service

    @property
    def guard(self) -> GuardFactory:
        """
        The guard of the connections.
        """
        return self.service.factory

    @property
    def onePort(self) -> OnePortFactory | None:
        """
        The factory that detects the client type, if any.
        """
        wrapped = self.guard.wrappedFactory
        return wrapped if isinstance(wrapped, OnePortFactory) else None

    @property
    def name(self) -> str:
        """
        The name of the command; C{openfl-twisted} if the server is part of another program.
        """
        return getattr(self.service, "commandName", None) or "openfl-twisted"

    @property
    def ports(self) -> list[str]:
        """
        The addresses of the open ports, as text.
        """
        return [describe(host) for host in getattr(self.service, "hosts", [])]

    @property
    def isDraining(self) -> bool:
        """
        Whether the server will stop when its clients have disconnected.
        """
        return getattr(self.service, "isDraining", False)

    @property
    def identities(self) -> Sequence[Identity]:
        """
        The certificates in use for TLS.
        """
        certificates = getattr(self.service, "certificates", None)
        return [] if certificates is None else certificates.identities

    @property
    def recorder(self) -> "Recorder | None":
        """
        The recorder of the sessions, if any.
        """
        found: Recorder | None = getattr(self.service, "recorder", None)
        return found

    @property
    def measurements(self) -> "Measurements | None":
        """
        The measurements for the metrics, if any.
        """
        found: Measurements | None = getattr(self.service, "measurements", None)
        return found

    @property
    def dialect(self) -> Dialect:
        """
        The dialect of the clients.
        """
        found: Dialect = getattr(self.service, "dialect", DIALECTS["raw"])
        return found

    @property
    def served(self) -> Any:
        """
        The innermost wrapped factory.
        """
        factory: Any = self.guard
        while (inner := getattr(factory, "wrappedFactory", None)) is not None:
            factory = inner
        return factory

    @property
    def messages(self) -> tuple[int, int] | None:
        """
        Number of messages received and sent, if they are counted.
        """
        served = self.served
        if not hasattr(served, "messagesIn"):
            return None
        return served.messagesIn, served.messagesOut

    @property
    def refusals(self) -> dict[str, int]:
        """
        Number of connections refused, by limit.
        """
        onePort = self.onePort
        undetected = {} if onePort is None else {"undetected": onePort.refusals}
        return {**self.guard.refusals, **undetected}

    @property
    def cut(self) -> dict[str, int]:
        """
        Number of connections closed because of a limit, by the name of the limit; empty if the
        server does not count them.
        """
        return getattr(self.served, "cut", {})

    @property
    def foreign(self) -> dict[str, int]:
        """
        Number of connections closed because the client used another protocol, by protocol;
        empty if the server does not count them.
        """
        found = [getattr(each, "foreign", None) or {} for each in (self.onePort, self.served)]
        names = sorted({name for counted in found for name in counted})
        return {name: sum(counted.get(name, 0) for counted in found) for name in names}

    @property
    def policyRequests(self) -> dict[str, int] | None:
        """
        Number of policy requests by outcome, if the server answers any.
        """
        onePort, served = self.onePort, self.served
        if onePort is not None:
            # Policy requests after the protocol detection are answered by the wrapped factory.
            late = [served] if isinstance(served, XMLSocketFactory) else []
            counters: list[OnePortFactory | XMLSocketFactory] = [onePort, *late]
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


def brokerCounters(pubSub: IPubSub) -> dict[str, int]:
    """
    Return the L{BROKER_COUNTERS} of an L{IPubSub}.

    @param pubSub: the pub/sub object; it need not be connected to the broker.
    """
    return {name: getattr(pubSub, name) for name in BROKER_COUNTERS}
