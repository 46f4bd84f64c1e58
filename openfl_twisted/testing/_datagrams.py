"""
The datagrams on an in-memory network.
"""

import errno
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from twisted.internet.abstract import isIPv6Address

from openfl_twisted.testing._ports import Ports
from openfl_twisted.testing._settings import Setting, checkSeconds


class Datagram(NamedTuple):
    """
    A datagram.

    @ivar data: the payload.
    @ivar source: the address and port of the sender.
    @ivar destination: the address and port of the receiver.
    """

    data: bytes
    source: tuple[str, int]
    destination: tuple[str, int]


class Datagrams:
    """
    The datagrams in flight. By default, all datagrams arrive in order. A test can drop, delay,
    reorder and duplicate datagrams.

    @ivar latency: the delay of datagrams (seconds). A change applies only to datagrams sent
        later.
    @ivar held: the datagrams delayed by L{hold}. A test can add and remove datagrams.
    @ivar filter: called with each sent datagram; returns whether to deliver the datagram.
    """

    latency = Setting(checkSeconds)

    def __init__(self, ports: Ports, seconds: Callable[[], float]) -> None:
        """
        @param ports: the bound sockets, and the faults of addresses.
        @param seconds: returns the current time.
        """
        self.latency = 0.0
        self.held: list[Datagram] = []
        self.filter: Callable[[Datagram], bool] = lambda datagram: True
        self._holding = False
        self._ports = ports
        self._seconds = seconds
        self._flying: deque[tuple[float, Datagram, Callable[[], object]]] = deque()

    def hold(self) -> None:
        """
        Delay all datagrams until L{release} is called.
        """
        self._holding = True

    def release(self, order: Sequence[int] | None = None) -> None:
        """
        Deliver the delayed datagrams, and do not delay further datagrams.

        @param order: indexes into L{held}: C{(1, 0, 0)} delivers the second datagram, then the
            first datagram twice. All other delayed datagrams are lost (default: deliver all
            datagrams in order).
        """
        self._holding = False
        held, self.held = self.held, []
        for number in range(len(held)) if order is None else order:
            self._launch(held[number], lambda: None)

    def send(self, datagram: Datagram, refused: Callable[[], object]) -> None:
        """
        Send a datagram (internal).

        @param refused: called if no socket is bound to the destination.
        """
        if not self.filter(datagram):
            return
        if self._holding:
            self.held.append(datagram)
        else:
            self._launch(datagram, refused)

    def _launch(self, datagram: Datagram, refused: Callable[[], object]) -> None:
        self._flying.append((self._seconds() + self.latency, datagram, refused))

    @property
    def next(self) -> float | None:
        """
        Arrival time of the next datagram; C{None} if no datagram is in flight.
        """
        return self._flying[0][0] if self._flying else None

    def deliver(self, now: float) -> None:
        """
        Deliver the datagrams that are due (internal).

        @param now: the current time (seconds).
        """
        while self._flying and self._flying[0][0] <= now:
            _, datagram, refused = self._flying.popleft()
            host, port = datagram.destination
            fault = self._ports.faultAt(host, port)
            family = socket.AF_INET6 if isIPv6Address(host) else socket.AF_INET
            receiver = self._ports.find(family, socket.SOCK_DGRAM, host, port)
            if receiver is not None and not fault:
                receiver.arrive(datagram.data, datagram.source)
            elif fault != errno.ETIMEDOUT:
                refused()
