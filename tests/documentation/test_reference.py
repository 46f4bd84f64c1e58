"""
Tests that the reference pages match the programs.
"""

import inspect
import re
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

import openfl_twisted.load.command
import openfl_twisted.sessioncommand
from docs.optiontables import optionsOf, tableOf
from openfl_twisted import errors, events
from openfl_twisted.commandline import Group, Option
from openfl_twisted.services import bridge, echoserver, policyserver, xmlserver
from openfl_twisted.telnetclient import command
from tests.documentation.blocks import DOCS

REFERENCE = DOCS / "reference"
PROGRAMS = (xmlserver, echoserver, policyserver, bridge, command, openfl_twisted.load.command)
SESSION_COMMANDS = (
    openfl_twisted.sessioncommand.ShowOptions,
    openfl_twisted.sessioncommand.ServeOptions,
    openfl_twisted.sessioncommand.CallOptions,
    openfl_twisted.sessioncommand.ConvertOptions,
)

# Twisted adds these options to every command.
STANDARD = {"help", "version"}


def rowsOf(text: str) -> Iterator[list[str]]:
    """
    Return the rows of the simple tables of a page, without markup. A line with an empty
    first cell continues the previous row.
    """
    edges: list[int] = []
    row: list[str] = []
    for line in text.splitlines():
        if re.fullmatch(r" *=+( +=+)+", line):
            edges = [found.start() for found in re.finditer(r"(?<!=)=", line)]
            continue
        if not line.strip():
            edges = []
        if not edges:
            if row:
                yield row
            row = []
            continue
        ends = [*edges[1:], None]
        cells = [line[start:end].strip() for start, end in zip(edges, ends, strict=True)]
        if cells[0]:
            if row:
                yield row
            row = cells
        else:
            row = [f"{old} {new}".strip() for old, new in zip(row, cells, strict=True)]
    if row:
        yield row


def plain(cell: str) -> str:
    """
    Remove the markup of a cell.
    """
    return cell.replace("``", "")


class TableTests(SynchronousTestCase):
    """
    The tables of all pages.
    """

    def test_cut(self) -> None:
        """
        No row is cut in two: Docutils makes a row of a second line in the first cell.
        """
        cut = ["===  ===", "a    b", "===  ===", "one  two", "end", "===  ==="]
        tables = [("a cut table", "\n".join(cut))]
        tables += [(str(page), page.read_text()) for page in DOCS.glob("**/*.rst")]
        found = [
            (name, row[0]) for name, text in tables for row in rowsOf(text) if not any(row[1:])
        ]
        self.assertEqual(found, [("a cut table", "end")])


class OptionTests(SynchronousTestCase):
    """
    C{docs/reference/commands.rst}.
    """

    def test_zero(self) -> None:
        """
        The meaning of 0 is written once.
        """
        classes = [f"{each.__name__}:Options" for each in PROGRAMS]
        classes.append("openfl_twisted.services.options:DataServerOptions")
        rows = [row for row in tableOf(optionsOf(classes)) if "0 for " in row]
        self.assertEqual([row for row in rows if row.count("0 for ") > 1], [])

    def test_options(self) -> None:
        """
        The tables contain all options of all commands.
        """
        text = (REFERENCE / "commands.rst").read_text()
        found = optionsOf(
            " ".join(re.findall(r"^\.\. options:: (.*)$", text, re.MULTILINE)).split()
        )
        documented = {option.name for option in found}
        for options in (*(program.Options for program in PROGRAMS), *SESSION_COMMANDS):
            names = {name.removesuffix("=") for name in options().longOpt}
            self.assertEqual(names - documented - STANDARD, set())

    def test_table(self) -> None:
        """
        A row contains the option with its value, the default and the meaning. The row of
        a limit describes the value 0.
        """
        limit = Option(Group.LIMITS, "max-message", "BYTES", "Maximum size.", 2048)
        flag = Option(Group.GENERAL, "check", "", "Check *.pem files.")
        self.assertEqual(
            tableOf([limit, flag])[7:],
            [
                "   * - ``--max-message BYTES``",
                "     - ``2K``",
                "     - Maximum size. 0 for no limit.",
                "   * - ``--check``",
                "     - ``off``",
                r"     - Check \*.pem files.",
            ],
        )


class EventTests(SynchronousTestCase):
    """
    C{docs/reference/events.rst}.
    """

    def test_types(self) -> None:
        """
        The page contains every type of every event, with its class and fields.
        """
        rows = rowsOf((REFERENCE / "events.rst").read_text())
        written = {
            (plain(kind), plain(constant), *plain(fields).replace(":", ",").split(", "))
            for kind, constant, fields, *_ in rows
            if "." in constant
        }
        found = set()
        for name, cls in inspect.getmembers(events, inspect.isclass):
            if not issubclass(cls, events.Event) or cls.__module__ != events.__name__:
                continue
            fields = fieldsOf(cls)
            for constant, value in vars(cls).items():
                if constant.isupper() and isinstance(value, str):
                    found.add((value, f"{name}.{constant}", name, *fields))
        self.assertEqual(
            {(*first, *sorted(rest)) for *first, rest in grouped(written)},
            {(*first, *sorted(rest)) for *first, rest in grouped(found)},
        )


def fieldsOf(cls: type[events.Event]) -> list[str]:
    """
    Return the fields of an event that are not common to all events.
    """
    own = set(inspect.signature(cls).parameters) | {
        name for name in dir(cls) if isinstance(inspect.getattr_static(cls, name), property)
    }
    common = set(inspect.signature(events.Event).parameters) | {
        name
        for name in dir(events.Event)
        if isinstance(inspect.getattr_static(events.Event, name), property)
    }
    # The parameter is named id, and the attribute errorID.
    return sorted(own - common - {"id"})


def grouped(rows: set[tuple[str, ...]]) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """
    Group the fields by row.
    """
    for kind, constant, name, *fields in rows:
        yield kind, constant, name, tuple(fields)


class ErrorTests(SynchronousTestCase):
    """
    C{docs/reference/errors.rst}.
    """

    def setUp(self) -> None:
        text = (REFERENCE / "errors.rst").read_text()
        self.rows = [list(map(plain, row)) for row in rowsOf(text)]

    def test_numbers(self) -> None:
        """
        The page contains every number with its text.
        """
        written = {}
        for number, *cells in self.rows:
            if number.isdecimal():
                # Numbers that are raised have a further column with the class.
                written[int(number)] = cells[1] if len(cells) > 1 else cells[0]
        self.assertEqual(written, errors.MESSAGES)

    def test_raised(self) -> None:
        """
        Errors listed as raised are raised in the code with that class, and the others are
        not.
        """
        package = DOCS.parent / "openfl_twisted"
        code = "".join(
            path.read_text() for path in package.glob("**/*.py") if path.name != "errors.py"
        )
        for number, *cells in self.rows:
            if not number.isdecimal():
                continue
            found = set(re.findall(rf"errors\.(\w+)\.numbered\(\s*{number}\b", code))
            # A text that continues with a reason.
            reasoned = rf'errors\.(\w+)\(\s*f"\{{errors\.messageOf\({number}\)'
            found.update(re.findall(reasoned, code))
            if len(cells) == 1:
                self.assertNotIn(number, re.findall(r"\b\d{4}\b", code))
            elif found:
                self.assertEqual(found, {cells[0]})
            else:
                # The numbers of events and of EOF are assigned elsewhere.
                self.assertIn(number, ("2030", "2031", "2044", "2048"))
                self.assertRegex(code, rf"\b{number}\b|EOFError")

    def test_classes(self) -> None:
        """
        The page contains every class with its Python base class.
        """
        written = {row[0]: row[1] for row in self.rows if hasattr(errors, row[0])}
        found = {}
        for name, cls in inspect.getmembers(errors, inspect.isclass):
            if issubclass(cls, errors.Error):
                besides = [base.__name__ for base in cls.__bases__ if base.__module__ == "builtins"]
                found[name] = besides[0] if besides else ""
        # IOError is an alias of OSError in Python.
        self.assertEqual(written, found)
