"""
Tests for the options of metrics and dashboard, and their services.
"""

from typing import Any

from twisted.application.internet import StreamServerEndpointService
from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import TCP4ServerEndpoint, UNIXServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs

from openfl_twisted.dashboard.measuring import MeasuringFactory
from openfl_twisted.dashboard.metrics import MetricsService
from openfl_twisted.dashboard.page import DashboardService
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.services import bridge, echoserver, options, policyserver, xmlserver
from openfl_twisted.services.serving import ServerService
from tests.dashboard.browser import visit
from tests.doubles import linesOf
from tests.services.optionscase import OptionsTestCase

COMMANDS: list[tuple[Any, list[str]]] = [
    (xmlserver, []),
    (echoserver, []),
    (policyserver, ["--allow=*:80"]),
    (bridge, ["--connect=tcp:127.0.0.1:9"]),
]
METRICS = "--metrics=tcp:9100:interface=127.0.0.1"
DASHBOARD = "--dashboard=tcp:9101:interface=127.0.0.1"


class DashboardOptionTests(OptionsTestCase):
    """
    C{--metrics}, C{--dashboard} and C{--dashboard-token}.
    """

    def test_endpoints(self) -> None:
        """
        Every command has the options; both are off by default.
        """
        for module, arguments in COMMANDS:
            found = self.parse(module, *arguments)
            self.assertEqual((found["metrics"], found["dashboard"]), (None, None))
            found = self.parse(module, *arguments, METRICS, DASHBOARD)
            for name, port in [("metrics", 9100), ("dashboard", 9101)]:
                endpoint = found[name]
                assert isinstance(endpoint, TCP4ServerEndpoint)
                self.assertEqual((endpoint._interface, endpoint._port), ("127.0.0.1", port))

    def test_interface(self) -> None:
        """
        The default interface is the loopback interface.
        """
        for description, interface in [
            ("tcp:9101", "127.0.0.1"),
            ("tcp:port=9101:backlog=5", "127.0.0.1"),
            ("tcp6:9101", "::1"),
            ("tcp:9101:127.0.0.2", "127.0.0.2"),
            ("tcp:9101:interface=0.0.0.0", "0.0.0.0"),
            (r"tcp6:9101:interface=\:\:", "::"),
        ]:
            found = self.parse(xmlserver, f"--metrics={description}", f"--dashboard={description}")
            for name in ("metrics", "dashboard"):
                endpoint = found[name]
                self.assertEqual((endpoint._interface, endpoint._port), (interface, 9101))
        socket = self.parse(xmlserver, "--dashboard=unix:/tmp/x")["dashboard"]
        assert isinstance(socket, UNIXServerEndpoint)

    def test_wrong(self) -> None:
        """
        An invalid endpoint is a usage error.
        """
        for name in ("metrics", "dashboard"):
            for description in ("", "nope:1", "tcp:x"):
                argument = f"--{name}={description}"
                self.assertUsage(xmlserver, [argument], f"{argument}:")
            self.assertUsage(
                xmlserver, [f"--{name}=systemd:domain=INET:name=x"], "unknown socket 'x'"
            )

    def test_noLibrary(self) -> None:
        """
        Without the library C{--metrics} is an error that names the package to install.
        """
        self.patch(options, "find_spec", lambda name: None)
        self.assertUsage(xmlserver, [METRICS], "--metrics requires", "openfl-twisted[metrics]")
        self.parse(xmlserver, DASHBOARD)

    def test_token(self) -> None:
        """
        A token has a minimum length and a limited alphabet, and requires
        C{--dashboard}.
        """
        self.assertEqual(
            self.parse(xmlserver, DASHBOARD, "--dashboard-token=a.B-0_/+=")["dashboard-token"],
            "a.B-0_/+=",
        )
        for token in ("", "1234567", "with space", "gr\u00fc\u00dfe-and-more", "a\nbcdefgh"):
            self.assertUsage(
                xmlserver, [DASHBOARD, f"--dashboard-token={token}"], "at least 8 characters"
            )
        self.assertUsage(
            xmlserver, ["--dashboard-token=12345678"], "--dashboard-token requires --dashboard"
        )

    def test_datagrams(self) -> None:
        """
        A UDP server has neither option.
        """
        for argument in (METRICS, DASHBOARD):
            name = argument.partition("=")[0]
            self.assertUsage(
                echoserver, ["--udp", argument], f"--udp and {name} cannot be used together"
            )


class DashboardServiceTests(OptionsTestCase):
    """
    The commands with metrics and a dashboard.
    """

    def service(self, module: Any, *arguments: str) -> ServerService:
        """
        Create the service of a command.
        """
        found = self.parse(module, *arguments)
        self.reactor = MemoryReactorClock()
        found["listen"] = [TCP4ServerEndpoint(self.reactor, 8080)]
        for number, name in enumerate(("metrics", "dashboard")):
            if found[name] is not None:
                found[name] = TCP4ServerEndpoint(self.reactor, 9100 + number)
        service = module.makeService(found)
        assert isinstance(service, ServerService)
        return service

    def test_neither(self) -> None:
        """
        By default only the server's port is opened.
        """
        [port] = self.service(xmlserver).services
        self.assertIsInstance(port, StreamServerEndpointService)

    def test_both(self) -> None:
        """
        Every command serves both.
        """
        for module, arguments in COMMANDS:
            service = self.service(
                module, *arguments, METRICS, DASHBOARD, "--dashboard-token=12345678"
            )
            _, metrics, dashboard = service.services
            assert isinstance(metrics, MetricsService)
            assert isinstance(dashboard, DashboardService)
            self.assertEqual(dashboard.token, "12345678")
            self.assertIn(b"openfl_clients", visit(metrics.guard, "/metrics").body)
            state = dashboard.state.describe()
            assert state is not None
            self.assertEqual(state["connected"], 0)

    def test_measurements(self) -> None:
        """
        Connections are measured only with C{--metrics}. A policy server has no messages to measure.
        """
        for module, arguments in COMMANDS:
            for more in ([], [METRICS]):
                service = self.service(module, *arguments, *more)
                factories: list[Any] = [service.factory]
                while hasattr(factories[-1], "wrappedFactory"):
                    factories.append(factories[-1].wrappedFactory)
                measured = [each for each in factories if isinstance(each, MeasuringFactory)]
                isMeasured = bool(more) and module is not policyserver
                self.assertEqual(len(measured), isMeasured)
                if not more:
                    self.assertIsNone(service.measurements)
                    continue
                _, metrics = service.services
                assert isinstance(metrics, MetricsService)
                body = visit(metrics.guard, "/metrics").body
                self.assertIn(b"openfl_event_loop_lag_seconds 0.0", body)
                self.assertEqual(b"openfl_handler_seconds_count 0.0" in body, isMeasured)

    def test_pings(self) -> None:
        """
        WebSocket pings are measured.
        """
        service = self.service(xmlserver, METRICS)
        onePort, measurements = service.factory.wrappedFactory, service.measurements
        assert isinstance(onePort, OnePortFactory)
        assert measurements is not None
        host = IPv4Address("TCP", "127.0.0.1", 8080)
        answered = onePort.buildWebSocket(host, None).factory.pingAnswered
        assert answered is not None
        answered(0.25)
        self.assertEqual(measurements.pings.total, 0.25)

    def test_ports(self) -> None:
        """
        The ports are opened after the server's port.
        """
        service = self.service(xmlserver, METRICS, DASHBOARD)
        with capturedLogs() as logs:
            service.startService()
        self.addCleanup(service.stopService)
        self.assertEqual(
            [line.split("#")[0] for line in linesOf(logs)],
            [
                "listening on 0.0.0.0:8080 (all interfaces)",
                "metrics on http://0.0.0.0:9100/metrics",
                "dashboard on http://0.0.0.0:9101/",
            ],
        )

    def test_maxPerAddress(self) -> None:
        """
        C{--max-per-address} sets the limit of the guard.
        """
        for number in (0, 7):
            service = self.service(xmlserver, f"--max-per-address={number}")
            self.assertEqual(service.factory.maxPerAddress, number)
        self.assertEqual(self.service(xmlserver).factory.maxPerAddress, 0)
        self.assertUsage(xmlserver, ["--max-per-address=x"], "must be a whole number")
