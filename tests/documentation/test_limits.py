"""
Tests that the page about limits contains every limit of the code, with its value.
"""

import ast
import re
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path

from docutils.core import publish_doctree
from docutils.nodes import entry, row
from twisted.trial.unittest import SynchronousTestCase

import openfl_twisted
from openfl_twisted.load import command
from openfl_twisted.services import bridge, echoserver, policyserver, xmlserver
from tests.documentation.limits import DAYS, LIMITS, NOT_LIMITS, RATE, SIZE, TIME, Row

PACKAGE = Path(openfl_twisted.__file__).parent
PAGE = PACKAGE.parent / "docs" / "topics" / "limits.rst"

# The test kit has no limits that affect a peer.
ELSEWHERE = {"testing", "pytestplugin"}
_limit = re.compile(
    r"_?(MAX|MIN)_\w+|\w+_(TIMEOUT|INTERVAL|TIME|RATE)|_?LIFETIME|GREETING_DELAY|_LINGER|EXPIRY_WARNING"
)
_classes = {"AMFLimits", "RoomLimits", "BrokerLimits", "XMLLimits"}


def limitsIn(path: Path) -> Iterator[tuple[str, float]]:
    """
    Return the limits defined by a module, and their values.
    """
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    module = import_module(".".join((PACKAGE.name, *parts)))
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) if _limit.fullmatch(name):
                value = getattr(module, name)
                if isinstance(value, timedelta):
                    value = value.total_seconds()
                if isinstance(value, int | float):
                    yield f"{'.'.join(parts)} {name}", value
            case ast.ClassDef(name=name) if name in _classes:
                for field, value in vars(getattr(module, name)()).items():
                    yield f"{'.'.join(parts)} {name}.{field}", value


def rowsOf(text: str) -> dict[str, tuple[str, str]]:
    """
    Read the tables of the page.

    @return: the second and third column of each row, by the first column.
    """
    plain = re.sub(r":doc:`[^`]*`", "x", text)
    # Docutils does not know the directives of Sphinx.
    document = publish_doctree(plain, settings_overrides={"report_level": 5})
    rows = {}
    for each in document.findall(row):
        name, value, setting = (cell.astext().replace("\n", " ") for cell in each.findall(entry))
        rows[name] = (value, setting)
    return rows


def written(value: float, unit: str) -> str:
    """
    Format a value as in the page.
    """
    if unit == SIZE:
        for factor, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
            if value >= factor and value % factor == 0:
                return f"{value // factor:g} {name}"
        return f"{value:g} bytes"
    if unit == DAYS:
        return f"{value / 86400:g} day"
    if unit in (TIME, RATE):
        return f"{value:g} {unit}"
    return f"{value:,g}" if value < 1e6 else f"{value:,}"


class LimitTests(SynchronousTestCase):
    """
    C{docs/topics/limits.rst}.
    """

    def setUp(self) -> None:
        self.rows = rowsOf(PAGE.read_text())
        self.found = {
            name: value
            for path in PACKAGE.glob("**/*.py")
            if path.relative_to(PACKAGE).parts[0].removesuffix(".py") not in ELSEWHERE
            and path.stem != "__init__"
            for name, value in limitsIn(path)
        }

    def rowFor(self, limit: Row) -> str:
        """
        Return the row of a limit.
        """
        if limit.name in self.rows:
            return limit.name
        found = [name for name in self.rows if name.startswith(limit.name)]
        self.assertEqual(len(found), 1, limit.name)
        return found[0]

    def test_complete(self) -> None:
        """
        Each limit of the code has a row, or a reason for having none.
        """
        self.assertEqual(set(self.found), set(LIMITS) | set(NOT_LIMITS))

    def test_values(self) -> None:
        """
        Each row has the value of the code.
        """
        for name, limit in LIMITS.items():
            value, _ = self.rows[self.rowFor(limit)]
            expected = written(self.found[name], limit.unit)
            self.assertRegex(value, rf"(?<![\d,.]){re.escape(expected)}(?!\d|,\d)", name)

    def test_rows(self) -> None:
        """
        Each row belongs to a limit of the code or to an option, or is marked as external.
        """
        known = {self.rowFor(limit) for limit in LIMITS.values()}
        for name, (_, setting) in self.rows.items():
            if name != "limit" and name not in known:
                self.assertRegex(setting, r"--|=…|kernel|Twisted", name)

    def test_options(self) -> None:
        """
        Each option that sets a limit is named, and each named option exists.
        """
        text = PAGE.read_text()
        options = {
            f"--{parameter[0]}"
            for module in (xmlserver, echoserver, bridge, policyserver, command)
            for cls in module.Options.__mro__
            for parameter in vars(cls).get("optParameters", [])
        }
        limiting = {
            option
            for option in options
            if re.search(r"max-|-rate$|timeout|interval|greeting|resume", option)
        }
        named = set(re.findall(r"--[a-z][a-z-]+", text))
        self.assertEqual(limiting - named, set())
        self.assertEqual(named - options - {"--room-members", "--trusted-proxy", "--plain"}, set())
