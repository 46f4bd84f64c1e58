"""
Plots of the results: bars that compare servers, and curves that show how the cost grows.
"""

import math
from pathlib import Path

from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.results import Costs, Results, verdicts
from benchmarks.servers import OURS
from benchmarks.tables import curves, number
from benchmarks.workloads import GROWTHS, WORKLOADS, Workload

# Keep text as text, and create identical files from identical results.
rcParams["svg.fonttype"] = "none"
rcParams["svg.hashsalt"] = "openfl-twisted"

_OWN, _OTHER, _GOAL = "#c0392b", "#7f8c8d", "#27ae60"
_WIDTH = 9.0
_BAR, _MARGIN, _CURVES = 0.24, 0.9, 4.5

# Maximum length of a bar, relative to our longest one.
_MAX_LENGTH = 2.5
_CUT_OFF = " \N{RIGHTWARDS ARROW}"


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _bars(axes: Axes, workload: Workload, costs: Costs) -> None:
    """
    Draw a bar for each server, ours in a separate color, and the goal as a line.
    """
    found = verdicts(costs)
    # Longer bars are cut off, so that the others remain readable.
    limit = _MAX_LENGTH * max((each.cost.median for each in found if each.own), default=math.inf)
    drawn = axes.barh(
        [each.server for each in found],
        [min(each.cost.median, limit) for each in found],
        color=[_OWN if each.own else _OTHER for each in found],
    )
    medians = {each.server: each.cost.median for each in found}
    labels = [number(cost) + _CUT_OFF * (cost > limit) for cost in medians.values()]
    axes.bar_label(drawn, labels, padding=3, fontsize=8)
    unit = medians.get(workload.reference) if workload.reference else 1.0
    if workload.goal is not None and unit is not None:
        axes.axvline(workload.goal * unit, color=_GOAL, linestyle="--", linewidth=1)
    axes.invert_yaxis()
    axes.set_title(f"{workload.title}, {workload.unit}", fontsize=9, loc="left")
    axes.tick_params(labelsize=8)
    axes.margins(x=0.1)
    axes.spines[["top", "right"]].set_visible(False)


def bars(results: Results, folder: Path) -> None:
    """
    Write a file for each plot, with a panel for each workload.
    """
    plots: dict[str, list[tuple[Workload, Costs]]] = {}
    for workload, costs in results.measured(WORKLOADS):
        plots.setdefault(workload.plot, []).append((workload, costs))
    for name, panels in plots.items():
        heights = [_MARGIN + _BAR * len(costs) for _, costs in panels]
        figure = Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
        ratios = {"height_ratios": heights}
        panelAxes = figure.subplots(len(panels), squeeze=False, gridspec_kw=ratios)[:, 0]
        for axes, (workload, costs) in zip(panelAxes, panels, strict=True):
            _bars(axes, workload, costs)
        _save(figure, folder / f"speed-{name}.svg")


def lines(results: Results, folder: Path) -> None:
    """
    Write a file for each growth, with a curve for each server.
    """
    for growth in GROWTHS:
        found = curves(results, growth)
        if not found:
            continue
        figure = Figure(figsize=(_WIDTH, _CURVES), layout="constrained")
        axes = figure.subplots()
        for server, costs in found.items():
            own = server.startswith(OURS)
            axes.plot(
                list(costs),
                list(costs.values()),
                label=server,
                marker="o",
                markersize=3,
                linewidth=2.0 if own else 1.0,
                linestyle="-" if own else "--",
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(growth.axis)
        axes.set_ylabel(growth.unit)
        axes.grid(visible=True, alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside right upper", fontsize=8)
        _save(figure, folder / f"growth-{growth.name}.svg")
