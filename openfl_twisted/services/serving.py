"""
A server as a service: it starts with a clear word if it cannot, says where it
listens, and ends in good order.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.protocol import DatagramProtocol
from twisted.protocols.tls import TLSMemoryBIOFactory

from openfl_twisted.addresses import describe, portOf
from openfl_twisted.endpoints import ListeningEndpoint, StartupError, readPolicyFile
from openfl_twisted.logs import packageLogger
from openfl_twisted.protocols.datagram import MAX_DATAGRAM
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.policyfile import PolicySource, policyFor
from openfl_twisted.protocols.websocket import WebSocketFactory
from openfl_twisted.reactors.udp import listenUDP
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.presence import IPresence
from openfl_twisted.rooms.pubsub import IPubSub
from openfl_twisted.services.options import DataServerOptions, ServerOptions
from openfl_twisted.services.reloading import ReloadService
from openfl_twisted.tls.server import ServerCertificates, ServerConnectionCreator
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.wire.websocket.frames import MAX_FRAME

T = TypeVar("T")


class ServerService(MultiService):
    """
    Ports that share a guarded factory.

    @ivar factory: the guard of all connections.
    @ivar policy: the answer to policy requests, see L{PolicySource}; it is
        checked for each port that is opened.
    @ivar shutdownTimeout: how many seconds the connections get to close when the
        service stops.
    @ivar farewell: called before the connections are closed.
    @ivar lobby: the rooms, if there are any.
    @ivar pubSub: sends messages to other servers; C{None} without a broker.
    @ivar certificates: the certificates for TLS; C{None} without TLS.
    @ivar brokers: the connections to a broker, which start and stop with the
        server: pub/sub and presence.
    """

    farewell: Callable[[], object] = staticmethod(lambda: None)
    lobby: Lobby | None = None
    pubSub: IPubSub | None = None

    log = packageLogger()

    def __init__(
        self,
        options: ServerOptions,
        factory: IProtocolFactory,
        *,
        idleTimeout: float = 0.0,
        tls: ServerCertificates | None = None,
    ) -> None:
        """
        @param options: where to listen, the limits and the policy.
        @param factory: what serves the ports.
        @param idleTimeout: see L{GuardFactory}.
        @param tls: the certificates, if everybody speaks TLS; C{None} if nobody
            does, or if it is the factory that knows.
        """
        super().__init__()
        self.factory = GuardFactory(
            factory,
            maxConnections=options["max-connections"],
            maxPerAddress=options["max-per-address"],
            idleTimeout=idleTimeout,
        )
        self.brokers: list[IPubSub | IPresence] = []
        self.policy: PolicySource = options["policy"]
        self._policyFile: str | None = options["policy-file"]
        self.certificates: ServerCertificates | None = options["tls"]
        self._hosts: list[IAddress] = []
        self._hasPrograms = isinstance(options, DataServerOptions)
        self.shutdownTimeout: float = options["shutdown-timeout"]
        served: IProtocolFactory = self.factory
        if tls is not None:
            served = TLSMemoryBIOFactory(ServerConnectionCreator(tls), False, served)
        for endpoint in options["listen"]:
            port = StreamServerEndpointService(ListeningEndpoint(endpoint, self.portOpened), served)
            port.setServiceParent(self)
        for each in self._adminServices(options):
            each.setServiceParent(self)
        # Not one of the services: SIGHUP must not end the process while the connections close.
        self._reloading = ReloadService(self.reload)

    def _adminServices(self, options: ServerOptions) -> Iterator[Service]:
        """
        Make the services of metrics and dashboard. Their modules are imported
        only if they are used.
        """
        if options["metrics"] is not None:
            from openfl_twisted.dashboard.metrics import MetricsService

            yield MetricsService(self, options["metrics"])
        if options["dashboard"] is not None:
            from openfl_twisted.dashboard.page import DashboardService

            yield DashboardService(self, options["dashboard"], options["dashboard-token"])

    def portOpened(self, host: IAddress) -> None:
        """
        Say where the server listens, and what a policy file that is served from
        there cannot do.

        @param host: the address of the port; one of a UNIX socket is only
            logged.
        """
        self.log.info("listening on {host}", host=describe(host))
        self._hosts.append(host)
        self._checkPolicy(host)

    def _checkPolicy(self, host: IAddress) -> None:
        if self.policy is None:
            return
        policy = policyFor(self.policy, host)
        # A UNIX socket has no port, and nobody who would ask for the file.
        if policy is None:
            return
        port = portOf(host)
        tls = self.certificates is not None
        for problem in policy.problems(port, tls=tls, isTarget=self._hasPrograms):
            self.log.warn("policy file on {host}: {problem}", host=describe(host), problem=problem)

    def reload(self) -> None:
        """
        Read certificates and policy file again. Those that are invalid are
        logged, and the previous ones stay in use.
        """
        if self.certificates is not None:
            self.certificates.reload()
        if self._policyFile is None:
            return
        try:
            self.policy = readPolicyFile(self._policyFile)
        except (OSError, ValueError) as problem:
            self.log.warn(
                "cannot reload the policy file {path}: {problem}; still using the previous one",
                path=self._policyFile,
                problem=problem,
            )
            return
        factory: Any = self.factory
        while factory is not None:
            if hasattr(factory, "policy"):
                factory.policy = self.policy
            factory = getattr(factory, "wrappedFactory", None)
        self.log.info("policy file reloaded from {path}", path=self._policyFile)
        for host in self._hosts:
            self._checkPolicy(host)

    def startService(self) -> None:
        if self.lobby is not None:
            self.lobby.begin()
        super().startService()
        self._reloading.startService()
        if self.certificates is not None:
            self.certificates.report()
            # twistd has given up its rights before it calls this method.
            self.certificates.checkRenewals()
        for broker in self.brokers:
            broker.start()

    def stopService(self) -> Deferred[None]:
        """
        Close the ports, then the connections, and then what leads to other
        machines: who goes is still told there.

        @return: fires when all are closed.
        """

        def closeConnections(result: object) -> Deferred[None]:
            if self.lobby is not None:
                self.lobby.end()
            try:
                self.farewell()
            except Exception:
                self.log.failure("while saying farewell")
            return self.factory.closeAll(self.shutdownTimeout)

        def closeBrokers(result: object) -> Deferred[Any]:
            return gatherResults([broker.stop() for broker in self.brokers])

        def stopReloading(result: T) -> T:
            self._reloading.stopService()
            return result

        stopped: Deferred[Any] = super().stopService()
        stopped.addCallback(closeConnections).addCallback(closeBrokers)
        return stopped.addBoth(stopReloading)


class DatagramService(Service):
    """
    UDP ports that share a protocol each.
    """

    log = packageLogger()

    def __init__(
        self,
        addresses: Sequence[tuple[int, str]],
        makeProtocol: Callable[[], DatagramProtocol],
        reactor: Any = None,
    ) -> None:
        """
        @param addresses: the ports, with the IP addresses for each.
        @param makeProtocol: makes the protocol of a port.
        @param reactor: the reactor, or C{None} for the one that runs.
        """
        if reactor is None:
            from twisted.internet import reactor
        self._addresses = addresses
        self._makeProtocol = makeProtocol
        self._reactor = reactor
        self._ports: list[Any] = []
        # There is nothing to reload but the log.
        self._reloading = ReloadService(lambda: None, reactor)

    def privilegedStartService(self) -> None:
        """
        Open the ports, before C{twistd} gives up its rights.

        @raise StartupError: if one cannot be opened.
        """
        super().privilegedStartService()
        for number, interface in self._addresses:
            try:
                port = listenUDP(
                    self._reactor, number, self._makeProtocol(), interface, MAX_DATAGRAM
                )
            except CannotListenError as error:
                raise StartupError.fromError(error) from None
            self._ports.append(port)
            self.log.info("listening on {host} (UDP)", host=describe(port.getHost()))

    def startService(self) -> None:
        """
        Open the ports if they are not open yet: C{twist} goes this way.
        """
        super().startService()
        if not self._ports:
            self.privilegedStartService()
        self._reloading.startService()

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        self._reloading.stopService()
        ports, self._ports = self._ports, []
        return gatherResults([maybeDeferred(port.stopListening) for port in ports])


def serveData(options: DataServerOptions, factory: IProtocolFactory) -> ServerService:
    """
    Make a service of a factory, which every kind of client can reach, unless the
    options say otherwise.

    @param options: the options, parsed. With C{plain} there is no
        L{OnePortFactory} in front of the factory, so TLS is for everybody, if
        there is a certificate.
    @param factory: whose protocols serve.
    """
    idle, certificates = options["idle-timeout"], options["tls"]
    if options["plain"]:
        return ServerService(options, factory, idleTimeout=idle, tls=certificates)
    webSocket = partial(
        WebSocketFactory,
        # The factory behind has the limit; here a message and its NUL byte only have to fit.
        maxFrame=max(MAX_FRAME, options["max-message"] + 1),
        pingInterval=options["ping-interval"],
        trustedProxies=options["trusted-proxies"],
        compress=bool(options["compress"]),
    )
    door = OnePortFactory(
        factory,
        policy=options["policy"],
        accept=options["accept"],
        tls=None if certificates is None else ServerConnectionCreator(certificates),
        webSocket=webSocket,
        passThrough=options["pass-through"],
        greetingDelay=options["greeting-delay"],
    )
    return ServerService(options, door, idleTimeout=idle)
