"""
A network in memory, and its clock.
"""

import errno
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from openfl_twisted.testing.attempts import Attempts
from openfl_twisted.testing.connection import MemoryConnection
from openfl_twisted.testing.datagrams import Datagrams
from openfl_twisted.testing.flow import WINDOW
from openfl_twisted.testing.kernel import Kernel
from openfl_twisted.testing.memoryreactor import MemoryReactor

MAX_TURNS = 1_000_000
"""
How many turns may pass without any time, where nothing else is said: as many
as a megabyte has bytes.
"""

PATIENCE = 3600.0
"""
How long L{MemoryNetwork.run} waits, in seconds of the network's clock.
"""

_T = TypeVar("_T")


class MemoryNetwork:
    """
    One machine with its network and its clock, in memory. Everything that takes
    a C{reactor} takes L{reactor}; what listens and what connects so meets, and
    no socket of the system is opened. Nothing happens by itself: the test has
    turns or time pass.

    The machine has the addresses C{127.0.0.0/8} and C{::1}, and the name
    C{localhost}; L{addHost} gives it more. By itself a connection is made at
    once, carries any bytes in order, and a port at which nobody listens refuses.

    @ivar reactor: the reactor of this network.
    @ivar connections: the connections that were made, in order.
    @ivar attempts: the attempts to connect that were made, and the means to
        answer them by hand.
    @ivar datagrams: what happens to datagrams.
    @ivar names: the addresses of each name; a name that is not here is not
        found.
    @ivar lookupTime: how long it takes to look a name up, in seconds.
    @ivar latency: how long bytes are on their way, in seconds, for connections
        that are made from now on. To connect takes twice as long.
    @ivar window: how many bytes each side may send before the other has read
        them, for connections that are made from now on.
    @ivar segments: makes the sizes of L{Flow.cut<openfl_twisted.testing.Flow.cut>}
        for each direction of a connection that is made from now on.
    @ivar maxTurns: how many turns may pass without any time, before it is taken
        for a program that never rests; see L{MAX_TURNS}.
    """

    def __init__(self) -> None:
        self._kernel = Kernel(self)
        self.reactor = MemoryReactor(self._kernel)
        self.connections: list[MemoryConnection] = []
        self.attempts = Attempts()
        self.datagrams = Datagrams(self._kernel)
        self.names: dict[str, list[str]] = {"localhost": ["127.0.0.1"]}
        self.lookupTime = 0.0
        self.latency = 0.0
        self.window = WINDOW
        self.segments: Callable[[], Iterable[int]] = lambda: ()
        self.maxTurns = MAX_TURNS

    # The clock

    def seconds(self) -> float:
        """
        Tell the time, in seconds; it is 0 at first.

        @return: the time; it moves only by L{advance} and L{run}.
        """
        return self.reactor.seconds()

    def turn(self) -> None:
        """
        Let one turn of the reactor pass, and no time.
        """
        self.reactor.turn()

    def flush(self) -> None:
        """
        Let turns pass until nothing happens any more without time: until
        everybody has said what they have to say.

        @raise AssertionError: if that never ends.
        """
        for _ in range(self.maxTurns):
            if not self._busy():
                return
            self.turn()
        raise AssertionError(self._restless())

    def advance(self, seconds: float) -> None:
        """
        Let time pass, and all that happens meanwhile, in its order.

        @param seconds: how long.
        """
        end = self.seconds() + seconds
        self.flush()
        while (time := self._next()) is not None and time <= end:
            self.reactor.rightNow = time
            self.flush()
        self.reactor.rightNow = end

    def run(self, waiting: Awaitable[_T], patience: float = PATIENCE) -> _T:
        """
        Let turns and time pass until something is done: a C{Deferred}, or what
        an C{async} function returns.

        @param waiting: what to wait for.
        @param patience: how long, in seconds of this clock.
        @return: its result; if it fails, this raises its exception.
        @raise AssertionError: if it is not done in that time, or can never be
            since nothing more will happen, or the program never rests.
        """
        results: list[Any] = []

        async def wait() -> _T:
            return await waiting

        running = Deferred.fromCoroutine(wait())
        running.addBoth(results.append)
        end = self.seconds() + patience
        turns = 0
        while not results:
            time = self.seconds() if self._busy() else self._next()
            if time is None or time > end:
                when = "ever" if time is None else f"within {patience:g} seconds"
                problem = f"nothing comes of it {when}: {waiting!r}"
            elif turns == self.maxTurns:
                problem = self._restless()
            elif time > self.seconds():
                self.reactor.rightNow = time
                turns = 0
                continue
            else:
                self.turn()
                turns += 1
                continue
            running.addErrback(lambda _: None)
            running.cancel()
            raise AssertionError(problem)
        [result] = results
        if isinstance(result, Failure):
            result.raiseException()
        return result  # type: ignore[no-any-return]

    def check(self) -> None:
        """
        Raise the first exception that was logged for a call or a protocol that
        has failed. The pytest fixture C{memoryNetwork} calls it at the end.
        """
        if self.reactor.failures:
            self.reactor.failures[0].raiseException()

    def _restless(self) -> str:
        return f"the program does not rest: {self.maxTurns} turns without any time"

    def _busy(self) -> bool:
        time = self._kernel.next
        return self.reactor.busy or (time is not None and time <= self.seconds())

    def _next(self) -> float | None:
        """
        Say when something happens next; C{None} if never.
        """
        calls = [call.getTime() for call in self.reactor.calls[:1]]
        arrival = self._kernel.next
        return min(calls if arrival is None else [*calls, arrival], default=None)

    # What there is, and what goes wrong

    def addHost(self, name: str, *addresses: str) -> None:
        """
        Give this machine a name, and the addresses to which it leads.

        @param name: the name.
        @param addresses: IPv4 and IPv6 addresses, in the order in which a
            lookup gives them.
        """
        self._kernel.ports.addresses.update(addresses)
        self.names[name] = list(addresses)

    def refuse(self, host: str, port: int | None = None) -> None:
        """
        Have attempts to connect refused, whoever listens there:
        C{ConnectionRefusedError}.

        @param host: an IP address.
        @param port: the port; C{None} for all.
        """
        self._kernel.faults[host, port] = errno.ECONNREFUSED

    def makeUnreachable(self, host: str, port: int | None = None) -> None:
        """
        Have no route to an address: C{NoRouteError}, and C{OSError} for
        datagrams.

        @param host: an IP address.
        @param port: the port; C{None} for all.
        """
        self._kernel.faults[host, port] = errno.ENETUNREACH

    def silence(self, host: str, port: int | None = None) -> None:
        """
        Have attempts to connect get no answer, as behind a firewall that drops:
        they end when their time is over. Datagrams are lost.

        @param host: an IP address.
        @param port: the port; C{None} for all.
        """
        self._kernel.faults[host, port] = errno.ETIMEDOUT

    def restore(self, host: str, port: int | None = None) -> None:
        """
        Have all be well again with an address.

        @param host: an IP address.
        @param port: the port; C{None} undoes what was said of all, and not what
            was said of one.
        """
        self._kernel.faults.pop((host, port), None)
