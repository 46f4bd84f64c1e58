"""
Measured costs by workload and server, and statistics of them.
"""

import json
import linecache
import math
import os
import platform
import re
import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import twisted
from benchmarks.servers import AS_TYPED, OURS
from benchmarks.workloads import Workload

Costs = dict[str, list[float]]

# Number of functions stored in a profile.
_MAX_FUNCTIONS = 10

# The format of a frame in the output of py-spy.
_frame = re.compile(r"(.+) \((.+):([0-9]+)\)")


def machine() -> dict[str, str]:
    """
    Describe the machine and the software.
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
    The functions in which a server spends its time.

    @ivar shares: share of the time by function and source line, in descending order. Time
        in called Python functions is not included.
    """

    server: str
    shares: Mapping[str, float]


@dataclass
class Results:
    """
    The costs of each server in each workload, one for each round, in the unit of the
    workload.

    @ivar machine: the machine and the settings.
    @ivar missing: the reasons for missing results, by name.
    @ivar profiles: profiles by workload.
    """

    machine: dict[str, str] = field(default_factory=machine)
    costs: dict[str, Costs] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    profiles: dict[str, Profile] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """
        Write the results to a file as JSON.
        """
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """
        Read the results from a file.
        """
        stored: dict[str, Any] = json.loads(path.read_text())
        profiles = {name: Profile(**each) for name, each in stored.pop("profiles").items()}
        return cls(**stored, profiles=profiles)

    def measured(self, workloads: Iterable[Workload]) -> Iterator[tuple[Workload, Costs]]:
        """
        Yield the measured ones of some workloads, and their costs.
        """
        for workload in workloads:
            if workload.name in self.costs:
                yield workload, self.costs[workload.name]


@dataclass(frozen=True)
class Spread:
    """
    The median of numbers, and their range.
    """

    median: float
    low: float
    high: float


def spread(numbers: Collection[float]) -> Spread:
    """
    Return the median, the lowest and the highest of some numbers.
    """
    return Spread(statistics.median(numbers), min(numbers), max(numbers))


@dataclass(frozen=True)
class Verdict:
    """
    The result of a server in a workload.

    @ivar cost: its costs.
    @ivar ratios: by server, the ratios of the costs measured in the same rounds.
    """

    server: str
    cost: Spread
    ratios: Mapping[str, Spread]

    @property
    def own(self) -> bool:
        """
        Whether the server is part of this package.
        """
        return self.server.startswith(OURS)

    def value(self, workload: Workload) -> float | None:
        """
        Return the value to compare with the goal: the ratio to the reference, or the
        cost if the workload has no reference. It is C{None} if the reference was not
        measured.
        """
        if workload.reference is None:
            return self.cost.median
        ratio = self.ratios.get(workload.reference)
        return None if ratio is None else ratio.median

    def reached(self, workload: Workload) -> bool | None:
        """
        Return whether the goals are reached, or C{None} if that is unknown.
        """
        value = self.value(workload)
        if value is None or workload.goal is None:
            return None
        other = self.ratios.get(workload.ahead or "")
        return value <= workload.goal and (other is None or other.median < 1)


def verdicts(costs: Costs) -> list[Verdict]:
    """
    Compare all servers with each other.
    """
    return [
        Verdict(
            server,
            spread(own),
            {
                name: spread([a / b for a, b in zip(own, others, strict=True)])
                for name, others in costs.items()
            },
        )
        for server, own in costs.items()
    ]


def best(found: Iterable[Verdict]) -> Verdict | None:
    """
    Return the result of our fastest server, if any.
    """
    own = [each for each in found if each.own]
    return min(own, key=lambda each: each.cost.median, default=None)


def asTyped(found: Sequence[Verdict]) -> Verdict | None:
    """
    Return the result of our command with default options. A workload without a command
    has only one server of ours.
    """
    return next((each for each in found if each.server == AS_TYPED), best(found))


def steepest(points: Iterable[tuple[float, float]]) -> float:
    """
    Return the steepest growth of a cost.

    @param points: pairs of a quantity and its cost per unit, in order.
    @return: the exponent of the growth: 0 if the cost per unit is constant, so the total
        grows in proportion; 1 if the total grows with the square.
    """
    return max(
        (
            math.log(later / earlier) / math.log(large / small)
            for (small, earlier), (large, later) in pairwise(points)
        ),
        default=0.0,
    )


def _withSource(frame: str) -> str:
    """
    Replace the line number of a frame by its source line.
    """
    found = _frame.fullmatch(frame)
    if found is None:
        return frame or "not in Python"
    return f"{found[1]}: {linecache.getline(found[2], int(found[3])).strip()}"


def shares(stacks: str) -> dict[str, float]:
    """
    Return the share of each innermost function.

    @param stacks: the result of L{benchmarks.running.Laboratory.stacks}.
    @return: shares by function and source line, in descending order.
    """
    counts: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, samples = line.rpartition(" ")
        counts[_withSource(stack.rpartition(";")[2])] += int(samples)
    return {name: samples / counts.total() for name, samples in counts.most_common(_MAX_FUNCTIONS)}
