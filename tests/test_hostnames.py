"""
Tests for L{openfl_twisted.hostnames}.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import error
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.events import Event, IOErrorEvent
from openfl_twisted.hostnames import _RenamingReactor, hostEndpoint
from openfl_twisted.net import SecureSocket, Socket, XMLSocket
from openfl_twisted.testing import EventRecorder
from tests.net.network import Network

FACTORY = Factory.forProtocol(Protocol)

UNUSUAL = {
    # The host that a program connects to, and the name that is looked up.
    "my_service": "my_service",
    "My_Service.": "my_service",
    "_dns.example": "_dns.example",
    "db_1.my_project.example": "db_1.my_project.example",
    "r3---sn-4g5e.example": "r3---sn-4g5e.example",
    "B\xdcCHER.example": "xn--bcher-kva.example",
    "\N{HOT BEVERAGE}.example": "xn--53h.example",
}

IMPOSSIBLE = ["", ".", "a b", "a..b", "-a", "a" * 64, "*.example", "a/b", "a:b", "1.2.3.4%a", "\0"]


class NameTests(SynchronousTestCase):
    """
    Host names of all types.
    """

    def setUp(self) -> None:
        self.network = Network()
        self.network.addHost("games.example", "10.0.0.1")
        for name in UNUSUAL.values():
            self.network.addHost(name, "10.0.0.1")

    def dialled(self, make: Any, host: str) -> tuple[str, int]:
        """
        Connect a socket to a host.

        @return: the address and port to which it connects.
        """
        make(reactor=self.network.reactor).connect(host, 9)
        return self.network.dialled[-1]

    def test_names(self) -> None:
        """
        All sockets connect to host names with underscores, or that are otherwise
        invalid in IDNA 2008.
        """
        for make in (Socket, XMLSocket, SecureSocket):
            for host in ("games.example", *UNUSUAL):
                self.assertEqual(self.dialled(make, host), ("10.0.0.1", 9), host)

    def test_connected(self) -> None:
        """
        A socket connects to such a host.
        """
        socket = Socket(reactor=self.network.reactor)
        recorder = EventRecorder(socket)
        socket.connect("my_service", 9)
        self.network.answer()
        self.assertEqual([event.type for event in recorder.events], [Event.CONNECT])

    def test_unknown(self) -> None:
        """
        The error for an unknown host names it.
        """
        for name in ("other.example", "other_service"):
            connecting = hostEndpoint(self.network.reactor, name, 9, 1).connect(FACTORY)
            self.network.flush()
            failure = self.failureResultOf(connecting, error.DNSLookupError)
            self.assertIn(name, str(failure.value))

    def test_refused(self) -> None:
        """
        The attempt fails with the reason of the connection.
        """
        connecting = hostEndpoint(self.network.reactor, "my_service", 9, 20).connect(FACTORY)
        self.network.turnAway()
        # Until then the endpoint could find another address.
        self.network.advance(1)
        self.failureResultOf(connecting, error.ConnectionRefusedError)

    def test_installed(self) -> None:
        """
        The reactor's resolver can still be replaced.
        """
        reactor = MemoryReactorClock()
        renaming = _RenamingReactor(reactor, "my_service")
        previous, other = reactor.nameResolver, self.network.reactor.nameResolver
        self.assertIs(renaming.installNameResolver(other), previous)
        self.assertIs(reactor.nameResolver, other)

    def test_impossible(self) -> None:
        """
        Text that cannot be a host name is an C{ioError} #2031, which names it.
        """
        for host in IMPOSSIBLE:
            connecting = hostEndpoint(self.network.reactor, host, 9, 1).connect(FACTORY)
            failure = self.failureResultOf(connecting, ValueError)
            self.assertIn(f"{host!r} is not a host name: each label must be", str(failure.value))
        for make in (Socket, XMLSocket, SecureSocket):
            socket = make(reactor=self.network.reactor)
            recorder = EventRecorder(socket)
            socket.connect("a b", 9)
            self.network.flush()
            [event] = recorder.events
            assert isinstance(event, IOErrorEvent)
            self.assertEqual((event.type, event.errorID), (IOErrorEvent.IO_ERROR, 2031))
        self.assertEqual(self.network.dialled, [])

    def test_cancelled(self) -> None:
        """
        An attempt can be cancelled during the name lookup.
        """
        self.network.lookupTime = 5.0
        connecting = hostEndpoint(self.network.reactor, "my_service", 9, 1).connect(FACTORY)
        connecting.cancel()
        self.network.flush()
        self.failureResultOf(connecting)
        self.assertEqual(self.network.dialled, [])

    @given(st.text(max_size=300))
    def test_everyText(self, host: str) -> None:
        """
        L{hostEndpoint} accepts any text.
        """
        hostEndpoint(MemoryReactorClock(), host, 9, 1)
