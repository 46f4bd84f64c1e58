"""
The directive C{options}: a table of the options that classes add to their base classes.
"""

import importlib
import re
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

from openfl_twisted.commandline import Group, Option

_literal = re.compile(
    r"(--[a-z][\w-]*(?:=\w+)?|[a-z*][\w+.*]*:[\w/*](?:[\w/.*=:,-]*[\w/])?|\w+ = '[^']*')"
)


def optionsOf(names: list[str]) -> list[Option]:
    """
    Return the options that classes define themselves.

    @param names: the classes, as C{module:Class}.
    @return: the options, by group.
    """
    found: list[Option] = []
    for name in names:
        module, _, cls = name.partition(":")
        found += vars(getattr(importlib.import_module(module), cls))["options"]
    groups = [*Group]
    return sorted(found, key=lambda option: groups.index(option.group))


def tableOf(options: list[Option]) -> list[str]:
    """
    Return a table in reStructuredText.

    @param options: the options.
    @return: its lines.
    """
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 30 20 50", ""]
    for row in [("option", "default", "meaning"), *map(_rowOf, options)]:
        for number, cell in enumerate(row):
            lines.append(f"   {' ' if number else '*'} - {cell}")
    return lines


def _marked(meaning: str) -> str:
    """
    Mark options, endpoints, addresses and settings as literals. Docutils would make links of
    C{tcp:9100}.
    """
    parts = _literal.split(meaning)
    return "".join(
        f"``{part}``" if number % 2 else part.replace("*", r"\*")
        for number, part in enumerate(parts)
    )


def _rowOf(option: Option) -> tuple[str, str, str]:
    value = f" {option.value}" if option.value else ""
    default = option.writtenDefault or ""
    text = _marked(option.meaning)
    note = option.group.partition(" (")[2].rstrip(")").partition(";")[0]
    if note and "0 for " not in text:
        text += f" {note[0].upper()}{note[1:]}."
    return (f"``--{option.name}{value}``", f"``{default}``" if default else "", text)


class Options(Directive):
    """
    C{.. options:: module:Class module:Class}.
    """

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        table = nodes.Element()
        lines = tableOf(optionsOf(self.arguments[0].split()))
        self.state.nested_parse(StringList(lines, source="options"), self.content_offset, table)
        return table.children


def setup(app: Any) -> dict[str, bool]:
    """
    Register the directive with Sphinx.

    @param app: the application.
    @return: the properties of the extension.
    """
    app.add_directive("options", Options)
    return {"parallel_read_safe": True}
