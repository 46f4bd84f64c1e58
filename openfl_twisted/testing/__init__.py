"""
Networks in memory, to test clients and servers without a socket.

  - L{MemoryNetwork}: a network and a clock that the test moves. Its C{reactor}
    is for every parameter C{reactor} and C{clock} of this package and of
    Twisted.
  - L{connectedPair}: two protocols with a connection between them.
  - L{Attempts}: who wants to connect; a test can answer each one by hand.
  - L{Flow}: one direction of a connection: cut it, hold it, drop it, stall its
    reader.
  - L{Datagrams}: those on their way; lose some, or have them arrive in another order.
  - L{Peer}: the other end of a connection, for a test that is it itself.
  - L{ScriptedPeer}: expects these bytes and sends those; it reads the scripts of
    Ruffle's tests too.
  - L{CertificateMaker}: TLS with every status of a certificate.
  - L{EventRecorder}: remembers the events of a socket.

Failures are C{AssertionError}s with a text; nothing of a test framework is
needed. Where pytest is, there are the fixtures of L{openfl_twisted.pytestplugin}.
"""

from openfl_twisted.testing.attempts import Attempt, Attempts
from openfl_twisted.testing.certificates import STATUSES, CertificateMaker, Credentials
from openfl_twisted.testing.connection import MemoryConnection
from openfl_twisted.testing.datagrams import Datagram, Datagrams
from openfl_twisted.testing.flow import Flow, cutAt, everyByte
from openfl_twisted.testing.memoryreactor import MemoryReactor
from openfl_twisted.testing.network import MemoryNetwork
from openfl_twisted.testing.pairs import ConnectedPair, connectedPair
from openfl_twisted.testing.peer import Peer
from openfl_twisted.testing.recorder import EventRecorder
from openfl_twisted.testing.scriptedpeer import ScriptedPeer

__all__ = [
    "STATUSES",
    "Attempt",
    "Attempts",
    "CertificateMaker",
    "ConnectedPair",
    "Credentials",
    "Datagram",
    "Datagrams",
    "EventRecorder",
    "Flow",
    "MemoryConnection",
    "MemoryNetwork",
    "MemoryReactor",
    "Peer",
    "ScriptedPeer",
    "connectedPair",
    "cutAt",
    "everyByte",
]
