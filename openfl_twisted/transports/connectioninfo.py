"""
Who is connected, in plain values: for metrics, and for people who look.
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
A caller on TCP, or a UNIX socket, as it is.
"""

WEBSOCKET = "websocket"
"""
One in a WebSocket.
"""

POLICY = "policy"
"""
One that asks for the policy file.
"""

UNDETECTED = "undetected"
"""
One of whom it is not known yet.
"""

_IN_TLS = {PLAIN: "tls", WEBSOCKET: "websocket in tls"}

CLIENT_TYPES = (PLAIN, WEBSOCKET, *_IN_TLS.values(), POLICY, UNDETECTED)
"""
Who can be calling. Those who speak TLS are kinds of their own, see L{inTLS}.
"""


def inTLS(kind: str) -> str:
    """
    Name a kind of caller that speaks TLS.

    @param kind: one of L{CLIENT_TYPES}, as it is inside TLS; one that has no name of
        its own in TLS keeps its name.
    """
    return _IN_TLS.get(kind, kind)


class Counted(Protocol):
    """
    What counts its traffic.
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
        Who is calling, one of L{CLIENT_TYPES}.
        """

    @property
    def top(self) -> connections.Connection:
        """
        The connection that the application has.
        """


@dataclass
class Traffic:
    """
    What has been received and sent.

    @ivar bytesIn: how many bytes have come.
    @ivar bytesOut: how many bytes have been sent.
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
    What is known of somebody who is connected, at one moment.

    @ivar id: the number of the connection.
    @ivar address: where it comes from, for people.
    @ivar kind: how it speaks, see L{CLIENT_TYPES}.
    @ivar age: for how many seconds it is connected.
    @ivar bytesIn: how many bytes have come from it.
    @ivar bytesOut: how many bytes have been sent to it.
    @ivar waiting: how many bytes wait for it, since it does not read.
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
