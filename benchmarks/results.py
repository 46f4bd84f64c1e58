"""
What was measured, to be kept: costs by workload and server, and what follows
from them.
"""

import json
import linecache
import math
import os
import platform
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import twisted
from benchmarks.servers import OURS
from benchmarks.workloads import Workload

Costs = dict[str, list[float]]

# So many lines of a profile are kept.
_SHOWN = 10

# How py-spy names a function, and where it was.
_frame = re.compile(r"(.+) \((.+):([0-9]+)\)")


def machine() -> dict[str, str]:
    """
    Say on what is measured.
    """
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "Python": platform.python_version(),
        "Twisted": twisted.__version__,
        "Linux": platform.release().partition("-")[0],
        "processor": model,
        "load average before": f"{os.getloadavg()[0]:.1f}",
    }


@dataclass(frozen=True)
class Profile:
    """
    Where the time of a server goes.

    @ivar shares: functions, with a line of theirs, and the parts of the time
        that were spent in it, the largest first; what is written in Python and
        called there is not in it.
    """

    server: str
    shares: Mapping[str, float]


@dataclass
class Results:
    """
    The costs of each server for each workload, one for each round, in the unit
    of the workload.

    @ivar machine: on what, and how, it was measured.
    @ivar missing: what was left out, and why.
    @ivar profiles: by workload.
    """

    machine: dict[str, str] = field(default_factory=machine)
    costs: dict[str, Costs] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    profiles: dict[str, Profile] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """
        Write them into a file, as JSON.
        """
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """
        Read them from a file.
        """
        kept: dict[str, Any] = json.loads(path.read_text())
        profiles = {name: Profile(**each) for name, each in kept.pop("profiles").items()}
        return cls(**kept, profiles=profiles)

    def measured(self, workloads: Iterable[Workload]) -> Iterator[tuple[Workload, Costs]]:
        """
        Go through those of some workloads that were measured.
        """
        for workload in workloads:
            if workload.name in self.costs:
                yield workload, self.costs[workload.name]


@dataclass(frozen=True)
class Verdict:
    """
    How a server does with a workload.

    @ivar cost: the median of its costs.
    @ivar ratio: the median of its cost over that of the reference in the same
        round; C{None} if there is no reference, or it was not measured.
    @ivar value: what is compared with the goal: the ratio, or the cost if that
        counts; C{None} if it is not known.
    """

    server: str
    cost: float
    ratio: float | None
    value: float | None

    @property
    def own(self) -> bool:
        """
        Whether it is one of our own.
        """
        return self.server.startswith(OURS)


def pairedRatio(costs: Sequence[float], references: Sequence[float]) -> float:
    """
    Compare costs that were measured in the same rounds.

    @return: the median of the ratios.
    """
    return statistics.median(a / b for a, b in zip(costs, references, strict=True))


def verdicts(workload: Workload, costs: Costs) -> list[Verdict]:
    """
    Compare the servers with the reference.
    """
    found = []
    references = costs.get(workload.reference or "")
    for server, own in costs.items():
        cost, ratio = statistics.median(own), None
        if references is not None:
            ratio = pairedRatio(own, references)
        value = cost if workload.reference is None else ratio
        found.append(Verdict(server, cost, ratio, value))
    return found


def best(found: Iterable[Verdict]) -> Verdict | None:
    """
    Choose the one of our own servers that does best.
    """
    own = [each for each in found if each.own]
    return min(own, key=lambda each: each.cost if each.value is None else each.value, default=None)


def reached(workload: Workload, verdict: Verdict) -> str:
    """
    Say in a word how far a server of ours has come.
    """
    if verdict.value is None or workload.goal is None:
        return "?"
    if verdict.value <= workload.goal:
        return "goal"
    if workload.mark is not None and verdict.value <= workload.mark:
        return "mark"
    return "no"


def steepest(points: Iterable[tuple[float, float]]) -> float:
    """
    Say how fast a cost grows where it grows fastest.

    @param points: of how much there is, and what each of it costs, in order.
    @return: 0 if each costs the same, so the whole grows in proportion; 1 if
        the whole grows with the square.
    """
    return max(
        (
            math.log(later / earlier) / math.log(more / less)
            for (less, earlier), (more, later) in pairwise(points)
        ),
        default=0.0,
    )


def _describe(frame: str) -> str:
    """
    Read the line that a function was at, which says more than its number.
    """
    found = _frame.fullmatch(frame)
    if found is None:
        return frame or "not in Python"
    return f"{found[1]}: {linecache.getline(found[2], int(found[3])).strip()}"


def shares(stacks: str) -> dict[str, float]:
    """
    Add up what a profiler has seen.

    @param stacks: as L{benchmarks.running.Laboratory.stacks} gives them.
    @return: the parts of the innermost functions, with the line at which they
        were, the largest first.
    """
    seen: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, times = line.rpartition(" ")
        seen[_describe(stack.rpartition(";")[2])] += int(times)
    return {name: times / seen.total() for name, times in seen.most_common(_SHOWN)}
