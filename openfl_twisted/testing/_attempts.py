"""
The connection attempts on an in-memory network.
"""

import errno
from typing import Any

from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory
from zope.interface import implementer

from openfl_twisted.testing._reactor import MemoryReactor
from openfl_twisted.testing._sockets import MemorySocket


@implementer(IProtocolFactory)
class ObservedFactory:
    """
    A wrapper of a factory that records its protocols.

    @ivar built: the results of C{buildProtocol}, in order.
    """

    def __init__(self, factory: IProtocolFactory) -> None:
        self._factory = factory
        self.built: list[IProtocol | None] = []

    def doStart(self) -> None:
        self._factory.doStart()

    def doStop(self) -> None:
        self._factory.doStop()

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        self.built.append(self._factory.buildProtocol(addr))
        return self.built[-1]


class Attempt:
    """
    A connection attempt.

    @ivar host: the IP address that the client connects to.
    @ivar port: the port that the client connects to.
    """

    def __init__(self, reactor: MemoryReactor, client: MemorySocket, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._reactor = reactor
        self._client = client

    def __repr__(self) -> str:
        return f"<Attempt to connect to {self.host} port {self.port}>"

    @property
    def over(self) -> bool:
        """
        Whether the attempt was accepted or has failed.
        """
        client = self._client
        return client.closed or client.connected or bool(client.error)

    def answer(self, factory: IProtocolFactory) -> Any:
        """
        Accept the connection, and run iterations until both sides are idle. If a server of the
        network listens at the address, it is not involved.

        @return: the protocol of the server; C{None} if the factory has built no protocol and
            the connection is closed.
        @raise TypeError: if the argument is not a factory.
        @raise ValueError: if the attempt has already been accepted or has failed.
        """
        self._check()
        if not IProtocolFactory.providedBy(factory):
            raise TypeError(f"answer() needs a factory, not {factory!r:.80}")
        accepted = self._reactor.kernel.join(self._client)
        observed = ObservedFactory(factory)
        try:
            self._reactor.adoptStreamConnection(accepted.fileno(), accepted.family, observed)
        finally:
            accepted.close()
        self._reactor.flush()
        return observed.built[-1]

    def refuse(self, number: int = errno.ECONNREFUSED) -> None:
        """
        Let the attempt fail, and run iterations until the client is idle.

        @param number: the reason, a number from C{errno}.
        @raise ValueError: if the attempt has already been accepted or has failed.
        """
        self._check()
        self._client.fail(number)
        self._reactor.flush()

    def _check(self) -> None:
        if self.over:
            raise ValueError(f"{self!r} has already ended")

    def proceed(self) -> None:
        """
        Let the attempt reach its destination.
        """
        self._reactor.kernel.proceed(self._client, self.host, self.port)


class Attempts:
    """
    The connection attempts on a network. By default, the servers of the network answer all
    attempts. A test can hold attempts, and answer each attempt itself.

    @ivar made: all attempts, in order.
    """

    def __init__(self, reactor: MemoryReactor) -> None:
        self.made: list[Attempt] = []
        self._reactor = reactor
        self._held: list[Attempt] = []
        reactor.kernel.attempted = self._attempted

    @property
    def held(self) -> list[Attempt]:
        """
        The held attempts that have neither been accepted nor failed, in order. They wait for
        L{release}, L{Attempt.answer} or L{Attempt.refuse}.
        """
        return [attempt for attempt in self._held if not attempt.over]

    def hold(self) -> None:
        """
        Hold all attempts until L{release} is called. Clients can connect to any address, even
        to an address that does not exist in the network.
        """
        self._reactor.kernel.holding = True

    def release(self) -> None:
        """
        Let the held attempts reach their destinations, and do not hold further attempts.
        """
        held, self._held = self.held, []
        self._reactor.kernel.holding = False
        for attempt in held:
            attempt.proceed()

    def _attempted(self, client: MemorySocket, host: str, port: int) -> None:
        attempt = Attempt(self._reactor, client, host, port)
        self.made.append(attempt)
        if self._reactor.kernel.holding:
            self._held.append(attempt)
        else:
            attempt.proceed()
