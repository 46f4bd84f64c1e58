"""
Tests for L{openfl_twisted.testing._network}.
"""

import errno
from typing import Any

from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint
from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from openfl_twisted.testing import MemoryNetwork, Peer


class NetworkTestCase(SynchronousTestCase):
    """
    Base class: a network in memory.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.reactor = self.network.reactor
        self.factory = Factory.forProtocol(Peer)
        self.factory.noisy = False

    def connect(self, host: str, port: int = 80, **options: Any) -> Deferred[Any]:
        """
        Start to connect to an address.
        """
        endpoint = TCP4ClientEndpoint(self.reactor, host, port, **options)
        return endpoint.connect(self.factory)

    def listen(self, port: int = 80, interface: str = "127.0.0.1", **options: Any) -> Any:
        """
        Listen on an address.
        """
        return self.reactor.listenTCP(port, self.factory, interface=interface, **options)


class ClockTests(NetworkTestCase):
    """
    The test controls iterations and clock.
    """

    def test_still(self) -> None:
        """
        Nothing happens before the test runs an iteration.
        """
        self.listen()
        waiting = self.connect("127.0.0.1")
        self.assertNoResult(waiting)
        self.assertEqual(self.network.seconds(), 0)
        self.network.flush()
        self.successResultOf(waiting)
        self.assertEqual(self.network.seconds(), 0)

    def test_advance(self) -> None:
        """
        Calls run at their times, including calls that they schedule.
        """
        seen: list[Any] = []
        self.reactor.callLater(2, lambda: seen.append(("two", self.network.seconds())))

        def one() -> None:
            seen.append(("one", self.network.seconds()))
            self.reactor.callLater(0.5, lambda: seen.append(("half", self.network.seconds())))

        self.reactor.callLater(1, one)
        self.network.advance(3)
        self.assertEqual(seen, [("one", 1), ("half", 1.5), ("two", 2)])
        self.assertEqual(self.network.seconds(), 3)

    def test_reactorAdvance(self) -> None:
        """
        The reactor has the methods of C{Clock}.
        """
        called: list[int] = []
        self.reactor.callLater(1, called.append, 1)
        self.reactor.advance(0.5)
        self.assertEqual(called, [])
        self.reactor.pump([0.25, 0.25])
        self.assertEqual(called, [1])
        self.reactor.iterate(1)
        self.assertEqual(self.network.seconds(), 2)

    def test_step(self) -> None:
        """
        An iteration runs only the calls that were scheduled before.
        """
        seen: list[str] = []

        def one() -> None:
            seen.append("one")
            self.reactor.callLater(0, seen.append, "two")
            never.cancel()
            later.delay(1)

        self.reactor.callLater(0, one)
        never = self.reactor.callLater(0, seen.append, "never")
        later = self.reactor.callLater(0, seen.append, "later")
        self.network.step()
        self.assertEqual(seen, ["one"])
        self.network.step()
        self.assertEqual(seen, ["one", "two"])
        self.network.advance(1)
        self.assertEqual(seen, ["one", "two", "later"])

    def test_restless(self) -> None:
        """
        A program that never becomes idle is an error.
        """
        self.network.reactor.maxIterations = 1000
        turns: list[None] = []

        def again() -> None:
            turns.append(None)
            self.reactor.callLater(0, again)

        again()
        with self.assertRaises(AssertionError) as caught:
            self.network.flush()
        self.assertIn("did not become idle", str(caught.exception))
        self.assertEqual(len(turns), 1001)


class RunTests(NetworkTestCase):
    """
    L{MemoryNetwork.run} waits for a result.
    """

    def test_result(self) -> None:
        """
        The clock advances as far as needed.
        """
        self.assertEqual(self.network.run(deferLater(self.reactor, 5, lambda: "done")), "done")
        self.assertEqual(self.network.seconds(), 5)

    def test_coroutine(self) -> None:
        """
        A coroutine can be awaited.
        """

        async def talk() -> int:
            await deferLater(self.reactor, 1)
            await deferLater(self.reactor, 2)
            return 42

        self.assertEqual(self.network.run(talk()), 42)
        self.assertEqual(self.network.seconds(), 3)

    def test_failure(self) -> None:
        """
        An exception is raised.
        """

        async def fail() -> None:
            await deferLater(self.reactor, 1)
            raise ValueError("wrong")

        with self.assertRaises(ValueError):
            self.network.run(fail())

    def test_never(self) -> None:
        """
        If nothing more will happen, the result is cancelled with an error.
        """
        cancelled: list[Deferred[None]] = []
        waiting: Deferred[None] = Deferred(cancelled.append)
        with self.assertRaises(AssertionError) as caught:
            self.network.run(waiting)
        self.assertIn("nothing more will happen on the network", str(caught.exception))
        self.assertEqual(cancelled, [waiting])

    def test_restless(self) -> None:
        """
        A program that never becomes idle is an error.
        """
        self.network.reactor.maxIterations = 1000

        async def again() -> None:
            while True:
                await deferLater(self.reactor, 0)

        with self.assertRaises(AssertionError) as caught:
            self.network.run(again())
        self.assertIn("did not become idle", str(caught.exception))

    def test_timeout(self) -> None:
        """
        A timeout is an error.
        """
        waiting = deferLater(self.reactor, 11, lambda: None)
        with self.assertRaises(AssertionError) as caught:
            self.network.run(waiting, timeout=10)
        self.assertIn("within 10 seconds", str(caught.exception))

    def test_check(self) -> None:
        """
        An exception in a call is logged, and other calls run; C{check} raises it.
        """
        called: list[int] = []

        def fail() -> None:
            raise ValueError("wrong")

        self.reactor.callLater(0, fail)
        self.reactor.callLater(0, called.append, 1)
        self.network.check()
        self.network.flush()
        self.assertEqual(called, [1])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        with self.assertRaises(ValueError):
            self.network.check()

    def test_faultyProtocol(self) -> None:
        """
        An exception in a protocol is logged, and closes the connection.
        """

        class Faulty(Peer):
            def dataReceived(self, data: bytes) -> None:
                raise ValueError("wrong")

        server = Faulty()
        self.reactor.listenTCP(80, Factory.forProtocol(lambda: server), interface="127.0.0.1")
        client = self.network.run(self.connect("127.0.0.1"))
        client.send(b"a")
        self.network.flush()
        self.assertIsInstance(server.reason, ValueError)
        self.assertTrue(client.closed)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(len(self.reactor.failures), 1)

    def test_flushErrors(self) -> None:
        """
        A test takes the exceptions that it expects; C{check} raises the others.
        """

        def fail(problem: Exception) -> None:
            raise problem

        for problem in (ValueError("a"), KeyError("b"), TypeError("c")):
            self.reactor.callLater(0, fail, problem)
        self.network.flush()
        self.assertEqual(len(self.flushLoggedErrors()), 3)
        taken = self.network.flushErrors(KeyError, ValueError)
        self.assertEqual([each.type for each in taken], [ValueError, KeyError])
        with self.assertRaises(TypeError):
            self.network.check()
        self.assertEqual([each.type for each in self.network.flushErrors()], [TypeError])
        self.network.check()


class AddressTests(NetworkTestCase):
    """
    The machine has addresses, ports and names.
    """

    def test_connections(self) -> None:
        """
        Both sides know both addresses.
        """
        server = Peer()
        listening = Factory.forProtocol(lambda: server)
        port: Any = self.reactor.listenTCP(0, listening, interface="127.0.0.1")
        client = self.network.run(self.connect("127.0.0.1", port.getHost().port))
        self.assertEqual(len(self.network.connections), 1)
        self.assertEqual(client.transport.getPeer(), port.getHost())
        self.assertEqual(client.transport.getHost().host, "127.0.0.1")
        self.assertEqual(server.transport.getPeer(), client.transport.getHost())
        self.assertEqual(server.transport.getHost(), port.getHost())

    def test_names(self) -> None:
        """
        A host name resolves to its addresses after the lookup time; unknown names
        do not resolve.
        """
        self.network.addHost("games.example", "192.0.2.1")
        self.network.lookupTime = 0.5
        self.listen(80, "192.0.2.1")
        endpoint = HostnameEndpoint(self.reactor, b"games.example", 80)
        client: Any = self.network.run(endpoint.connect(self.factory))
        self.assertEqual(client.transport.getPeer().host, "192.0.2.1")
        self.assertEqual(client.transport.getHost().host, "192.0.2.1")
        self.assertEqual(self.network.seconds(), 0.5)
        with self.assertRaises(error.DNSLookupError):
            self.network.run(
                HostnameEndpoint(self.reactor, b"other.example", 80).connect(self.factory)
            )

    def test_resolve(self) -> None:
        """
        C{reactor.resolve} works too.
        """
        self.assertEqual(self.network.run(self.reactor.resolve("localhost")), "127.0.0.1")
        self.assertEqual(self.network.run(self.reactor.resolve("192.0.2.1")), "192.0.2.1")
        with self.assertRaises(error.DNSLookupError):
            self.network.run(self.reactor.resolve("other.example"))

    def test_lookupGivenUp(self) -> None:
        """
        A cancelled lookup has no result.
        """
        self.network.lookupTime = 5
        heard: list[str] = []

        @implementer(IResolutionReceiver)
        class Receiver:
            def resolutionBegan(self, resolution: IHostResolution) -> None:
                heard.append(resolution.name)
                self.resolution = resolution

            def addressResolved(self, address: IAddress) -> None:
                heard.append("address")

            def resolutionComplete(self) -> None:
                heard.append("complete")

        receiver = Receiver()
        self.reactor.nameResolver.resolveHostName(receiver, "localhost")
        self.network.advance(1)
        receiver.resolution.cancel()
        self.network.advance(10)
        self.assertEqual(heard, ["localhost"])

    def test_lookupKinds(self) -> None:
        """
        A lookup can be limited to IPv4 or IPv6.
        """
        self.network.addHost("both.example", "::1", "127.0.0.1")
        found: list[Any] = []

        @implementer(IResolutionReceiver)
        class Receiver:
            def resolutionBegan(self, resolution: IHostResolution) -> None:
                pass

            def addressResolved(self, address: IAddress) -> None:
                found.append(address)

            def resolutionComplete(self) -> None:
                found.append(None)

        resolve = self.reactor.nameResolver.resolveHostName
        for kinds in (None, [IPv4Address], [IPv6Address]):
            resolve(Receiver(), "both.example", 80, addressTypes=kinds)
        self.network.flush()
        four, six = IPv4Address("TCP", "127.0.0.1", 80), IPv6Address("TCP", "::1", 80)
        self.assertEqual(found, [six, four, None, four, None, six, None])

    def test_ipv6(self) -> None:
        """
        IPv6 has separate ports.
        """
        self.listen(80, "::1")
        with self.assertRaises(error.ConnectionRefusedError):
            self.network.run(self.connect("127.0.0.1"))
        self.network.addHost("six.example", "::1")
        endpoint = HostnameEndpoint(self.reactor, b"six.example", 80)
        client: Any = self.network.run(endpoint.connect(self.factory))
        self.assertEqual(client.transport.getPeer().host, "::1")

    def test_everywhere(self) -> None:
        """
        A server on all addresses is reachable at each; a server on one address
        precedes it there.
        """
        every, single = Peer(), Peer()
        self.reactor.listenTCP(80, Factory.forProtocol(lambda: every))
        self.network.run(self.connect("127.0.0.2"))
        self.assertTrue(every.connected)
        port = self.reactor.listenTCP(
            81, Factory.forProtocol(lambda: single), interface="127.0.0.3"
        )
        self.listen(81, "127.0.0.4")
        with self.assertRaises(error.ConnectionRefusedError):
            self.network.run(self.connect("127.0.0.2", 81))
        self.network.run(self.connect("127.0.0.3", 81))
        self.assertTrue(single.connected)
        self.network.run(port.stopListening())
        with self.assertRaises(error.ConnectionRefusedError):
            self.network.run(self.connect("127.0.0.3", 81))

    def test_anyAddressIsThisMachine(self) -> None:
        """
        Connecting to C{0.0.0.0} connects to the loopback interface, as on Linux.
        """
        self.listen()
        client = self.network.run(self.connect("0.0.0.0"))
        self.assertEqual(client.transport.getHost().host, "127.0.0.1")

    def test_taken(self) -> None:
        """
        A port has one server, and a foreign address cannot be used.
        """
        self.listen()
        for interface in ("127.0.0.1", ""):
            with self.assertRaises(error.CannotListenError) as caught:
                self.listen(80, interface)
            self.assertEqual(caught.exception.socketError.errno, errno.EADDRINUSE)
        with self.assertRaises(error.CannotListenError) as caught:
            self.listen(81, "192.0.2.1")
        self.assertEqual(caught.exception.socketError.errno, errno.EADDRNOTAVAIL)

    def test_chosenPorts(self) -> None:
        """
        Port 0 selects a free dynamic port.
        """
        first = self.listen(0).getHost().port
        second = self.listen(0).getHost().port
        self.assertEqual((first, second), (49152, 49153))
        self.listen(49154)
        self.assertEqual(self.listen(0).getHost().port, 49155)
        self.reactor.kernel.ports._next = 65535
        self.assertEqual(self.listen(0).getHost().port, 65535)
        self.assertEqual(self.listen(0).getHost().port, 49156)

    def test_bindAddress(self) -> None:
        """
        A client can bind to an address.
        """
        self.listen()
        client = self.network.run(self.connect("127.0.0.1", bindAddress=("127.0.0.9", 4000)))
        self.assertEqual(client.transport.getHost().host, "127.0.0.9")
        self.assertEqual(client.transport.getHost().port, 4000)
        with self.assertRaises(error.ConnectBindError):
            self.network.run(self.connect("127.0.0.1", bindAddress=("127.0.0.9", 4000)))
        other = self.network.run(self.connect("127.0.0.1", bindAddress=("", 4001)))
        self.assertEqual(other.transport.getHost().host, "127.0.0.1")

    def test_latency(self) -> None:
        """
        Connecting takes twice the latency, a refusal too.
        """
        self.listen()
        self.network.latency = 0.5
        self.network.run(self.connect("127.0.0.1"))
        self.assertEqual(self.network.seconds(), 1)
        with self.assertRaises(error.ConnectionRefusedError):
            self.network.run(self.connect("127.0.0.1", 81))
        self.assertEqual(self.network.seconds(), 2)


class FaultTests(NetworkTestCase):
    """
    A test injects faults.
    """

    def assertFails(self, kind: type[Exception], host: str = "127.0.0.1", port: int = 80) -> None:
        """
        The connection attempt fails.
        """
        with self.assertRaises(kind):
            self.network.run(self.connect(host, port, timeout=7))

    def test_nobody(self) -> None:
        """
        Attempts to a port without a server are refused; an unknown address is
        unreachable.
        """
        self.assertFails(error.ConnectionRefusedError)
        self.assertFails(error.NoRouteError, "192.0.2.1")

    def test_faults(self) -> None:
        """
        Addresses can refuse connections, be unreachable, and drop packets, until
        they are restored.
        """
        self.listen()
        self.listen(81)
        for fault, kind in [
            (self.network.refuse, error.ConnectionRefusedError),
            (self.network.makeUnreachable, error.NoRouteError),
            (self.network.blackhole, error.TimeoutError),
        ]:
            fault("127.0.0.1", 80)
            self.assertFails(kind)
            self.network.run(self.connect("127.0.0.1", 81))
            self.network.restore("127.0.0.1", 80)
            fault("127.0.0.1")
            self.assertFails(kind, port=81)
            self.network.restore("127.0.0.1")
            self.network.run(self.connect("127.0.0.1"))
        self.assertEqual(self.network.seconds(), 14)

    def test_givenUp(self) -> None:
        """
        A cancelled attempt never arrives.
        """
        self.listen()
        self.network.latency = 1
        waiting = self.connect("127.0.0.1")
        self.network.advance(0.5)
        waiting.cancel()
        self.failureResultOf(waiting)
        self.network.advance(5)
        self.assertEqual(self.network.connections, [])

    def test_backlog(self) -> None:
        """
        Attempts beyond the backlog wait; cancelled ones are removed; waiting ones
        are refused when the server stops.
        """
        port = self.listen(backlog=0)
        port.stopReading()
        waiting = [self.connect("127.0.0.1") for _ in range(4)]
        self.network.flush()
        self.assertEqual([each.called for each in waiting], [True, False, False, False])
        waiting[1].cancel()
        self.failureResultOf(waiting[1])
        port.startReading()
        self.network.flush()
        self.assertEqual([each.called for each in waiting], [True] * 4)
        port.stopReading()
        first, second = self.connect("127.0.0.1"), self.connect("127.0.0.1")
        self.network.flush()
        client = self.successResultOf(first)
        self.network.run(port.stopListening())
        self.network.flush()
        self.failureResultOf(second, error.ConnectionRefusedError)
        self.assertTrue(client.closed)
