"""
Ports that several workers share.

The supervisor opens the ports, and each worker inherits them. On Linux, each worker has
its own socket for each TCP port (C{SO_REUSEPORT}): the kernel distributes the connections
evenly, and only to workers that listen. On other systems, and for UNIX sockets and
sockets passed by systemd, all workers accept connections from the same socket.

Supervisor and workers create endpoints from the same descriptions, with the reactors of this
module: L{ReservingReactor} in the supervisor opens a port without listening, and
L{InheritingReactor} in a worker listens on the inherited socket.
"""

import os
import socket
import sys
from contextlib import suppress
from typing import Any

from twisted.internet import tcp
from twisted.internet.abstract import isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from zope.interface import implementer

from openfl_twisted.reactors.inheriting import IInheritingReactor

_BACKLOG = 50


def _hasReusePort() -> bool:
    """
    Check whether the system distributes connections between sockets with C{SO_REUSEPORT}. Some
    systems other than Linux have an option with this name, but assign all connections to one
    socket.

    @return: whether the system distributes connections.
    """
    return sys.platform == "linux" and hasattr(socket, "SO_REUSEPORT")


@implementer(IListeningPort)
class SharedPort:
    """
    A port that the supervisor has opened for its workers. The supervisor does not accept
    connections.
    """

    def __init__(self, host: IAddress) -> None:
        """
        @param host: the address of the port.
        """
        self._host = host

    def startListening(self) -> None:
        """
        Do nothing: the port is open.
        """

    def getHost(self) -> IAddress:
        return self._host

    def fileno(self, number: int) -> int:
        """
        Return the file descriptor that a worker inherits.

        @param number: the number of the worker, from 0.
        @return: the descriptor.
        """
        raise NotImplementedError

    def workerEnded(self, number: int) -> None:
        """
        Called when a worker has ended: the kernel must not assign connections to that worker.

        @param number: the number of the worker, from 0.
        """

    def stopListening(self) -> Deferred[Any]:
        raise NotImplementedError


class _ReusedPort(SharedPort):
    """
    A TCP port with a socket for each worker.
    """

    def __init__(self, host: IAddress, sockets: list[socket.socket]) -> None:
        super().__init__(host)
        self._sockets = sockets

    def fileno(self, number: int) -> int:
        return self._sockets[number].fileno()

    def workerEnded(self, number: int) -> None:
        # shutdown() fails for a socket on which the worker has not listened yet.
        with suppress(OSError):
            self._sockets[number].shutdown(socket.SHUT_RDWR)

    def stopListening(self) -> Deferred[None]:
        for each in self._sockets:
            each.close()
        return succeed(None)


class _InheritedPort(SharedPort):
    """
    A port with one socket for all workers.
    """

    def __init__(self, port: Any) -> None:
        super().__init__(port.getHost())
        self._port = port
        # The supervisor's descriptor stays open, and the workers accept the connections.
        port.stopReading()

    def fileno(self, number: int) -> int:
        descriptor: int = self._port.fileno()
        return descriptor

    def stopListening(self) -> Deferred[Any]:
        return maybeDeferred(self._port.stopListening)


def _reserve(
    reactor: Any, number: int, backlog: int, interface: str, count: int
) -> list[socket.socket]:
    """
    Create sockets that are bound to the same TCP port.

    @raise CannotListenError: if a socket cannot be bound.
    """
    made: list[socket.socket] = []

    def bind(number: int, reuse: bool) -> socket.socket:
        created: socket.socket = tcp.Port(
            number, Factory(), backlog, interface, reactor
        ).createInternetSocket()
        made.append(created)
        if reuse:
            created.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if isIPv6Address(interface):
            # getaddrinfo() also resolves the scope name of an address such as fe80::1%eth0.
            found = socket.getaddrinfo(
                interface, number, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
            created.bind(found[0][4])
        else:
            created.bind((interface, number))
        return created

    try:
        # Fail if another server uses this port, even if that server has set SO_REUSEPORT.
        first = bind(number, reuse=False)
        number = first.getsockname()[1]
        first.close()
        return [bind(number, reuse=True) for _ in range(count)]
    except OSError as problem:
        for each in made:
            each.close()
        raise CannotListenError(interface, number, problem) from None


class _Delegating:
    """
    Base class of a reactor that delegates all methods it does not define to another reactor.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


class ReservingReactor(_Delegating):
    """
    A reactor for the endpoints of the supervisor: it opens ports for the workers, but
    does not accept connections.

    @ivar ports: the ports.
    """

    def __init__(self, reactor: Any, count: int, *, isShared: bool = False) -> None:
        """
        @param reactor: the reactor of the process.
        @param count: the number of workers.
        @param isShared: whether all workers accept connections from the same socket, even if
            each could have its own. Then connections that a worker has not accepted are kept
            for other workers when the worker stops.
        """
        super().__init__(reactor)
        self._count = count
        self._isShared = isShared
        self.ports: list[SharedPort] = []

    def _add(self, port: SharedPort) -> SharedPort:
        self.ports.append(port)
        return port

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = _BACKLOG, interface: str = ""
    ) -> IListeningPort:
        """
        Reserve a TCP port; see C{IReactorTCP}.

        @param port: the number of the port; 0 for any.
        @param factory: ignored.
        @param backlog: the backlog.
        @param interface: the IP address.
        @return: the port.
        @raise CannotListenError: if the port cannot be bound.
        """
        if self._isShared or not _hasReusePort():
            opened = self._reactor.listenTCP(port, Factory(), backlog, interface)
            return self._add(_InheritedPort(opened))
        sockets = _reserve(self._reactor, port, backlog, interface, self._count)
        address = sockets[0].getsockname()
        kind = IPv6Address if isIPv6Address(interface) else IPv4Address
        return self._add(_ReusedPort(kind("TCP", *address[:2]), sockets))

    def listenSSL(
        self,
        port: int,
        factory: IProtocolFactory,
        contextFactory: Any,
        backlog: int = _BACKLOG,
        interface: str = "",
    ) -> IListeningPort:
        """
        Reserve a TCP port; see L{listenTCP}.

        @param port: see L{listenTCP}.
        @param factory: ignored.
        @param contextFactory: ignored.
        @param backlog: see L{listenTCP}.
        @param interface: see L{listenTCP}.
        @return: the port.
        """
        return self.listenTCP(port, factory, backlog, interface)

    def listenUNIX(
        self,
        address: Any,
        factory: IProtocolFactory,
        backlog: int = _BACKLOG,
        mode: int = 0o666,
        wantPID: bool = False,
    ) -> IListeningPort:
        """
        Open a UNIX socket for all workers; see C{IReactorUNIX}.

        @param address: the path.
        @param factory: ignored.
        @param backlog: the backlog.
        @param mode: the mode of the file.
        @param wantPID: whether to create a lock file.
        @return: the port.
        """
        opened = self._reactor.listenUNIX(address, Factory(), backlog, mode, wantPID)
        return self._add(_InheritedPort(opened))

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory
    ) -> IListeningPort:
        """
        Use an open socket, such as one passed by systemd, for all workers; see
        C{IReactorSocket}.

        @param fileDescriptor: the descriptor.
        @param addressFamily: the address family.
        @param factory: ignored.
        @return: the port.
        """
        opened = self._reactor.adoptStreamPort(fileDescriptor, addressFamily, Factory())
        return self._add(_InheritedPort(opened))


@implementer(IInheritingReactor)
class InheritingReactor(_Delegating):
    """
    A reactor for an endpoint in a worker. All its listening methods use the inherited socket,
    whatever address the endpoint has.
    """

    def __init__(self, reactor: Any, descriptor: int) -> None:
        """
        @param reactor: the reactor of the process.
        @param descriptor: the descriptor of the socket.
        """
        super().__init__(reactor)
        self._descriptor = descriptor

    def inheritedEndpoint(self) -> IStreamServerEndpoint:
        return AdoptedStreamServerEndpoint(self, os.dup(self._descriptor), socket.AF_INET)

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = _BACKLOG, interface: str = ""
    ) -> IListeningPort:
        """
        Listen on the inherited socket; see C{IReactorTCP}.

        @param port: ignored.
        @param factory: the factory of the connections.
        @param backlog: the backlog.
        @param interface: ignored.
        @return: the port.
        """
        return self._adopt(factory, backlog)

    def listenSSL(
        self,
        port: int,
        factory: IProtocolFactory,
        contextFactory: Any,
        backlog: int = _BACKLOG,
        interface: str = "",
    ) -> IListeningPort:
        """
        Listen on the inherited socket with TLS; see C{IReactorSSL}.

        @param port: ignored.
        @param factory: the factory of the connections.
        @param contextFactory: the TLS context factory.
        @param backlog: the backlog.
        @param interface: ignored.
        @return: the port.
        """
        # Importing it takes long, and a worker without TLS does not need it.
        from openfl_twisted.tls.connection import ServerTLSFactory

        return self._adopt(ServerTLSFactory(contextFactory, factory, self._reactor), backlog)

    def listenUNIX(
        self,
        address: Any,
        factory: IProtocolFactory,
        backlog: int = _BACKLOG,
        mode: int = 0o666,
        wantPID: bool = False,
    ) -> IListeningPort:
        """
        Listen on the inherited socket; see C{IReactorUNIX}.

        @param address: ignored.
        @param factory: the factory of the connections.
        @param backlog: the backlog.
        @param mode: ignored.
        @param wantPID: ignored.
        @return: the port.
        """
        return self._adopt(factory, backlog)

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory
    ) -> IListeningPort:
        """
        Listen on the inherited socket; see C{IReactorSocket}.

        @param fileDescriptor: ignored.
        @param addressFamily: ignored.
        @param factory: the factory of the connections.
        @return: the port.
        """
        return self._adopt(factory, None)

    def _adopt(self, factory: IProtocolFactory, backlog: int | None) -> IListeningPort:
        descriptor = self._descriptor
        inherited = socket.socket(fileno=descriptor)
        inherited.setblocking(False)
        inherited.set_inheritable(False)
        if inherited.family == getattr(socket, "AF_UNIX", None):
            port = _adoptUNIX(self._reactor, descriptor, inherited.getsockname(), factory)
        else:
            if backlog is not None:
                inherited.listen(backlog)
            port = self._reactor.adoptStreamPort(descriptor, inherited.family, factory)
            # deepenBacklog changes the default.
            port.backlog = backlog
            if _hasReusePort():
                # Without shutdown, the supervisor's copy of the socket would still listen.
                reuses = inherited.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
                port._shouldShutdown = bool(reuses)  # noqa: SLF001 - no public name
        # The port has its own copy of the descriptor.
        inherited.close()
        adopted: IListeningPort = port
        return adopted


def _adoptUNIX(reactor: Any, descriptor: int, path: Any, factory: IProtocolFactory) -> Any:
    """
    Listen on an inherited UNIX socket. The supervisor creates and removes the socket's file.
    """
    from twisted.internet import unix

    class InheritedUNIXPort(unix.Port):
        def connectionLost(self, reason: Any) -> None:
            # Twisted does not remove a socket in the abstract namespace.
            self._bindPath = b"\0"
            super().connectionLost(reason)

    port = InheritedUNIXPort._fromListeningDescriptor(  # noqa: SLF001 - the reactor uses it
        reactor, descriptor, factory
    )
    if path and path[:1] not in ("\0", b"\0"):
        # Twisted sets the mode again.
        port.mode = os.stat(path).st_mode & 0o777
    # Do not shut the socket down: other workers still listen on it when this worker stops.
    port._shouldShutdown = False  # noqa: SLF001 - no public name
    port.startListening()
    return port
