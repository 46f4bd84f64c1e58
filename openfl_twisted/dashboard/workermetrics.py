"""
The Prometheus metrics of a server with several processes (C{--workers}).
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET, Request

from openfl_twisted.dashboard.merging import MergedMetrics, Report
from openfl_twisted.dashboard.metrics import MetricsResource, MetricsService, fromReport, report
from openfl_twisted.dashboard.workers import AnsweringWorker, WorkerGroup
from openfl_twisted.logs import packageLogger

_log = packageLogger()


class _MergedCollector(Collector):
    """
    Collects the latest metrics of all workers.
    """

    def __init__(self, workers: WorkerGroup) -> None:
        self._workers = workers
        self._merged = MergedMetrics()
        self._known: set[int] = set()
        self._own = CollectorRegistry()
        ProcessCollector(registry=self._own)

    def ask(self) -> Deferred[Any]:
        """
        Request the metrics of all workers. If a worker does not answer, the last metrics of
        that worker are used.

        @return: fires when each worker has answered or its request has failed.
        """
        self._forget()
        return DeferredList(
            [
                worker.ask("metrics").addCallbacks(partial(self._answered, worker), self._failed)
                for worker in self._workers.active
            ]
        )

    def _answered(self, worker: AnsweringWorker, answer: Report) -> None:
        self._known.add(worker.process)
        self._merged.update(worker.process, answer)

    def _failed(self, failure: Failure) -> None:
        _log.debug("metrics of a worker are missing: {reason}", reason=failure.value)

    def _forget(self) -> None:
        """
        Drop all metrics of workers that have ended, except their counters and histograms.
        """
        ended = self._known - {worker.process for worker in self._workers.active}
        for process in sorted(ended):
            self._merged.end(process)
        self._known -= ended

    def collect(self) -> Iterator[Metric]:
        self._forget()
        workers = self._workers
        own: Report = [
            _family("openfl_workers", "gauge", "Worker processes that should run", workers.count),
            _family("openfl_workers_up", "gauge", "Running workers", len(workers.active)),
            _family("openfl_worker_restarts", "counter", "Restarts of workers", workers.restarts),
        ]
        yield from fromReport(self._merged.merge(own, report(self._own.collect())))


def _family(name: str, kind: str, meaning: str, value: float) -> list[Any]:
    sample = f"{name}_total" if kind == "counter" else name
    return [name, kind, meaning, [[sample, {}, value]]]


class _WorkerMetricsResource(MetricsResource):
    def __init__(self, workers: WorkerGroup) -> None:
        self._collector = _MergedCollector(workers)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self._collector)
        super().__init__(registry)

    def render_GET(self, request: Request) -> int:
        asked = self._collector.ask().addCallback(lambda _: self._finish(request))
        asked.addErrback(lambda failure: _log.failure("cannot write the metrics", failure))
        return NOT_DONE_YET

    def _finish(self, request: Request) -> None:
        # The HTTP client may have disconnected.
        if request.channel is not None:
            request.write(self.encode(request))
            request.finish()


class WorkerMetricsService(MetricsService):
    """
    An HTTP server, on a separate port, for the merged metrics of all workers.
    """

    def makeResource(self, service: WorkerGroup) -> MetricsResource:
        return _WorkerMetricsResource(service)
