"""
Tests for L{openfl_twisted.dashboard.metrics}.
"""

import json
import platform
import re
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

import twisted
from openfl_twisted.dashboard.measuring import Measurements
from openfl_twisted.dashboard.metrics import MetricsService
from openfl_twisted.dashboard.workermetrics import WorkerMetricsService
from openfl_twisted.protocols.policyfile import PolicyFileFactory
from openfl_twisted.protocols.serversocketexample import ServerSocketExampleFactory
from openfl_twisted.protocols.streamprotocol import LIMITS
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.room import LobbyError
from openfl_twisted.sessions import Recorder
from openfl_twisted.tls.server import ServerCertificates
from openfl_twisted.transports.connectioninfo import CLIENT_TYPES
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.wire.dialects import DIALECTS
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.request import REQUEST
from tests.brokers.lossybroker import LossyBroker, LossyPubSub
from tests.dashboard.browser import Answer, visit
from tests.dashboard.groups import FakeGroup
from tests.dashboard.servers import MonitoredServer
from tests.doubles import TightTransport, linesOf
from tests.laboratory import END, FUTURE, authority, server
from tests.support.recipients import RecordingRecipient

ROOT = authority("Root")
LEAF = server(ROOT)

DOCS = Path(__file__).parents[2] / "docs"


class MetricsTestCase(SynchronousTestCase):
    """
    Base class: a server with metrics.
    """

    def setUp(self) -> None:
        self.server = MonitoredServer(maxConnections=3)
        self.reactor = MemoryReactorClock()

    def recorder(self) -> Recorder:
        """
        Create a recorder, which is not started.
        """
        return Recorder("tapes", "xml", DIALECTS["xml"], clock=self.server.clock)

    def ask(self, path: str = "/metrics", **headers: str) -> Answer:
        """
        Send a request as Prometheus does.
        """
        return visit(self.service().guard, path, headers)

    def service(self) -> MetricsService:
        """
        Make the service.
        """
        endpoint = TCP4ServerEndpoint(self.reactor, 9100)
        return MetricsService(self.server, endpoint, self.reactor)

    def read(self) -> dict[Any, float]:
        """
        Read the metrics.

        @return: the values by name, or by name and label values in the order of the
            label names.
        """
        found: dict[Any, float] = {}
        for family in text_string_to_metric_families(self.ask().body.decode()):
            self.assertTrue(family.documentation, family)
            for sample in family.samples:
                labels = tuple(value for _, value in sorted(sample.labels.items()))
                found[(sample.name, *labels) if labels else sample.name] = sample.value
        return found


class MetricsTests(MetricsTestCase):
    """
    L{MetricsService} serves metrics.
    """

    def test_clients(self) -> None:
        """
        Connected clients are counted by type, closed connections also by cause, and
        refused ones by limit.
        """
        self.server.connect().close()
        for data in (b"a\0b\0", b"c\0", b"<policy"):
            self.server.connect(data)
        protocol = self.server.factory.buildProtocol(None)
        protocol.makeConnection(TightTransport(protocol))
        metrics = self.read()
        self.assertEqual(
            [metrics["openfl_clients", kind] for kind in CLIENT_TYPES], [2, 0, 0, 0, 0, 0, 1]
        )
        self.assertEqual(metrics["openfl_clients_limit"], 3)
        self.assertEqual(metrics["openfl_connections_opened_total"], 4)
        self.assertEqual(metrics["openfl_connections_closed_total", "peer", "plain"], 1)
        self.assertEqual(metrics["openfl_connections_closed_total", "server", "plain"], 0)
        self.assertEqual(metrics["openfl_connections_refused_total", "connections"], 1)
        self.assertEqual(metrics["openfl_connections_refused_total", "undetected"], 0)

    def test_traffic(self) -> None:
        """
        Bytes are counted by client type; messages are counted in total.
        """
        self.server.connect()
        self.server.connect(b"a\0b\0")
        metrics = self.read()
        self.assertEqual(metrics["openfl_received_bytes_total", "plain"], 5)
        self.assertEqual(metrics["openfl_sent_bytes_total", "plain"], 4)
        self.assertEqual(metrics["openfl_received_bytes_total", "tls"], 0)
        self.assertEqual(metrics["openfl_messages_received_total"], 3)
        self.assertEqual(metrics["openfl_messages_sent_total"], 2)
        self.assertEqual(metrics["openfl_queue_bytes"], 0)

    def test_cut(self) -> None:
        """
        Connections closed because of a limit are counted by limit.
        """
        self.server.wrapped.given["maxLength"] = 5
        self.server.connect(b"x" * 6)
        metrics = self.read()
        cut = [metrics["openfl_connections_cut_total", each] for each in LIMITS]
        self.assertEqual(cut, [0, 0, 1])

    def test_policyRequests(self) -> None:
        """
        A one-port server counts the policy requests it has answered.
        """
        self.server.connect(REQUEST)
        metrics = self.read()
        self.assertEqual(metrics["openfl_policy_requests_total", "answered"], 1)
        self.assertEqual(metrics["openfl_policy_requests_total", "unanswered"], 0)

    def test_foreign(self) -> None:
        """
        Refused requests of other protocols are counted by protocol.
        """
        self.server.connect(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        metrics = self.read()
        self.assertEqual(metrics["openfl_connections_foreign_total", "http"], 1)
        self.assertEqual(metrics["openfl_connections_foreign_total", "tls"], 0)

    def test_policyServer(self) -> None:
        """
        A policy server also counts connections without a policy request.
        """
        factory = PolicyFileFactory(PolicyFile.forPort(80), clock=self.server.clock)
        self.server.factory = GuardFactory(factory, clock=self.server.clock)
        self.server.connect(REQUEST)
        self.server.connect(b"something else")
        metrics = self.read()
        self.assertEqual(metrics["openfl_policy_requests_total", "answered"], 1)
        self.assertEqual(metrics["openfl_policy_requests_total", "refused"], 1)
        self.assertNotIn("openfl_messages_received_total", metrics)
        self.assertNotIn("openfl_rooms", metrics)
        self.assertNotIn(("openfl_connections_cut_total", "rate"), metrics)

    def test_neither(self) -> None:
        """
        Metrics of missing parts are missing.
        """
        factory = ServerSocketExampleFactory()
        self.server.factory = GuardFactory(factory, clock=self.server.clock)
        metrics = self.read()
        self.assertNotIn(("openfl_policy_requests_total", "answered"), metrics)
        self.assertNotIn("openfl_messages_sent_total", metrics)

    def test_rooms(self) -> None:
        """
        Rooms, members and refused requests are counted.
        """
        self.server.lobby = Lobby(clock=self.server.clock)
        for name in ("Ann", "Ben"):
            self.server.lobby.join("chess", RecordingRecipient(), name)
        self.assertRaises(LobbyError, self.server.lobby.join, "chess", RecordingRecipient(), "Ann")
        metrics = self.read()
        self.assertEqual((metrics["openfl_rooms"], metrics["openfl_members"]), (1, 2))
        self.assertEqual(metrics["openfl_rooms_refused_total", "taken"], 1)
        self.assertEqual(metrics["openfl_rooms_refused_total", "full"], 0)
        self.assertEqual(metrics["openfl_rooms_lost_total"], 0)

    def test_broker(self) -> None:
        """
        The state of the broker and its lost messages are shown.
        """
        broker = LossyBroker()
        pubSub = self.server.pubSub = LossyPubSub(broker, clock=self.server.clock)
        other = LossyPubSub(broker, clock=self.server.clock)
        self.assertEqual(self.read()["openfl_broker_up"], 0)
        pubSub.start()
        other.start()
        pubSub.subscribe("a", lambda payload: None)
        # The first of two gaps is of one message, the second of two.
        for copies in (1, 0, 1, 0, 0, 1, 2):
            broker.copies = copies
            other.publish("a", b"x")
        metrics = self.read()
        for name, count in [
            ("up", 1),
            ("waiting", 0),
            ("received_total", 4),
            ("gaps_total", 2),
            ("missed_total", 3),
            ("duplicates_total", 1),
            ("published_total", 0),
        ]:
            self.assertEqual(metrics[f"openfl_broker_{name}"], count, name)
        broker.cut()
        pubSub.publish("a", b"x")
        metrics = self.read()
        self.assertEqual((metrics["openfl_broker_up"], metrics["openfl_broker_waiting"]), (0, 1))

    def test_form(self) -> None:
        """
        The request selects OpenMetrics or, by default, the older text format.
        """
        self.assertTrue(self.ask().headers["Content-Type"].startswith("text/plain"))
        answer = self.ask(Accept="application/openmetrics-text; version=1.0.0")
        self.assertTrue(answer.headers["Content-Type"].startswith("application/openmetrics-text"))
        self.assertTrue(answer.body.endswith(b"# EOF\n"))

    def test_elsewhere(self) -> None:
        """
        Other paths do not exist.
        """
        self.assertEqual([self.ask(path).status for path in ("/other", "/a/b")], [404, 404])
        self.assertEqual(visit(self.service().guard, "/metrics", method="POST").status, 405)

    def test_health(self) -> None:
        """
        C{/} links to the metrics and to the health check, which fails while the server drains.
        """
        service = self.service()
        page = visit(service.guard, "/")
        self.assertEqual((page.status, page.body.count(b'href="')), (200, 2))
        self.assertEqual(visit(service.guard, "/healthz").status, 200)
        self.assertEqual(visit(service.guard, "/healthz", method="HEAD").status, 200)
        self.server.isDraining = True
        answer = visit(service.guard, "/healthz")
        self.assertEqual((answer.status, answer.body), (503, b"draining\n"))

    def test_start(self) -> None:
        """
        The URL of the metrics is logged.
        """
        service = self.service()
        with capturedLogs() as logs:
            service.startService()
        self.addCleanup(service.stopService)
        self.assertEqual(linesOf(logs), ["metrics on http://0.0.0.0:9100/metrics"])


class CertificateTests(MetricsTestCase):
    """
    The metrics of certificates.
    """

    def test_expiry(self) -> None:
        """
        The end of validity of each certificate in use is a gauge, also right after
        a renewal. Without certificates there is no such gauge.
        """
        self.assertNotIn("openfl_tls_certificate_expiry", str(self.read()))
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        paths = [Path(folder.name) / name for name in ("a.pem", "b.pem")]
        for path in paths:
            LEAF.save(path)
        self.server.certificates = ServerCertificates(folder.name)
        server(ROOT, ends=FUTURE).save(paths[1])
        metrics = self.read()
        name = "openfl_tls_certificate_expiry_timestamp_seconds"
        self.assertEqual(metrics[name, str(paths[0])], END.timestamp())
        self.assertEqual(metrics[name, str(paths[1])], FUTURE.timestamp())


class RecordingTests(MetricsTestCase):
    """
    The metrics of recordings.
    """

    def test_values(self) -> None:
        """
        The metrics are the numbers of the recorder.
        """
        recorder = self.server.recorder = self.recorder()
        recorder.sessions, recorder._given, recorder.gaps = 2, 300, 1
        metrics = self.read()
        for name, value in (("sessions", 2), ("bytes", 300), ("gaps", 1)):
            self.assertEqual(metrics[f"openfl_recording_{name}_total"], value)


class MeasurementTests(MetricsTestCase):
    """
    The metrics of measurements.
    """

    def setUp(self) -> None:
        super().setUp()
        self.measurements = self.server.measurements = Measurements(self.server.clock)
        self.measurements.hasClients = True

    def test_histograms(self) -> None:
        """
        Each bucket of a histogram counts the values up to its bound.
        """
        for length in (5, 100, 100_000_000):
            self.measurements.sent.observe(length)
        self.measurements.handlers.observe(0.25)
        self.measurements.pings.observe(0.1)
        metrics = self.read()
        name = "openfl_message_bytes"
        for bound, count in (("16.0", 1), ("64.0", 1), ("256.0", 2), ("+Inf", 3)):
            self.assertEqual(metrics[f"{name}_bucket", "sent", bound], count)
        self.assertEqual(metrics[f"{name}_count", "sent"], 3)
        self.assertEqual(metrics[f"{name}_sum", "sent"], 100_000_105)
        self.assertEqual(metrics[f"{name}_count", "received"], 0)
        self.assertEqual(metrics["openfl_handler_seconds_sum"], 0.25)
        self.assertEqual(metrics["openfl_websocket_ping_seconds_bucket", "0.1"], 1)

    def test_noClients(self) -> None:
        """
        A server that does not measure messages, such as a policy server, has no histograms.
        """
        self.measurements.hasClients = False
        metrics = self.read()
        self.assertIn("openfl_event_loop_lag_seconds", metrics)
        self.assertFalse([name for name in metrics if "bucket" in str(name)])

    def test_vitals(self) -> None:
        """
        The event-loop lag and the versions are gauges.
        """
        self.measurements.start()
        self.server.clock.advance(3.25)
        metrics = self.read()
        self.assertEqual(metrics["openfl_event_loop_lag_seconds"], 3)
        [info] = [key for key in metrics if key[0] == "openfl_build_info"]
        self.assertEqual(
            info[1:],
            (
                platform.python_version(),
                "MemoryReactorClock",
                twisted.__version__,
                version("openfl-twisted"),
            ),
        )
        self.measurements.stop()


class DocumentationTests(MetricsTestCase):
    """
    The documentation of the metrics.
    """

    def setUp(self) -> None:
        super().setUp()
        self.server.measurements = Measurements(self.server.clock)
        self.server.measurements.hasClients = True
        self.server.lobby = Lobby(clock=self.server.clock)
        self.server.pubSub = LossyPubSub(clock=self.server.clock)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.server.certificates = ServerCertificates(LEAF.save(Path(folder.name) / "a.pem"))
        self.server.recorder = self.recorder()
        families = [*self.families(self.service()), *self.families(self.workers())]
        samples = [sample for family in families for sample in family.samples]
        self.names = {sample.name for sample in samples}
        if sys.platform != "linux":
            # Elsewhere there is nothing to read them from.
            self.names |= {"process_resident_memory_bytes", "process_cpu_seconds_total"}
        self.labels = {name for sample in samples for name in sample.labels}

    def workers(self) -> MetricsService:
        """
        Make the service of a server with workers.
        """
        return WorkerMetricsService(
            FakeGroup(), TCP4ServerEndpoint(self.reactor, 9100), self.reactor
        )

    def families(self, service: MetricsService) -> list[Any]:
        """
        Read the metrics of a service.
        """
        text = visit(service.guard, "/metrics", {}).body.decode()
        return list(text_string_to_metric_families(text))

    def test_dashboard(self) -> None:
        """
        The Grafana dashboard uses only existing metrics and labels.
        """
        panels = json.loads((DOCS / "deploy" / "grafana.json").read_text())["panels"]
        expressions = [target["expr"] for panel in panels for target in panel["targets"]]
        self.assertGreater(len(expressions), 10)
        for expression in expressions:
            used = set(re.findall(r"\b(?:openfl|process)_\w+", expression))
            self.assertTrue(used, expression)
            self.assertEqual(used - self.names, set())
            groups = re.findall(r"by \(([\w, ]+)\)", expression)
            grouped = {name for group in groups for name in group.split(", ")}
            # Prometheus adds that one.
            self.assertEqual(grouped - self.labels - {"instance"}, set())

    def test_table(self) -> None:
        """
        The table has exactly the existing metrics. A histogram is in it once.
        """
        text = (DOCS / "howto" / "metrics.rst").read_text()
        # A histogram has several names, which all begin with its own name.
        histograms = {name.removesuffix("_bucket") for name in self.names if "_bucket" in name}
        parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "count", "sum")}
        self.assertEqual(
            set(re.findall(r"``(openfl_\w+)``", text)),
            {name for name in self.names if name.startswith("openfl_")} - parts | histograms,
        )
