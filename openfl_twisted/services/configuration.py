"""
Command-line options that can be read from a configuration file and from environment variables.
"""

import getopt
import json
import os
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from twisted.python import usage

from openfl_twisted.commandline import Group, GroupedOptions, Option
from openfl_twisted.logs import packageLogger
from openfl_twisted.services.environment import argumentsFrom, misspelt, variableOf

_SECRETS = {"dashboard-token"}
_LETTERS = {"-l": "listen", "-h": "help"}
_NOT_SETTINGS = {"config", "help", "show-config", "version"}
_password = re.compile(r"://[^/?#]*@")
_number = re.compile(r"[0-9]+(\.[0-9]+)?")
_named = re.compile(r"--([a-z-]+)")


def readTable(path: str) -> dict[str, Any]:
    """
    Read a TOML file.

    @param path: the file, in UTF-8.
    @raise usage.UsageError: if the file cannot be read or is not valid TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as problem:
        raise usage.UsageError(f"--config={path}: {problem.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise usage.UsageError(f"--config={path}: {problem}") from None


def _argumentsOf(path: str, table: dict[str, Any], given: Sequence[str]) -> list[str]:
    """
    Return the values of a configuration file as command-line arguments.

    @raise usage.UsageError: if a value has the wrong type.
    """
    arguments = []
    for name, value in table.items():
        if name in _NOT_SETTINGS:
            raise usage.UsageError(f"--config={path}: {name} is not an option")
        if value == []:
            raise usage.UsageError(f"--config={path}: {name} must have at least one value")
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


class ConfiguredOptions(GroupedOptions):
    """
    Options that can be read from a configuration file and from environment variables, and printed.

    @cvar ownTables: top-level names in the file that are not options.
    @cvar defaultEndpoint: the default of C{--listen}.
    """

    defaultEndpoint = ""
    log = packageLogger()

    ownTables: ClassVar[frozenset[str]] = frozenset()

    options: ClassVar[list[Option]] = [
        Option(
            Group.GENERAL,
            "config",
            "FILE",
            (
                "TOML file with options by name; command-line options and environment variables "
                "take precedence."
            ),
        ),
        Option(
            Group.GENERAL,
            "show-config",
            "",
            "Print the resolved configuration and the certificates, and exit.",
        ),
    ]

    def parseArguments(self, options: Sequence[str] | None) -> None:
        """
        Parse the options in the configuration file, those in environment variables, and those on
        the command line. An option is read from the last of them that contains it.

        @raise SystemExit: with status 0, after C{--show-config} has printed the
            configuration.
        """
        given = self._spelledOut(list(sys.argv[1:] if options is None else options))
        allOptions = self.allOptions()
        isOverridden = {argument.partition("=")[0] for argument in given}
        found = [
            (name, argument)
            for name, argument in argumentsFrom(os.environ, allOptions, self._repeatable())
            if f"--{name}" not in isOverridden
        ]
        fromEnvironment = {name for name, _ in found}
        given = [*(argument for _, argument in found), *given]
        path = _valueOf("config", given)
        table = {} if path is None else readTable(path)
        known = {name: value for name, value in table.items() if name not in self.ownTables}
        fromFile = _argumentsOf(path or "", known, given)
        self._checkNames(path or "", fromFile)
        arguments = [*fromFile, *given]
        try:
            super().parseArguments(arguments)
        except usage.UsageError as problem:
            option = _named.match(str(problem))
            if option is None or option[1] not in fromEnvironment:
                raise
            text = str(problem)[option.end() :]
            raise usage.UsageError(f"{variableOf(option[1])}{text}") from None
        warnings = [*misspelt(os.environ, allOptions)]
        if self["show-config"]:
            sys.stdout.write(self._resolved(arguments))
            for remark in [*self.remarks(), *(f"warning: {each}" for each in warnings)]:
                sys.stdout.write(f"# {remark}\n")
            sys.exit(0)
        if self.warnsOfVariables:
            for warning in warnings:
                self.log.warn("{text}", text=warning)

    @property
    def warnsOfVariables(self) -> bool:
        """
        Whether to log misspelt environment variables.
        """
        return True

    def _repeatable(self) -> set[str]:
        """
        Return the names of the options that can be repeated: methods parse them.
        """
        return {
            each.name
            for each in self.allOptions()
            if each.value and hasattr(self, f"opt_{each.name.replace('-', '_')}")
        }

    def remarks(self) -> list[str]:
        """
        Return remarks for C{--show-config}, such as descriptions of the files named by the
        options. Subclasses can override this method.

        @return: the lines to print as comments.
        """
        return []

    def _spelledOut(self, arguments: list[str]) -> list[str]:
        """
        Return the arguments with full option names instead of abbreviations or single letters.
        """
        try:
            options, rest = getopt.getopt(arguments, self.shortOpt, self.longOpt)
        except getopt.GetoptError:
            # The error is reported later, when the options are parsed.
            return arguments
        names = [f"--{_LETTERS.get(option, option.lstrip('-'))}" for option, _ in options]
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
            if not {name, f"{name}="} & set(self.longOpt):
                raise usage.UsageError(
                    f"--config={path}: {name} is not an option{self.suggestOption(name)}"
                )
            if equals and name in self.longOpt:
                raise usage.UsageError(f"--config={path}: {name} must be true or false")
            if not equals and name not in self.longOpt:
                raise usage.UsageError(
                    f"--config={path}: {name} must have a value (text or a number), not true"
                )

    def _resolved(self, arguments: list[str]) -> str:
        """
        Return the resolved options as a configuration file, without passwords.
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
                lines.append(f"# {name} is not set\n")
            else:
                lines.append(f"{name} = {_shown(name, found.get(name, [str(default)]), default)}\n")
        return "".join(lines)


def _shown(name: str, values: list[str], default: object) -> str:
    """
    Return the value of an option as TOML.
    """
    if name in _SECRETS:
        return toTOML("***")
    if isinstance(default, int | float) and _number.fullmatch(values[-1]):
        return values[-1]
    texts = [_password.sub("://***@", value) for value in values]
    return toTOML(texts if len(texts) > 1 else texts[0])


def _valueOf(name: str, arguments: Sequence[str]) -> str | None:
    """
    Return the value of one option without parsing the other options.
    """
    for number, argument in enumerate(arguments):
        if argument.startswith(f"--{name}="):
            return argument.partition("=")[2]
        if argument == f"--{name}" and number + 1 < len(arguments):
            return arguments[number + 1]
    return None


def toTOML(value: Any) -> str:
    """
    Return a value as TOML.

    @param value: a text, a number, a boolean, or a list or dictionary of such values.
    @return: the text of the value in a TOML file.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return f"[{', '.join(map(toTOML, value))}]"
        case dict():
            items = (f"{toTOML(name)} = {toTOML(each)}" for name, each in value.items())
            return f"{{{', '.join(items)}}}"
        case int() | float():
            return repr(value)
        case _:
            # A JSON string is a TOML string, except for one control character.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
