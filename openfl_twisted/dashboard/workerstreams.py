"""
The dashboard of a server with several processes (C{--workers}).
"""

from collections.abc import Callable
from itertools import count
from typing import Any, cast

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure
from twisted.web.server import Request

from openfl_twisted.dashboard.clientlist import DEFAULT_VIEW, View
from openfl_twisted.dashboard.merging import mergeServers, mergeStates
from openfl_twisted.dashboard.page import DashboardService
from openfl_twisted.dashboard.streams import (
    GONE,
    MAX_EXPORTED,
    MAX_SHOWN,
    DashboardError,
    DashboardStreams,
    Describe,
    MessageStream,
)
from openfl_twisted.dashboard.workers import AnsweringWorker, WorkerGroup
from openfl_twisted.transports.blocklist import BlockList
from openfl_twisted.types import AnyClock

# The last digits of a client's number in the dashboard are the number of the worker process.
_PROCESSES = 1000


def _code(worker: AnsweringWorker) -> int:
    return worker.process % _PROCESSES


class WorkerStreams(DashboardStreams):
    """
    The streams of a dashboard that shows several workers.

    The state of each worker is requested once per interval. An event shows the latest states
    received, usually the states requested one interval earlier. A client's number on the
    dashboard is its number in the worker, followed by three digits for the process.
    """

    def __init__(self, workers: WorkerGroup, clock: AnyClock | None = None) -> None:
        """
        @param workers: the workers.
        @param clock: an C{IReactorTime} provider (default: the global reactor).
        """
        super().__init__(clock)
        self._workers = workers
        self._numbers = count(1)
        # By view and process: the latest states, and the requests without an answer.
        self._states: dict[View, dict[int, dict[str, Any]]] = {}
        self._asked: set[tuple[View, int]] = set()

    def showState(self, request: Request, view: View = DEFAULT_VIEW) -> None:
        super().showState(request, view)
        # A stream can end before the first interval.
        self._forget()
        # Request the states now, so that they are available for the first event.
        self._ask(view)

    def describe(self, view: View = DEFAULT_VIEW) -> dict[str, Any] | None:
        known, running = self._states.get(view, {}), self._running
        states = [state for process, state in known.items() if process in running]
        self._ask(view)
        return self._merge(states, view, MAX_SHOWN) if states else None

    def describeAll(self, view: View) -> Deferred[dict[str, Any]]:
        def merge(states: list[dict[str, Any]]) -> dict[str, Any]:
            return self._merge(states, view, MAX_EXPORTED * len(states))

        def ask(worker: AnsweringWorker) -> Deferred[Any]:
            asked = worker.ask("state", **view._asdict(), most=MAX_EXPORTED)
            return asked.addCallback(_setNumbers, worker)

        return self._askAll(ask).addCallback(merge)

    def _askAll(self, ask: Callable[[AnsweringWorker], Deferred[Any]]) -> Deferred[list[Any]]:
        """
        Send a request to all workers.

        @param ask: sends the request to a worker.
        @return: fires with the responses of the workers that have answered; fails with
            L{DashboardError} if all requests have failed.
        """

        def succeeded(results: list[tuple[bool, Any]]) -> list[Any]:
            answers = [answer for success, answer in results if success]
            problems = [failure for success, failure in results if not success]
            if not answers and problems:
                _raiseProblem(problems[0])
            return answers

        asked = [ask(worker) for worker in self._workers.active]
        return DeferredList(asked, consumeErrors=True).addCallback(cast("Any", succeeded))

    def sample(self) -> Deferred[None]:
        def ask(worker: AnsweringWorker) -> Deferred[Any]:
            return worker.ask("counters").addCallback(lambda answer: (worker.process, answer))

        def add(answers: list[tuple[int, dict[str, Any]]]) -> None:
            self.history.add(self.clock.seconds(), dict(answers), self._running)

        return self._askAll(ask).addCallbacks(add, lambda _: None)

    @property
    def _running(self) -> set[int]:
        return {worker.process for worker in self._workers.active}

    def _merge(self, states: list[dict[str, Any]], view: View, most: int) -> dict[str, Any]:
        """
        Merge the states of the workers, and add the values of this process.
        """
        if not states:
            raise DashboardError(503, "no worker is running")
        merged = mergeStates(states, view, most)
        own = {"uptime": self.vitals.uptime, "lag": self.vitals.lag, "memory": self.vitals.memory}
        return {
            **merged,
            "server": mergeServers([merged["server"], {**merged["server"], **own}]),
            "time": self.clock.seconds(),
            "missedByAll": self.missed,
            "blocked": self.describeBlocks(),
            "workers": {
                "count": self._workers.count,
                "up": len(self._running),
                "restarts": self._workers.restarts,
            },
        }

    def _ask(self, view: View) -> None:
        """
        Request the states of the workers that have answered the previous request.
        """
        for worker in self._workers.active:
            key = (view, worker.process)
            if key not in self._asked:
                self._asked.add(key)
                asked = worker.ask("state", **view._asdict())
                asked.addCallback(_setNumbers, worker)
                asked.addCallback(self._remember, worker, view)
                asked.addBoth(self._answered, key)

    def _answered(self, result: object, key: tuple[View, int]) -> None:
        # If a worker does not answer, its last state is still used.
        self._asked.discard(key)

    def _remember(self, state: dict[str, Any], worker: AnsweringWorker, view: View) -> None:
        self._states.setdefault(view, {})[worker.process] = state

    @property
    def blockList(self) -> BlockList | None:
        return self._workers.blockList

    def tick(self) -> None:
        super().tick()
        self._forget()

    def _forget(self) -> None:
        """
        Drop the states of views without a stream, and those of workers that have ended.
        """
        shown, running = self.views(), self._running
        self._states = {
            view: {process: state for process, state in known.items() if process in running}
            for view, known in self._states.items()
            if view in shown
        }

    def _find(self, id: int) -> tuple[AnsweringWorker, int]:
        """
        Find the worker to which a client is connected.

        @return: the worker, and the client's number in that worker.
        """
        number, code = divmod(id, _PROCESSES)
        for worker in self._workers.active:
            if _code(worker) == code:
                return worker, number
        raise DashboardError(404, GONE)

    def showMessages(self, request: Request, id: int) -> None:
        worker, number = self._find(id)
        stream = next(self._numbers)
        # Begin the stream before the request is sent, because the request can fail immediately.
        self.begin(request, lambda: _WorkerMessageStream(request, self, worker, stream)).monitor(
            number
        )

    def kick(self, id: int, reason: str) -> Deferred[None]:
        worker, number = self._find(id)
        return worker.ask("kick", id=number, reason=reason).addErrback(_raiseProblem)

    def broadcast(self, text: str) -> Deferred[int]:
        return self._askAll(lambda worker: worker.ask("broadcast", text=text)).addCallback(sum)

    def closeRoom(self, room: str, reason: str) -> Deferred[int]:
        def ask(worker: AnsweringWorker) -> Deferred[Any]:
            return worker.ask("closeroom", room=room, reason=reason)

        return self._askAll(ask).addCallback(sum)


def _setNumbers(state: dict[str, Any], worker: AnsweringWorker) -> dict[str, Any]:
    """
    Replace the numbers of the clients in a worker by their numbers on the dashboard.

    @return: the changed state.
    """
    for client in state["clients"]:
        client["id"] = client["id"] * _PROCESSES + _code(worker)
    for member in state["room"]["members"] if state["room"] else []:
        if member["client"] is not None:
            member["client"] = member["client"] * _PROCESSES + _code(worker)
    return state


def _raiseProblem(failure: Failure) -> None:
    """
    Raise the error of a failed request as a L{DashboardError}.
    """
    raise DashboardError(getattr(failure.value, "status", 503), str(failure.value))


class _WorkerMessageStream(MessageStream):
    """
    The stream of the messages of a client that is connected to a worker.
    """

    def __init__(
        self,
        request: Request,
        state: DashboardStreams,
        worker: AnsweringWorker,
        stream: int,
    ) -> None:
        super().__init__(request, state)
        self._worker = worker
        self._stream = stream
        self._isOver = False
        self._asking = True

    def monitor(self, id: int) -> None:
        """
        Ask the worker to monitor a client.

        @param id: the client's number in the worker.
        """
        asked = self._worker.ask("monitor", stream=self._stream, id=id)
        asked.addCallbacks(self._monitored, self._failed)

    def _monitored(self, answer: None) -> None:
        self._asking = False

    def tick(self, describe: Describe) -> None:
        if self.ready and not self._asking:
            self._asking = True
            asked = self._worker.ask("messages", stream=self._stream)
            asked.addCallbacks(self._answered, self._failed)

    def _answered(self, answer: list[Any]) -> None:
        self._asking = False
        if not self._isOver:
            self.take(*answer)

    def _failed(self, failure: Failure) -> None:
        """
        Send the problem and end the stream. Called when the worker has ended, has no such
        client, or does not answer.
        """
        if not self._isOver:
            self.send("problem", problem=str(failure.value))
            self.finish()

    def ended(self) -> None:
        self._isOver = True
        # The worker may have ended.
        self._worker.ask("unmonitor", stream=self._stream).addErrback(lambda _: None)


class WorkerDashboardService(DashboardService):
    """
    The dashboard of all workers, on a separate port.
    """

    def makeState(self, service: WorkerGroup, clock: AnyClock | None) -> DashboardStreams:
        return WorkerStreams(service, clock)
