"""
Descriptions of connections, for metrics and the dashboard.
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

HTTP = "http"
"""
A client that sends HTTP requests that do not open a WebSocket, with or without TLS.
"""

POLICY = "policy"
"""
A client that requests the policy file.
"""

UNDETECTED = "undetected"
"""
A client whose type is not detected yet.
"""

_IN_TLS = {PLAIN: "tls", WEBSOCKET: "websocket in tls"}

CLIENT_TYPES = (PLAIN, WEBSOCKET, *_IN_TLS.values(), HTTP, POLICY, UNDETECTED)
"""
All client types, including the client types inside TLS, see L{inTLS}.
"""


def inTLS(kind: str) -> str:
    """
    Convert a client type that was detected inside TLS to the client type that is reported.

    @param kind: one of L{CLIENT_TYPES}.
    @return: the corresponding client type with TLS; C{kind} if there is no such type.
    """
    return _IN_TLS.get(kind, kind)


class Counted(Protocol):
    """
    An object that counts its traffic.
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


class _CountedConnection(Counted, Protocol):
    """
    The guard's record of a connection, see
    L{GuardedConnection<openfl_twisted.transports.guard.GuardedConnection>}.

    @ivar id: number of the connection, unique in the guard.
    @ivar since: when the connection was opened (seconds, by the guard's clock).
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
        The connection that the application uses.
        """


@dataclass
class Traffic:
    """
    Number of bytes received and sent.

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
    A description of a connection at one point in time.

    @ivar id: number of the connection.
    @ivar address: address of the peer, as text.
    @ivar kind: client type, one of L{CLIENT_TYPES}.
    @ivar age: time since the connection was opened (seconds).
    @ivar bytesIn: number of bytes received.
    @ivar bytesOut: number of bytes sent.
    @ivar waiting: length of the send queue (bytes).
    @ivar pingTime: see L{Connection.pingTime
        <openfl_twisted.transports.connection.Connection.pingTime>}.
    @ivar labels: labels that identify the client on the dashboard, such as its room and
        member name.
    """

    id: int
    address: str
    kind: str
    age: float
    bytesIn: int
    bytesOut: int
    waiting: int
    pingTime: float | None
    labels: Mapping[str, str]


def kindOf(connection: Any, detected: str | None = None) -> str:
    """
    Return the client type of a connection.

    @param connection: a L{Connection<openfl_twisted.transports.connection.Connection>}.
    @param detected: the client type that was just detected, possibly inside TLS (default: the
        attribute C{clientType} of the connection).
    @return: one of L{CLIENT_TYPES}.
    """
    above = connection.protocol
    if isinstance(above, TLSMemoryBIOProtocol) and isinstance(
        above.wrappedProtocol, connections.Connection
    ):
        return inTLS(kindOf(above.wrappedProtocol, detected))
    # Without protocol detection, a factory can still create WebSockets.
    kind = (
        detected
        or connection.clientType
        or (WEBSOCKET if connection.top.preservesMessages else PLAIN)
    )
    return inTLS(kind) if ISSLTransport.providedBy(connection) else kind


def describeConnection(connection: _CountedConnection, now: float) -> ConnectionInfo:
    """
    Return the description of a connection.

    @param connection: the guard's record of the connection.
    @param now: the current time, from the same clock as C{connection.since}.
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
        pingTime=top.pingTime,
        labels={} if top.owner is None else top.owner.labels,
    )
