"""
An in-memory network, to test clients and servers without sockets.

  - L{MemoryNetwork}: a network whose clock the test advances. Pass its C{reactor} to
    every parameter C{reactor} or C{clock} of this package and of Twisted.
  - L{connectedPair}: connects two protocols.
  - L{Attempts}: connection attempts, which a test can answer itself.
  - L{Flow}: one direction of a connection. A test can split, hold and drop the data, and stall
    the reader.
  - L{Datagrams}: the datagrams in flight. A test can drop, hold and reorder them.
  - L{Peer}: the other end of a connection, controlled by the test.
  - L{ScriptedPeer}: the other end of a connection, controlled by a script, such as the scripts
    in Ruffle's tests.
  - L{replay}: plays recorded sessions against a server or a client under test.
  - L{CertificateMaker}: certificates for every certificate status.
  - L{EventRecorder}: records the events of a socket.

Failures are C{AssertionError}s; no test framework is needed. Fixtures for pytest are in
L{openfl_twisted.pytestplugin}. All names that tests need are exported by this package; its
modules are internal.
"""

from openfl_twisted.testing._attempts import Attempt, Attempts
from openfl_twisted.testing._certificates import STATUSES, CertificateMaker, Credentials
from openfl_twisted.testing._datagrams import Datagram, Datagrams
from openfl_twisted.testing._flow import EVERY_BYTE, Flow, MemoryConnection, atOffsets
from openfl_twisted.testing._network import MemoryNetwork
from openfl_twisted.testing._peers import ConnectedPair, Peer, ScriptedPeer, connectedPair
from openfl_twisted.testing._reactor import MemoryReactor
from openfl_twisted.testing._recorder import EventRecorder
from openfl_twisted.testing._replay import replay

__all__ = [
    "EVERY_BYTE",
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
    "atOffsets",
    "connectedPair",
    "replay",
]
