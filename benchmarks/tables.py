"""
Results for people: as text, and for the documentation.
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

# A hyphen would be a list.
_NOTHING = "\N{EN DASH}"

GOALS = ("workload", "best of ours", "cost", "beside", "C", "first mark", "goal", "reached")
BESIDE_C = ("workload", "best of ours beside C", "prototype beside C")
DETAILS = ("server", "cost", "beside", "reached")
PROFILE = ("part of the time", "function", "line")


def number(value: float | None) -> str:
    """
    Write a number with three digits that count.
    """
    if value is None:
        return _NOTHING
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(workload: Workload, verdict: Verdict) -> str:
    """
    Write how a server does beside the reference.
    """
    if workload.reference is None:
        return _NOTHING
    return f"{number(verdict.ratio)} x {workload.reference}"


def goals(results: Results) -> Iterator[Row]:
    """
    Make the rows of the table that says what is reached.
    """
    for workload, costs in results.measured(WORKLOADS):
        found = verdicts(workload, costs)
        own = best(found)
        least = next((each.value for each in found if each.server == "C"), None)
        if own is not None:
            yield (
                workload.title,
                own.server,
                f"{number(own.cost)} {workload.unit}",
                _ratio(workload, own),
                number(least),
                number(workload.mark),
                number(workload.goal),
                reached(workload, own),
            )


def besideC(results: Results) -> Iterator[Row]:
    """
    Make the rows of the table that has the server in C for everybody's
    reference: it is the same on every machine, as others are not.
    """
    for workload, costs in results.measured(WORKLOADS):
        own = best(verdicts(workload, costs))
        if own is not None and workload.prototype is not None and "C" in costs:
            ratio = pairedRatio(costs[own.server], costs["C"])
            yield workload.title, number(ratio), number(workload.prototype)


def details(workload: Workload, costs: Costs) -> Iterator[Row]:
    """
    Make the rows of the table of one workload.
    """
    for verdict in verdicts(workload, costs):
        ending = reached(workload, verdict) if verdict.own else ""
        yield verdict.server, number(verdict.cost), _ratio(workload, verdict), ending


def curves(results: Results, growth: Growth) -> dict[str, dict[int, float]]:
    """
    Get what each server costs as there is more of something.

    @return: for each server the costs, by how much there is.
    """
    found: dict[str, dict[int, float]] = {}
    for much, workload in growth.points.items():
        for verdict in verdicts(workload, results.costs.get(workload.name, {})):
            found.setdefault(verdict.server, {})[much] = verdict.cost
    return found


def grown(results: Results, growth: Growth) -> list[Row]:
    """
    Make the rows of the table of a growth, with their head: a server in each,
    and at the end how steep its cost is where it is steepest.
    """
    rows: list[Row] = [("server", *(f"{much:,}" for much in growth.points), "steepest")]
    for server, costs in curves(results, growth).items():
        each = (number(costs.get(much)) for much in growth.points)
        rows.append((server, *each, f"{steepest(costs.items()):.2f}"))
    return rows


def profiled(results: Results, workload: Workload) -> Iterator[Row]:
    """
    Make the rows of the table of where the time goes.
    """
    for place, share in results.profiles[workload.name].shares.items():
        function, _, line = place.partition(": ")
        yield f"{share:.0%}", f"``{function}``", f"``{line}``" if line else ""


def grid(head: Row, rows: Iterable[Row]) -> str:
    """
    Write a table in reStructuredText, which can be read as it stands too.
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


def _on(results: Results) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    return f"Measured with {machine}.\n"


def _leftOut(results: Results) -> str:
    rows = [f"* {name}: ``{why}``" for name, why in results.missing.items()]
    return "\n".join(["Left out:", "", *rows, ""]) if rows else "Nothing was left out.\n"


def summary(results: Results) -> Iterator[str]:
    """
    Write what is reached, in parts.
    """
    yield _on(results)
    yield grid(GOALS, goals(results))
    rows = [*besideC(results)]
    if rows:
        yield grid(BESIDE_C, rows)
    yield _leftOut(results)


def comparison(results: Results) -> Iterator[str]:
    """
    Write what each server costs, in parts.
    """
    plot = ""
    for workload, costs in results.measured(WORKLOADS):
        if workload.plot != plot:
            plot = workload.plot
            yield _image(f"speed-{plot}", f"{plot}: what it costs, and whom")
        title = f"{workload.title}, {workload.unit}"
        yield _titled(title, grid(DETAILS, details(workload, costs)))


def profiles(results: Results) -> Iterator[str]:
    """
    Write where the time goes for what is not reached, in parts.
    """
    for workload in WORKLOADS:
        if workload.name not in results.profiles:
            continue
        title = f"{workload.title}: {results.profiles[workload.name].server}"
        yield _titled(title, grid(PROFILE, profiled(results, workload)))


def growth(results: Results) -> Iterator[str]:
    """
    Write how cost grows, in parts.
    """
    yield _on(results)
    yield _leftOut(results)
    for each in GROWTHS:
        rows = grown(results, each)
        if rows[1:]:
            title = f"{each.title}, {each.unit}"
            yield _titled(title, grid(rows[0], rows[1:]))
            yield _image(f"growth-{each.name}", title)


Parts = Callable[[Results], Iterator[str]]


def text(results: Results, *tables: Parts) -> str:
    """
    Write tables for a terminal, which shows no images.
    """
    parts = (part for table in tables for part in table(results))
    return "\n".join(part for part in parts if not part.startswith(".."))


def write(results: Results, path: Path, table: Parts) -> None:
    """
    Write tables for the documentation: what is included in its page.
    """
    path.write_text("\n".join([".. Written by python -m benchmarks.\n", *table(results)]))
