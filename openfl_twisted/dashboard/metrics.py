"""
Prometheus metrics (C{--metrics}).

Each request reads the existing counters of the server, and the measurements of
L{openfl_twisted.dashboard.measuring}.
"""

import platform
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version
from itertools import accumulate
from typing import Any, TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from twisted.web.http import SERVICE_UNAVAILABLE
from twisted.web.server import Request

import twisted
from openfl_twisted.dashboard.adminhttp import AdminService, Directory, ReadOnlyResource
from openfl_twisted.dashboard.measuring import Histogram, Measurements
from openfl_twisted.dashboard.status import BROKER_COUNTERS, Monitored, ServerStatus, brokerCounters
from openfl_twisted.logs import packageLogger
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.pubsub import IPubSub, PubSubState
from openfl_twisted.transports.connectioninfo import CLIENT_TYPES, UNDETECTED, Traffic
from openfl_twisted.transports.guard import ENDS
from openfl_twisted.types import AnyClock, AnyServerEndpoint

Values: TypeAlias = Iterable[tuple[tuple[str, ...], float]]
"""
The values of a metric: label values and number.
"""


def _counter(name: str, meaning: str, values: Values, *labels: str) -> Metric:
    """
    Create a Prometheus counter, with C{_total} appended to its name.
    """
    family = CounterMetricFamily(f"openfl_{name}", meaning, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def _gauge(name: str, meaning: str, values: Values, *labels: str) -> Metric:
    family = GaugeMetricFamily(f"openfl_{name}", meaning, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def _histogram(
    name: str, meaning: str, values: Iterable[tuple[tuple[str, ...], Histogram]], *labels: str
) -> Metric:
    family = HistogramMetricFamily(f"openfl_{name}", meaning, labels=labels)
    for key, found in values:
        bounds = [*map(floatToGoString, found.bounds), "+Inf"]
        family.add_metric(key, [*zip(bounds, accumulate(found.counts), strict=True)], found.total)
    return family


def _one(value: float) -> Values:
    return [((), value)]


@cache
def _versions() -> dict[str, str]:
    return {
        "version": version("openfl-twisted"),
        "python": platform.python_version(),
        "twisted": twisted.__version__,
    }


class _ServerCollector(Collector):
    def __init__(self, service: Monitored) -> None:
        self._status = ServerStatus(service)

    def collect(self) -> Iterator[Metric]:
        if self._status.measurements is not None:
            yield from self._measured(self._status.measurements)
        yield from self._connections()
        yield from self._traffic()
        yield from self._refusals()
        yield from self._certificates()
        service = self._status.service
        lobby, pubSub = service.lobby, service.pubSub
        if lobby is not None:
            yield from self._rooms(lobby)
        if pubSub is not None:
            yield from self._broker(pubSub)
        recorder = self._status.recorder
        if recorder is not None:
            yield _counter("recording_sessions", "Recorded sessions", _one(recorder.sessions))
            yield _counter("recording_bytes", "Recorded bytes", _one(recorder.recordedBytes))
            yield _counter("recording_gaps", "Gaps in recordings", _one(recorder.gaps))

    def _measured(self, measurements: Measurements) -> Iterator[Metric]:
        labels = {**_versions(), "reactor": type(measurements.clock).__name__}
        values = [(tuple(labels.values()), 1)]
        yield _gauge("build_info", "Versions and reactor of the server", values, *labels)
        yield _gauge(
            "event_loop_lag_seconds",
            "Greatest event-loop lag of the last 10 seconds",
            _one(measurements.vitals.lag),
        )
        if not measurements.hasClients:
            return
        yield _histogram(
            "message_bytes",
            "Sizes of messages",
            [(("received",), measurements.received), (("sent",), measurements.sent)],
            "direction",
        )
        yield _histogram(
            "handler_seconds",
            "Time in the handlers for one read, or for one WebSocket message",
            [((), measurements.handlers)],
        )
        yield _histogram(
            "websocket_ping_seconds",
            "Round trips of WebSocket pings",
            [((), measurements.pings)],
        )

    def _connections(self) -> Iterator[Metric]:
        guard = self._status.guard
        clients = {(kind,): 0 for kind in CLIENT_TYPES}
        for connection in list(guard.protocols):
            clients[connection.kind,] += 1
        yield _gauge("clients", "Connected clients", clients.items(), "type")
        yield _gauge(
            "clients_limit", "Maximum number of clients, 0 for no limit", _one(guard.maxConnections)
        )
        yield _counter("connections_opened", "Connections accepted", _one(guard.opened))
        # Without an initial zero, Prometheus would miss the first event of a series.
        closed = {
            (kind, by): guard.closed.get((kind, by), 0) for kind in CLIENT_TYPES for by in ENDS
        }
        yield _counter("connections_closed", "Connections closed", closed.items(), "type", "by")

    def _traffic(self) -> Iterator[Metric]:
        guard = self._status.guard
        none = {kind: Traffic() for kind in CLIENT_TYPES if kind != UNDETECTED}
        traffic = {**none, **guard.traffic()}
        for name, meaning, attribute in (
            ("received_bytes", "Bytes received from clients", "bytesIn"),
            ("sent_bytes", "Bytes sent to clients", "bytesOut"),
        ):
            values = {(kind,): getattr(found, attribute) for kind, found in traffic.items()}
            yield _counter(name, meaning, values.items(), "type")
        waiting = guard.waiting()
        yield _gauge("queue_bytes", "Bytes in send queues", _one(waiting))
        messages = self._status.messages
        if messages is not None:
            received, sent = messages
            yield _counter("messages_received", "Messages received from clients", _one(received))
            yield _counter("messages_sent", "Messages sent to clients", _one(sent))

    def _refusals(self) -> Iterator[Metric]:
        refusals = {(limit,): count for limit, count in self._status.refusals.items()}
        yield _counter(
            "connections_refused", "Connections refused at a limit", refusals.items(), "limit"
        )
        cut = self._status.cut
        if cut:
            limits = {(limit,): count for limit, count in cut.items()}
            yield _counter(
                "connections_cut", "Connections closed by a limit", limits.items(), "limit"
            )
        foreign = {(name,): count for name, count in self._status.foreign.items()}
        if foreign:
            yield _counter(
                "connections_foreign",
                "Connections closed because the client spoke another protocol",
                foreign.items(),
                "protocol",
            )
        requests = self._status.policyRequests
        if requests is not None:
            outcomes = {(outcome,): count for outcome, count in requests.items()}
            yield _counter(
                "policy_requests", "Requests for the policy file", outcomes.items(), "outcome"
            )

    def _certificates(self) -> Iterator[Metric]:
        expiries = {(str(each.path),): each.expiry.timestamp() for each in self._status.identities}
        if expiries:
            yield _gauge(
                "tls_certificate_expiry_timestamp_seconds",
                "End of the validity of each certificate in use (Unix time)",
                expiries.items(),
                "file",
            )

    def _rooms(self, lobby: Lobby) -> Iterator[Metric]:
        yield _gauge("rooms", "Rooms", _one(len(lobby.rooms)))
        yield _gauge("members", "Members of all rooms", _one(lobby.members))
        refused = {(code,): count for code, count in lobby.refused.items()}
        yield _counter(
            "rooms_lost",
            "Messages lost because a member was slow or disconnected",
            _one(lobby.lost),
        )
        yield _counter(
            "rooms_not_kept",
            "Disconnected members that could not resume because of --max-kept",
            _one(lobby.notKept),
        )
        yield _counter("rooms_refused", "Requests refused by rooms", refused.items(), "code")

    def _broker(self, pubSub: IPubSub) -> Iterator[Metric]:
        up = pubSub.state is PubSubState.UP
        yield _gauge("broker_up", "Whether the broker is connected", _one(up))
        yield _gauge("broker_waiting", "Messages queued for the broker", _one(pubSub.waiting))
        for name, count in brokerCounters(pubSub).items():
            yield _counter(f"broker_{name}", BROKER_COUNTERS[name], _one(count))


def registryOf(service: Monitored) -> CollectorRegistry:
    """
    Create the metrics of a server and of this process.

    @param service: the server.
    @return: the registry.
    """
    registry = CollectorRegistry()
    registry.register(_ServerCollector(service))
    ProcessCollector(registry=registry)
    return registry


def report(metrics: Iterable[Metric]) -> list[Any]:
    """
    Convert metrics to a value for JSON.

    @param metrics: the metrics.
    @return: for each metric, its name, type, description, and the name, labels and value
        of each sample.
    """
    return [
        [
            metric.name,
            metric.type,
            metric.documentation,
            [[sample.name, sample.labels, float(sample.value)] for sample in metric.samples],
        ]
        for metric in metrics
    ]


def fromReport(families: Iterable[Any]) -> Iterator[Metric]:
    """
    Convert a report to metrics.

    @param families: see L{report}.
    @return: the metrics.
    """
    for name, kind, meaning, samples in families:
        metric = Metric(name, meaning, kind)
        for sample, labels, value in samples:
            metric.add_sample(sample, labels, value)
        yield metric


class MetricsResource(ReadOnlyResource):
    """
    The metrics of a registry.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        """
        @param registry: the registry.
        """
        super().__init__()
        self._registry = registry

    def render_GET(self, request: Request) -> bytes | int:
        """
        Write the metrics in the requested format.

        @param request: the request. Its C{Accept} field selects OpenMetrics; otherwise, the
            format is the older text format of Prometheus.
        """
        return self.encode(request)

    def encode(self, request: Request) -> bytes:
        """
        Encode the metrics.

        @param request: see L{render_GET}.
        @return: the body of the response.
        """
        encode, contentType = choose_encoder(request.getHeader("Accept") or "")
        request.setHeader("Content-Type", contentType)
        text: bytes = encode(self._registry)
        return text


_INDEX = b"""<!DOCTYPE html>
<html lang="en"><title>openfl-twisted</title>
<p><a href="metrics">metrics</a></p><p><a href="healthz">healthz</a></p></html>
"""


class IndexResource(ReadOnlyResource):
    """
    A page with links to the other resources.
    """

    def render_GET(self, request: Request) -> bytes:
        """
        Write the page.

        @return: the body of the response.
        """
        request.setHeader("Content-Type", "text/html; charset=utf-8")
        return _INDEX


class HealthResource(ReadOnlyResource):
    """
    The health check of a server.
    """

    def __init__(self, service: Any) -> None:
        """
        @param service: the server. If its C{isDraining} is true, the answer is 503.
        """
        super().__init__()
        self._service = service

    def render_GET(self, request: Request) -> bytes:
        """
        Write the state of the server.

        @return: the body of the response.
        """
        request.setHeader("Content-Type", "text/plain; charset=utf-8")
        if getattr(self._service, "isDraining", False):
            request.setResponseCode(SERVICE_UNAVAILABLE)
            return b"draining\n"
        return b"ok\n"


class MetricsService(AdminService):
    """
    The metrics and the health check of a server on their own port.
    """

    log = packageLogger()

    def __init__(
        self, service: Any, endpoint: AnyServerEndpoint, clock: AnyClock | None = None
    ) -> None:
        """
        @param service: the server, see L{Monitored}.
        @param clock: an C{IReactorTime} provider (default: the global reactor).
        """
        root = Directory()
        root.putChild(b"", IndexResource())
        root.putChild(b"healthz", HealthResource(service))
        root.putChild(b"metrics", self.makeResource(service))
        super().__init__(endpoint, root, self._logAddress, clock)

    def makeResource(self, service: Any) -> MetricsResource:
        """
        Create the resource of the metrics.

        @param service: the server, see L{Monitored}.
        @return: the resource.
        """
        return MetricsResource(registryOf(service))

    def _logAddress(self, at: str) -> None:
        self.log.info("metrics on {at}metrics", at=at)
