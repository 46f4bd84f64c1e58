"""
Command line of the benchmarks. C{python -m benchmarks} compares servers in each workload,
and C{python -m benchmarks growth} measures how the cost grows.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import tables
from benchmarks.comparing import Comparison, report
from benchmarks.results import Results
from benchmarks.servers import Server, buildLoad, servers
from benchmarks.workloads import GROWTHS, WORKLOADS, Workload

DESCRIPTION = """\
Compare the servers of this package with other servers. Each result is the CPU time
of a server's process, user and system, per message. The servers run on one core and
the load generator on another. The servers are measured alternately, and a ratio is
the median of the ratios of all rounds. A server is skipped, with a message, if its
compiler or library is missing. "speed" runs the workloads with goals. "growth"
measures how the cost grows with the connections, the length of the messages, the
members of a room and the number of workers.
"""

RUNS = {"speed": 3, "growth": 1}
ROUNDS = {"speed": 2, "growth": 3}

PARTS = {
    "speed": (tables.throughput, tables.summary, tables.profiles, tables.comparison),
    "growth": (tables.growth,),
}


def parser() -> argparse.ArgumentParser:
    """
    Create the parser of the command line.
    """
    names = ", ".join(each.name for each in WORKLOADS)
    growths = ", ".join(each.name for each in GROWTHS)
    options = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=DESCRIPTION,
        epilog=f"Workloads of speed: {names}. Workloads of growth: {growths}.",
    )
    options.add_argument(
        "mode",
        nargs="?",
        choices=[*ROUNDS],
        default="speed",
        help="measurement to run (default: %(default)s)",
    )
    options.add_argument("--workloads", metavar="NAME,...", help="workloads to run (default: all)")
    options.add_argument(
        "--servers",
        metavar="NAME,...",
        help="beginnings of the names of the servers to measure, in addition to the references "
        "of the workloads; for example ours,Node (default: all)",
    )
    options.add_argument(
        "--runs", type=int, help="number of runs, with new processes (default: 3, for growth 1)"
    )
    options.add_argument(
        "--rounds", type=int, help="number of rounds of a run (default: 2, for growth 3)"
    )
    options.add_argument(
        "--seconds", type=float, default=2.0, help="seconds per measurement (default: %(default)g)"
    )
    options.add_argument(
        "--quick",
        action="store_true",
        help="measure once and briefly, to check that everything runs",
    )
    options.add_argument(
        "--list", action="store_true", help="list the servers and their missing requirements"
    )
    options.add_argument(
        "--write",
        type=Path,
        metavar="FOLDER",
        help="write results, tables and plots to a folder of documentation, for example docs",
    )
    options.add_argument(
        "--read",
        type=Path,
        metavar="FILE",
        help="file of previous results (speed.json or growth.json) to read instead of measuring",
    )
    return options


def workloads(mode: str, names: str | None) -> list[Workload]:
    """
    Select workloads.

    @param mode: C{speed} or C{growth}.
    @param names: names separated by commas (default: all).
    @raise ValueError: if a name is unknown.
    """
    if mode == "speed":
        known: dict[str, Iterable[Workload]] = {each.name: [each] for each in WORKLOADS}
    else:
        known = {each.name: each.points.values() for each in GROWTHS}
    wanted = known if names is None else {*names.split(",")}
    unknown = {*wanted} - {*known}
    if unknown:
        raise ValueError(f"unknown workload: {', '.join(sorted(unknown))}; see --help")
    return [each for name, found in known.items() if name in wanted for each in found]


def chosen(found: Sequence[Server], names: str | None, work: Iterable[Workload]) -> list[Server]:
    """
    Select servers and the references of the workloads.

    @param names: beginnings of names, separated by commas (default: all).
    """
    if names is None:
        return [*found]
    references = {name for each in work for name in (each.reference, each.ahead)}
    beginnings = tuple(names.split(","))
    return [each for each in found if each.name in references or each.name.startswith(beginnings)]


def measure(options: argparse.Namespace, work: Sequence[Workload]) -> Results | None:
    """
    Run the selected measurements.

    @return: the results, or C{None} if nothing was measured.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        found = chosen(servers(folder), options.servers, work)
        if options.list:
            for server in found:
                sys.stdout.write(f"{server.name}: {server.missing or 'available'}\n")
            return None
        missing = buildLoad(folder)
        if missing:
            report(f"cannot build the load generator: {missing}")
            return None
        runs, rounds = options.runs or RUNS[options.mode], options.rounds or ROUNDS[options.mode]
        seconds = options.seconds
        if options.quick:
            runs, rounds, seconds = 1, 0, 0.05
        comparison = Comparison(folder, found, rounds, seconds, runs)
        for workload in work:
            comparison.run(workload)
        if options.mode == "speed" and not options.quick:
            comparison.profile(work)
        return comparison.results


def write(mode: str, results: Results, folder: Path) -> None:
    """
    Write results, tables and plots.

    @param folder: the folder of the documentation.
    """
    # The plot library is only needed here.
    from benchmarks import plots

    topics, images = folder / "topics" / "speed", folder / "images"
    for each in (topics, images):
        each.mkdir(parents=True, exist_ok=True)
    results.save(topics / f"{mode}.json")
    for table in PARTS[mode]:
        tables.write(results, topics / f"{table.__name__}.inc", table)
    draw = {"speed": plots.bars, "growth": plots.lines}
    draw[mode](results, images)


def main(arguments: Sequence[str]) -> int:
    """
    Run the command.

    @return: the exit status.
    """
    options = parser().parse_args(arguments)
    try:
        work = workloads(options.mode, options.workloads)
    except ValueError as problem:
        report(str(problem))
        return 2
    results = Results.load(options.read) if options.read else measure(options, work)
    if results is None:
        return 0 if options.list else 1
    sys.stdout.write(tables.text(results, *reversed(PARTS[options.mode])))
    if options.write:
        write(options.mode, results, options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
