"""
The reactor of an in-memory network.
"""

import socket
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet import error, tcp, udp
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.base import PluggableResolverMixin, _ThreePhaseEvent
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
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
    IResolutionReceiver,
)
from twisted.internet.posixbase import _DisconnectSelectableMixin
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.logs import errorSink
from openfl_twisted.testing._sockets import Kernel, NetworkSettings

# Default maximum number of iterations without advancing the clock. The number is large enough for a
# megabyte in one-byte segments.
_MAX_ITERATIONS = 1_000_000

_log = Logger()


class _SystemEvents:
    """
    The system events of C{IReactorCore}. The reactor counts as running from its creation.
    """

    def __init__(self) -> None:
        self.running = True
        self._events: dict[str, _ThreePhaseEvent] = {}

    def addSystemEventTrigger(
        self,
        phase: str,
        eventType: str,
        callable: Callable[..., Any],  # noqa: A002 - the interface's name
        *args: Any,
        **kw: Any,
    ) -> Any:
        """
        See C{IReactorCore}. Triggers of C{startup} are called immediately.
        """
        if eventType == "startup":
            callable(*args, **kw)
            return None
        event = self._events.setdefault(eventType, _ThreePhaseEvent())
        return eventType, event.addTrigger(phase, callable, *args, **kw)

    def removeSystemEventTrigger(self, triggerID: Any) -> None:
        eventType, handle = triggerID
        self._events[eventType].removeTrigger(handle)

    def callWhenRunning(
        self,
        callable: Callable[..., Any],  # noqa: A002 - the interface's name
        *args: object,
        **kw: object,
    ) -> None:
        callable(*args, **kw)

    def fireSystemEvent(self, eventType: str) -> None:
        if eventType in self._events:
            self._events[eventType].fireEvent()

    def stop(self) -> None:
        """
        Fire the C{shutdown} event. A test can still run iterations, to see the effects of the
        event.

        @raise ReactorNotRunning: if the reactor was stopped before.
        """
        if not self.running:
            raise error.ReactorNotRunning("the reactor is not running")
        self.running = False
        self.fireSystemEvent("shutdown")

    def crash(self) -> None:
        self.running = False

    def run(self) -> None:
        raise error.ReactorAlreadyRunning(
            "an in-memory reactor does not run by itself: call advance() in the test"
        )


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


@implementer(IHostnameResolver)
class _Resolver:
    """
    Resolves the names of a network; IP addresses resolve to themselves.
    """

    def __init__(self, settings: NetworkSettings, kernel: Kernel) -> None:
        self._settings = settings
        self._kernel = kernel

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)

        def resolved() -> None:
            if resolution.cancelled:
                return
            literal = isIPAddress(hostName) or isIPv6Address(hostName)
            for address in [hostName] if literal else self._settings.names.get(hostName, ()):
                kind: Any = IPv6Address if isIPv6Address(address) else IPv4Address
                if addressTypes is None or kind in addressTypes:
                    resolutionReceiver.addressResolved(
                        kind(transportSemantics, address, portNumber)
                    )
            resolutionReceiver.resolutionComplete()

        self._kernel.later(self._settings.lookupTime, resolved)
        return resolution


# Twisted's transports, whose sockets are created by this reactor.


class _Port(tcp.Port):
    reactor: Any

    def __init__(self, *arguments: Any, adopted: Any = None) -> None:
        super().__init__(*arguments)
        self._preexistingSocket = adopted

    def createInternetSocket(self) -> Any:
        made = self.reactor.makeSocket(self.addressFamily, self.socketType)
        # As in Twisted on POSIX, a port is free as soon as its last server has stopped.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return made


class _Client(tcp.Client):
    reactor: Any

    def __init__(self, host: str, port: int, bindAddress: Any, connector: Any, reactor: Any):
        # Twisted sets this attribute only after it has created the socket.
        self.reactor = reactor
        super().__init__(host, port, bindAddress, connector, reactor)

    def createInternetSocket(self) -> Any:
        return self.reactor.makeSocket(self.addressFamily, self.socketType)


class _Connector(tcp.Connector):
    def _makeTransport(self) -> Any:
        return _Client(self.host, self.port, self.bindAddress, self, self.reactor)


class _DatagramPort(udp.Port):
    reactor: Any

    def __init__(self, *arguments: Any, adopted: Any = None) -> None:
        super().__init__(*arguments)
        self._preexistingSocket = adopted

    def createInternetSocket(self) -> Any:
        return self.reactor.makeSocket(self.addressFamily, self.socketType)


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
class MemoryReactor(_SystemEvents, _DisconnectSelectableMixin, PluggableResolverMixin, Clock):
    """
    The reactor of a L{MemoryNetwork<openfl_twisted.testing.MemoryNetwork>}. Pass this reactor
    to every parameter named C{reactor} or C{clock}. The reactor uses Twisted's transports,
    ports and connectors on in-memory sockets.

    Processes, threads, signals and UNIX sockets are not supported. As in Twisted, an exception
    in a delayed call is logged. An exception in a protocol is logged and closes the protocol's
    connection.

    @ivar failures: the failures logged so far.
    @ivar maxIterations: the maximum number of iterations without advancing the
        clock (default 1,000,000).
    @ivar kernel: the sockets and packets (internal).
    @ivar running: whether the reactor is running; C{True} until the reactor is stopped.
    """

    def __init__(self, settings: NetworkSettings) -> None:
        _SystemEvents.__init__(self)
        Clock.__init__(self)
        PluggableResolverMixin.__init__(self)
        self.kernel = Kernel(settings, self.seconds)
        self.installNameResolver(_Resolver(settings, self.kernel))
        self.failures: list[Failure] = []
        self.maxIterations = _MAX_ITERATIONS
        # Ordered collections, so that tests are deterministic.
        self._readers: dict[Any, None] = {}
        self._writers: dict[Any, None] = {}

    # Iterations and time

    def step(self) -> None:
        """
        Run one iteration: run the calls that are due, deliver packets, and let
        transports read and write.
        """
        for call in [call for call in self.calls if call.getTime() <= self.rightNow]:
            # A previous call may have cancelled or delayed this call.
            if call.active() and call.getTime() <= self.rightNow:
                self.calls.remove(call)
                call.called = 1
                self._try(call.func, *call.args, **call.kw)
        self.kernel.deliver()
        for selectable in list(self._readers | self._writers):
            self._serve(selectable)

    @property
    def busy(self) -> bool:
        """
        Whether an iteration at the current time would have any effect.
        """
        time = self.nextTime
        return (
            (time is not None and time <= self.rightNow)
            or any(self._socketOf(each).readable for each in self._readers)
            or any(self._socketOf(each).writable for each in self._writers)
        )

    @property
    def nextTime(self) -> float | None:
        """
        Time of the next delayed call or packet; C{None} if nothing is scheduled.
        """
        calls = [call.getTime() for call in self.calls[:1]]
        arrival = self.kernel.next
        return min(calls if arrival is None else [*calls, arrival], default=None)

    def flush(self) -> None:
        """
        Run iterations until nothing more happens at the current time of the clock.

        @raise AssertionError: if this takes more than C{maxIterations} iterations.
        """
        for _ in range(self.maxIterations):
            if not self.busy:
                return
            self.step()
        self.failRestless()

    def failRestless(self) -> None:
        """
        Report that the tested program never becomes idle.

        @raise AssertionError: always.
        """
        raise AssertionError(
            f"the program did not become idle within {self.maxIterations} reactor iterations"
        )

    def advance(self, amount: float) -> None:
        """
        Advance the clock, and run all iterations that are due in this time.

        @param amount: the time (seconds).
        """
        end = self.rightNow + amount
        self.flush()
        while (time := self.nextTime) is not None and time <= end:
            self.rightNow = time
            self.flush()
        self.rightNow = end

    def callFromThread(
        self,
        callable: Callable[..., Any],  # noqa: A002 - the interface's name
        *args: object,
        **kwargs: object,
    ) -> None:
        self.callLater(0, callable, *args, **kwargs)

    def iterate(self, delay: float = 0) -> None:
        self.advance(delay)

    def _try(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """
        Call a function. If the function raises an exception, log the exception.

        @return: the result of the function, or the exception.
        """
        before, errorSink.receive = errorSink.receive, self.failures.append
        try:
            return call(*arguments, **options)
        except Exception as problem:
            failure = Failure()
            self.failures.append(failure)
            _log.failure("Unhandled Error", failure)
            return problem
        finally:
            errorSink.receive = before

    # Sockets

    def makeSocket(self, family: int, type: int) -> Any:
        """
        Create an in-memory socket. C{ServerSocket} and C{DatagramSocket} also call this
        method.

        @param family: C{AF_INET} or C{AF_INET6}.
        @param type: C{SOCK_STREAM} or C{SOCK_DGRAM}.
        @return: the socket. L{adoptStreamPort} and similar methods accept the socket's
            C{fileno}.
        """
        return self.kernel.makeSocket(family, type)

    def _socketOf(self, selectable: Any) -> Any:
        return self.kernel.socketOf(selectable.fileno())

    def _serve(self, selectable: Any) -> None:
        why: Any = None
        reading = False
        if selectable in self._readers and self._socketOf(selectable).readable:
            reading = True
            why = self._try(selectable.doRead)
        if not why and selectable in self._writers and self._socketOf(selectable).writable:
            reading = False
            why = self._try(selectable.doWrite)
        if why:
            self._disconnectSelectable(selectable, why, reading)

    def addReader(self, reader: Any) -> None:
        self._socketOf(reader)
        self._readers[reader] = None

    def addWriter(self, writer: Any) -> None:
        self._socketOf(writer)
        self._writers[writer] = None

    def removeReader(self, reader: Any) -> None:
        self._readers.pop(reader, None)

    def removeWriter(self, writer: Any) -> None:
        self._writers.pop(writer, None)

    def removeAll(self) -> list[Any]:
        removed = self._readers | self._writers
        self._readers, self._writers = {}, {}
        return list(removed)

    def getReaders(self) -> list[Any]:
        return list(self._readers)

    def getWriters(self) -> list[Any]:
        return list(self._writers)

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = ""
    ) -> Any:
        made: Any = _Port(port, factory, backlog, interface, self)
        made.startListening()
        return made

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30.0, bindAddress: Any = None
    ) -> Any:
        connector = _Connector(host, port, factory, timeout, bindAddress, self)
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
        secure: Any = TLSMemoryBIOFactory(contextFactory, True, factory, self)
        return self.connectTCP(host, port, secure, timeout, bindAddress)

    def listenUDP(
        self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192
    ) -> Any:
        made: Any = _DatagramPort(port, protocol, interface, maxPacketSize, self)
        made.startListening()
        return made

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory
    ) -> Any:
        adopted = self._adopt(fileDescriptor, addressFamily)
        made: Any = _Port(0, factory, 0, adopted.getsockname()[0], self, adopted=adopted)
        made.startListening()
        return made

    def adoptStreamConnection(
        self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory
    ) -> Any:
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
        adopted = self._adopt(fileDescriptor, addressFamily)
        interface = adopted.getsockname()[0]
        made: Any = _DatagramPort(0, protocol, interface, maxPacketSize, self, adopted=adopted)
        made.startListening()
        return made

    def _adopt(self, number: int, family: int) -> Any:
        if family not in (socket.AF_INET, socket.AF_INET6):
            raise error.UnsupportedAddressFamily(family)
        return self.kernel.socketOf(number).dup()

    def resolve(self, name: str, timeout: Sequence[int] = (1, 3, 11, 45)) -> Deferred[str]:
        if isIPAddress(name):
            return succeed(name)
        resolver: Any = self.resolver
        found: Deferred[str] = resolver.getHostByName(name, timeout)
        return found
