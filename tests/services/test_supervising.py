"""
Tests for C{--workers}: L{openfl_twisted.services.supervising} and the options.
"""

import json
import os
import subprocess
import sys
from tempfile import TemporaryFile
from typing import Any
from unittest.mock import patch

from twisted.internet.error import CannotListenError, ReactorNotRunning
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.python.usage import UsageError

from openfl_twisted.dashboard.workermetrics import WorkerMetricsService
from openfl_twisted.dashboard.workerstreams import WorkerDashboardService
from openfl_twisted.endpoints import StartupError
from openfl_twisted.protocols.broadcast import BroadcastProtocol, EchoProtocol
from openfl_twisted.services import (
    appcheck,
    bridge,
    echoserver,
    policyserver,
    workerprocess,
    xmlserver,
)
from openfl_twisted.services.options import _MAX_WORKERS, ServerOptions
from openfl_twisted.services.serving import ServerService
from openfl_twisted.services.supervising import (
    _STOP_MARGIN,
    SupervisorService,
    _exitWithFailure,
    _reactorName,
)
from openfl_twisted.workers.watching import WatchService
from openfl_twisted.workers.worker import WorkerSide
from tests.doubles import linesOf
from tests.services.optionscase import OptionsTestCase
from tests.support.recipients import RecordingRecipient
from tests.support.workers import FakePort, WorkerReactor

COMMANDS: list[tuple[Any, list[str]]] = [
    (xmlserver, ["--echo"]),
    (echoserver, []),
    (policyserver, ["--allow=*:80"]),
    (bridge, ["--connect=tcp:127.0.0.1:9"]),
]


class Relay(BroadcastProtocol):
    """
    A protocol for C{--app} that broadcasts.
    """


class OptionTests(OptionsTestCase):
    """
    The option C{--workers}.
    """

    def test_commands(self) -> None:
        """
        Every command has the option; the default is a single process.
        """
        for module, arguments in COMMANDS:
            options = self.parse(module, *arguments)
            self.assertEqual(options["workers"], 1)
            self.assertIsInstance(module.makeService(options), ServerService)
            options = self.parse(module, *arguments, "--workers=2")
            self.assertIsInstance(module.makeService(options), SupervisorService)

    def test_number(self) -> None:
        """
        The number is from 1 to a maximum.
        """
        for text in ("0", "-1", "x", "1.5", str(_MAX_WORKERS + 1)):
            self.assertUsage(echoserver, [f"--workers={text}"], "--workers", text)

    def test_broadcast(self) -> None:
        """
        Workers cannot broadcast, without or with C{--app}.
        """
        for arguments in ([], [f"--app={__name__}:Relay"]):
            self.assertUsage(xmlserver, ["--workers=2", *arguments], "--broker", "--echo")
        self.assertEqual(self.parse(xmlserver, "--workers=1")["app"], BroadcastProtocol)
        options = self.parse(xmlserver, "--workers=2", "--app=tests.services.optionscase:App")
        self.assertEqual(options["workers"], 2)
        self.assertEqual(self.parse(xmlserver, "--workers=2", "--echo")["app"], EchoProtocol)

    def test_rooms(self) -> None:
        """
        Rooms need a broker, and cannot be resumed.
        """
        for rooms in ("--rooms=path", "--rooms=xml", "--app=tests.services.optionscase:Table"):
            self.assertUsage(xmlserver, ["--workers=2", rooms], "requires --broker")
            options = self.parse(xmlserver, "--workers=2", rooms, "--broker=nats://127.0.0.1")
            self.assertEqual(options["workers"], 2)
        self.assertUsage(
            xmlserver,
            ["--workers=2", "--rooms=xml", "--broker=nats://127.0.0.1", "--resume=5"],
            "--workers and --resume",
        )

    def test_echo(self) -> None:
        """
        Datagrams and the faithful server need a single process.
        """
        self.assertUsage(echoserver, ["--workers=2", "--udp"], "--udp and --workers")
        faithful = ["--workers=2", "--faithful", "--style=simple-server"]
        self.assertUsage(echoserver, faithful, "--faithful and --workers")

    def test_system(self) -> None:
        """
        The system must be able to pass sockets to processes.
        """
        with patch.object(os, "name", "nt"):
            self.assertUsage(echoserver, ["--workers=2"], "--workers requires Linux")

    def test_notImported(self) -> None:
        """
        A single process does not import the modules of the workers.
        """
        script = (
            "import sys\n"
            "from openfl_twisted.services import xmlserver\n"
            "options = xmlserver.Options()\n"
            "options.parseOptions([])\n"
            "xmlserver.makeService(options)\n"
            "own = [each for each in sys.modules if each.startswith('openfl_twisted')]\n"
            "found = [each for each in own if 'worker' in each or 'supervis' in each]\n"
            "assert not found, found\n"
        )
        found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        self.assertEqual(found.returncode, 0, found.stderr)


class WorkerOptionTests(OptionsTestCase):
    """
    The options of a worker.
    """

    def setUp(self) -> None:
        super().setUp()
        self.patch(ServerOptions, "worker", WorkerSide(2, 1))

    def test_options(self) -> None:
        """
        A worker has the same arguments, but serves neither metrics nor a dashboard, and
        starts no workers. It measures for the metrics of the supervisor. It knows their ports, so
        that its gateway does not connect to them.
        """
        options = self.parse(
            xmlserver, "--workers=2", "--metrics=tcp:1", "--dashboard=tcp:2", "--dashboard-token=x"
        )
        self.assertEqual(options["workers"], 1)
        self.assertEqual((options["metrics"], options["dashboard"]), (None, None))
        service: Any = xmlserver.makeService(options)
        self.assertEqual(service.ownPorts(), {1, 2})
        assert isinstance(service, ServerService)
        self.assertIsNotNone(service.measurements)
        self.assertEqual(len(service.services), 1)

    def test_systemd(self) -> None:
        """
        A socket of systemd is inherited from the supervisor.
        """
        for description in ("systemd:domain=INET:index=7", "haproxy:systemd:domain=INET:name=x"):
            with patch.object(os, "dup", return_value=99):
                options = self.parse(echoserver, f"--listen={description}")
            self.assertEqual(len(options["listen"]), 1)

    def test_newEndpoint(self) -> None:
        """
        An endpoint that the supervisor has not opened is an error.
        """
        arguments = ["--listen=tcp:1", "--listen=tcp:2"]
        error = self.assertRaises(UsageError, self.parse, echoserver, *arguments)
        self.assertEqual(
            str(error), "--listen=tcp:2: the endpoint is new; restart the server to open it"
        )

    def test_start(self) -> None:
        """
        When the service has started, the worker connects to its supervisor. It does not log
        its ports.
        """
        started: list[Any] = []
        self.patch(WorkerSide, "start", lambda self, answers: started.append(answers))
        self.patch(WorkerSide, "portReactor", lambda self, reactor, index: MemoryReactorClock())
        service = echoserver.makeService(self.parse(echoserver))
        with capturedLogs() as logs:
            service.startService()
        self.assertEqual(linesOf(logs), [])
        self.assertIn("metrics", started[0])
        self.assertNotIn("export", started[0])
        self.successResultOf(service.stopService())

    def test_transfer(self) -> None:
        """
        When the worker transfers its memberships, it closes its ports, so that clients reconnect
        to the new worker.
        """
        started: list[Any] = []
        self.patch(WorkerSide, "start", lambda self, answers: started.append(answers))
        self.patch(WorkerSide, "portReactor", lambda self, reactor, index: MemoryReactorClock())
        service = xmlserver.makeService(self.parse(xmlserver, "--rooms=xml", "--resume=5"))
        assert isinstance(service, ServerService)
        assert service.lobby is not None
        service.lobby.clock = MemoryReactorClock()
        service.startService()
        [answers] = started
        self.assertEqual(len(service.services), 1)
        member = service.lobby.join("chess", RecordingRecipient())
        [plain] = answers["export"]()
        self.assertEqual((plain["token"], plain["remaining"]), (member.token, 5))
        self.assertEqual(service.services, [])
        self.assertEqual(answers["import"]([plain]), 1)
        self.successResultOf(service.stopService())

    def test_program(self) -> None:
        """
        The program runs C{twistd} in a process group of its own.
        """
        ran: list[list[str]] = []
        groups: list[tuple[int, int]] = []
        self.patch(os, "setpgid", lambda *numbers: groups.append(numbers))
        self.patch(sys, "argv", [])
        with patch("twisted.scripts.twistd.run", lambda: ran.append(list(sys.argv))):
            workerprocess.main(["3", "2", "--nodaemon", "openfl-echo"])
        self.assertEqual(ran, [["twistd", "--nodaemon", "openfl-echo"]])
        self.assertEqual(groups, [(0, 0)])
        worker = ServerOptions.worker
        assert isinstance(worker, WorkerSide)
        self.assertEqual(worker.number, 3)


class Reactor(WorkerReactor):
    """
    A reactor that starts no processes and can be stopped.
    """

    stopped = False

    def stop(self) -> None:
        if not self.running:
            raise ReactorNotRunning
        self.stopped = True


class ReloadOptionTests(OptionsTestCase):
    """
    The option C{--reload}.
    """

    APP = "--app=tests.services.optionscase:App"

    def setUp(self) -> None:
        super().setUp()
        self.patch(sys, "dont_write_bytecode", False)

    def test_supervisor(self) -> None:
        """
        With the option, even a single worker has a supervisor. All workers share the sockets.
        The processes write no bytecode, which could hide a change.
        """
        self.assertFalse(self.parse(xmlserver, self.APP)["reload"])
        self.assertFalse(sys.dont_write_bytecode)
        for arguments in ([], ["--workers=3"]):
            options = self.parse(xmlserver, self.APP, "--reload", *arguments)
            self.assertEqual(options["reload"], "tests.services.optionscase:App")
            service = xmlserver.makeService(options)
            assert isinstance(service, SupervisorService)
            self.assertTrue(service._ports._isShared)
        self.assertTrue(sys.dont_write_bytecode)

    def test_rooms(self) -> None:
        """
        A single worker can broadcast, and can have rooms without a broker.
        """
        for app in (f"{__name__}:Relay", "tests.services.optionscase:Board"):
            options = self.parse(xmlserver, f"--app={app}", "--reload")
            self.assertIsInstance(xmlserver.makeService(options), SupervisorService)

    def test_worker(self) -> None:
        """
        A worker is not a supervisor, but writes no bytecode either.
        """
        self.patch(ServerOptions, "worker", WorkerSide(1, 1))
        options = self.parse(xmlserver, self.APP, "--reload")
        self.assertIsInstance(xmlserver.makeService(options), ServerService)
        self.assertTrue(sys.dont_write_bytecode)

    def test_refused(self) -> None:
        """
        The option requires an application, and a system that can pass sockets to processes.
        """
        for arguments in ([], ["--echo"], ["--rooms=xml"]):
            text = "--reload requires --app: it reloads the modules of your application"
            self.assertUsage(xmlserver, ["--reload", *arguments], text)
        with patch.object(os, "name", "nt"):
            self.assertUsage(xmlserver, ["--reload", self.APP], "--reload requires Linux")

    def test_watch(self) -> None:
        """
        When the worker has opened its ports, its modules are watched.
        """
        options = self.parse(xmlserver, self.APP, "--reload")
        options.parent = type("Parent", (), {"subCommand": "openfl-xml"})()
        reactor = Reactor()
        service = SupervisorService(options, reactor)
        self.patch(
            service._ports, "listenTCP", lambda *_, **__: service._ports.ports.append(FakePort())
        )
        service.startService()
        [worker] = reactor.started
        with capturedLogs() as logs:
            worker.notice("listening")
        self.assertEqual(
            linesOf(logs)[1:],
            [
                "listening on 127.0.0.1:80",
                "--reload is for development: do not use it on a public server",
            ],
        )
        [_, watch] = service.services
        assert isinstance(watch, WatchService)
        self.assertTrue(watch.running)
        self.assertEqual(
            watch._command[-3:],
            ["-m", "openfl_twisted.services.appcheck", "tests.services.optionscase:App"],
        )
        stopped = service.stopService()
        worker.end(0)
        self.successResultOf(stopped)
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_check(self) -> None:
        """
        The program that checks an application reports its files, also those of an error.
        """
        result = appcheck.check("tests.services.optionscase:App")
        self.assertIsNone(result["problem"])
        self.assertIn(__file__, result["files"])
        folder = self.folder()
        self.patch(sys, "path", list(sys.path))
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder)
        for name, source in [("checked_game", "import checked_helper"), ("checked_helper", "(")]:
            (folder / f"{name}.py").write_text(source)
        result = appcheck.check("checked_game:Game")
        self.assertIn("(checked_helper.py, line 1)", result["problem"])
        names = {os.path.basename(file) for file in result["files"]}
        self.assertLessEqual({"checked_game.py", "checked_helper.py"}, names)

    def test_checkProgram(self) -> None:
        """
        The program writes the result, and ends without waiting for threads.
        """
        # A pipe without a reader would block if the list of files is long.
        with TemporaryFile() as file:
            self.patch(appcheck, "RESULT", file.fileno())
            with patch("os._exit") as leaving:
                appcheck.main("no_such_module:Game")
            file.seek(0)
            self.assertIn("no_such_module", json.load(file)["problem"])
        leaving.assert_called_once_with(0)


class ServiceTests(OptionsTestCase):
    """
    L{SupervisorService}.
    """

    def service(self, *arguments: str) -> SupervisorService:
        options = self.parse(echoserver, "--workers=2", *arguments)
        options.parent = type("Parent", (), {"subCommand": "openfl-echo"})()
        self.reactor = Reactor()
        return SupervisorService(options, self.reactor)

    def test_services(self) -> None:
        """
        Metrics and dashboard are those of all workers.
        """
        service = self.service("--metrics=tcp:1", "--dashboard=tcp:2")
        kinds = [type(each) for each in service.services[1:]]
        self.assertEqual(kinds, [WorkerMetricsService, WorkerDashboardService])
        self.assertEqual(len(self.service().services), 1)
        self.assertEqual(service.supervisor._stopTimeout, 5 + _STOP_MARGIN)

    def test_run(self) -> None:
        """
        The ports are reserved, the workers are started with the same arguments, and when
        they have opened the ports, one line says so.
        """
        arguments = ["--listen=tcp:80:interface=127.0.0.1", "--framing=nul"]
        service = self.service(*arguments)
        reserved = self.reserve(service)
        service.startService()
        [one, two] = self.reactor.started
        _, program = two.options["arguments"]
        start = program.index("-m")
        self.assertEqual(
            program[start + 1 : start + 4], ["openfl_twisted.services.workerprocess", "2", "1"]
        )
        self.assertEqual(program[-4:], ["openfl-echo", "--workers=2", *arguments])
        self.assertNotIn("LISTEN_PID", two.options["env"])
        self.patch(
            service._options,
            "describePorts",
            lambda hosts: [f"page at {host.port}" for host in hosts],
        )
        with capturedLogs() as logs:
            one.notice("listening")
            two.notice("listening")
        self.assertEqual(
            linesOf(logs)[-2:],
            [
                "2 workers listening on 127.0.0.1:80; connection limits apply to each worker",
                "page at 80",
            ],
        )
        service._reload()
        self.assertEqual((one.signals, two.signals), (["HUP"], ["HUP"]))
        stopped = service.stopService()
        for process in (one, two):
            process.end(0)
        self.successResultOf(stopped)
        self.assertEqual(len(reserved), 1)

    def test_path(self) -> None:
        """
        A worker searches the current directory for modules only if the supervisor does.
        """
        service = self.service()
        for path, isSafe in ((["/a"], True), (["/a", ""], False), ([os.getcwd()], False)):
            with patch.object(sys, "path", path):
                self.assertEqual("-P" in service.command(1), isSafe)

    def reserve(self, service: SupervisorService, count: int = 1) -> list[Any]:
        """
        Replace the port that the endpoint opens.

        @return: the ports that it has opened.
        """
        ports = service._ports

        def listenTCP(*arguments: Any, **options: Any) -> Any:
            ports.ports += [FakePort() for _ in range(count)]
            return ports.ports

        self.patch(ports, "listenTCP", listenTCP)
        return ports.ports

    def test_notShared(self) -> None:
        """
        An endpoint that does not open exactly one port cannot be shared.
        """
        for count in (0, 2):
            service = self.service()
            self.reserve(service, count)
            error = self.assertRaises(StartupError, service.startService)
            self.assertIn("workers cannot share this endpoint", str(error))

    def test_cannotListen(self) -> None:
        """
        A port that cannot be opened is an error of one line.
        """
        service = self.service()

        def listenTCP(*arguments: Any, **options: Any) -> Any:
            raise CannotListenError("127.0.0.1", 80, OSError(98, "Address already in use"))

        self.patch(service._ports, "listenTCP", listenTCP)
        error = self.assertRaises(StartupError, service.startService)
        self.assertEqual(
            str(error),
            "cannot listen on 127.0.0.1:80: Address already in use; another program or socket uses"
            " the port: stop it, or use another port",
        )

    def test_failed(self) -> None:
        """
        If no worker can start, the process ends with status 1.
        """
        service = self.service()
        self.reserve(service)
        service.startService()
        self.reactor.running = True
        with (
            capturedLogs() as logs,
            patch("openfl_twisted.services.supervising._exitWithFailure") as leaving,
        ):
            for process in self.reactor.started:
                process.print("broken\n", 2)
                process.end()
        self.assertEqual(linesOf(logs), ["cannot start: worker 2 exited with status 1: broken"])
        self.assertTrue(self.reactor.stopped)
        leaving.assert_called_once_with()
        self.successResultOf(service.stopService())

    def test_failedEarly(self) -> None:
        """
        If the system refuses all processes before the reactor runs, the reactor is stopped
        as soon as it runs.
        """
        service = self.service()
        self.reserve(service)
        self.reactor.running = False
        self.reactor.refuse = True
        with (
            capturedLogs() as logs,
            patch("openfl_twisted.services.supervising._exitWithFailure") as leaving,
        ):
            service.startService()
        problem = "worker 2 cannot be started: Resource temporarily unavailable"
        self.assertEqual(linesOf(logs), [f"cannot start: {problem}"])
        self.assertFalse(self.reactor.stopped)
        # MemoryReactor.run would always stop the reactor.
        self.reactor.running = True
        for function, arguments, named in self.reactor.whenRunningHooks:
            function(*arguments, **named)
        self.assertTrue(self.reactor.stopped)
        leaving.assert_called_once_with()
        self.successResultOf(service.stopService())

    def test_exit(self) -> None:
        """
        The status is set when the interpreter exits.
        """
        with patch("atexit.register") as register:
            _exitWithFailure()
        [[leave]] = [call.args for call in register.call_args_list]
        with patch("os._exit") as leaving:
            leave()
        leaving.assert_called_once_with(1)

    def test_reactorName(self) -> None:
        """
        The workers use the same reactor, if it has a name.
        """
        from twisted.internet.selectreactor import SelectReactor

        self.assertEqual(_reactorName(SelectReactor.__new__(SelectReactor)), "select")
        self.assertIsNone(_reactorName(self))
