"""
Command-line options in groups. C{--help} and the reference page of the commands are generated
from the same L{Option}s.
"""

import enum
import math
import os
import re
import sys
import sysconfig
import textwrap
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, NoReturn

from twisted.python import usage
from twisted.python.reflect import namedModule

from openfl_twisted.similar import similarTo


class Group(enum.StrEnum):
    """
    The groups of options, in the order in which C{--help} prints them.

    @cvar APPLICATION: the options that choose what the server does.
    @cvar LISTENING: the options for endpoints and client types.
    @cvar LOAD: the options of a load test.
    @cvar SITE: the options for web pages beside the game.
    @cvar TLS: the options for certificates.
    @cvar ACCESS: the options for policy files and trusted proxies.
    @cvar LIMITS: the limits and timeouts.
    @cvar TIMEOUTS: the timeouts for a client.
    @cvar ROOMS: the options for rooms.
    @cvar BROKER: the options for rooms that several servers share.
    @cvar MONITORING: the options for metrics, dashboard and log.
    @cvar RECORDING: the options that record sessions.
    @cvar SHUTDOWN: the options for stopping the server.
    @cvar CHECK: the options that analyze a policy file without a server.
    @cvar GENERAL: the options that all programs have.
    """

    APPLICATION = "Application"
    LISTENING = "Listening"
    LOAD = "Load"
    SITE = "Web pages"
    TLS = "TLS"
    ACCESS = "Access"
    LIMITS = "Limits (0 for no limit; sizes in bytes, suffixes K and M allowed)"
    TIMEOUTS = "Timeouts"
    ROOMS = "Rooms"
    BROKER = "Broker"
    MONITORING = "Monitoring"
    RECORDING = "Recording"
    SHUTDOWN = "Shutdown"
    CHECK = "Check a policy file"
    GENERAL = "General"


# The column in which descriptions begin in the help, and the minimum width of the descriptions.
_COLUMN = 29
_NARROWEST = 30

# Matches the error for an unknown option.
_unknownOption = re.compile("option --([^ ]+) not recognized")

_UNITS = (("M", 1024 * 1024), ("K", 1024))

# The longest time that an option of a client program accepts (seconds).
_LONGEST = 86400


def seconds(text: str) -> float:
    """
    Parse a time in seconds.

    @param text: a number from 0 to 86400, as C{float} parses it.
    @raise ValueError: if C{text} is not such a number.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= _LONGEST:
        raise ValueError(f"{text!r} must be a number of seconds from 0 to {_LONGEST}")
    return number


def loadObject(option: str, name: str) -> Any:
    """
    Import the object that an option names. The current directory is also searched.

    @param option: the name of the option, without the dashes.
    @param name: the value of the option: C{package.module:Name}.
    @raise usage.UsageError: if the object does not exist, or its module cannot be imported. The
        text is one line; it contains the file and the line of an error in the module.
    """
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise usage.UsageError(f"--{option}={name}: must have the form package.module:Class")
    if "/" in name or module.endswith(".py"):
        raise usage.UsageError(f"--{option}={name}: {_describePath(name)}")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        with _withoutReactor():
            found = namedModule(module)
        if not hasattr(found, attribute):
            raise AttributeError(_describeMissing(found, module, attribute))
        return getattr(found, attribute)
    except SystemExit as problem:
        code = "" if problem.code is None else repr(problem.code)
        text = f"the module called sys.exit({code}) while it was imported{placeOf(problem)}"
        raise usage.UsageError(f"--{option}={name}: {text}") from None
    except Exception as problem:
        # Importing a user's module can raise any exception.
        text = describeError(problem)
        if isinstance(problem, ModuleNotFoundError) and problem.name == module:
            text += _suggest(module, [path.stem for path in Path().glob("*.py")])
        raise usage.UsageError(f"--{option}={name}: {text}") from None


@contextmanager
def _withoutReactor() -> Iterator[None]:
    """
    Let every reactor refuse to start while the block runs: a module that runs the reactor when it
    is imported would never be imported completely.
    """
    from twisted.internet.base import ReactorBase

    def startRunning(self: ReactorBase, *arguments: object, **options: object) -> NoReturn:
        raise RuntimeError(
            "the module ran the reactor while it was imported; "
            "move reactor.run() below if __name__ == '__main__':"
        )

    original = ReactorBase.startRunning
    ReactorBase.startRunning = startRunning  # type: ignore[method-assign]
    try:
        yield
    finally:
        ReactorBase.startRunning = original  # type: ignore[method-assign]


def _describePath(name: str) -> str:
    """
    Describe the correct name for the path of a file.
    """
    path, _, attribute = name.rpartition(":")
    folder, _, file = path.rpartition("/")
    text = f"must name a module, not a file: {file.removesuffix('.py')}:{attribute}"
    return text if folder in ("", ".") else f"{text}, in the directory {folder}"


def _describeMissing(module: Any, name: str, attribute: str) -> str:
    """
    Describe a missing attribute of a module.
    """
    text = f"module {name!r} has no attribute {attribute!r}"
    found, expected = getattr(module, "__file__", None), Path(*name.split(".")).with_suffix(".py")
    if found is not None and expected.exists() and not expected.samefile(found):
        # For example, the user's code.py, when Python's module code is already imported.
        return f"{text}: {found} was imported instead of {expected}; rename {expected}"
    return text + _suggest(attribute, [each for each in dir(module) if not each.startswith("_")])


def _suggest(wrong: str, names: Iterable[str]) -> str:
    """
    Return a question that suggests the most similar name, in parentheses after a space; an empty
    string if no name is similar.
    """
    similar = similarTo(wrong, names)
    return f" (did you mean {similar}?)" if similar else ""


def describeError(problem: BaseException) -> str:
    """
    Describe an exception that a user's code has raised.

    @param problem: the exception.
    @return: one line: the type and the text of the exception, and where the code has raised it.
    """
    try:
        message = " ".join(str(problem).split())
    except Exception:
        # The exception can have a faulty __str__.
        message = ""
    text = f"{type(problem).__name__}: {message}" if message else type(problem).__name__
    # The text of a syntax error contains the file and the line.
    return text if isinstance(problem, SyntaxError) else text + placeOf(problem)


def placeOf(problem: BaseException) -> str:
    """
    Return the file and the line in which a user's code has raised an exception, in parentheses
    after a space; an empty string if the traceback contains no such code.
    """
    frames = [
        frame
        for frame in traceback.extract_tb(problem.__traceback__)
        if not frame.filename.startswith("<") and not isLibrary(frame.filename)
    ]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


@cache
def _libraries() -> list[Path]:
    paths = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")]
    return [Path(__file__).parent, *map(Path, paths)]


@lru_cache(10_000)
def isLibrary(path: str) -> bool:
    """
    Return whether a file belongs to this package, or to an installed library.

    @param path: the path of the file.
    """
    return any(Path(path).is_relative_to(each) for each in _libraries())


class Option(NamedTuple):
    """
    An option of a command.

    @ivar group: the group of the option.
    @ivar name: the name without the dashes.
    @ivar value: a word for the value, such as C{SECONDS}; C{""} for a flag. The default
        of an option whose value is C{BYTES} is shown with the suffix K or M if possible.
    @ivar meaning: the description, as one sentence.
    @ivar default: the default value, already parsed.
    @ivar parse: parses the value; raises C{ValueError} if it is invalid.
    @ivar shown: the text that the help shows for the default, if it differs from C{default}.
    """

    group: Group
    name: str
    value: str
    meaning: str
    default: Any = None
    parse: Callable[[str], Any] | None = None
    shown: str | None = None

    @property
    def writtenDefault(self) -> str | None:
        """
        The text of the default, such as C{2M}, C{0.5} or C{off}; C{None} without a default.
        """
        if self.shown is not None:
            return self.shown
        if not self.value:
            return "off"
        if self.default is None:
            return None
        if self.value == "BYTES" and self.default:
            for suffix, unit in _UNITS:
                if self.default % unit == 0:
                    return f"{self.default // unit}{suffix}"
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)

    def toParameter(self) -> list[Any]:
        """
        Convert the option for Twisted's C{optParameters}.

        @return: name, short name, default, description, and the function that parses
            the value and raises C{usage.UsageError}.
        """
        parse = self.parse
        if parse is None:
            return [self.name, None, self.default, self.meaning]

        def parseNamed(text: str) -> Any:
            try:
                return parse(text)
            except ValueError as problem:
                raise usage.UsageError(f"--{self.name}: {problem}") from None

        return [self.name, None, self.default, self.meaning, parseNamed]


def discardOutput() -> None:
    """
    Discard the rest of the output: its reader, such as C{head}, has enough.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class GroupedOptions(usage.Options):
    """
    Options whose help is in groups. Under C{twistd} and C{twist}, a usage error prints
    one line and ends the process.

    @cvar options: the options that a class adds to the options of its base classes. An option
        with a method C{opt_...} is parsed by that method; the entry here only adds the option
        to the help.
    @cvar longdesc: the description of the command.
    """

    longdesc: str
    optParameters: ClassVar[list[list[Any]]]
    optFlags: ClassVar[list[list[Any]]]
    options: ClassVar[list[Option]] = [
        Option(Group.GENERAL, "help", "", "Print this help and exit.", shown=""),
        Option(
            Group.GENERAL, "version", "", "Print the version of openfl-twisted and exit.", shown=""
        ),
    ]

    def __init_subclass__(cls) -> None:
        """
        Derive the attributes that Twisted reads from C{options}.
        """
        super().__init_subclass__()
        own = [
            each
            for each in vars(cls).get("options", [])
            if not hasattr(cls, f"opt_{each.name.replace('-', '_')}")
        ]
        cls.optParameters = [each.toParameter() for each in own if each.value]
        cls.optFlags = [[each.name, None, each.meaning] for each in own if not each.value]

    def parseArgs(self, *rest: str) -> None:
        """
        Refuse arguments. Commands with arguments override this method.

        @raise usage.UsageError: if there is an argument.
        """
        if rest:
            raise usage.UsageError(f"unexpected argument {rest[0]!r:.80}")

    def opt_help(self) -> NoReturn:
        """
        Print the help and exit.
        """
        try:
            sys.stdout.write(f"{self}\n")
            sys.stdout.flush()
        except BrokenPipeError:
            discardOutput()
        sys.exit(0)

    # Twisted's option for the version has no short name.
    opt_h = opt_help

    def getSynopsis(self) -> str:
        """
        Return the first line of the help.
        """
        program = Path(sys.argv[0]).stem
        if self.parent is not None and self.parent.subCommand == program:
            return f"Usage: {program} [options]"
        synopsis: str = super().getSynopsis()
        return synopsis

    def opt_version(self) -> NoReturn:
        """
        Print the version of openfl-twisted and exit.
        """
        sys.stdout.write(f"openfl-twisted {version('openfl-twisted')}\n")
        sys.exit(0)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Parse the options.

        @param options: the command line without the command; C{None} for C{sys.argv}.
        @raise usage.UsageError: if an option is invalid.
        @raise SystemExit: if an option is invalid and the command runs under C{twistd} or
            C{twist}, which would print the whole help. The error is printed on the standard
            error stream, and the exit status is 1.
        """
        try:
            self.parseArguments(options)
        except usage.UsageError as problem:
            if self.parent is None:
                raise
            sys.exit(f"{self.parent.subCommand}: {problem}; see --help")

    def parseArguments(self, options: Sequence[str] | None) -> None:
        """
        Parse the options. Override this method instead of L{parseOptions}.

        @param options: see L{parseOptions}.
        @raise usage.UsageError: if an option is invalid. The text suggests the right name for an
            unknown option.
        """
        try:
            super().parseOptions(options)
        except usage.UsageError as problem:
            unknown = _unknownOption.search(str(problem))
            if unknown is None:
                raise
            raise usage.UsageError(f"{problem}{self.suggestOption(unknown[1])}") from None

    def suggestOption(self, wrong: str) -> str:
        """
        Return a question that suggests the option with the most similar name, in parentheses after
        a space; an empty string if no name is similar.

        @param wrong: the name without the dashes.
        """
        names = [name.removesuffix("=") for name in self.longOpt]
        if {wrong, f"{wrong}="} & set(getattr(self.parent, "longOpt", ())):
            return f" (an option of twistd: write --{wrong} before all options of the command)"
        similar = similarTo(wrong, names, 0.7)
        # The option "wrong" can exist, but not be allowed in a configuration file.
        return f" (did you mean --{similar}?)" if similar and wrong not in names else ""

    @classmethod
    def allOptions(cls) -> list[Option]:
        """
        Return the options of the class, then the options of its base classes, sorted by group.
        """
        found: dict[str, Option] = {}
        for each in cls.__mro__:
            for option in vars(each).get("options", []):
                found.setdefault(option.name, option)
        groups = [*Group]
        return sorted(found.values(), key=lambda option: groups.index(option.group))

    def getUsage(self, width: int | None = None) -> str:
        """
        Return the help text without its first line.

        @param width: width of the lines; C{None} for C{COLUMNS} (default: 80).
        """
        width = width or int(os.environ.get("COLUMNS", "80"))
        lines = ["", *textwrap.wrap(self.longdesc, width, break_on_hyphens=False)]
        group = ""
        for option in self.allOptions():
            if option.group != group:
                group = option.group
                lines += ["", f"{group}:"]
            lines += self._describe(option, width)
        return "\n".join([*lines, ""])

    def _describe(self, option: Option, width: int) -> Iterator[str]:
        """
        Return the lines that describe an option in the help.
        """
        letters = [each for each, name in self.synonyms.items() if name == option.name]
        short = min(letters, key=len, default="")
        short = f"-{short}," if len(short) == 1 else ""
        names = f"  {short:3} --{option.name}"
        if option.value:
            names += f"={option.value}"
        default = option.writtenDefault
        text = option.meaning
        if option.value and default:
            text += f" [default: {default}]"
        indent = " " * _COLUMN
        described = textwrap.wrap(
            text, max(width, _COLUMN + _NARROWEST) - _COLUMN, break_on_hyphens=False
        )
        if len(names) < _COLUMN - 1:
            yield names.ljust(_COLUMN) + described.pop(0)
        else:
            yield names
        yield from (indent + each for each in described)
