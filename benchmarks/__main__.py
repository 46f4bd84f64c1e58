"""
The two commands: C{python -m benchmarks} runs every workload against us and our
peers, side by side; C{python -m benchmarks growth} shows how cost grows.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import tables
from benchmarks.comparing import Comparison, tell
from benchmarks.results import Results
from benchmarks.servers import Server, buildLoad, servers
from benchmarks.workloads import GROWTHS, WORKLOADS, Workload

DESCRIPTION = """\
Run workloads against the servers of this package and their peers, side by side,
and print for each what a message costs: CPU time of the server's process, user
and system. Servers run on one core, the load on another, and they take turns; a
ratio is the median of those of each round. Compilers and libraries that are
missing leave a peer out, with a line that says so. "speed" does the workloads
that have goals; "growth" shows how cost grows with connections, with the size of
messages, and with the members of a room.
"""

ROUNDS = {"speed": 7, "growth": 3}

PARTS = {
    "speed": (tables.summary, tables.profiles, tables.comparison),
    "growth": (tables.growth,),
}


def parser() -> argparse.ArgumentParser:
    """
    Make the parser of the command line.
    """
    names = ", ".join(each.name for each in WORKLOADS)
    growths = ", ".join(each.name for each in GROWTHS)
    options = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=DESCRIPTION,
        epilog=f"The workloads of speed: {names}. Those of growth: {growths}.",
    )
    options.add_argument("what", nargs="?", choices=[*ROUNDS], default="speed")
    options.add_argument("--workloads", metavar="NAME,...", help="only these")
    options.add_argument(
        "--servers",
        metavar="NAME,...",
        help="only these and what they are compared with, by the beginning of their names; "
        "say ours,Node",
    )
    options.add_argument("--rounds", type=int, help="how many turns; 7, and 3 for growth")
    options.add_argument(
        "--seconds", type=float, default=0.4, help="how long is a turn (%(default)s)"
    )
    options.add_argument(
        "--quick",
        action="store_true",
        help="one short turn each, to see that all goes; its numbers say little",
    )
    options.add_argument(
        "--list", action="store_true", help="say which servers there are, and what they lack"
    )
    options.add_argument(
        "--write",
        type=Path,
        metavar="FOLDER",
        help="write results, tables and plots for the documentation; say docs",
    )
    options.add_argument(
        "--read", type=Path, metavar="FILE", help="measure nothing: read speed.json or growth.json"
    )
    return options


def workloads(what: str, names: str | None) -> list[Workload]:
    """
    Choose workloads.

    @param names: which, with commas between them; C{None} for all.
    @raise ValueError: if there is none of such a name.
    """
    if what == "speed":
        known: dict[str, Iterable[Workload]] = {each.name: [each] for each in WORKLOADS}
    else:
        known = {each.name: each.points.values() for each in GROWTHS}
    wanted = known if names is None else {*names.split(",")}
    unknown = {*wanted} - {*known}
    if unknown:
        raise ValueError(f"there is no workload {', '.join(sorted(unknown))}; see --help")
    return [each for name, found in known.items() if name in wanted for each in found]


def chosen(found: Sequence[Server], names: str | None, work: Iterable[Workload]) -> list[Server]:
    """
    Choose servers, and with them those that they are compared with.

    @param names: the beginnings of their names, with commas between them;
        C{None} for all.
    """
    if names is None:
        return [*found]
    references = {each.reference for each in work}
    beginnings = tuple(names.split(","))
    return [each for each in found if each.name in references or each.name.startswith(beginnings)]


def measure(options: argparse.Namespace, work: Sequence[Workload]) -> Results | None:
    """
    Measure what was asked for.

    @return: C{None} if nothing was measured, and somebody has been told why.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        found = chosen(servers(folder), options.servers, work)
        if options.list:
            for server in found:
                sys.stdout.write(f"{server.name}: {server.missing or 'is there'}\n")
            return None
        missing = buildLoad(folder)
        if missing:
            tell(f"there is no load without a compiler: {missing}")
            return None
        rounds, seconds = options.rounds or ROUNDS[options.what], options.seconds
        if options.quick:
            rounds, seconds = 0, 0.05
        comparison = Comparison(folder, found, rounds, seconds)
        for workload in work:
            comparison.run(workload)
        if options.what == "speed" and not options.quick:
            comparison.profile(work)
        return comparison.results


def write(what: str, results: Results, folder: Path) -> None:
    """
    Write results, tables and plots for the documentation.

    @param folder: its folder.
    """
    # Only who wants plots needs the library for them.
    from benchmarks import plots

    topics, images = folder / "topics" / "speed", folder / "images"
    for each in (topics, images):
        each.mkdir(parents=True, exist_ok=True)
    results.save(topics / f"{what}.json")
    for table in PARTS[what]:
        tables.write(results, topics / f"{table.__name__}.inc", table)
    draw = {"speed": plots.bars, "growth": plots.lines}
    draw[what](results, images)


def main(arguments: Sequence[str]) -> int:
    """
    Measure, print and write.

    @return: the status of the process.
    """
    options = parser().parse_args(arguments)
    try:
        work = workloads(options.what, options.workloads)
    except ValueError as problem:
        tell(str(problem))
        return 2
    results = Results.load(options.read) if options.read else measure(options, work)
    if results is None:
        return 0 if options.list else 1
    sys.stdout.write(tables.text(results, *reversed(PARTS[options.what])))
    if options.write:
        write(options.what, results, options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
