"""
The programs C{openfl-xml}, C{openfl-echo}, C{openfl-policy} and C{openfl-bridge}: C{twistd} in the
foreground, with one command and without a pid file.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.scripts import twistd

_twistd: Any = twistd

# These options print the help and the version of the command.
_OF_COMMAND = {"--help", "--version"}


def twistdArguments(command: str, arguments: Sequence[str]) -> list[str]:
    """
    Return the arguments of C{twistd} that run a command in the foreground.

    @param command: the command.
    @param arguments: the options of C{twistd}, such as C{--reactor}, then the options of the
        command. The first argument that is not an option of C{twistd} ends the first part.
    """
    # On Windows, twistd has fewer options.
    options = _twistd.ServerOptions()
    hasValue = {f"--{name.removesuffix('=')}": name.endswith("=") for name in options.longOpt}
    hasValue |= {
        f"-{letter}": hasValue[f"--{name}"]
        for letter, name in options.synonyms.items()
        if len(letter) == 1 and f"--{name}" in hasValue
    }
    end = 0
    while end < len(arguments):
        name, equals, _ = arguments[end].partition("=")
        if name in _OF_COMMAND or name not in hasValue:
            break
        end += 2 if hasValue[name] and not equals else 1
    start = ["--nodaemon", *(["--pidfile="] if "pidfile" in options else [])]
    return [*start, *arguments[:end], command, *arguments[end:]]


def main() -> None:
    """
    Run the command that has the name of the program.
    """
    name = Path(sys.argv[0]).stem
    sys.argv[1:] = twistdArguments(name, sys.argv[1:])
    _twistd.run()
