"""
C{--metrics}: what Prometheus reads.

Nothing is counted for it: when it is asked, it is read from the plain counters
of the server.
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from twisted.internet.interfaces import IReactorTime, IStreamServerEndpoint
from twisted.web.server import Request

from openfl_twisted.dashboard.adminhttp import Folder, Page, SiteService
from openfl_twisted.dashboard.status import RELAY_COUNTERS, Overview, Watched, countsOf
from openfl_twisted.logs import packageLogger
from openfl_twisted.protocols.clients import KINDS, UNDECIDED, Traffic
from openfl_twisted.protocols.guard import ENDS
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.relay import IRelay, RelayState

Values: TypeAlias = Iterable[tuple[tuple[str, ...], float]]
"""
The values of a metric, with those of its labels.
"""


def _counter(name: str, meaning: str, values: Values, *labels: str) -> Metric:
    """
    Make a counter; its name gets C{_total} behind it.
    """
    family = CounterMetricFamily(f"openfl_{name}", meaning, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def _gauge(name: str, meaning: str, values: Values, *labels: str) -> Metric:
    """
    Make a gauge.
    """
    family = GaugeMetricFamily(f"openfl_{name}", meaning, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def _one(value: float) -> Values:
    """
    Make the values of a metric that has no labels.
    """
    return [((), value)]


class ServerCollector(Collector):
    """
    Reads the counters of a server.
    """

    def __init__(self, service: Watched) -> None:
        """
        @param service: the server.
        """
        self._overview = Overview(service)

    def collect(self) -> Iterator[Metric]:
        """
        Read them.
        """
        yield from self._connections()
        yield from self._traffic()
        yield from self._refusals()
        yield from self._certificates()
        lobby, relay = self._overview.lobby, self._overview.relay
        if lobby is not None:
            yield from self._rooms(lobby)
        if relay is not None:
            yield from self._relay(relay)

    def _connections(self) -> Iterator[Metric]:
        guard = self._overview.guard
        clients = {(kind,): 0 for kind in KINDS}
        for connection in list(guard.protocols):
            clients[connection.kind,] += 1
        yield _gauge("clients", "Clients that are connected", clients.items(), "kind")
        yield _gauge("clients_limit", "How many may be, 0 for any", _one(guard.maxConnections))
        yield _counter("connections_opened", "Connections accepted", _one(guard.opened))
        # A series that is not there before its first event loses that event.
        closed = {(kind, by): guard.closed.get((kind, by), 0) for kind in KINDS for by in ENDS}
        yield _counter(
            "connections_closed", "Connections that have ended", closed.items(), "kind", "by"
        )

    def _traffic(self) -> Iterator[Metric]:
        guard = self._overview.guard
        none = {kind: Traffic() for kind in KINDS if kind != UNDECIDED}
        traffic = {**none, **guard.traffic()}
        for name, meaning, attribute in (
            ("received_bytes", "Bytes received from clients", "bytesIn"),
            ("sent_bytes", "Bytes sent to clients", "bytesOut"),
            ("received_pieces", "In how many pieces they have come", "reads"),
        ):
            values = {(kind,): getattr(found, attribute) for kind, found in traffic.items()}
            yield _counter(name, meaning, values.items(), "kind")
        waiting = guard.waiting()
        yield _gauge("queue_bytes", "Bytes that wait for clients that do not read", _one(waiting))
        messages = self._overview.messages
        if messages is not None:
            received, sent = messages
            yield _counter("messages_received", "Messages received from clients", _one(received))
            yield _counter("messages_sent", "Messages sent to clients", _one(sent))

    def _refusals(self) -> Iterator[Metric]:
        refusals = {(limit,): count for limit, count in self._overview.refusals.items()}
        yield _counter(
            "connections_refused", "Connections refused at a limit", refusals.items(), "limit"
        )
        cut = self._overview.cut
        if cut:
            limits = {(limit,): count for limit, count in cut.items()}
            yield _counter(
                "connections_cut", "Connections closed by a limit", limits.items(), "limit"
            )
        foreign = {(name,): count for name, count in self._overview.foreign.items()}
        if foreign:
            yield _counter(
                "connections_foreign",
                "Connections closed because the client spoke another protocol",
                foreign.items(),
                "protocol",
            )
        requests = self._overview.policyRequests
        if requests is not None:
            outcomes = {(outcome,): count for outcome, count in requests.items()}
            yield _counter(
                "policy_requests", "Requests for the policy file", outcomes.items(), "outcome"
            )

    def _certificates(self) -> Iterator[Metric]:
        expiries = {
            (str(each.path),): each.expiry.timestamp() for each in self._overview.identities
        }
        if expiries:
            yield _gauge(
                "tls_certificate_expiry_timestamp_seconds",
                "End of the validity of each certificate in use (Unix time)",
                expiries.items(),
                "file",
            )

    def _rooms(self, lobby: Lobby) -> Iterator[Metric]:
        yield _gauge("rooms", "Rooms that are open", _one(len(lobby.rooms)))
        yield _gauge("members", "Members of all rooms", _one(lobby.members))
        refused = {(code,): count for code, count in lobby.refused.items()}
        yield _counter("rooms_lost", "Messages that members have not got", _one(lobby.lost))
        yield _counter(
            "rooms_not_kept",
            "Disconnected members that could not resume because of --max-kept",
            _one(lobby.notKept),
        )
        yield _counter("rooms_refused", "What rooms have refused", refused.items(), "code")

    def _relay(self, relay: IRelay) -> Iterator[Metric]:
        up = relay.state is RelayState.UP
        yield _gauge("relay_up", "Whether other nodes can be reached", _one(up))
        yield _gauge("relay_waiting", "Messages that wait for the broker", _one(relay.waiting))
        for name, count in countsOf(relay).items():
            yield _counter(f"relay_{name}", RELAY_COUNTERS[name], _one(count))


class MetricsResource(Page):
    """
    What is at C{/metrics}.
    """

    def __init__(self, service: Watched) -> None:
        """
        @param service: the server.
        """
        super().__init__()
        self._registry = CollectorRegistry()
        self._registry.register(ServerCollector(service))
        ProcessCollector(registry=self._registry)

    def render_GET(self, request: Request) -> bytes:
        """
        Write the metrics in the form that the reader prefers.

        @param request: its C{Accept} says whether that is OpenMetrics or the
            older text form of Prometheus, which is for everybody else.
        """
        encode, contentType = choose_encoder(request.getHeader("Accept") or "")
        request.setHeader("Content-Type", contentType)
        text: bytes = encode(self._registry)
        return text


class MetricsService(SiteService):
    """
    The metrics of a server, on a port of their own.
    """

    log = packageLogger()

    def __init__(
        self, service: Watched, endpoint: IStreamServerEndpoint, clock: IReactorTime | None = None
    ) -> None:
        """
        @param service: the server.
        @param endpoint: where the metrics are.
        @param clock: for the times; the reactor if there is none.
        """
        root = Folder()
        root.putChild(b"metrics", MetricsResource(service))
        super().__init__(endpoint, root, self._tell, clock)

    def _tell(self, at: str) -> None:
        self.log.info("metrics on {at}metrics", at=at)
