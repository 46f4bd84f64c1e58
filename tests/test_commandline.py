"""
Tests for L{openfl_twisted.commandline}.
"""

import os
import sys
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

from twisted.python.usage import Options as TwistedOptions
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

import openfl_twisted.load.command
from openfl_twisted.commandline import (
    Group,
    GroupedOptions,
    Option,
    describeError,
    loadObject,
)
from openfl_twisted.services import bridge, echoserver, policyserver, xmlserver
from openfl_twisted.telnetclient import command

COMMANDS = (xmlserver, echoserver, policyserver, bridge, command, openfl_twisted.load.command)


class Server(GroupedOptions):
    """
    The options of a base class.
    """

    longdesc = "Serve a well-known game."
    options: ClassVar[list[Option]] = [
        Option(Group.LIMITS, "max-size", "BYTES", "Maximum size.", 3 * 1024 * 1024, int),
        Option(Group.GENERAL, "name", "NAME", "Name of the server.", "game"),
    ]


class Game(Server):
    """
    The options of a command.
    """

    options: ClassVar[list[Option]] = [
        Option(Group.LISTENING, "listen", "ENDPOINT", "Endpoint to listen on.", shown="tcp:1"),
        Option(Group.LISTENING, "plain", "", "Accept plain clients only."),
        Option(Group.LIMITS, "timeout", "SECONDS", "Time to connect.", 0.5, float),
        Option(Group.GENERAL, "name", "NAME", "Name of the game."),
    ]

    def opt_listen(self, endpoint: str) -> None:
        """
        Listen on an endpoint, such as tcp:80.
        """
        self["listen"] = endpoint

    opt_l = opt_listen


class Program(TwistedOptions):
    """
    The options of C{twistd}.
    """

    subCommands: ClassVar[list[tuple[str, str | None, Any, str]]] = [("game", None, Game, "")]


class GroupedOptionsTests(SynchronousTestCase):
    """
    L{GroupedOptions}.
    """

    def setUp(self) -> None:
        self.output = StringIO()
        self.patch(sys, "stdout", self.output)

    def test_help(self) -> None:
        """
        The help is grouped. Options of the command precede those of its base classes,
        and replace those of the same name. Defaults are formatted for people.
        """
        self.assertEqual(
            Game().getUsage(60),
            """
Serve a well-known game.

Listening:
  -l, --listen=ENDPOINT      Endpoint to listen on.
                             [default: tcp:1]
      --plain                Accept plain clients only.

Limits (0 for no limit; sizes in bytes, suffixes K and M allowed):
      --timeout=SECONDS      Time to connect. [default: 0.5]
      --max-size=BYTES       Maximum size. [default: 3M]

General:
      --name=NAME            Name of the game.
  -h, --help                 Print this help and exit.
      --version              Print the version of
                             openfl-twisted and exit.
""",
        )

    def test_defaults(self) -> None:
        """
        Defaults have the largest suffix that divides them.
        """

        def written(value: str, default: object) -> str | None:
            return Option(Group.LIMITS, "a", value, "", default).writtenDefault

        sizes = [written("BYTES", size) for size in (0, 1000, 1024, 1536 * 1024, 2 << 20)]
        self.assertEqual(sizes, ["0", "1000", "1K", "1536K", "2M"])
        self.assertEqual([written("N", 1024), written("N", 5.0)], ["1024", "5"])
        self.assertEqual([written("NAME", None), written("", None)], [None, "off"])

    def test_shortHelp(self) -> None:
        """
        C{-h} and C{--help} print the help and exit with status 0.
        """
        for argument in ("-h", "--help"):
            exited = self.assertRaises(SystemExit, Game().parseOptions, [argument])
            self.assertEqual(exited.code, 0)
        self.assertEqual(self.output.getvalue().count("Serve a well-known game."), 2)

    def test_parse(self) -> None:
        """
        Values are parsed. An option with a method is passed to it.
        """
        game = Game()
        game.parseOptions(["-l", "tcp:2", "--timeout=2", "--plain"])
        self.assertEqual((game["listen"], game["timeout"], game["plain"]), ("tcp:2", 2.0, 1))

    def test_wrongValue(self) -> None:
        """
        A usage error names the option and the value.
        """
        error = self.assertRaises(UsageError, Game().parseOptions, ["--timeout=x"])
        self.assertEqual(str(error), "--timeout: could not convert string to float: 'x'")

    def test_subcommand(self) -> None:
        """
        Under C{twistd}, a usage error is one line, and the status is 1.
        """
        for argument, line in (
            ("--max-size=x", "--max-size: invalid literal for int() with base 10: 'x'"),
            ("--colour", "option --colour not recognized"),
        ):
            exited = self.assertRaises(SystemExit, Program().parseOptions, ["game", argument])
            self.assertEqual(exited.code, f"game: {line}; see --help")

    def test_commands(self) -> None:
        """
        The help of each command contains all options, each in a known group, and no
        line is longer than the terminal width.
        """
        for module in COMMANDS:
            options: Any = module.Options()
            names = {name.removesuffix("=") for name in options.longOpt}
            described = {option.name for option in options.allOptions()}
            self.assertEqual(described, names, module.__name__)
            self.assertLessEqual({option.group for option in options.allOptions()}, {*Group})
            self.assertLessEqual(max(map(len, options.getUsage(80).splitlines())), 80)


class LoadObjectTests(SynchronousTestCase):
    """
    L{loadObject} imports an object, and reports errors in one line.
    """

    def load(self, source: str) -> str:
        """
        Try to import a class from a module in the current directory.

        @return: the error, with C{MODULE} for the name of the module.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        name = f"users_module_{len(sys.modules)}"
        (folder / f"{name}.py").write_text(source)
        self.patch(sys, "path", list(sys.path))
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder)
        text = str(self.assertRaises(UsageError, loadObject, "app", f"{name}:Game"))
        self.assertNotIn("\n", text)
        return text.replace(name, "MODULE")

    def test_place(self) -> None:
        """
        An error in the module is reported with its file and line.
        """
        for source, words in [
            ("\ndef (", "SyntaxError: invalid syntax (MODULE.py, line 2)"),
            ("x = 1\ny = z\n", "NameError: name 'z' is not defined (MODULE.py, line 2)"),
            ("import no_such_thing", "No module named 'no_such_thing' (MODULE.py, line 1)"),
            ("import json\n\njson.loads('')", "(MODULE.py, line 3)"),
            ("raise ValueError('a\\nb')", "ValueError: a b (MODULE.py, line 1)"),
        ]:
            text = self.load(source)
            self.assertTrue(text.startswith("--app=MODULE:Game: "), text)
            self.assertIn(words, text)

    def test_missing(self) -> None:
        """
        A missing module or attribute has no place in a file.
        """
        text = self.load("x = 1")
        self.assertEqual(
            text, "--app=MODULE:Game: AttributeError: module 'MODULE' has no attribute 'Game'"
        )
        error = self.assertRaises(UsageError, loadObject, "app", "no_such_module:Game")
        self.assertEqual(
            str(error),
            "--app=no_such_module:Game: ModuleNotFoundError: No module named 'no_such_module'",
        )
        self.assertEqual(describeError(ValueError("x")), "ValueError: x")
