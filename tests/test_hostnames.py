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
from openfl_twisted.hostnames import hostEndpoint
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
        The attempt fails with the reason of the connection, without a delay.
        """
        connecting = hostEndpoint(self.network.reactor, "my_service", 9, 20).connect(FACTORY)
        self.network.turnAway()
        self.network.flush()
        self.failureResultOf(connecting, error.ConnectionRefusedError)

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

    def addresses(self) -> list[str]:
        """
        Return the addresses of all connection attempts.
        """
        return [host for host, port in self.network.dialled]

    def test_nextAddress(self) -> None:
        """
        When an attempt has failed, the next address is tried immediately. The last failure is
        the result.
        """
        self.network.addHost("games.example", "::9", "10.0.0.1")
        connecting = hostEndpoint(self.network.reactor, "games.example", 9, 20).connect(FACTORY)
        self.assertEqual(self.addresses(), ["::9"])
        self.network.turnAway()
        self.assertEqual(self.addresses(), ["::9", "10.0.0.1"])
        self.assertNoResult(connecting)
        self.network.turnAway()
        self.network.flush()
        self.failureResultOf(connecting, error.ConnectionRefusedError)
        self.assertEqual(self.network.reactor.getDelayedCalls(), [])

    def test_slowAddress(self) -> None:
        """
        The next address is also tried after 0.3 seconds. The first answer counts, and the
        other attempts are cancelled.
        """
        self.network.addHost("games.example", "::9", "10.0.0.1", "10.0.0.2")
        connecting = hostEndpoint(self.network.reactor, "games.example", 9, 20).connect(FACTORY)
        self.network.advance(0.29)
        self.assertEqual(self.addresses(), ["::9"])
        self.network.advance(0.02)
        self.assertEqual(self.addresses(), ["::9", "10.0.0.1"])
        self.network.answer()
        self.network.flush()
        self.successResultOf(connecting)
        self.network.advance(30)
        self.assertEqual(self.addresses(), ["::9", "10.0.0.1"])
        self.assertEqual(self.network.reactor.getDelayedCalls(), [])

    def test_manyAddresses(self) -> None:
        """
        At most 16 addresses are tried.
        """
        addresses = [f"10.0.0.{number}" for number in range(1, 50)]
        self.network.addHost("games.example", *addresses)
        connecting = hostEndpoint(self.network.reactor, "games.example", 9, 20).connect(FACTORY)
        self.network.advance(19)
        self.assertEqual(self.addresses(), addresses[:16])
        self.network.advance(30)
        self.failureResultOf(connecting, error.TimeoutError)

    def test_slowAndRefused(self) -> None:
        """
        After the last address has failed, an attempt in progress can still succeed.
        """
        self.network.addHost("games.example", "::9", "10.0.0.1")
        connecting = hostEndpoint(self.network.reactor, "games.example", 9, 20).connect(FACTORY)
        self.network.advance(0.3)
        self.network.turnAway()
        self.network.flush()
        self.assertNoResult(connecting)
        self.network.attempts.made[0].answer(FACTORY)
        self.network.flush()
        self.successResultOf(connecting)

    def test_cancelledLater(self) -> None:
        """
        Cancelling also cancels the attempts in progress and the next ones.
        """
        self.network.addHost("games.example", "::9", "10.0.0.1")
        connecting = hostEndpoint(self.network.reactor, "games.example", 9, 20).connect(FACTORY)
        self.network.flush()
        connecting.cancel()
        self.failureResultOf(connecting, error.ConnectingCancelledError)
        self.network.advance(1)
        self.assertEqual(self.addresses(), ["::9"])
        self.assertEqual(self.network.reactor.getDelayedCalls(), [])

    @given(st.text(max_size=300))
    def test_everyText(self, host: str) -> None:
        """
        L{hostEndpoint} accepts any text.
        """
        hostEndpoint(MemoryReactorClock(), host, 9, 1)
