"""
A reactor whose network and whose clock are in memory.
"""

import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet import error, tcp
from twisted.internet.abstract import isIPAddress
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.base import PluggableResolverMixin
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IProtocolFactory,
    IReactorCore,
    IReactorFDSet,
    IReactorFromThreads,
    IReactorPluggableNameResolver,
    IReactorSocket,
    IReactorSSL,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
)
from twisted.internet.posixbase import _DisconnectSelectableMixin
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.testing.memoryresolver import MemoryResolver
from openfl_twisted.testing.memorytransports import (
    MemoryConnector,
    MemoryDatagramPort,
    MemoryPort,
)
from openfl_twisted.testing.systemevents import SystemEvents

if TYPE_CHECKING:
    from openfl_twisted.testing.kernel import Kernel

_log = Logger()


@implementer(
    IReactorCore,
    IReactorFDSet,
    IReactorFromThreads,
    IReactorPluggableNameResolver,
    IReactorSSL,
    IReactorSocket,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
)
class MemoryReactor(SystemEvents, _DisconnectSelectableMixin, PluggableResolverMixin, Clock):
    """
    The reactor of a L{MemoryNetwork<openfl_twisted.testing.MemoryNetwork>}: an
    object for every parameter C{reactor} and C{clock}. Its transports, ports
    and connectors are Twisted's own, on sockets in memory.

    It has no processes, no threads, no signals and no UNIX sockets. As with
    Twisted's, a call that fails is logged, and a transport whose protocol fails
    is lost.

    @ivar failures: what was logged so, in order.
    """

    def __init__(self, kernel: "Kernel") -> None:
        """
        @param kernel: what its sockets stand on.
        """
        SystemEvents.__init__(self)
        Clock.__init__(self)
        PluggableResolverMixin.__init__(self)
        self.installNameResolver(MemoryResolver(kernel))
        self.failures: list[Failure] = []
        self._kernel = kernel
        # In the order in which they came, so that every run of a test is alike.
        self._readers: dict[Any, None] = {}
        self._writers: dict[Any, None] = {}

    # Time

    def turn(self) -> None:
        """
        Let one turn pass: what is due is called, what is on its way arrives,
        and transports read and write.
        """
        for call in [call for call in self.calls if call.getTime() <= self.rightNow]:
            # One before it may have cancelled it, or put it off.
            if call.active() and call.getTime() <= self.rightNow:
                self.calls.remove(call)
                call.called = 1
                self._guard(call.func, *call.args, **call.kw)
        self._kernel.deliver()
        for selectable in list(self._readers | self._writers):
            self._serve(selectable)

    @property
    def busy(self) -> bool:
        """
        Whether something would happen in a turn, without any time.
        """
        return (
            any(call.getTime() <= self.rightNow for call in self.calls)
            or any(self._socketOf(each).readable for each in self._readers)
            or any(self._socketOf(each).writable for each in self._writers)
        )

    def advance(self, amount: float) -> None:
        """
        Let time pass, and all that happens meanwhile; see
        L{MemoryNetwork.advance<openfl_twisted.testing.MemoryNetwork.advance>}.

        @param amount: how long, in seconds.
        """
        self._kernel.network.advance(amount)

    def callFromThread(
        self,
        callable: Callable[..., Any],  # noqa: A002 - the interface's name
        *args: object,
        **kwargs: object,
    ) -> None:
        """
        Call something in the next turn.
        """
        self.callLater(0, callable, *args, **kwargs)

    def iterate(self, delay: float = 0) -> None:
        """
        Let time pass, as L{advance} does.

        @param delay: how long, in seconds.
        """
        self.advance(delay)

    def _guard(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """
        Call something, and log it if that fails.

        @return: what it returns, or its exception.
        """
        try:
            return call(*arguments, **options)
        except Exception as problem:
            failure = Failure()
            self.failures.append(failure)
            _log.failure("Unhandled Error", failure)
            return problem

    # Sockets

    def makeSocket(self, family: int, type: int) -> Any:
        """
        Make a socket in memory; C{ServerSocket} asks for it too.

        @param family: C{AF_INET} or C{AF_INET6}.
        @param type: C{SOCK_STREAM} or C{SOCK_DGRAM}.
        @return: a socket with a number, which L{adoptStreamPort} and the like
            take.
        """
        return self._kernel.makeSocket(family, type)

    def _socketOf(self, selectable: Any) -> Any:
        return self._kernel.socketOf(selectable.fileno())

    def _serve(self, selectable: Any) -> None:
        """
        Have a transport read and write, if it wants to and can.
        """
        why: Any = None
        reading = False
        if selectable in self._readers and self._socketOf(selectable).readable:
            reading = True
            why = self._guard(selectable.doRead)
        if not why and selectable in self._writers and self._socketOf(selectable).writable:
            reading = False
            why = self._guard(selectable.doWrite)
        if why:
            self._disconnectSelectable(selectable, why, reading)

    def addReader(self, reader: Any) -> None:
        """
        Have a transport read when it can.
        """
        self._socketOf(reader)
        self._readers[reader] = None

    def addWriter(self, writer: Any) -> None:
        """
        Have a transport write when it can.
        """
        self._socketOf(writer)
        self._writers[writer] = None

    def removeReader(self, reader: Any) -> None:
        """
        Have a transport not read any more.
        """
        self._readers.pop(reader, None)

    def removeWriter(self, writer: Any) -> None:
        """
        Have a transport not write any more.
        """
        self._writers.pop(writer, None)

    def removeAll(self) -> list[Any]:
        """
        Have no transport read or write any more.

        @return: those that did.
        """
        left = self._readers | self._writers
        self._readers, self._writers = {}, {}
        return list(left)

    def getReaders(self) -> list[Any]:
        """
        List the transports that read.
        """
        return list(self._readers)

    def getWriters(self) -> list[Any]:
        """
        List the transports that write.
        """
        return list(self._writers)

    # Twisted's interfaces, with Twisted's parameters

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = ""
    ) -> Any:
        """
        See C{IReactorTCP}.
        """
        made: Any = MemoryPort(port, factory, backlog, interface, self)
        made.startListening()
        return made

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30.0, bindAddress: Any = None
    ) -> Any:
        """
        See C{IReactorTCP}.
        """
        connector = MemoryConnector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector

    def listenSSL(
        self,
        port: int,
        factory: IProtocolFactory,
        contextFactory: Any,
        backlog: int = 50,
        interface: str = "",
    ) -> Any:
        """
        See C{IReactorSSL}.
        """
        secure: Any = TLSMemoryBIOFactory(contextFactory, False, factory, self)
        return self.listenTCP(port, secure, backlog, interface)

    def connectSSL(
        self,
        host: str,
        port: int,
        factory: Any,
        contextFactory: Any,
        timeout: float = 30,
        bindAddress: Any = None,
    ) -> Any:
        """
        See C{IReactorSSL}.
        """
        secure: Any = TLSMemoryBIOFactory(contextFactory, True, factory, self)
        return self.connectTCP(host, port, secure, timeout, bindAddress)

    def listenUDP(
        self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192
    ) -> Any:
        """
        See C{IReactorUDP}.
        """
        made: Any = MemoryDatagramPort(port, protocol, interface, maxPacketSize, self)
        made.startListening()
        return made

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory
    ) -> Any:
        """
        See C{IReactorSocket}; the socket must be one of L{makeSocket}.
        """
        adopted = self._adopt(fileDescriptor, addressFamily)
        made: Any = MemoryPort(0, factory, 0, adopted.getsockname()[0], self, adopted)
        made.startListening()
        return made

    def adoptStreamConnection(
        self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory
    ) -> Any:
        """
        See C{IReactorSocket}; the socket must be one of L{makeSocket}.
        """
        adopted = self._adopt(fileDescriptor, addressFamily)
        kind: Any = IPv6Address if addressFamily == socket.AF_INET6 else IPv4Address
        peer = adopted.getpeername()
        protocol = factory.buildProtocol(kind("TCP", *peer))
        if protocol is None:
            adopted.close()
            return None
        made = tcp.Server(adopted, protocol, peer, None, peer[1], self)  # type: ignore[arg-type]
        protocol.makeConnection(made)
        return made

    def adoptDatagramPort(
        self, fileDescriptor: int, addressFamily: int, protocol: Any, maxPacketSize: int = 8192
    ) -> Any:
        """
        See C{IReactorSocket}; the socket must be one of L{makeSocket}.
        """
        adopted = self._adopt(fileDescriptor, addressFamily)
        made: Any = MemoryDatagramPort(
            0, protocol, adopted.getsockname()[0], maxPacketSize, self, adopted
        )
        made.startListening()
        return made

    def _adopt(self, number: int, family: int) -> Any:
        if family not in (socket.AF_INET, socket.AF_INET6):
            raise error.UnsupportedAddressFamily(family)
        return self._kernel.socketOf(number).dup()

    def resolve(self, name: str, timeout: Sequence[int] = (1, 3, 11, 45)) -> Deferred[str]:
        """
        Look a name up.

        @return: fires with its first IPv4 address.
        """
        if isIPAddress(name):
            return succeed(name)
        resolver: Any = self.resolver
        found: Deferred[str] = resolver.getHostByName(name, timeout)
        return found
