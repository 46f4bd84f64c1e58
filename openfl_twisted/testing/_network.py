"""
An in-memory network with its own clock.
"""

import errno
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, NoReturn, Self, TypeVar

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from openfl_twisted.clocks import guardReactor
from openfl_twisted.testing._attempts import Attempts
from openfl_twisted.testing._reactor import MemoryReactor
from openfl_twisted.testing._settings import checkSeconds
from openfl_twisted.testing._sockets import NetworkSettings

# Default timeout of MemoryNetwork.run (seconds of the network's clock).
_RUN_TIMEOUT = 3600.0

_T = TypeVar("_T")


class MemoryNetwork(NetworkSettings):
    """
    An in-memory machine with a network and a clock. Servers and clients that use its
    L{reactor} connect to each other, without real sockets. Nothing happens until the test runs
    iterations of the reactor.

    The machine has the addresses C{127.0.0.0/8} and C{::1}, and the name C{localhost};
    L{addHost} adds further names and addresses. By default, connections have no delay, and
    connections to ports without a server are refused.

    @ivar connections: all connections, in order.
    @ivar attempts: all connection attempts; a test can answer them.
    @ivar datagrams: the datagrams in flight.
    @ivar checks: the functions that L{check} calls.
    @ivar names: the addresses of each host name.
    @ivar lookupTime: the duration of a DNS lookup (seconds; default 0).
    @ivar latency: the C{latency} of new connections (seconds; default 0).
        Connecting takes twice as long.
    @ivar window: the C{window} of new connections; see
        L{Flow<openfl_twisted.testing.Flow>}.
    """

    def __init__(self) -> None:
        super().__init__()
        self._reactor = MemoryReactor(self)
        kernel = self._reactor.kernel
        self.connections = kernel.connections
        self.datagrams = kernel.datagrams
        self.attempts = Attempts(self._reactor)
        self._ports = kernel.ports
        self.checks: list[Callable[[], object]] = []

    @classmethod
    def forTest(cls, addCleanup: Callable[[Callable[[], object]], object]) -> Self:
        """
        Create a network for one test. At the end of the test, L{check} is called. Until then,
        the sockets of C{openfl_twisted.net} raise C{RuntimeError} if they are created without a
        reactor, because they would use the real network.

        @param addCleanup: registers a function that is called at the end of the test, such as
            C{self.addCleanup} of C{unittest}, or C{request.addfinalizer} of pytest. The fixture
            C{memoryNetwork} calls this method.
        """
        network = cls()
        addCleanup(network.check)
        addCleanup(guardReactor(_forbidReactor))
        return network

    @property
    def reactor(self) -> Any:
        """
        The reactor of the network, a L{MemoryReactor}. Its type is C{Any}, because type checkers
        understand Twisted's interfaces only with a plugin.
        """
        return self._reactor

    # Iterations and time

    def seconds(self) -> float:
        """
        Return the time, which starts at 0.
        """
        return self._reactor.seconds()

    def step(self) -> None:
        """
        Run one iteration of the reactor.
        """
        self._reactor.step()

    def flush(self) -> None:
        """
        Run iterations until nothing more happens at the current time of the clock.

        @raise AssertionError: if the program never becomes idle.
        """
        self._reactor.flush()

    def advance(self, seconds: float) -> None:
        """
        Advance the clock, and run all iterations that are due in this time.

        @param seconds: the time (seconds).
        @raise TypeError: if the time is not a number.
        @raise ValueError: if the time is negative or not finite.
        """
        self._reactor.advance(checkSeconds("advance(): the time", seconds))

    def run(self, awaitable: Awaitable[_T], timeout: float = _RUN_TIMEOUT) -> _T:
        """
        Run iterations and advance the clock until a C{Deferred} fires or a
        coroutine returns.

        @param awaitable: the C{Deferred} or coroutine, such as C{program()}.
        @param timeout: the maximum waiting time (seconds of the network's clock).
        @return: the result. If the result is an exception, it is raised.
        @raise TypeError: if the first argument cannot be awaited.
        @raise AssertionError: after the timeout, if nothing more will happen, or
            if the program never becomes idle.
        """
        if not isawaitable(awaitable):
            words = ": call the function" if callable(awaitable) else ""
            raise TypeError(f"run() needs a Deferred or a coroutine, not {awaitable!r:.80}{words}")
        results: list[Any] = []

        async def wait() -> _T:
            return await awaitable

        running = Deferred.fromCoroutine(wait())
        running.addBoth(results.append)
        reactor = self._reactor
        end = reactor.seconds() + timeout
        iterations = 0
        try:
            while not results:
                time = reactor.seconds() if reactor.busy else reactor.nextTime
                if time is None or time > end:
                    raise AssertionError(_describeWaiting(awaitable, time, timeout))
                if iterations == reactor.maxIterations:
                    reactor.failRestless()
                if time > reactor.seconds():
                    reactor.rightNow = time
                    iterations = 0
                else:
                    reactor.step()
                    iterations += 1
        finally:
            running.addErrback(lambda _: None)
            running.cancel()
        [result] = results
        if isinstance(result, Failure):
            result.raiseException()
        return result  # type: ignore[no-any-return]

    def check(self) -> None:
        """
        Raise the first exception that a delayed call, a protocol or a listener has raised. An
        error event without a listener is also raised, as the error #2044. Then verify the
        scripted peers that the test has started but not verified. The pytest fixture
        C{memoryNetwork} calls this method at the end of a test.

        @raise errors.Error: #2044, if an error event had no listener.
        @raise AssertionError: if the script of a peer has failed or is not complete.
        """
        if self._reactor.failures:
            self._reactor.failures[0].raiseException()
        for check in self.checks:
            check()

    def flushErrors(self, *types: type[BaseException]) -> list[Failure]:
        """
        Remove and return the exceptions that L{check} would raise, for a test that expects them.
        C{flushLoggedErrors} of trial does the same for the log.

        @param types: the classes of the exceptions (default: all exceptions).
        @return: the failures, oldest first.
        """
        failures = self._reactor.failures
        found = [each for each in failures if not types or each.check(*types)]
        failures[:] = [each for each in failures if each not in found]
        return found

    # Addresses and faults

    def addHost(self, name: str, *addresses: str) -> None:
        """
        Add a host name and its addresses to the machine.

        @param addresses: IPv4 and IPv6 addresses, in the order of a DNS lookup.
        @raise ValueError: if C{name} is an address, or an address is invalid.
        """
        if isIPAddress(name) or isIPv6Address(name):
            raise ValueError(f"addHost() needs a host name, then its addresses, not {name!r}")
        for address in addresses:
            if not (isIPAddress(address) or isIPv6Address(address)):
                raise ValueError(f"addHost() needs IP addresses, not {address!r:.80}")
        self._ports.addresses.update(addresses)
        self.names[name] = list(addresses)

    def refuse(self, host: str, port: int | None = None) -> None:
        """
        Refuse connections to an address, even if a server listens at the address: connection
        attempts fail with C{ConnectionRefusedError}.

        @param host: the IP address.
        @param port: the port; C{None} for all ports.
        """
        self._ports.faults[host, port] = errno.ECONNREFUSED

    def makeUnreachable(self, host: str, port: int | None = None) -> None:
        """
        Remove the route to an address: connection attempts fail with C{NoRouteError}, and
        sending a datagram fails with C{OSError}.

        @param host: the IP address.
        @param port: the port; C{None} for all ports.
        """
        self._ports.faults[host, port] = errno.ENETUNREACH

    def blackhole(self, host: str, port: int | None = None) -> None:
        """
        Drop all packets to an address, as some firewalls do: connection attempts time out, and
        datagrams are lost.

        @param host: the IP address.
        @param port: the port; C{None} for all ports.
        """
        self._ports.faults[host, port] = errno.ETIMEDOUT

    def restore(self, host: str, port: int | None = None) -> None:
        """
        Remove the fault of an address.

        @param host: the IP address.
        @param port: the port; C{None} removes the fault set for all ports.
        """
        self._ports.faults.pop((host, port), None)


def _describeWaiting(awaitable: object, time: float | None, timeout: float) -> str:
    """
    Describe why L{MemoryNetwork.run} has no result.

    @param time: the time of the next event of the network; C{None} if nothing will happen.
    """
    if time is None:
        return (
            f"no result, and nothing more will happen on the network: {awaitable!r}. Does the"
            " program use the global reactor? Pass reactor=network.reactor, or clock="
        )
    return f"no result within {timeout:g} seconds: {awaitable!r}"


def _forbidReactor(user: object) -> NoReturn:
    raise RuntimeError(
        f"{type(user).__name__}() uses the global reactor, but this test has a MemoryNetwork:"
        " pass reactor=network.reactor"
    )
