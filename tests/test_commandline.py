"""
Tests for L{openfl_twisted.commandline}.
"""

import os
import sys
import textwrap
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

from twisted.internet.base import ReactorBase
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

    def test_synopsis(self) -> None:
        """
        The first line of the help names the program that was run.
        """
        for program, usage in (
            ("/bin/game", "Usage: game [options]"),
            (r"game.exe", "Usage: game [options]"),
            ("/bin/twistd", "Usage: twistd [options] game [options]"),
        ):
            self.patch(sys, "argv", [program])
            self.assertRaises(SystemExit, Program().parseOptions, ["game", "--help"])
            self.assertEqual(self.output.getvalue().splitlines()[0], usage)
            self.output.truncate(0)
            self.output.seek(0)

    def test_helpToClosedPipe(self) -> None:
        """
        The help can be read partly, for example by C{head}.
        """
        read, write = os.pipe()
        os.close(read)
        with open(write, "w") as stream:
            self.patch(sys, "stdout", stream)
            ended = self.assertRaises(SystemExit, Game().parseOptions, ["--help"])
        self.assertEqual(ended.code, 0)

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
            ("--max-sise=3", "option --max-sise not recognized (did you mean --max-size?)"),
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

    def enter(self) -> Path:
        """
        Change to an empty directory.
        """
        folder = Path(self.mktemp()).resolve()
        folder.mkdir()
        self.patch(sys, "path", list(sys.path))
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder)
        return folder

    def error(self, name: str) -> str:
        """
        Return the error of a name.
        """
        text = str(self.assertRaises(UsageError, loadObject, "app", name))
        self.assertNotIn("\n", text)
        return text

    def load(self, source: str, attribute: str = "Game") -> str:
        """
        Try to import a class from a module in the current directory.

        @return: the error, with C{MODULE} for the name of the module.
        """
        name = f"users_module_{len(sys.modules)}"
        (self.enter() / f"{name}.py").write_text(source)
        return self.error(f"{name}:{attribute}").replace(name, "MODULE")

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
            ("raise ValueError", "ValueError (MODULE.py, line 1)"),
            ("class E(Exception):\n def __str__(self): 1/0\nraise E", ": E (MODULE.py, line 3)"),
            ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
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

    def test_similar(self) -> None:
        """
        The most similar name is suggested, preferably in the same case.
        """
        for source, attribute, name in [
            ("class Game: pass\ngame = 1", "Gane", "Game"),
            ("class Game: pass\ngame = 1", "gane", "game"),
            ("class Game: pass", "game", "Game"),
            ("class Game: pass", "GAME", "Game"),
        ]:
            text = self.load(source, attribute)
            self.assertTrue(text.endswith(f"attribute '{attribute}' (did you mean {name}?)"), text)
        self.assertNotIn("did you mean", self.load("_Game = 1; x = 2"))
        (self.enter() / "users_game.py").write_text("")
        text = self.error("usersgame:Game")
        self.assertTrue(text.endswith("'usersgame' (did you mean users_game?)"), text)
        (self.enter() / "importing_game.py").write_text("import importing_gam")
        self.assertNotIn("did you mean", self.error("importing_game:Game"))

    def test_file(self) -> None:
        """
        The path of a file is not the name of a module; the error names the module.
        """
        for name, words in [
            ("game.py:Player", "game:Player"),
            ("./game.py:Player", "game:Player"),
            ("./game:Player", "game:Player"),
            ("a/b/game.py:Player", "game:Player, in the directory a/b"),
        ]:
            self.assertEqual(
                self.error(name), f"--app={name}: must name a module, not a file: {words}"
            )

    def test_shadowed(self) -> None:
        """
        If a module of Python is imported instead of a file in the current directory, the error
        names both.
        """
        (self.enter() / "textwrap.py").write_text("class Game: pass")
        text = self.error("textwrap:Game")
        self.assertIn(f"{textwrap.__file__} was imported instead of textwrap.py; rename", text)

    def test_exit(self) -> None:
        """
        A module that ends the program is an error.
        """
        for call, shown in [
            ("sys.exit()", "sys.exit()"),
            ("sys.exit('no\\nconfig')", r"sys.exit('no\nconfig')"),
            ("raise SystemExit(0)", "sys.exit(0)"),
        ]:
            self.assertEqual(
                self.load(f"import sys\n{call}"),
                f"--app=MODULE:Game: the module called {shown} while it was imported "
                "(MODULE.py, line 2)",
            )

    def test_reactor(self) -> None:
        """
        A module that runs the reactor is an error. The reactor can be run later.
        """
        original = ReactorBase.startRunning
        text = self.load("from twisted.internet import reactor\nreactor.run()\n")
        self.assertIn("the module ran the reactor while it was imported; move", text)
        self.assertTrue(text.endswith("(MODULE.py, line 2)"), text)
        self.assertIs(ReactorBase.startRunning, original)

    def test_others(self) -> None:
        """
        An interrupt is not an error of the module, and its output is printed.
        """
        (self.enter() / "interrupted.py").write_text("raise KeyboardInterrupt")
        self.assertRaises(KeyboardInterrupt, loadObject, "app", "interrupted:Game")
        self.enter()
        Path("printing_game.py").write_text("print('hello')\nGame = 3")
        with redirect_stdout(StringIO()) as printed:
            self.assertEqual(loadObject("app", "printing_game:Game"), 3)
        self.assertEqual(printed.getvalue(), "hello\n")

    def test_circular(self) -> None:
        """
        The error of a circular import is reported with its place.
        """
        folder = self.enter()
        (folder / "circular_one.py").write_text("import circular_two\nclass Game: pass")
        (folder / "circular_two.py").write_text("from circular_one import Game")
        text = self.error("circular_one:Game")
        self.assertIn("most likely due to a circular import", text)
        self.assertTrue(text.endswith("(circular_two.py, line 1)"), text)
