"""
Tests for L{openfl_twisted.dashboard.tables}.
"""

import csv
import re
from io import StringIO
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.dashboard.history import Sample
from openfl_twisted.dashboard.tables import TABLES, encodeTable

STATE: dict[str, Any] = {
    "clients": [{"id": 1, "address": "127.0.0.1:5", "name": "=1+1", "room": None, "age": 2.5}],
    "refusals": {"connections": 3},
    "cuts": {"rate": 1},
    "rooms": {"shown": [["@chess", 2]]},
    "history": {"samples": [Sample(10, 1, 2, 3, 4, 5, 0.5)]},
}


def rowsOf(state: dict[str, Any], table: str) -> list[list[str]]:
    """
    Read a table as a spreadsheet does.
    """
    return list(csv.reader(StringIO(encodeTable(state, table))))


class TableTests(SynchronousTestCase):
    """
    L{encodeTable}.
    """

    def test_tables(self) -> None:
        """
        Each table has a heading, and a row for each client, reason, room or sample.
        """
        head, row = rowsOf(STATE, "clients")
        client = dict(zip(head, row, strict=True))
        self.assertEqual(
            (client["address"], client["age"], client["room"]), ("127.0.0.1:5", "2.5", "")
        )
        self.assertEqual(
            rowsOf(STATE, "refusals")[1:],
            [["refused", "connections", "3"], ["disconnected", "rate", "1"]],
        )
        self.assertEqual(rowsOf(STATE, "rooms")[0], ["room", "members"])
        self.assertEqual(
            rowsOf(STATE, "history"), [list(Sample._fields), ["10", "1", "2", "3", "4", "5", "0.5"]]
        )

    def test_noRooms(self) -> None:
        """
        The table of a server without rooms has only the heading.
        """
        self.assertEqual(rowsOf({**STATE, "rooms": None}, "rooms"), [["room", "members"]])

    def test_formulas(self) -> None:
        """
        Text that a spreadsheet would evaluate as a formula begins with an apostrophe.
        """
        self.assertIn("'=1+1", rowsOf(STATE, "clients")[1])
        self.assertEqual(rowsOf(STATE, "rooms")[1], ["'@chess", "2"])
        for text in ("\uff1d1", 'a;=1;"@x', "; -1", '"=1'):
            encoded = encodeTable({**STATE, "rooms": {"shown": [[text, 1]]}}, "rooms")
            for cell in re.split("[;,\n]", encoded):
                self.assertNotIn(cell.lstrip('" ')[:1], ("=", "-", "@", "\uff1d"))

    def test_controls(self) -> None:
        """
        Names contain no control characters, which a terminal would execute, and no characters that
        change the direction of text.
        """
        state = {**STATE, "rooms": {"shown": [["a\x1b[31m\u202e\0\ud800", 1]]}}
        self.assertEqual(rowsOf(state, "rooms")[1], ["a\\x1b[31m\\u202e\\x00\\ud800", "1"])

    @given(st.text(), st.sampled_from(TABLES))
    def test_anyName(self, name: str, table: str) -> None:
        """
        No name of a client or room begins a formula, or changes the number of rows or columns.
        """
        state = {
            **STATE,
            "clients": [{"name": name, "room": name}],
            "rooms": {"shown": [[name, 1]]},
        }
        encoded = encodeTable(state, table)
        head, *rows = list(csv.reader(StringIO(encoded, newline="")))
        for row in rows:
            self.assertEqual(len(row), len(head))
            for cell in row:
                self.assertNotIn(cell[:1], ("=", "+", "-", "@", "\t", "\r", "\n"))
        self.assertEqual(len(rows), 2 if table == "refusals" else 1)
