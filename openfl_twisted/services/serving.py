"""
Services that listen on ports, reload on SIGHUP, and shut down gracefully.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import LogLevel

from openfl_twisted.addresses import portOf
from openfl_twisted.endpoints import ListeningEndpoint, StartupError, readPolicyFile
from openfl_twisted.logs import packageLogger
from openfl_twisted.protocols.datagram import MAX_DATAGRAM
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.policyfile import PolicySource, policyFor
from openfl_twisted.protocols.websocket import SUBPROTOCOLS, WebSocketFactory
from openfl_twisted.reactors.udp import listenUDP
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.presence import IPresence
from openfl_twisted.rooms.pubsub import IPubSub
from openfl_twisted.services.draining import SIGNAL, DrainService, stopReactor
from openfl_twisted.services.options import DataServerOptions, ServerOptions, describePort
from openfl_twisted.services.reloading import ReloadService
from openfl_twisted.services.signals import SignalService
from openfl_twisted.sessions._dialects import dialectOf
from openfl_twisted.tls.connection import ServerTLSFactory
from openfl_twisted.transports.guard import MAX_HTTP, GuardFactory
from openfl_twisted.types import AnyFactory
from openfl_twisted.wire.dialects import Dialect
from openfl_twisted.wire.websocket.frames import MAX_FRAME

if TYPE_CHECKING:
    # Importing them takes long, and most servers do not need them.
    from openfl_twisted.dashboard.measuring import Measurements
    from openfl_twisted.sessions._recorder import Recorder
    from openfl_twisted.tls.server import ServerCertificates

_T = TypeVar("_T")
Options = TypeVar("Options", bound=ServerOptions)


class ServerService(MultiService):
    """
    A server: listens on ports that share one guarded factory.

    @ivar factory: the guard of all connections.
    @ivar policy: the answer to policy requests, see L{PolicySource}. When a port is opened,
        problems of the policy on this port are logged.
    @ivar shutdownTimeout: maximum time to flush and close the connections on shutdown
        (seconds).
    @ivar farewell: called before the connections are closed.
    @ivar lobby: the rooms; C{None} without rooms.
    @ivar pubSub: sends messages to other servers; C{None} without a broker.
    @ivar certificates: the certificates for TLS; C{None} without TLS.
    @ivar recorder: records the sessions; C{None} without C{--record}.
    @ivar hosts: the addresses of the open ports.
    @ivar commandName: the name of the command; C{None} if it was not started by C{twistd} or
        C{twist}.
    @ivar measurements: the measurements for the metrics; C{None} without C{--metrics}.
    @ivar brokers: the connections to a broker, for pub/sub and presence. They are
        started and stopped with the service.
    """

    farewell: Callable[[], object] = staticmethod(lambda: None)
    lobby: Lobby | None = None
    pubSub: IPubSub | None = None

    log = packageLogger()

    def __init__(
        self,
        options: ServerOptions,
        factory: AnyFactory,
        *,
        idleTimeout: float = 0.0,
        tls: "ServerCertificates | None" = None,
    ) -> None:
        """
        @param options: the endpoints, the limits and the policy.
        @param idleTimeout: see L{GuardFactory}.
        @param tls: the certificates, if all connections use TLS; C{None} if no connection uses
            TLS, or if the factory handles TLS.
        """
        super().__init__()
        self._options = options
        self.factory = GuardFactory(
            factory,
            maxConnections=options["max-connections"],
            maxPerAddress=options["max-per-address"],
            maxHTTP=options.get("max-site-connections", MAX_HTTP),
            idleTimeout=idleTimeout,
            connectionRate=options["connection-rate"],
            blockList=options["block-list"],
        )
        self.brokers: list[IPubSub | IPresence] = []
        self.policy: PolicySource = options["policy"]
        self._policyFile: str | None = options["policy-file"]
        self.certificates: ServerCertificates | None = options["tls"]
        self.recorder: Recorder | None = options.get("recorder")
        self.measurements: Measurements | None = options.get("measurements")
        self._dialectName: str = options.get("dialect") or options.serverDialect
        self.hosts: list[IAddress] = []
        self.commandName: str | None = getattr(options.parent, "subCommand", None)
        self._hasPrograms = isinstance(options, DataServerOptions)
        self.shutdownTimeout: float = options["shutdown-timeout"]
        served: IProtocolFactory = self.factory
        if tls is not None:
            served = ServerTLSFactory(tls.connectionCreator(), served)
        self._ports: list[StreamServerEndpointService] = []
        for endpoint in options["listen"]:
            port = StreamServerEndpointService(ListeningEndpoint(endpoint, self.portOpened), served)
            port.setServiceParent(self)
            self._ports.append(port)
        self._admin = [*self._adminServices(options)]
        for each in self._admin:
            each.setServiceParent(self)
        # Not a child service, so that SIGHUP is handled until all connections are closed: without a
        # handler, the signal would end the process.
        self._reloading = ReloadService(self.reload)
        self._draining = DrainService(self, options["drain-delay"], options["drain-timeout"])
        self._worker = options.worker

    @property
    def dialect(self) -> Dialect:
        """
        The dialect in which the dashboard shows messages.
        """
        return dialectOf("dialect", self._dialectName)

    def _adminServices(self, options: ServerOptions) -> Iterator[Any]:
        """
        Create the services of the metrics and the dashboard. Their modules are imported only
        if they are used.
        """
        if options["metrics"] is not None:
            from openfl_twisted.dashboard.metrics import MetricsService

            yield MetricsService(self, options["metrics"])
        if options["dashboard"] is not None:
            from openfl_twisted.dashboard.page import DashboardService

            yield DashboardService(self, options["dashboard"], options["dashboard-token"])

    def portOpened(self, host: IAddress) -> None:
        """
        Log the address of an open port, and the problems of the policy file for this port.

        @param host: the address of the port. The address of a UNIX socket is only
            logged.
        """
        # In a worker, log nothing: the supervisor logs the ports.
        level = LogLevel.info if self._worker is None else LogLevel.debug
        self.log.emit(level, "listening on {host}", host=describePort(host))
        for line in self._options.describePorts([host]):
            self.log.emit(level, "{line}", line=line)
        self.hosts.append(host)
        self._checkPolicy(host)

    def ownPorts(self) -> set[int]:
        """
        Return the port numbers of this server, its metrics and its dashboard.
        """
        ports = [*map(portOf, self.hosts), *(each.ownPort for each in self._admin)]
        return {port for port in ports if port is not None} | self._options.supervisorPorts

    def _checkPolicy(self, host: IAddress) -> None:
        if self.policy is None:
            return
        policy = policyFor(self.policy, host)
        # A UNIX socket has no port, and receives no policy requests.
        if policy is None:
            return
        port = portOf(host)
        tls = self.certificates is not None
        for problem in policy.problems(port, tls=tls, isTarget=self._hasPrograms):
            self.log.warn("policy file on {host}: {problem}", host=host, problem=problem)

    def reload(self) -> None:
        """
        Reload the certificates and the policy file. If a file is invalid, the problem is
        logged, and the previous version stays in use.
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
        for host in self.hosts:
            self._checkPolicy(host)

    def startService(self) -> None:
        """
        Start accepting connections, and recording.

        @raise StartupError: if the recording cannot start.
        """
        if self.lobby is not None:
            self.lobby.begin()
        super().startService()
        self._reloading.startService()
        self._draining.startService()
        if self.measurements is not None:
            self.measurements.start()
        if self.certificates is not None:
            self.certificates.report()
            # twistd has dropped privileges before it calls this method.
            self.certificates.checkRenewals()
        for broker in self.brokers:
            broker.start()
        if self.recorder is not None:
            try:
                self.recorder.start()
            except ValueError as problem:
                raise StartupError(f"--record={problem}") from None
        if self._worker is not None:
            from openfl_twisted.dashboard.reports import ServerReports

            answers = ServerReports(self).answers()
            if self.lobby is not None:
                from openfl_twisted.services.transferring import MembershipTransfer

                answers |= MembershipTransfer(self.lobby, self._closePorts).answers()
            self._worker.start(answers)

    @property
    def isDraining(self) -> bool:
        """
        Whether the server will stop when its clients have disconnected.
        """
        return self._draining.isDraining

    @property
    def clientCount(self) -> int:
        """
        Number of connected clients.
        """
        return self.factory.clientCount

    def failHealthChecks(self) -> None:
        """
        Answer health checks with 503 from now on.
        """
        if isinstance(self.factory.wrappedFactory, OnePortFactory):
            self.factory.wrappedFactory.drain()

    def refuseClients(self) -> Deferred[None]:
        """
        Refuse further clients, and send the farewell message. The port stays open for health
        checks. Without protocol detection, it answers no health checks, and is closed.

        @return: fires when all clients have disconnected.
        """
        if not isinstance(self.factory.wrappedFactory, OnePortFactory):
            self._closePorts()
        drained = self.factory.drain()
        self._sendFarewell()
        return drained

    def _sendFarewell(self) -> None:
        """
        Call C{farewell} once.
        """
        farewell, self.farewell = self.farewell, lambda: None
        try:
            farewell()
        except Exception:
            self.log.failure("unhandled error while sending the farewell message")

    def _closePorts(self) -> None:
        """
        Close the ports, but no connections.
        """
        ports, self._ports = self._ports, []
        for port in ports:
            port.disownServiceParent()

    def stopService(self) -> Deferred[None]:
        """
        Close the ports, then the clients' connections, then the connections to brokers. In
        this order, other servers are notified of members that leave.

        @return: fires when all ports and connections are closed.
        """

        def closeConnections(result: object) -> Deferred[None]:
            if self.lobby is not None:
                self.lobby.end()
            self._sendFarewell()
            return self.factory.closeAll(self.shutdownTimeout)

        def closeBrokers(result: object) -> Deferred[Any]:
            return gatherResults([broker.stop() for broker in self.brokers])

        def stopRecording(result: _T) -> Deferred[_T] | _T:
            if self.recorder is None:
                return result
            return self.recorder.stop(self.shutdownTimeout).addCallback(lambda _: result)

        def stopReloading(result: _T) -> _T:
            self._reloading.stopService()
            self._draining.ignoreSignal()
            return result

        self._draining.stopService()
        if self.measurements is not None:
            self.measurements.stop()
        stopped: Deferred[Any] = super().stopService()
        stopped.addCallback(closeConnections).addCallback(closeBrokers)
        stopped.addBoth(stopRecording)
        return stopped.addBoth(stopReloading)


class DatagramService(Service):
    """
    UDP ports with one protocol each.
    """

    log = packageLogger()

    def __init__(
        self,
        addresses: Sequence[tuple[int, str]],
        makeProtocol: Callable[[], DatagramProtocol],
        reactor: Any = None,
    ) -> None:
        """
        @param addresses: the ports and their IP addresses.
        @param makeProtocol: creates the protocol of a port.
        @param reactor: the reactor (default: the global reactor).
        """
        if reactor is None:
            from twisted.internet import reactor
        self._addresses = addresses
        self._makeProtocol = makeProtocol
        self._reactor = reactor
        self._ports: list[Any] = []
        # On SIGHUP, only the log files are reopened.
        self._reloading = ReloadService(lambda: None, reactor)
        # UDP has no connections to wait for.
        self._draining = SignalService(SIGNAL, partial(stopReactor, reactor), reactor)

    def privilegedStartService(self) -> None:
        """
        Open the ports, before C{twistd} drops privileges.

        @raise StartupError: if a port cannot be opened.
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
            self.log.info("listening on {host} (UDP)", host=describePort(port.getHost()))

    def startService(self) -> None:
        """
        Open the ports if they are not open yet: C{twist} does not call
        L{privilegedStartService}.
        """
        super().startService()
        if not self._ports:
            self.privilegedStartService()
        self._reloading.startService()
        self._draining.startService()

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        self._reloading.stopService()
        self._draining.stopService()
        ports, self._ports = self._ports, []
        return gatherResults([maybeDeferred(port.stopListening) for port in ports])


def supportsWorkers(makeService: Callable[[Options], IService]) -> Callable[[Options], IService]:
    """
    Decorate the C{makeService} of a command: with C{--workers} or C{--reload}, this process is
    the supervisor of the workers that run the command.

    @param makeService: creates the service of a single process.
    @return: creates the service of the command.
    """

    @wraps(makeService)
    def makeEither(options: Options) -> IService:
        if options["workers"] == 1 and not options.get("reload"):
            return makeService(options)
        # Import the module only if there are workers.
        from openfl_twisted.services.supervising import SupervisorService

        return SupervisorService(options)

    return makeEither


def serveData(options: DataServerOptions, factory: IProtocolFactory) -> ServerService:
    """
    Create the service of a factory whose port accepts all client types.

    @param options: the parsed options. With C{plain}, protocol detection is disabled,
        and all connections use TLS if there is a certificate.
    """
    idle, certificates = options["idle-timeout"], options["tls"]
    if options["recorder"] is not None:
        # Import the module here: most servers do not record.
        from openfl_twisted.sessions._recording import RecordingFactory

        factory = RecordingFactory(factory, options["recorder"])
    measurements: Measurements | None = options["measurements"]
    if measurements is not None:
        # Import the module only if the server has metrics.
        from openfl_twisted.dashboard.measuring import MeasuringFactory

        dialect = dialectOf("dialect", options["dialect"] or options.serverDialect)
        factory = MeasuringFactory(factory, measurements, dialect)
    if options["plain"]:
        return ServerService(options, factory, idleTimeout=idle, tls=certificates)
    webSocket = partial(
        WebSocketFactory,
        # The wrapped factory enforces the limit. A frame contains the message and its NUL byte.
        maxFrame=max(MAX_FRAME, options["max-message"] + 1),
        pingInterval=options["ping-interval"],
        trustedProxies=options["trusted-proxies"],
        forwardedHeader=options["forwarded-header"],
        subprotocols=(*options["subprotocols"], *SUBPROTOCOLS),
        compress=bool(options["compress"]),
        pingAnswered=None if measurements is None else measurements.pings.observe,
    )
    detection = OnePortFactory(
        factory,
        policy=options["policy"],
        accept=options["accept"],
        tls=None if certificates is None else certificates.connectionCreator(),
        requireTLS=certificates is not None and certificates.requiresClients,
        webSocket=webSocket,
        passThrough=options["pass-through"],
        http=options["http"],
        greetingDelay=options["greeting-delay"],
    )
    return ServerService(options, detection, idleTimeout=idle)
