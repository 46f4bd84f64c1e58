"""
Tables of results, for the terminal and the documentation.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.results import (
    Costs,
    Results,
    Verdict,
    best,
    pairedRatio,
    reached,
    steepest,
    verdicts,
)
from benchmarks.workloads import GROWTHS, WORKLOADS, Growth, Workload

Row = Sequence[str]

# A hyphen would start a list.
_MISSING = "\N{EN DASH}"

GOALS = ("workload", "best of ours", "cost", "ratio", "C", "prototype", "goal", "reached")
COMPARED_WITH_C = ("workload", "best of ours, ratio to C", "prototype, ratio to C")
DETAILS = ("server", "cost", "ratio", "reached")
PROFILE = ("part of the time", "function", "line")


def number(value: float | None) -> str:
    """
    Format a number with three significant digits.
    """
    if value is None:
        return _MISSING
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(workload: Workload, verdict: Verdict) -> str:
    """
    Format the ratio of a server to the reference.
    """
    if workload.reference is None:
        return _MISSING
    return f"{number(verdict.ratio)} x {workload.reference}"


def goals(results: Results) -> Iterator[Row]:
    """
    Yield the rows of the table of goals.
    """
    for workload, costs in results.measured(WORKLOADS):
        found = verdicts(workload, costs)
        own = best(found)
        floor = next((each.value for each in found if each.server == "C"), None)
        if own is not None:
            yield (
                workload.title,
                own.server,
                f"{number(own.cost)} {workload.unit}",
                _ratio(workload, own),
                number(floor),
                number(workload.mark),
                number(workload.goal),
                reached(workload, own),
            )


def comparedWithC(results: Results) -> Iterator[Row]:
    """
    Yield the rows of the table with the server in C as the reference of all workloads.
    Unlike other references, its cost is similar on all machines.
    """
    for workload, costs in results.measured(WORKLOADS):
        own = best(verdicts(workload, costs))
        if own is not None and workload.prototype is not None and "C" in costs:
            ratio = pairedRatio(costs[own.server], costs["C"])
            yield workload.title, number(ratio), number(workload.prototype)


def details(workload: Workload, costs: Costs) -> Iterator[Row]:
    """
    Yield the rows of the table of one workload.
    """
    for verdict in verdicts(workload, costs):
        ending = reached(workload, verdict) if verdict.own else ""
        yield verdict.server, number(verdict.cost), _ratio(workload, verdict), ending


def curves(results: Results, growth: Growth) -> dict[str, dict[int, float]]:
    """
    Return the costs of each server by quantity.
    """
    found: dict[str, dict[int, float]] = {}
    for quantity, workload in growth.points.items():
        for verdict in verdicts(workload, results.costs.get(workload.name, {})):
            found.setdefault(verdict.server, {})[quantity] = verdict.cost
    return found


def grown(results: Results, growth: Growth) -> list[Row]:
    """
    Return the header and the rows of a growth table, one row per server. The last column
    is the steepest growth.
    """
    rows: list[Row] = [("server", *(f"{quantity:,}" for quantity in growth.points), "steepest")]
    for server, costs in curves(results, growth).items():
        each = (number(costs.get(quantity)) for quantity in growth.points)
        rows.append((server, *each, f"{steepest(costs.items()):.2f}"))
    return rows


def profiled(results: Results, workload: Workload) -> Iterator[Row]:
    """
    Yield the rows of the profile of a workload.
    """
    for place, share in results.profiles[workload.name].shares.items():
        function, _, line = place.partition(": ")
        yield f"{share:.0%}", f"``{function}``", f"``{line}``" if line else ""


def grid(head: Row, rows: Iterable[Row]) -> str:
    """
    Format a table in reStructuredText.
    """
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rule = "  ".join("=" * width for width in widths)
    written = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([rule, written[0], rule, *written[1:], rule, ""])


def _titled(title: str, part: str) -> str:
    return "\n".join([title, "~" * len(title), "", part])


def _image(name: str, title: str) -> str:
    return f".. image:: ../images/{name}.svg\n   :alt: {title}\n"


def _measuredWith(results: Results) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    return f"Measured with {machine}.\n"


def _skipped(results: Results) -> str:
    rows = [f"* {name}: ``{reason}``" for name, reason in results.missing.items()]
    return "\n".join(["Skipped:", "", *rows, ""]) if rows else "No server was skipped.\n"


def summary(results: Results) -> Iterator[str]:
    """
    Yield the parts of the table of goals.
    """
    yield _measuredWith(results)
    yield grid(GOALS, goals(results))
    rows = [*comparedWithC(results)]
    if rows:
        yield grid(COMPARED_WITH_C, rows)
    yield _skipped(results)


def comparison(results: Results) -> Iterator[str]:
    """
    Yield the tables of all workloads.
    """
    plot = ""
    for workload, costs in results.measured(WORKLOADS):
        if workload.plot != plot:
            plot = workload.plot
            yield _image(f"speed-{plot}", f"{plot}: cost by server")
        title = f"{workload.title}, {workload.unit}"
        yield _titled(title, grid(DETAILS, details(workload, costs)))


def profiles(results: Results) -> Iterator[str]:
    """
    Yield the profiles of the workloads whose goals are not reached.
    """
    for workload in WORKLOADS:
        if workload.name not in results.profiles:
            continue
        title = f"{workload.title}: {results.profiles[workload.name].server}"
        yield _titled(title, grid(PROFILE, profiled(results, workload)))


def growth(results: Results) -> Iterator[str]:
    """
    Yield the tables and plots of the growths.
    """
    yield _measuredWith(results)
    yield _skipped(results)
    for each in GROWTHS:
        rows = grown(results, each)
        if rows[1:]:
            title = f"{each.title}, {each.unit}"
            yield _titled(title, grid(rows[0], rows[1:]))
            yield _image(f"growth-{each.name}", title)


Parts = Callable[[Results], Iterator[str]]


def text(results: Results, *tables: Parts) -> str:
    """
    Format tables for a terminal, without images.
    """
    parts = (part for table in tables for part in table(results))
    return "\n".join(part for part in parts if not part.startswith(".."))


def write(results: Results, path: Path, table: Parts) -> None:
    """
    Write tables to a file that a page of the documentation includes.
    """
    path.write_text("\n".join([".. Written by python -m benchmarks.\n", *table(results)]))
