"""
Snapshots of connections, for metrics and the dashboard.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.interfaces import ISSLTransport
from twisted.protocols.tls import TLSMemoryBIOProtocol

from openfl_twisted.addresses import describe
from openfl_twisted.transports import connection as connections

PLAIN = "plain"
"""
A client that uses TCP or a UNIX socket directly.
"""

WEBSOCKET = "websocket"
"""
A WebSocket client.
"""

POLICY = "policy"
"""
A client that requests the policy file.
"""

UNDETECTED = "undetected"
"""
A client that protocol detection has not recognized yet.
"""

_IN_TLS = {PLAIN: "tls", WEBSOCKET: "websocket in tls"}

CLIENT_TYPES = (PLAIN, WEBSOCKET, *_IN_TLS.values(), POLICY, UNDETECTED)
"""
All client types. In TLS, they have other names, see L{inTLS}.
"""


def inTLS(kind: str) -> str:
    """
    Return the name of a client type in TLS.

    @param kind: one of L{CLIENT_TYPES}, as detected inside TLS. A type without a name
        of its own in TLS keeps its name.
    """
    return _IN_TLS.get(kind, kind)


class Counted(Protocol):
    """
    Counts its traffic.
    """

    @property
    def bytesIn(self) -> int:
        """
        Number of bytes received.
        """

    @property
    def bytesOut(self) -> int:
        """
        Number of bytes sent.
        """


class CountedConnection(Counted, Protocol):
    """
    A connection that is counted; see
    L{openfl_twisted.transports.guard.GuardedConnection}.

    @ivar id: its number; no other connection of the same guard has it.
    @ivar since: when it was opened, in seconds by the guard's clock.
    """

    id: int
    since: float

    @property
    def kind(self) -> str:
        """
        The client type, one of L{CLIENT_TYPES}.
        """

    @property
    def top(self) -> connections.Connection:
        """
        The connection that the application has.
        """


@dataclass
class Traffic:
    """
    The number of bytes received and sent.

    @ivar bytesIn: number of bytes received.
    @ivar bytesOut: number of bytes sent.
    """

    bytesIn: int = 0
    bytesOut: int = 0

    def add(self, counted: Counted) -> None:
        """
        Add the traffic of a connection.

        @param counted: the connection, or other traffic.
        """
        self.bytesIn += counted.bytesIn
        self.bytesOut += counted.bytesOut


@dataclass(frozen=True)
class ConnectionInfo:
    """
    A snapshot of a connection.

    @ivar id: the number of the connection.
    @ivar address: the address of the peer, as text.
    @ivar kind: the client type, one of L{CLIENT_TYPES}.
    @ivar age: time since it was opened (seconds).
    @ivar bytesIn: number of bytes received.
    @ivar bytesOut: number of bytes sent.
    @ivar waiting: length of the send queue (bytes).
    @ivar labels: names by which operators know it, such as those of its room and of
        its member.
    """

    id: int
    address: str
    kind: str
    age: float
    bytesIn: int
    bytesOut: int
    waiting: int
    labels: Mapping[str, str]


def kindOf(connection: Any) -> str:
    """
    Find out the type of the client of a connection.

    @param connection: a L{Connection<openfl_twisted.transports.connection.Connection>}.
    @return: one of L{CLIENT_TYPES}.
    """
    above = connection.protocol
    if isinstance(above, TLSMemoryBIOProtocol) and isinstance(
        above.wrappedProtocol, connections.Connection
    ):
        return inTLS(kindOf(above.wrappedProtocol))
    kind = connection.clientType or PLAIN
    return inTLS(kind) if ISSLTransport.providedBy(connection) else kind


def describeConnection(connection: CountedConnection, now: float) -> ConnectionInfo:
    """
    Describe the client of a connection.

    @param connection: the record that the guard has of it.
    @param now: the time, by the same clock as C{connection.since}.
    @return: the description.
    """
    top = connection.top
    return ConnectionInfo(
        id=connection.id,
        address=describe(top.getPeer()),
        kind=connection.kind,
        age=now - connection.since,
        bytesIn=connection.bytesIn,
        bytesOut=connection.bytesOut,
        waiting=top.pending,
        labels={} if top.owner is None else top.owner.labels,
    )
