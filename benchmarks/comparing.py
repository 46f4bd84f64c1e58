"""
Comparison of servers that are measured alternately, in rounds.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.calls import CALLS, microseconds
from benchmarks.results import Costs, Profile, Results, asTyped, shares, verdicts
from benchmarks.running import Laboratory, MeasurementError
from benchmarks.servers import Server
from benchmarks.workloads import Workload

Measure = Callable[[], float]

_PROFILE_SECONDS = 4.0

# Plots of workloads that start a new process for each measurement.
_RESTARTED = ("idle", "start")

# Maximum length of the reason for a missing server.
_MAX_REASON = 200


def report(text: str) -> None:
    """
    Write a progress message to C{stderr}.
    """
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class Comparison:
    """
    Measures several servers.

    @ivar results: the results so far.
    """

    def __init__(
        self, folder: Path, servers: Sequence[Server], rounds: int, seconds: float, runs: int = 1
    ) -> None:
        """
        @param folder: the folder of the compiled programs.
        @param rounds: number of rounds of a run after a first one, which is discarded. With
            0, the first one counts.
        @param seconds: duration of each measurement.
        @param runs: number of runs with new processes of the servers.
        """
        self.results = Results()
        self.results.machine |= {
            "runs": str(runs),
            "rounds per run": str(rounds),
            "time per measurement": f"{seconds:g} s",
        }
        self._folder = folder
        self._servers = {server.name: server for server in servers}
        self._rounds = rounds
        self._seconds = seconds
        self._runs = runs
        for server in servers:
            if server.missing:
                self._skip(server.name, server.missing)

    def _skip(self, name: str, reason: str) -> None:
        # The output of a compiler can be long.
        reason = " ".join(reason.split())[:_MAX_REASON]
        self.results.missing[name] = reason
        report(f"skipped: {name}: {reason}")

    def run(self, workload: Workload) -> None:
        """
        Measure all servers in a workload.
        """
        report(workload.title)
        costs = self._runOnce(workload)
        for _ in range(self._runs - 1):
            further = self._runOnce(workload)
            # A server that fails once is skipped.
            costs = {name: costs[name] + further[name] for name in costs if name in further}
        if costs:
            self.results.costs[workload.name] = costs

    def _runOnce(self, workload: Workload) -> Costs:
        """
        Measure all servers with new processes.
        """
        # Unused servers are stopped, since each one wakes up occasionally.
        with Laboratory(self._folder) as laboratory:
            if workload.load == "calls":
                return self._runRounds(workload, self._callMeasurements(workload))
            return self._runRounds(workload, self._loadMeasurements(laboratory, workload))

    def _runRounds(self, workload: Workload, measures: dict[str, Measure]) -> Costs:
        """
        Run all measurements alternately.
        """
        # Unlike the time, the memory of a new process is the same in each round.
        rounds = 0 if workload.plot == "idle" else self._rounds
        costs: Costs = {name: [] for name in measures}
        for _ in range(rounds + 1):
            for name in list(costs):
                try:
                    cost = measures[name]()
                except MeasurementError as problem:
                    self._skip(f"{name}, {workload.title}", str(problem))
                    del costs[name]
                else:
                    costs[name].append(cost / workload.units)
        # The first round includes the servers' just-in-time compilation.
        return {name: found[1:] or found for name, found in costs.items()}

    def _callMeasurements(self, workload: Workload) -> dict[str, Measure]:
        """
        Return the measurements of a workload without a network.
        """
        try:
            functions = CALLS[workload.name]()
        except ImportError as problem:
            self._skip(workload.title, str(problem))
            return {}
        return {
            name: partial(microseconds, function, self._seconds / 4)
            for name, function in functions.items()
        }

    def _loadMeasurements(self, laboratory: Laboratory, workload: Workload) -> dict[str, Measure]:
        """
        Return the measurements of the servers that support a workload.
        """
        return {
            server.name: partial(self._measure, laboratory, workload, server)
            for server in self._servers.values()
            if workload.serves in server.commands
            and not server.missing
            and workload.name not in server.skips
        }

    def _measure(self, laboratory: Laboratory, workload: Workload, server: Server) -> float:
        """
        Measure a server once.

        @raise MeasurementError: if the measurement failed.
        """
        command, settings = server.plan(workload)
        try:
            running = laboratory.server(command)
            if workload.plot not in _RESTARTED:
                measuring = laboratory.rate if workload.isRate else laboratory.cost
                return measuring(workload.load, running, settings, self._seconds)
            if workload.load == "start":
                measured = running.cpu if settings["cpu"] else running.elapsed
            else:
                measured = laboratory.memory(workload.load, running, settings)
            laboratory.stop(command)
            return measured
        except MeasurementError:
            laboratory.stop(command)
            raise

    def profile(self, workloads: Iterable[Workload]) -> None:
        """
        Profile our command in each workload whose goals are not reached.
        """
        for workload, costs in self.results.measured(workloads):
            own = asTyped(verdicts(costs))
            if own is None or own.server not in self._servers or workload.plot in _RESTARTED:
                continue
            if own.reached(workload) is False:
                report(f"profile: {workload.title}")
                self._profile(workload, self._servers[own.server])

    def _profile(self, workload: Workload, server: Server) -> None:
        command, settings = server.plan(workload)
        try:
            with Laboratory(self._folder) as laboratory:
                stacks = laboratory.stacks(
                    workload.load, laboratory.server(command), settings, _PROFILE_SECONDS
                )
        except MeasurementError as problem:
            self._skip(f"the profile of {workload.title}", str(problem))
        else:
            self.results.profiles[workload.name] = Profile(server.name, shares(stacks))
