"""
Tables of results, for the terminal and the documentation.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.results import Costs, Results, Spread, Verdict, asTyped, best, steepest, verdicts
from benchmarks.servers import AS_TYPED
from benchmarks.workloads import GROWTHS, WORKLOADS, Growth, Workload

Row = Sequence[str]

# A hyphen would start a list.
_MISSING = "\N{EN DASH}"

GOALS = (
    "workload",
    "cost as typed",
    "ratio",
    "goal",
    "reached",
    "ratio to Node",
    "ratio to C",
    "lowest cost of ours",
)
DETAILS = ("server", "cost", "ratio")
PROFILE = ("part of the time", "function", "line")

# Lines with less time are left out.
_MIN_SHARE = 0.005

# The workloads whose messages per second are compared, and the servers.
_RATES = (
    "ping-pong",
    "pipelined",
    "broadcast-1",
    "say",
    "websocket",
    "websocket-pipelined",
    "tls",
    "policy",
)
_RATED = {
    "openfl-twisted": (AS_TYPED,),
    "Twisted": ("Twisted LineOnlyReceiver",),
    "Autobahn": ("Autobahn",),
    "Node": ("Node", "Node ws"),
    "asyncio": ("asyncio",),
    "uvloop": ("uvloop",),
    "picows": ("picows",),
}


def number(value: float | None) -> str:
    """
    Format a number with three significant digits.
    """
    if value is None:
        return _MISSING
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _spread(found: Spread | None) -> str:
    """
    Format a median and the range.
    """
    if found is None:
        return _MISSING
    if found.low == found.high:
        return number(found.median)
    return f"{number(found.median)} ({number(found.low)}\N{EN DASH}{number(found.high)})"


def _ratio(workload: Workload, verdict: Verdict) -> str:
    """
    Format the ratio of a server to the reference.
    """
    ratio = verdict.ratios.get(workload.reference or "")
    return f"{_spread(ratio)} x {workload.reference}" if ratio else _MISSING


def _cost(workload: Workload, verdict: Verdict) -> str:
    """
    Format the cost of a server. Its range is only of interest without a ratio.
    """
    return number(verdict.cost.median) if workload.reference else _spread(verdict.cost)


def rates(results: Results) -> list[Row]:
    """
    Return the header and the rows of the table of messages per second.
    """
    found: list[tuple[str, dict[str, str]]] = []
    for workload, costs in results.measured(WORKLOADS):
        if workload.name in _RATES:
            rated = {each.server: each.cost.median for each in verdicts(costs)}
            cells = {
                column: f"{float(f'{1e6 / rated[name]:.2g}'):,.0f}"
                for column, names in _RATED.items()
                for name in names
                if name in rated
            }
            found.append((workload.title, cells))
    columns = [column for column in _RATED if any(column in cells for _, cells in found)]
    rows = [[title, *(cells.get(each, _MISSING) for each in columns)] for title, cells in found]
    return [["messages per second", *columns], *rows]


def goals(results: Results) -> Iterator[Row]:
    """
    Yield the rows of the table of goals.
    """
    for workload, costs in results.measured(WORKLOADS):
        found = verdicts(costs)
        own, fastest = asTyped(found), best(found)
        if own is None or fastest is None:
            continue
        goal = number(workload.goal)
        if workload.ahead:
            goal = f"{goal}, ahead of {workload.ahead}"
        yield (
            workload.title,
            f"{_cost(workload, own)} {workload.unit}",
            _ratio(workload, own),
            goal,
            {True: "yes", False: "no", None: _MISSING}[own.reached(workload)],
            _spread(own.ratios.get("Node") or own.ratios.get("Node ws")),
            _spread(own.ratios.get("C")),
            "" if fastest is own else f"{number(fastest.cost.median)}: {fastest.server}",
        )


def details(workload: Workload, costs: Costs) -> Iterator[Row]:
    """
    Yield the rows of the table of one workload.
    """
    for verdict in verdicts(costs):
        yield verdict.server, _cost(workload, verdict), _ratio(workload, verdict)


def curves(results: Results, growth: Growth) -> dict[str, dict[int, float]]:
    """
    Return the costs of each server by quantity.
    """
    found: dict[str, dict[int, float]] = {}
    for quantity, workload in growth.points.items():
        for verdict in verdicts(results.costs.get(workload.name, {})):
            found.setdefault(verdict.server, {})[quantity] = verdict.cost.median
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
        if share >= _MIN_SHARE:
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


def throughput(results: Results) -> Iterator[str]:
    """
    Yield the table of messages per second.
    """
    header, *rows = rates(results)
    yield grid(header, rows)


def summary(results: Results) -> Iterator[str]:
    """
    Yield the parts of the table of goals.
    """
    yield _measuredWith(results)
    yield grid(GOALS, goals(results))
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
