"""
Options from a file, and what they come to.
"""

import getopt
import json
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from twisted.python import usage

_SECRETS = {"dashboard-token"}
_NOT_SETTINGS = {"check", "config", "help", "version"}
_password = re.compile(r"://[^/?#]*@")
_number = re.compile(r"[0-9]+(\.[0-9]+)?")


def readTable(path: str) -> dict[str, Any]:
    """
    Read a file in TOML.

    @param path: the file, in UTF-8.
    @raise usage.UsageError: if it cannot be read, or is none.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as problem:
        raise usage.UsageError(f"--config={path}: {problem.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise usage.UsageError(f"--config={path}: {problem}") from None


def _argumentsOf(path: str, table: dict[str, Any], given: Sequence[str]) -> list[str]:
    """
    Write what a file says as arguments of a command line.

    @raise usage.UsageError: if a value cannot be one.
    """
    arguments = []
    for name, value in table.items():
        if any(each.partition("=")[0] == f"--{name}" for each in given):
            continue
        for each in value if isinstance(value, list) else [value]:
            match each:
                case True:
                    arguments.append(f"--{name}")
                case False:
                    continue
                case str() | int() | float():
                    arguments.append(f"--{name}={each}")
                case _:
                    raise usage.UsageError(f"--config={path}: {name} cannot be a table or a date")
    return arguments


class ConfiguredOptions(usage.Options):
    """
    Options that can stand in a file, and can be looked at.

    @cvar ownTables: what can stand in the file beside options.
    @cvar defaultEndpoint: where the server listens if it is not told.
    """

    defaultEndpoint = ""

    ownTables: ClassVar[frozenset[str]] = frozenset()

    optFlags = [["check", None, "Print the resolved configuration, and exit."]]

    optParameters: list[list[Any]] = [
        ["config", None, None, "A TOML file with options by name; those given here come first."],
    ]

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Parse the options of the file, and then those of the command line.

        @param options: the command line without the command; C{None} for
            C{sys.argv}.
        @raise usage.UsageError: if an option is wrong, wherever it stands.
        @raise SystemExit: with 0, when C{--check} has printed what they come to.
        """
        given = self._spelledOut(list(sys.argv[1:] if options is None else options))
        path = _valueOf("config", given)
        table = {} if path is None else readTable(path)
        known = {name: value for name, value in table.items() if name not in self.ownTables}
        fromFile = _argumentsOf(path or "", known, given)
        self._checkNames(path or "", fromFile)
        arguments = [*fromFile, *given]
        super().parseOptions(arguments)
        if self["check"]:
            sys.stdout.write(self._resolved(arguments))
            for remark in self.remarks():
                sys.stdout.write(f"# {remark}\n")
            sys.exit(0)

    def remarks(self) -> list[str]:
        """
        Override to describe the files that the options name.

        @return: the lines that C{--check} prints as comments.
        """
        return []

    def _spelledOut(self, arguments: list[str]) -> list[str]:
        """
        Write options by their whole names: they can be shortened, and one has a
        letter.
        """
        try:
            options, rest = getopt.getopt(arguments, self.shortOpt, self.longOpt)
        except getopt.GetoptError:
            # That is said when they are parsed.
            return arguments
        names = [f"--{'listen' if option == '-l' else option.lstrip('-')}" for option, _ in options]
        return [
            *(
                f"{name}={value}" if f"{name[2:]}=" in self.longOpt else name
                for name, (_, value) in zip(names, options, strict=True)
            ),
            *(["--", *rest] if rest else []),
        ]

    def _checkNames(self, path: str, arguments: Sequence[str]) -> None:
        for argument in arguments:
            name, equals, _ = argument.removeprefix("--").partition("=")
            if name in _NOT_SETTINGS or not {name, f"{name}="} & set(self.longOpt):
                raise usage.UsageError(f"--config={path}: there is no setting {name}")
            if equals and name in self.longOpt:
                raise usage.UsageError(f"--config={path}: {name} must be true or false")
            if not equals and name not in self.longOpt:
                raise usage.UsageError(f"--config={path}: {name} must have a value")

    def _resolved(self, arguments: list[str]) -> str:
        """
        Write what the options come to, as a file that could be given again.
        Passwords are left out.
        """
        found: dict[str, list[str]] = {}
        for option, value in getopt.getopt(arguments, self.shortOpt, self.longOpt)[0]:
            found.setdefault(option.lstrip("-"), []).append(value)
        lines = []
        for name in sorted({each.removesuffix("=") for each in self.longOpt} - _NOT_SETTINGS):
            default = self.defaultEndpoint if name == "listen" else self.defaults.get(name)
            if f"{name}=" not in self.longOpt:
                lines.append(f"{name} = {toTOML(name in found)}\n")
            elif name not in found and default is None:
                lines.append(f"# {name} is not given\n")
            else:
                lines.append(f"{name} = {_shown(name, found.get(name, [str(default)]), default)}\n")
        return "".join(lines)


def _shown(name: str, values: list[str], default: object) -> str:
    """
    Write what an option has been given.
    """
    if name in _SECRETS:
        return toTOML("***")
    if isinstance(default, int | float) and _number.fullmatch(values[-1]):
        return values[-1]
    texts = [_password.sub("://***@", value) for value in values]
    return toTOML(texts if len(texts) > 1 else texts[0])


def _valueOf(name: str, arguments: Sequence[str]) -> str | None:
    """
    Find the value of an option, without parsing all of them.
    """
    for number, argument in enumerate(arguments):
        if argument.startswith(f"--{name}="):
            return argument.partition("=")[2]
        if argument == f"--{name}" and number + 1 < len(arguments):
            return arguments[number + 1]
    return None


def toTOML(value: bool | str | list[str]) -> str:
    """
    Write a value.

    @param value: the value.
    @return: the value as it stands in a TOML file.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return f"[{', '.join(map(toTOML, value))}]"
        case _:
            # All that JSON writes in a string is as in TOML, but for one control character.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
