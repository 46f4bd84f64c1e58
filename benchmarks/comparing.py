"""
Rounds in which servers take turns.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.calls import CALLS, microseconds
from benchmarks.results import Costs, Profile, Results, best, reached, shares, verdicts
from benchmarks.running import Broken, Laboratory
from benchmarks.servers import Server
from benchmarks.workloads import Workload

Measure = Callable[[], float]

_PROFILE_SECONDS = 4.0

# So many characters say why something is left out.
_WHY = 200


def tell(text: str) -> None:
    """
    Say how it goes.
    """
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class Comparison:
    """
    Measures servers side by side.

    @ivar results: what was measured.
    """

    def __init__(
        self, folder: Path, servers: Sequence[Server], rounds: int, seconds: float
    ) -> None:
        """
        @param folder: where compiled programs are.
        @param rounds: how often each is measured, beside once that does not
            count. If it is 0, that once does count.
        @param seconds: how long each time.
        """
        self.results = Results()
        self.results.machine |= {"rounds": str(rounds), "a turn": f"{seconds:g} s"}
        self._folder = folder
        self._servers = {server.name: server for server in servers}
        self._rounds = rounds
        self._seconds = seconds
        for server in servers:
            if server.missing:
                self._leaveOut(server.name, server.missing)

    def _leaveOut(self, what: str, why: str) -> None:
        # Compilers say a lot.
        why = " ".join(why.split())[:_WHY]
        self.results.missing[what] = why
        tell(f"left out: {what}: {why}")

    def run(self, workload: Workload) -> None:
        """
        Measure a workload.
        """
        tell(workload.title)
        # No server is there that has nothing to do in this workload: each wakes up now and then.
        with Laboratory(self._folder) as laboratory:
            if workload.load == "calls":
                costs = self._take(workload, self._calls(workload))
            else:
                costs = self._take(workload, self._loads(laboratory, workload))
        if costs:
            self.results.costs[workload.name] = costs

    def _take(self, workload: Workload, measures: dict[str, Measure]) -> Costs:
        """
        Let all take their turns.
        """
        # Memory of a new process does not change from round to round, as time does.
        rounds = 0 if workload.load == "idle" else self._rounds
        costs: Costs = {name: [] for name in measures}
        for _ in range(rounds + 1):
            for name in list(costs):
                try:
                    cost = measures[name]()
                except Broken as problem:
                    self._leaveOut(f"{name}, {workload.title}", str(problem))
                    del costs[name]
                else:
                    costs[name].append(cost / workload.units)
        # In the first round programs are still compiling themselves.
        return {name: taken[1:] or taken for name, taken in costs.items()}

    def _calls(self, workload: Workload) -> dict[str, Measure]:
        """
        Say how to measure what needs no server.
        """
        try:
            functions = CALLS[workload.name]()
        except ImportError as problem:
            self._leaveOut(workload.title, str(problem))
            return {}
        return {
            name: partial(microseconds, function, self._seconds / 4)
            for name, function in functions.items()
        }

    def _loads(self, laboratory: Laboratory, workload: Workload) -> dict[str, Measure]:
        """
        Say how to measure each server that can do it.
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

        @raise Broken: if it did not do what it should.
        """
        command, settings = server.toDo(workload)
        try:
            running = laboratory.server(command)
            if workload.load != "idle":
                return laboratory.cost(workload.load, running, settings, self._seconds)
            memory = laboratory.memory(running, settings)
            laboratory.forget(command)
            return memory
        except Broken:
            laboratory.forget(command)
            raise

    def profile(self, workloads: Iterable[Workload]) -> None:
        """
        Profile the best of our own servers for each goal that is not reached.
        """
        for workload, costs in self.results.measured(workloads):
            own = best(verdicts(workload, costs))
            if own is None or own.server not in self._servers or workload.load == "idle":
                continue
            if reached(workload, own) in ("mark", "no"):
                tell(f"profile: {workload.title}")
                self._profile(workload, self._servers[own.server])

    def _profile(self, workload: Workload, server: Server) -> None:
        command, settings = server.toDo(workload)
        try:
            with Laboratory(self._folder) as laboratory:
                stacks = laboratory.stacks(
                    workload.load, laboratory.server(command), settings, _PROFILE_SECONDS
                )
        except Broken as problem:
            self._leaveOut(f"the profile of {workload.title}", str(problem))
        else:
            self.results.profiles[workload.name] = Profile(server.name, shares(stacks))
