"""
The service of a command with C{--workers} or C{--reload}: runs the supervisor, and serves the
metrics and the dashboard of all workers.
"""

import atexit
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from twisted.application.reactors import getReactorTypes
from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from openfl_twisted.endpoints import StartupError
from openfl_twisted.logs import packageLogger
from openfl_twisted.services.draining import SIGNAL, stopReactor
from openfl_twisted.services.foreground import dropCacheErrors
from openfl_twisted.services.options import ServerOptions, describePort
from openfl_twisted.services.reloading import ReloadService
from openfl_twisted.services.signals import SignalService
from openfl_twisted.workers.ports import ReservingReactor
from openfl_twisted.workers.supervisor import Supervisor
from openfl_twisted.workers.watching import WatchService

_STOP_MARGIN = 5.0
"""
Seconds that a worker may take to stop, in addition to C{--shutdown-timeout}.
"""


def _reactorName(reactor: Any) -> str | None:
    """
    Return the name of a reactor for C{--reactor}.

    @param reactor: the reactor.
    @return: the name; C{None} if C{--reactor} has no name for the reactor.
    """
    module = type(reactor).__module__
    types: Iterable[Any] = getReactorTypes()
    names = [each.shortName for each in types if getattr(each, "moduleName", None) == module]
    return names[0] if names else None


def _exitWithFailure() -> None:
    """
    Set the exit status of the process to 1; C{twistd} would exit with 0.
    """

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)

    atexit.register(leave)


class SupervisorService(MultiService):
    """
    Runs the workers of a command, and passes SIGHUP and SIGUSR2 to them.

    @ivar supervisor: the supervisor.
    """

    log = packageLogger()

    def __init__(self, options: ServerOptions, reactor: Any = None) -> None:
        """
        @param options: the parsed options.
        @param reactor: the reactor (default: the global reactor).
        """
        super().__init__()
        if reactor is None:
            from twisted.internet import reactor
        self._reactor: Any = reactor
        # Later, the search would log errors about the plugin cache.
        self._reactorName = _reactorName(reactor)
        dropCacheErrors()
        self._options = options
        # The name of the application that is reloaded.
        self._watched: str | None = options.get("reload") or None
        self._since = time.time()
        isShared = self._watched is not None
        self._ports = ReservingReactor(reactor, options["workers"], isShared=isShared)
        self.supervisor = Supervisor(
            self.command,
            options["workers"],
            stopTimeout=options["shutdown-timeout"] + _STOP_MARGIN,
            started=self._started,
            failed=self._failed,
            transfersMembers=bool(options.get("resume")),
            blockList=options["block-list"],
            # Start the workers in the original directory: the arguments can contain relative paths,
            # and twistd can change the directory.
            directory=os.getcwd(),
            environment=_environment(),
            reactor=reactor,
        )
        self.supervisor.setServiceParent(self)
        for each in self._adminServices(options):
            each.setServiceParent(self)
        # Not a child service, so that SIGHUP is handled until the workers have stopped: without a
        # handler, the signal would end the process.
        self._reloading = ReloadService(self._reload, reactor)
        self._draining = SignalService(SIGNAL, self._drain, reactor)

    def _adminServices(self, options: ServerOptions) -> Iterator[Service]:
        if options["metrics"] is not None:
            from openfl_twisted.dashboard.workermetrics import WorkerMetricsService

            yield WorkerMetricsService(self.supervisor, options["metrics"])
        if options["dashboard"] is not None:
            from openfl_twisted.dashboard.workerstreams import WorkerDashboardService

            yield WorkerDashboardService(
                self.supervisor, options["dashboard"], options["dashboard-token"]
            )

    def _program(self, module: str) -> list[str]:
        """
        Return the command line that runs a module of this package.
        """
        # The process searches the current directory for modules only if this process does.
        isSearched = not {"", self.supervisor.directory}.isdisjoint(sys.path)
        safe = [] if isSearched else ["-P"]
        return [sys.executable, *safe, "-m", f"openfl_twisted.services.{module}"]

    def command(self, number: int) -> list[str]:
        """
        Return the command line of a worker.

        @param number: the number of the worker, from 1.
        @return: the program and its arguments.
        """
        options: Any = self._options
        reactor = self._reactorName
        return [
            *self._program("workerprocess"),
            *(str(number), str(len(self._ports.ports))),
            *("--nodaemon", "--pidfile=", "--logger=openfl_twisted.workers.loglines.EventWriter"),
            *([] if reactor is None else [f"--reactor={reactor}"]),
            options.parent.subCommand,
            *options.arguments,
        ]

    def privilegedStartService(self) -> None:
        """
        Reserve the ports, before C{twistd} drops privileges.

        @raise StartupError: if a port cannot be reserved.
        """
        super().privilegedStartService()
        for endpoint, description in self._options.sharedEndpoints(self._ports):
            opened = len(self._ports.ports)
            listening = endpoint.listen(Factory.forProtocol(Protocol))
            result = getattr(listening, "result", None)
            if isinstance(result, Failure):
                listening.addErrback(lambda _: None)
                raise StartupError.fromError(result.value)
            if len(self._ports.ports) != opened + 1:
                raise StartupError(f"--listen={description}: workers cannot share this endpoint")
        self.supervisor.ports = self._ports.ports

    def startService(self) -> None:
        """
        Start the workers. First reserve the ports if they are not reserved yet: C{twist} does
        not call L{privilegedStartService}.
        """
        if not self.supervisor.ports:
            self.privilegedStartService()
        super().startService()
        self._reloading.startService()
        self._draining.startService()

    def _started(self) -> None:
        hosts = ", ".join(describePort(port.getHost()) for port in self._ports.ports)
        if self.supervisor.count == 1:
            self.log.info("listening on {hosts}", hosts=hosts)
        else:
            self.log.info(
                "{count} workers listening on {hosts}; connection limits apply to each worker",
                count=self.supervisor.count,
                hosts=hosts,
            )
        for line in self._options.describePorts([port.getHost() for port in self._ports.ports]):
            self.log.info("{line}", line=line)
        if self._watched is not None:
            self.log.info("--reload is for development: do not use it on a public server")
            command = [*self._program("appcheck"), self._watched]
            WatchService(self.supervisor, command, self._since).setServiceParent(self)

    def _failed(self, problem: str) -> None:
        self.log.critical("cannot start: {problem}", problem=problem)
        _exitWithFailure()
        # If the system refuses all processes, the reactor does not run yet.
        self._reactor.callWhenRunning(self._reactor.stop)

    def _reload(self) -> None:
        self.supervisor.signal("HUP")

    def _drain(self) -> None:
        if not self.supervisor.isDraining:
            self.log.info("{signal} received: draining all workers", signal=SIGNAL)
            self.supervisor.drain().addCallback(lambda _: stopReactor(self._reactor))

    def stopService(self) -> Deferred[Any]:
        def closePorts(result: object) -> Deferred[Any]:
            self._reloading.stopService()
            self._draining.stopService()
            return gatherResults([port.stopListening() for port in self._ports.ports])

        stopped: Deferred[Any] = super().stopService()
        return stopped.addCallback(closePorts)


def _environment() -> dict[str, str]:
    """
    Return the environment of the workers, without the variables of systemd: workers inherit
    systemd's sockets as ports.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("LISTEN_")}
