"""
Attempts to connect in a network in memory.
"""

import errno
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IProtocolFactory

from openfl_twisted.testing.memorysocket import MemorySocket
from openfl_twisted.testing.watchedfactory import WatchedFactory

if TYPE_CHECKING:
    from openfl_twisted.testing.kernel import Kernel


class Attempt:
    """
    Somebody who wants to connect.

    @ivar host: the address to which he wants to connect.
    @ivar port: the port there.
    """

    def __init__(self, kernel: "Kernel", client: MemorySocket, host: str, port: int) -> None:
        """
        @param kernel: makes the connection.
        @param client: the socket that connects.
        @param host: see the attribute.
        @param port: see the attribute.
        """
        self.host = host
        self.port = port
        self._kernel = kernel
        self._client = client

    def __repr__(self) -> str:
        return f"<Attempt to connect to {self.host} port {self.port}>"

    @property
    def over(self) -> bool:
        """
        Whether the client has given it up, or has got its answer.
        """
        client = self._client
        return client.closed or client.connection is not None or bool(client.error)

    def answer(self, factory: IProtocolFactory) -> Any:
        """
        Accept it, whoever listens there, and let both sides say what they say
        at first.

        @param factory: the server.
        @return: the protocol that it has built, or C{None} if it has built
            none: then the connection is closed.
        @raise ValueError: if the attempt is over.
        """
        self._check()
        network = self._kernel.network
        accepted = self._kernel.join(self._client)
        watched = WatchedFactory(factory)
        try:
            network.reactor.adoptStreamConnection(accepted.fileno(), accepted.family, watched)
        finally:
            accepted.close()
        network.flush()
        return watched.built[-1]

    def refuse(self, number: int = errno.ECONNREFUSED) -> None:
        """
        Have it fail, and let the client hear of it.

        @param number: why: one of C{errno}.
        @raise ValueError: if the attempt is over.
        """
        self._check()
        self._client.failed(number)
        self._kernel.network.flush()

    def _check(self) -> None:
        if self.over:
            raise ValueError(f"it is over: {self!r}")

    def proceed(self) -> None:
        """
        Have it arrive where it goes.
        """
        kernel, client = self._kernel, self._client
        latency = kernel.network.latency
        fault = kernel.faultAt(self.host, self.port)

        def arrived() -> None:
            if client.closed:
                return
            listener = kernel.ports.find(client.family, client.type, self.host, self.port)
            if fault or listener is None:
                kernel.later(latency, lambda: client.failed(fault or errno.ECONNREFUSED))
            else:
                listener.knock(client)

        if fault != errno.ETIMEDOUT:
            kernel.later(latency, arrived)


class Attempts:
    """
    The attempts to connect in a network. By itself each is answered by who
    listens there; a test can hold them, and answer each one by hand.

    @ivar made: all that were made, in order.
    @ivar holding: whether attempts are held; see L{hold}.
    """

    def __init__(self) -> None:
        self.made: list[Attempt] = []
        self.holding = False
        self._held: list[Attempt] = []

    @property
    def held(self) -> list[Attempt]:
        """
        Those that are held and not over, in order: they wait for L{release},
        L{Attempt.answer} or L{Attempt.refuse}.
        """
        return [attempt for attempt in self._held if not attempt.over]

    def hold(self) -> None:
        """
        Have no attempt arrive until L{release}; any address can be tried then,
        also one that the network does not have.
        """
        self.holding = True

    def release(self) -> None:
        """
        Have arrive what is held, and what is tried later.
        """
        held, self._held = self.held, []
        self.holding = False
        for attempt in held:
            attempt.proceed()

    def begin(self, attempt: Attempt) -> None:
        """
        Hear of one.

        @param attempt: one that was made just now. If attempts are not held it
            goes its way.
        """
        self.made.append(attempt)
        if self.holding:
            self._held.append(attempt)
        else:
            attempt.proceed()
