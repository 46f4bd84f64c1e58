"""
Datagrams on their way in a network in memory.
"""

import errno
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from openfl_twisted.testing.memorydatagramsocket import MemoryDatagramSocket
from openfl_twisted.testing.memoryhandle import anyAddress

if TYPE_CHECKING:
    from openfl_twisted.testing.kernel import Kernel


class Datagram(NamedTuple):
    """
    A datagram.

    @ivar data: its bytes.
    @ivar source: the address and port from which it comes.
    @ivar destination: the address and port where it goes.
    """

    data: bytes
    source: tuple[str, int]
    destination: tuple[str, int]


class Datagrams:
    """
    What happens to the datagrams of a network. By itself each arrives, in
    order; a test can lose some, hold them, and have them arrive in another
    order or twice.

    @ivar latency: how long a datagram is on its way, in seconds; for those that
        are sent from now on.
    @ivar held: those that are held; what a test takes out of this list is lost,
        what it puts in arrives.
    @ivar filter: says of each datagram that is sent whether it is carried;
        others are lost.
    """

    def __init__(self, kernel: "Kernel") -> None:
        """
        @param kernel: knows who gets a datagram, and what is wrong with an
            address.
        """
        self.latency = 0.0
        self.held: list[Datagram] = []
        self.filter: Callable[[Datagram], bool] = lambda datagram: True
        self._holding = False
        self._kernel = kernel
        self._flying: deque[tuple[float, Datagram, MemoryDatagramSocket | None]] = deque()

    def hold(self) -> None:
        """
        Have nothing arrive until L{release}.
        """
        self._holding = True

    def release(self, order: Sequence[int] | None = None) -> None:
        """
        Have arrive what is held, and what is sent later.

        @param order: which ones of L{held}, by their numbers from 0 on: C{(1,
            0, 0)} has the second one arrive first, and the first one twice.
            What is not named is lost. C{None} for all in order.
        """
        self._holding = False
        held, self.held = self.held, []
        for number in range(len(held)) if order is None else order:
            self._launch(held[number], None)

    def send(self, sender: MemoryDatagramSocket, data: bytes, destination: tuple[str, int]) -> None:
        """
        Carry a datagram.

        @param sender: the socket; if it has the address of all, the datagram
            comes from the one that the receiver would reach.
        @param data: its bytes.
        @param destination: the address and port where it goes; nobody has to be
            there.
        """
        host, port = sender.local or ("", 0)
        if host == anyAddress(sender.family):
            host = self._kernel.ports.sourceFor(sender.family, destination[0])
        datagram = Datagram(data, (host, port), destination)
        if not self.filter(datagram):
            return
        if self._holding:
            self.held.append(datagram)
        else:
            self._launch(datagram, sender)

    def _launch(self, datagram: Datagram, sender: MemoryDatagramSocket | None) -> None:
        self._flying.append((self._kernel.network.seconds() + self.latency, datagram, sender))

    @property
    def next(self) -> float | None:
        """
        When the next datagram arrives; C{None} if none does.
        """
        return self._flying[0][0] if self._flying else None

    def deliver(self, now: float) -> None:
        """
        Have arrive what is due.

        @param now: the time, in seconds of the network's clock.
        """
        while self._flying and self._flying[0][0] <= now:
            _, datagram, sender = self._flying.popleft()
            fault = self._kernel.faultAt(*datagram.destination)
            receiver = self._kernel.receiverOf(datagram)
            if receiver is not None and not fault:
                receiver.arrive(datagram.data, datagram.source)
            elif fault == errno.ETIMEDOUT:
                continue
            elif sender is not None and sender.peer is not None:
                # The system hears that nobody is there, and tells who has a single peer.
                sender.error = errno.ECONNREFUSED
