"""
The tables of C{/export.csv}.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from io import StringIO
from typing import Any

from openfl_twisted.dashboard.history import Sample
from openfl_twisted.wire.text import escapeControls

TABLES = ("clients", "refusals", "rooms", "history")
"""
The names of the tables.
"""

_CLIENT = (
    "id",
    "address",
    "kind",
    "room",
    "name",
    "age",
    "bytesIn",
    "bytesOut",
    "waiting",
    "pingTime",
)

# A spreadsheet evaluates a cell that begins with one of these characters; the last ones are those
# of East Asian keyboards. In many countries, a semicolon also separates cells.
_formula = re.compile(r"(^|;)(?=[\"' ]*[=+\-@\uff1d\uff0b\uff0d\uff20])")


def _cell(value: Any) -> Any:
    return _formula.sub(r"\1'", escapeControls(value)) if isinstance(value, str) else value


def encodeTable(state: Mapping[str, Any], table: str) -> str:
    """
    Encode a table as CSV. An apostrophe is added before text that a spreadsheet would evaluate
    as a formula. Control characters are replaced with escape sequences, because a terminal would
    execute them.

    @param state: see L{DashboardStreams.export
        <openfl_twisted.dashboard.streams.DashboardStreams.export>}.
    @param table: one of L{TABLES}.
    """
    head: Iterable[str]
    rows: Iterable[Iterable[Any]]
    match table:
        case "clients":
            head = _CLIENT
            rows = [[client.get(name) for name in _CLIENT] for client in state["clients"]]
        case "refusals":
            head = ("event", "reason", "count")
            rows = [
                (event, reason, count)
                for event, counted in (("refused", "refusals"), ("disconnected", "cuts"))
                for reason, count in state[counted].items()
            ]
        case "rooms":
            head = ("room", "members")
            rows = state["rooms"]["shown"] if state["rooms"] else []
        case _:
            head, rows = Sample._fields, state["history"]["samples"]
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows([map(_cell, row) for row in rows])
    return text.getvalue()
