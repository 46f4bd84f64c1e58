"""
Tests for L{openfl_twisted.sessioncommand} and L{openfl_twisted.sessions._dialects}.
"""

import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trustme
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import sessioncommand as command
from openfl_twisted.commandline import discardOutput
from openfl_twisted.protocols.securesocket import SecureEndpoint
from openfl_twisted.protocols.websocket import WebSocketFactory
from openfl_twisted.sessioncommand import CallOptions, ServeOptions, main
from openfl_twisted.sessions._masks import Masks
from openfl_twisted.sessions._player import PlayerFactory
from openfl_twisted.sessions._session import (
    CLIENT,
    SERVER,
    End,
    Gap,
    Header,
    Message,
    Session,
    dataLine,
    endLine,
    gapLine,
    headerLine,
    sessionFiles,
)
from openfl_twisted.sessions._writer import THREAD_NAME
from openfl_twisted.testing import CertificateMaker, MemoryNetwork, Peer
from openfl_twisted.tls import Trust
from openfl_twisted.wire.dialects import DIALECTS
from tests.sessions.followed import FOLLOWED
from tests.sessions.sessioncase import session
from tests.sessions.strategies import fullSessions
from tests.support.recorderclock import THREAD_TIMEOUT

THIS = __name__


class Pairs:
    """
    A dialect: two bytes are a message.
    """

    hasMessages = True
    isText = False

    def cutter(self) -> Any:
        """
        Create a cutter that is not needed here.
        """
        return DIALECTS["raw"].cutter()

    def split(self, whole: bytes) -> list[bytes]:
        """
        Return pairs of bytes; the last one can be shorter.
        """
        return [whole[at : at + 2] for at in range(0, len(whole), 2)]

    def show(self, message: bytes) -> str:
        """
        Return the bytes as Python writes them.
        """
        return f"pair {message!r}"


pairs = Pairs()


def compute(known: Any, recorded: str) -> str:
    """
    Return the recorded value with a prefix.
    """
    return f"computed {recorded}"


class Broken:
    """
    An object that is not a dialect.
    """


class CommandCase(SynchronousTestCase):
    """
    Base class: a folder, and captured output.
    """

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.buffer = io.BytesIO()
        self.patch(sys, "stdout", io.TextIOWrapper(self.buffer, "utf-8", newline="\n"))
        self.patch(sys, "stderr", io.StringIO())

    def file(self, content: bytes | str | Session, name: str = "a.session") -> str:
        """
        Write a file into the folder of the test. Return its path.
        """
        if isinstance(content, Session):
            content = b"".join(content.lines())
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def run_(self, *arguments: str) -> tuple[int, str, str]:
        """
        Run the program. Return the exit status and the output.
        """
        sys.stdout.flush()
        self.buffer.seek(0)
        self.buffer.truncate()
        self.patch(sys, "stderr", io.StringIO())
        status = self.assertRaises(SystemExit, main, list(arguments)).code
        sys.stdout.flush()
        assert isinstance(sys.stderr, io.StringIO)
        return status or 0, self.buffer.getvalue().decode(), sys.stderr.getvalue()

    def good(self, *arguments: str) -> str:
        """
        Run the program without errors and warnings. Return the output.
        """
        status, out, err = self.run_(*arguments)
        self.assertEqual((status, err), (0, ""))
        return out

    def assertFails(self, error: str, *arguments: str) -> None:
        """
        The program fails with an error of one line.
        """
        status, out, err = self.run_(*arguments)
        self.assertEqual((status, out), (2, ""))
        self.assertTrue(err.startswith(f"openfl-session: {error}"), err)
        self.assertEqual(err.count("\n"), 1)
        self.assertTrue(err[:-1].isprintable())


class UsageTests(CommandCase):
    """
    Wrong command lines are errors of one line, with status 2.
    """

    def test_commands(self) -> None:
        """
        The first argument is a command.
        """
        error = "the first argument must be one of show, serve, call, convert; see --help"
        self.assertFails(error)
        self.assertFails(error, "--")
        self.assertFails(f"unknown command 'sho': {error}", "sho")
        self.assertFails("option --speed not recognized", "--speed")
        self.assertFails("option --sped not recognized", "serve", "--sped=1", "x")

    def test_argv(self) -> None:
        """
        By default, the arguments are those of the process.
        """
        self.patch(sys, "argv", ["openfl-session", "convert"])
        error = self.assertRaises(SystemExit, main)
        self.assertEqual(error.code, 2)

    def test_help(self) -> None:
        """
        Each command has a help with its options, and a version.
        """
        self.assertIn("show: print messages", self.good("--help"))
        for name in ("show", "serve", "call", "convert"):
            self.assertIn("--dialect=NAME", self.good(name, "--help"))
            self.assertIn("openfl-twisted ", self.good(name, "--version"))

    def test_files(self) -> None:
        """
        The number of files must be right, and files must exist.
        """
        self.assertFails("the arguments must be session files or folders; see", "show")
        self.assertFails("the arguments must be session files or folders, then TARGET", "call", "x")
        self.assertFails("the arguments must be one FILE, or -", "convert", "a", "b")
        path = str(self.folder)
        self.assertFails("missing: No such file or directory; see --help", "show", "missing")
        self.assertFails("missing: No such file or directory", "convert", "missing")
        self.assertFails(f"{path}: the folder contains no *.session file", "show", path)
        self.assertFails(f"{path}: the folder contains no *.session file", "convert", path)
        self.assertFails("a.session: the file is empty", "show", self.file(""))
        self.assertFails(
            'a.session: not a session file: the first line must be {"session": 1, ...}',
            "show",
            self.file("{}\n"),
        )

        def iterdir(path: Path) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        self.patch(Path, "iterdir", iterdir)
        self.assertFails(f"{path}: Permission denied", "show", path)

    def test_runs(self) -> None:
        """
        The last run in the folder of C{--record} is used; C{convert} needs one session.
        """
        for name in ("20261129-101530", "20261130-090000"):
            run = self.folder / name
            run.mkdir()
            session(f">{name}", end="client").save(run / "000001.session")
        for name in ("show", "convert"):
            status, out, err = self.run_(name, str(self.folder))
            self.assertEqual((status, err), (0, f"using the run {run}\n"))
            self.assertIn("20261130-090000", out)
            self.assertNotIn("20261129-101530", out)
        self.assertIn("20261130-090000", self.good("show", str(run)))
        session(">a", end="client").save(run / "000002.session")
        error = f"{run}: contains 2 sessions; name one file"
        self.assertFails(error, "convert", str(run))

    def test_options(self) -> None:
        """
        The values of options must be right.
        """
        path = self.file(session())
        for error, arguments in (
            ("--from=me: must be client or server", ["show", "--from=me"]),
            ("--hex and --json cannot be used together", ["show", "--hex", "--json"]),
            ("--from=me: must be one of session, ruffle, wireshark", ["convert", "--from=me"]),
            ("--to=me: must be one of session, ruffle, text", ["convert", "--to=me"]),
            ("--hide=me: must have the form NAME=REGEX", ["convert", "--hide=me"]),
            ("--hide==x: must have the form NAME=REGEX", ["convert", "--hide", "=x"]),
            ("--set=me: must have the form NAME=VALUE", ["serve", "--set=me"]),
            ("--set==me: must have the form NAME=VALUE", ["serve", "--set", "=me"]),
            ("--speed: '-1' must be a number from 0 to 1000", ["serve", "--speed=-1"]),
            ("--speed: 'nan' must be", ["serve", "--speed=nan"]),
            ("--speed: 'x' must be", ["serve", "--speed=x"]),
            ("option --speed requires argument", ["serve", "--speed"]),
            ("option --jsn not recognized", ["show", "--jsn"]),
        ):
            name, *options = arguments
            self.assertFails(error, name, path, *options)

    def test_callOptions(self) -> None:
        """
        The options of C{call} must be right.
        """
        path = self.file(session())
        for error, arguments in (
            ("TARGET: ", ["host"]),
            ("--timeout: must be more than 0", ["tcp:h:1", "--timeout=0"]),
            ("--timeout: 'x' must be a number of seconds", ["tcp:h:1", "--timeout=x"]),
            ("--ca requires a target tls:HOST:PORT or wss://...", ["tcp:h:1", "--ca=x"]),
            ("--ca=", ["tls:h:1", "--ca=missing.pem"]),
        ):
            self.assertFails(error, "call", path, *arguments)

    def test_ca(self) -> None:
        """
        The file of C{--ca} is read.
        """
        path = self.folder / "ca.pem"
        trustme.CA().cert_pem.write_to_path(path)
        options = CallOptions()
        options.parseOptions(["a", "tls:h:1", f"--ca={path}"])
        self.assertNotEqual(options["trust"], Trust())

    def test_dialects(self) -> None:
        """
        A dialect is one of the package, or an object of a module; a class is instantiated.
        """
        path = self.file(session(">ab", dialect="lines", end="client"))
        names = ", ".join(DIALECTS)
        self.assertFails(
            f"--dialect=xm: must be one of {names}, or module:object", "show", "--dialect=xm", path
        )
        self.assertFails("--dialect=missing_module:x: ", "show", "--dialect=missing_module:x", path)
        self.assertFails(
            f"--dialect={THIS}:Broken: must have the members of a dialect: cutter, split, show,"
            " hasMessages and isText",
            "show",
            f"--dialect={THIS}:Broken",
            path,
        )
        for name in ("pairs", "Pairs"):
            out = self.good("show", f"--dialect={THIS}:{name}", path, "--from=client")
            self.assertIn("  ->  pair b'ab'\n", out)

    def test_masks(self) -> None:
        """
        A file of masks must be valid.
        """
        path = self.file(session())
        error = "--masks=no.toml: No such file or directory"
        self.assertFails(error, "show", path, "--masks=no.toml")
        masks = self.file("[[variable]]\nname='login'\npattern='x'", "cp.toml")
        self.assertFails(
            "cp.toml: variable login: the pattern must have exactly one group, not 0",
            "show",
            path,
            f"--masks={masks}",
        )
        masks = self.file("[[variable]]\nname='a'\npattern='(x)'\ncompute='nomod:x'", "cp.toml")
        self.assertFails(f"--masks={masks}: compute=nomod:x: ", "show", path, f"--masks={masks}")

    def test_control(self) -> None:
        """
        Control characters of a file are escaped in errors and warnings.
        """
        evil = "\x1b[2J\u009b\u202e"
        header = Header("xml", hidden={evil: "a"})
        self.assertFails(f"{self.folder}/a.session: hidden ", "show", self.file(headerLine(header)))
        header = Header(evil)
        content = headerLine(header) + dataLine(0.0, 1, CLIENT, b"a") + endLine(0.0, 2, CLIENT)
        path = self.file(content)
        status, out, err = self.run_("show", path)
        self.assertEqual(status, 0)
        for text in (out, err):
            self.assertTrue(text.replace("\n", "").isprintable())
            self.assertIn(r"\x1b[2J\x9b\u202e", text)
        status, _, err = self.runCoroutine("serve", path)
        self.assertEqual(status, 2)
        self.assertIn(rf"{path}: the dialect \x1b[2J\x9b\u202e is not part", err)
        self.run_("convert", "--hide=a=(b)", path)
        assert isinstance(sys.stderr, io.StringIO)
        self.assertIn(r"secrets cannot be removed from the dialect \x1b[2J", sys.stderr.getvalue())
        gap = Session(Header("xml"), gaps=[Gap(1, evil)])
        status, _, err = self.runCoroutine("serve", self.file(gap))
        self.assertTrue(err.replace("\n", "").isprintable())
        self.assertIn(r"1 bytes were not recorded (\x1b[2J\x9b\u202e)", err)

    def runCoroutine(self, *arguments: str) -> tuple[int, str, str]:
        """
        Run a command that uses a reactor, until it ends.
        """
        network = MemoryNetwork()
        self.patch(command, "react", lambda run: network.run(run(network.reactor)))
        self.patch(command, "globalLogBeginner", NoLog())
        sys.stdout.flush()
        self.buffer.seek(0)
        self.buffer.truncate()
        self.patch(sys, "stderr", io.StringIO())
        status: Any = 0
        try:
            main(list(arguments))
        except SystemExit as problem:
            status = problem.code
        sys.stdout.flush()
        assert isinstance(sys.stderr, io.StringIO)
        return status, self.buffer.getvalue().decode(), sys.stderr.getvalue()


class NoLog:
    """
    A log beginner that only stores the observers.
    """

    def __init__(self) -> None:
        self.observers: list[Any] = []

    def beginLoggingTo(self, observers: list[Any], redirectStandardIO: bool = True) -> None:
        """
        Add the observers to the stored ones.
        """
        self.observers += observers


class ShowTests(CommandCase):
    """
    C{openfl-session show} prints messages.
    """

    def test_session(self) -> None:
        """
        The messages are printed decoded, between the header and a summary.
        """
        given = session(
            ">%xt%s%j#js%-1%",
            "<a\x1b[2Jb\u009b\u202e",
            ">x~",
            end="client",
            kind="websocket",
            path="/g\x1b",
            started="2026-11-29T10:15:31Z",
        )
        self.assertEqual(
            self.good("show", self.file(given)),
            "a.session: websocket /g\\x1b, dialect xml, started 2026-11-29T10:15:31Z\n"
            "     1     1.000  ->  xt 's' 'j#js' '-1'\n"
            "     2     2.000  <-  a\\x1b[2Jb\\x9b\\u202e\n"
            "     3     3.000  ->  x  (incomplete)\n"
            "a.session: 3 messages, 4.0 s, ended by the client\n",
        )

    def test_ends(self) -> None:
        """
        The summary contains the end; a missing end is a warning.
        """
        for how, text in (("server", "ended by the server"), ("lost", "lost"), ("limit", "limit")):
            out = self.good("show", self.file(session(end=how)))
            self.assertTrue(out.endswith(f"0 messages, 1.0 s, {text}\n"), out)
        status, out, err = self.run_("show", self.file(session("<a")))
        self.assertEqual(status, 0)
        self.assertTrue(out.endswith("a.session: 1 messages, 1.0 s\n"))
        self.assertEqual(err, "a.session: the end of the connection was not recorded\n")

    def test_gap(self) -> None:
        """
        A gap is printed.
        """
        content = headerLine(Header()) + gapLine(1.0, 7, 5120, "disk") + endLine(2.0, 8, CLIENT)
        out = self.good("show", self.file(content))
        self.assertIn("     7     1.000  ..  5120 bytes were not recorded\n", out)

    def test_from(self) -> None:
        """
        The messages of one side are printed; all are counted.
        """
        path = self.file(session(">a", "<b", end="client"))
        out = self.good("show", path, "--from", "server")
        self.assertIn("  <-  b\n", out)
        self.assertNotIn("  ->  a\n", out)
        self.assertIn("2 messages", out)

    def test_hex(self) -> None:
        """
        The bytes are printed in lines of 16 bytes.
        """
        out = self.good("show", "--hex", self.file(session(">abcdefghijklmnopq\x1b", end="client")))
        self.assertIn(
            "     1     1.000  ->  61 62 63 64 65 66 67 68 69 6a 6b 6c 6d 6e 6f 70  "
            f"abcdefghijklmnop\n{' ' * 22}71 1b 00 {' ' * 38}  q..\n",
            out,
        )

    def test_json(self) -> None:
        """
        Only JSON objects are printed, also for long messages.
        """
        given = session(">%xt%a%", "<" + "b" * 200_000 + "\u00fc", end="client")
        out = self.good("show", "--json", self.file(given))
        first, second = map(json.loads, out.splitlines())
        self.assertEqual(first, {"t": 1.0, "n": 1, "from": "client", "text": "xt 'a'"})
        self.assertEqual(second["from"], "server")
        self.assertGreater(len(second["text"]), 99_999)

    def test_masks(self) -> None:
        """
        Holes are printed as names.
        """
        masks = self.file("[[variable]]\nname='k'\npattern='k=(.)'", "cp.toml")
        out = self.good("show", f"--masks={masks}", self.file(session(">k=1;k=2", end="client")))
        self.assertIn("  ->  k={k};k={k}\n", out)

    def test_dialect(self) -> None:
        """
        The bytes of an unknown dialect are printed, with a warning; C{--dialect} replaces it.
        """
        given = session(">ab", dialect="xml", end="client")
        path = self.file(Session(Header("my:Dialect"), given.messages, given.end))
        status, out, err = self.run_("show", path)
        self.assertEqual(status, 0)
        self.assertIn("  ->  61 62 00  ab.\n", out)
        self.assertEqual(
            err,
            "the dialect my:Dialect is not part of openfl-twisted: add --dialect=my:Dialect if you"
            " trust this module; showing bytes\n",
        )
        self.assertIn("  ->  ab\n", self.good("show", path, "--dialect", "xml"))

    def test_folder(self) -> None:
        """
        All sessions of folders and files are printed, in order. Options can follow files.
        """
        for name in ("2", "1"):
            self.file(session(end="client"), f"{name}.session")
        out = self.good("show", str(self.folder), self.file(session(end="lost"), "x"), "--hex")
        names = [line.split(":")[0] for line in out.splitlines()]
        self.assertEqual(names, ["1.session"] * 2 + ["2.session"] * 2 + ["x"] * 2)

    def test_invalid(self) -> None:
        """
        An invalid line is an error; the messages before it are printed.
        """
        content = headerLine(Header("xml")) + dataLine(0.0, 1, CLIENT, b"a\0") + b"{\n{}\n"
        status, out, err = self.run_("show", self.file(content))
        self.assertEqual(status, 2)
        self.assertIn("  ->  a\n", out)
        self.assertEqual(err, "openfl-session: a.session:3: invalid JSON; see --help\n")

    @given(fullSessions())
    def test_anySession(self, given: Session) -> None:
        """
        Any session is printed in printable lines, or is refused because of its hidden patterns.
        """
        path = self.file(given)
        for option in ("--hex", "--json", "--from=client"):
            status, out, err = self.run_("show", path, option, "--dialect=raw")
            self.assertTrue((out + err).replace("\n", "").isprintable())
            if not given.header.hidden:
                self.assertEqual(status, 0)

    def test_encoding(self) -> None:
        """
        Characters that the terminal does not have are escaped.
        """
        self.patch(sys, "stdout", io.TextIOWrapper(self.buffer, "ascii", newline="\n"))
        out = self.good("show", self.file(session(">\u00fc", end="client")))
        self.assertIn("  ->  \\xfc\n", out)

    def test_brokenPipe(self) -> None:
        """
        The program ends quietly if the reader of its output has ended.
        """
        for lines in ([">a"], [">" + "a" * 100_000] * 3):
            for arguments in (["show"], ["convert"], ["convert", "--to=text"]):
                read, write = os.pipe()
                os.close(read)
                with open(write, "w") as stream:
                    self.patch(sys, "stdout", stream)
                    path = self.file(session(*lines, end="client"))
                    error = self.assertRaises(SystemExit, main, [*arguments, path])
                self.assertEqual(error.code, 0)
        assert isinstance(sys.stderr, io.StringIO)
        self.assertEqual(sys.stderr.getvalue(), "")

    def test_withoutErrorStream(self) -> None:
        """
        The program also works without a standard error stream.
        """
        self.patch(sys, "stderr", None)
        error = self.assertRaises(SystemExit, main, ["show", self.file(session())])
        self.assertEqual(error.code, 0)

    def test_interrupted(self) -> None:
        """
        An interrupt ends the program quietly.
        """

        def sleep(seconds: float) -> None:
            raise KeyboardInterrupt

        self.patch(time, "sleep", sleep)
        out = self.good("show", "--follow", self.file(session(">a")))
        self.assertIn("  ->  a\n", out)


class FollowTests(CommandCase):
    """
    C{openfl-session show --follow} prints a session while it is recorded.
    """

    def follow(self, steps: list[bytes], *arguments: str) -> tuple[str, list[str]]:
        """
        Follow a file to which lines are added.

        @return: the output, and the output before each step.
        """
        path = self.folder / "a.session"
        path.write_bytes(headerLine(Header("xml")))
        seen: list[str] = []

        def sleep(seconds: float) -> None:
            seen.append(self.buffer.getvalue().decode())
            with open(path, "ab") as stream:
                stream.write(steps.pop(0))

        self.patch(time, "sleep", sleep)
        return self.good("show", "--follow", *arguments, str(path)), seen

    def test_follow(self) -> None:
        """
        Each message is printed once, when its line is complete, up to the end.
        """
        second = dataLine(1.0, 2, SERVER, b"b\0c\0")
        out, seen = self.follow(
            [
                dataLine(0.5, 1, CLIENT, b"a\0") + second[:20],
                second[20:],
                gapLine(2.0, 3, 9, "disk"),
                endLine(3.0, 4, SERVER),
            ]
        )
        lines = out.splitlines()
        self.assertEqual(
            [line[18:] for line in lines[1:-1]],
            ["->  a", "<-  b", "<-  c", "..  9 bytes were not recorded"],
        )
        self.assertEqual(lines[-1], "a.session: 3 messages, 3.0 s, ended by the server")
        self.assertEqual([len(each.splitlines()) for each in seen], [1, 2, 4, 5])

    def test_lastFile(self) -> None:
        """
        Only the last file is followed.
        """
        other = self.file(session(">x", end="client"), "0")
        out, _ = self.follow([endLine(3.0, 4, CLIENT)], other)
        self.assertEqual(len(out.splitlines()), 5)

    def test_removed(self) -> None:
        """
        A file that is removed is an error.
        """
        path = self.file(session(">x"))
        self.patch(time, "sleep", lambda seconds: os.remove(path))
        status, _, err = self.run_("show", "--follow", path)
        self.assertEqual(status, 2)
        self.assertIn("a.session: No such file or directory", err)


class ConvertTests(CommandCase):
    """
    C{openfl-session convert} prints converted sessions.
    """

    def test_session(self) -> None:
        """
        A session is printed with one line for each message.
        """
        content = (
            headerLine(Header("xml"))
            + dataLine(0.0, 1, CLIENT, b"a\0b\0")
            + endLine(0.0, 2, CLIENT)
        )
        out = self.good("convert", self.file(content))
        self.assertEqual(len(out.splitlines()), 4)
        self.assertEqual(self.good("convert", self.file(out)), out)

    def test_dialect(self) -> None:
        """
        C{--dialect} also replaces the dialect of the header.
        """
        content = (
            headerLine(Header("raw"))
            + dataLine(0.0, 1, CLIENT, b"a\0b\0")
            + endLine(0.0, 2, CLIENT)
        )
        out = self.good("convert", "--dialect=xml", self.file(content))
        self.assertIn('"dialect": "xml"', out)
        self.assertEqual(len(out.splitlines()), 4)

    def test_ruffle(self) -> None:
        """
        Ruffle's scripts are converted from and to sessions.
        """
        path = self.file(session(">a", "<b", end="client"))
        out = self.good("convert", path, "--to=ruffle")
        self.assertEqual(
            [event["type"] for event in json.loads(out)], ["Receive", "Send", "WaitForDisconnect"]
        )
        script = self.file(out, "socket.json")
        again = self.good("convert", "--from=ruffle", script, "--dialect=xml", "--to=text")
        self.assertEqual(again, "-> a\n<- b\n")
        out = self.good("convert", "--from=ruffle", script)
        self.assertIn('"dialect": "raw"', out)
        name = f"{THIS}:Pairs"
        self.assertIn(name, self.good("convert", "--from=ruffle", script, f"--dialect={name}"))
        self.assertFails(f"{path}: invalid Ruffle script: ", "convert", "--from=ruffle", path)

    def test_wireshark(self) -> None:
        """
        The output of tshark is converted; it can be the standard input.
        """
        stdin = io.TextIOWrapper(io.BytesIO(FOLLOWED.encode() + b"\xff\n"))
        self.patch(sys, "stdin", stdin)
        out = self.good("convert", "-", "--from=wireshark", "--dialect=xml", "--to=text")
        self.assertEqual(out, f"<- {'x' * 47}\n-> <a>\n-> b\n")
        path = self.file(FOLLOWED)
        status, out, _ = self.run_("convert", "--from=wireshark", path)
        self.assertEqual((status, len(out.splitlines())), (0, 4))
        self.assertFails(
            f"{path}x: no packets: expected",
            "convert",
            "--from=wireshark",
            self.file("", "a.sessionx"),
        )

    def test_text(self) -> None:
        """
        Text is decoded and printable; masks are applied.
        """
        masks = self.file("[[variable]]\nname='k'\npattern='k=(.)'", "cp.toml")
        path = self.file(session(">%xt%k=1%\x1b\u009b%", end="client"))
        self.assertEqual(self.good("convert", path, "--to=text"), "-> xt 'k=1' '\\x1b\\x9b'\n")
        out = self.good("convert", path, "--to=text", f"--masks={masks}")
        self.assertEqual(out, "-> xt 'k={k}' '\\x1b\\x9b'\n")

    def test_hide(self) -> None:
        """
        Secrets are removed, and the header contains the patterns.
        """
        path = self.file(session(">p=1;q=2;", ">p=3~", end="client"))
        out = self.good("convert", path, "--hide=p=p=(.*?);", "--hide", "q=q=(.)")
        self.assertIn("p={p};q={q};", out)
        self.assertIn('"hidden": {"p": "p=(.*?);", "q": "q=(.)"}', out)
        self.assertNotIn("p=3", out)
        self.assertFails(
            "--hide: p: the pattern must have exactly one group, not 0",
            "convert",
            path,
            "--hide=p=x",
        )
        raw = self.file(session(">x", dialect="raw", end="client"))
        self.assertFails(
            "--hide: secrets cannot be removed from the dialect raw", "convert", raw, "--hide=p=(x)"
        )

    def test_warnings(self) -> None:
        """
        The warnings of a file are printed.
        """
        status, _, err = self.run_("convert", self.file(session(">a")))
        self.assertEqual(status, 0)
        self.assertIn("a.session: the end of the connection was not recorded\n", err)


class PlayCase(CommandCase):
    """
    Base class: a network, on which commands run.
    """

    def setUp(self) -> None:
        super().setUp()
        self.network = MemoryNetwork.forTest(self.addCleanup)
        self.results: list[Any] = []
        self.patch(command, "globalLogBeginner", NoLog())

    def begin(self, *arguments: str) -> None:
        """
        Run a command with C{main}, on the network.
        """

        def react(run: Callable[[Any], Deferred[None]]) -> None:
            run(self.network.reactor).addBoth(self.results.append)

        self.patch(command, "react", react)
        main(list(arguments))
        self.network.flush()

    @property
    def out(self) -> str:
        """
        The output.
        """
        return self.buffer.getvalue().decode()

    @property
    def err(self) -> str:
        """
        The output of errors.
        """
        assert isinstance(sys.stderr, io.StringIO)
        return sys.stderr.getvalue()

    def status(self) -> int:
        """
        Return the exit status of a command that has ended.
        """
        [result] = self.results
        if result is None:
            return 0
        self.assertIsInstance(result.value, SystemExit)
        return result.value.code  # type: ignore[no-any-return]

    def connect(self, port: int = 9339) -> Any:
        """
        Connect a peer to a port of the network.
        """
        endpoint = TCP4ClientEndpoint(self.network.reactor, "127.0.0.1", port)
        peer: Any = self.network.run(endpoint.connect(Factory.forProtocol(Peer)))
        self.network.flush()
        return peer


class ServeTests(PlayCase):
    """
    C{openfl-session serve} plays the server.
    """

    def test_serve(self) -> None:
        """
        The result of each connection is printed immediately.
        """
        path = self.file(session(">a", "<b", end="client"))
        self.begin("serve", path, "--speed=0")
        self.assertIn("playing 1 session, listening on 127.0.0.1:9339\n", self.out)
        peer = self.connect()
        peer.send(b"a\0")
        self.network.flush()
        self.assertEqual(peer.received, b"b\0")
        peer.close()
        self.network.flush()
        self.assertIn(" played a: 2 of 2 messages\n", self.out)
        other = self.connect()
        other.send(b"X\x1b\0")
        self.network.flush()
        self.assertIn(" played a: 0 of 2 messages\na.session:2: message 1 of 2, sent by", self.out)
        self.assertIn("  now       X\\x1b\n", self.out)
        self.assertTrue(self.out.replace("\n", "").isprintable())
        self.assertEqual(self.results, [])

    def test_tls(self) -> None:
        """
        With a certificate, the port also accepts TLS.
        """
        credentials = CertificateMaker().make()
        certificate = credentials.save(self.folder / "cert.pem")
        path = self.file(session(">a", "<b", end="client"))
        self.begin("serve", path, "--speed=0", f"--tls-certificate={certificate}")
        endpoint = SecureEndpoint(
            TCP4ClientEndpoint(self.network.reactor, "127.0.0.1", 9339),
            credentials.host,
            credentials.trust,
            clock=self.network.reactor,
        )
        peer: Any = self.network.run(endpoint.connect(Factory.forProtocol(Peer)))
        peer.send(b"a\0")
        self.network.flush()
        self.assertEqual(peer.received, b"b\0")
        for error, options in (
            ("--tls-key requires --tls-certificate", ["--tls-key=x"]),
            ("--tls-certificate: ", ["--tls-certificate=/missing"]),
        ):
            self.assertFails(error, "serve", path, *options)

    def test_speed(self) -> None:
        """
        By default, the server waits as long as recorded.
        """
        self.file(session("<a", end="client"), "1.session")
        self.file(session("<b", end="client"), "2.session")
        self.begin("serve", str(self.folder), "--listen=tcp:80:interface=127.0.0.1")
        self.assertIn("playing 2 sessions, listening on 127.0.0.1:80\n", self.out)
        peer = self.connect(80)
        # The timeout of the protocol detection, then the recorded second.
        self.network.advance(0.9)
        self.assertEqual(peer.received, b"")
        self.network.advance(20)
        self.assertEqual(peer.received, b"a\0")

    def test_loose(self) -> None:
        """
        Unknown messages are printed immediately.
        """
        path = self.file(session(">a", "<b", end="client"))
        self.begin("serve", path, "--loose")
        self.connect().send(b"?\x1b\0")
        self.network.flush()
        self.assertIn(" unknown: ?\\x1b\n", self.out)

    def test_brokenPipe(self) -> None:
        """
        The server continues if the reader of its output has ended.
        """
        self.begin("serve", self.file(session(">a", "<b", end="client")), "--speed=0")
        read, write = os.pipe()
        os.close(read)
        stream = open(write, "w")  # noqa: SIM115
        self.patch(sys, "stdout", stream)
        for _ in range(2):
            peer = self.connect()
            peer.send(b"a\0")
            self.network.flush()
            self.assertEqual(peer.received, b"b\0")
            peer.close()
            self.network.flush()
        self.assertEqual(self.results, [])
        discardOutput()
        stream.close()

    def test_invalid(self) -> None:
        """
        Sessions that cannot be played, and wrong endpoints, are errors.
        """
        self.file(session(), "1.session")
        self.file(session(dialect="lines"), "2.session")
        gap = self.file(Session(Header("xml"), gaps=[Gap(5, "disk")], end=End(CLIENT)), "gap")
        good = self.file(session(end="client"), "good")
        other = self.file(Session(Header("my:Dialect"), end=End(CLIENT)), "other")
        for error, arguments in (
            ("the sessions have different dialects: lines, xml\n", [str(self.folder)]),
            ("gap:2: 5 bytes were not recorded (disk); use --ignore-gaps", [gap]),
            ("--listen=tcp:x: ", [good, "--listen=tcp:x"]),
            (f"{other}: the dialect my:Dialect is not part of openfl-twisted", [other]),
            ("missing: No such file", ["missing"]),
        ):
            self.results.clear()
            self.begin("serve", *arguments)
            self.assertEqual(self.status(), 2)
            self.assertIn(f"openfl-session: {error}", self.err)
        self.results.clear()
        self.begin("serve", gap, "--ignore-gaps")
        self.assertEqual(self.results, [])
        self.begin("serve", good)
        self.assertEqual(self.status(), 2)
        self.assertIn("9339", self.err.splitlines()[-1])

    def test_warnings(self) -> None:
        """
        Warnings of files, and variables that match nothing, are printed.
        """
        masks = self.file("[[variable]]\nname='login'\npattern='x(.)'", "cp.toml")
        self.begin("serve", self.file(session(">a")), f"--masks={masks}")
        self.assertEqual(
            self.err,
            "a.session: the end of the connection was not recorded\n"
            "cp.toml: variable login 'x(.)' matches nothing in these sessions\n",
        )

    def test_log(self) -> None:
        """
        Warnings and errors of the log are printed in one line.
        """
        self.begin("serve", self.file(session(end="client")))
        [observer] = command.globalLogBeginner.observers  # type: ignore[attr-defined]
        log = Logger(observer=observer)
        log.info("quiet")
        log.warn("two\nlines {text}", text="\x1b")
        self.assertEqual(self.err, "openfl-session: two\\nlines \\x1b\n")


class CallTests(PlayCase):
    """
    C{openfl-session call} plays the clients.
    """

    def listen(self, *sessions: Session, **options: Any) -> PlayerFactory:
        """
        Play the server of sessions.
        """
        factory = PlayerFactory(sessions, clock=self.network.reactor, **options)
        self.network.reactor.listenTCP(9339, factory, interface="127.0.0.1")
        return factory

    def test_same(self) -> None:
        """
        The status is 0 if the server behaves as recorded.
        """
        given = session(">a", "<b", end="client")
        factory = self.listen(given)
        self.begin("call", self.file(given), "tcp:127.0.0.1:9339")
        self.network.flush()
        self.assertEqual((self.status(), self.out, self.err), (0, "a  2 of 2\n", ""))
        factory.verify()

    def test_record(self) -> None:
        """
        C{--record} records what is said today, as a new run, without the hidden values.
        """
        hidden = {"p": "p=(.*?);"}
        given = session(">p={p};", "<token=1", end="client", hidden=hidden)
        self.listen(session(">p=se;", "<token=2", end="client"))
        tapes = self.folder / "tapes"
        path = self.file(given)
        masks = self.file("[[variable]]\nname='t'\npattern='token=(.)'", "masks.toml")
        target = "tcp:127.0.0.1:9339"
        before = set(threading.enumerate())
        self.begin("call", path, target, f"--masks={masks}", "--set=p=se", f"--record={tapes}")
        for thread in set(threading.enumerate()) - before:
            if thread.name == THREAD_NAME:
                thread.join(THREAD_TIMEOUT)
        self.network.flush()
        self.assertEqual(self.status(), 0)
        [found] = sessionFiles([tapes])
        again = Session.load(found)
        self.assertEqual(
            [(each.side, each.data) for each in again.messages],
            [(CLIENT, b"p={p};\0"), (SERVER, b"token=2\0")],
        )
        assert again.end is not None
        self.assertEqual(again.end.how, CLIENT)

    def test_wrongRecord(self) -> None:
        """
        A recording that cannot start is an error.
        """
        path = self.file(session(">a", end="client"))
        self.begin("call", path, "tcp:127.0.0.1:9339", f"--record={path}")
        self.assertEqual(self.status(), 2)
        self.assertIn(f"--record={path}: must be a folder", self.err)

    def test_different(self) -> None:
        """
        The status is 1 if the server differs; the difference is printed.
        """
        self.listen(session(">a", "<X", end="server"))
        self.begin("call", self.file(session(">a", "<b", end="client")), "tcp:127.0.0.1:9339")
        self.assertEqual(self.status(), 1)
        self.assertTrue(self.out.startswith("a  1 of 2\na.session:3: message 2 of 2, sent by"))

    def test_timeout(self) -> None:
        """
        C{--timeout} limits the time to wait for a message.
        """
        self.listen(session(">a"))
        path = self.file(session(">a", "<b", end="client"))
        self.begin("call", path, "tcp:127.0.0.1:9339", "--timeout=2")
        self.network.advance(1.9)
        self.assertEqual(self.results, [])
        self.network.advance(0.2)
        self.assertEqual(self.status(), 1)
        self.assertIn("message 2 of 2 had not been received within 2 s: b\n", self.out)

    def test_refused(self) -> None:
        """
        The status is 2 if the server cannot be reached.
        """
        self.begin("call", self.file(session(end="client")), "tcp:127.0.0.1:9339")
        self.assertEqual(self.status(), 2)
        self.assertIn("127.0.0.1:9339", self.err)
        self.assertEqual(self.out, "")

    def test_set(self) -> None:
        """
        A hidden value must be given with C{--set}.
        """
        hidden = {"p": "p=(.*?);"}
        path = self.file(session(">p={p};", end="client", hidden=hidden))
        self.begin("call", path, "tcp:127.0.0.1:9339")
        self.assertEqual(self.status(), 2)
        self.assertIn(
            "openfl-session: a.session needs a value for p: --set p=..., or compute in the masks\n",
            self.err,
        )
        self.results.clear()
        self.listen(session(">p=se=cret;", end="client"))
        self.begin("call", path, "tcp:127.0.0.1:9339", "--set", "p=se=cret")
        self.assertEqual(self.status(), 0)

    def test_masks(self) -> None:
        """
        Masks of single sessions replace the common masks; functions are imported.
        """
        text = f"[[variable]]\nname='p'\npattern='p=([^;]*)'\ncompute='{THIS}:compute'\n"
        masks = self.file(text, "cp.toml")
        self.file("", "cp.2.toml")
        self.file(session(">1p=x;", end="client"), "1.session")
        two = session(">2p=x;", end="client")
        two.messages = [Message(two.messages[0].data, CLIENT, 1.0, 9)]
        two.end = End(CLIENT, 1.0, 10)
        self.file(two, "2.session")
        factory = self.listen(
            session(">1p=computed x;", end="client"), session(">2p=x;", end="client")
        )
        self.begin("call", str(self.folder), "tcp:127.0.0.1:9339", f"--masks={masks}")
        self.assertEqual((self.status(), self.out), (0, "1  1 of 1\n2  1 of 1\n"))
        factory.verify()

    def test_webSocket(self) -> None:
        """
        The path of the session is used for a WebSocket; a server that refuses it is an error.
        """
        given = session(">a", "<b", end="client", kind="websocket", path="/game")
        factory = PlayerFactory([given], clock=self.network.reactor)
        protocol: Any = factory.buildProtocol(None)
        self.patch(factory, "buildProtocol", lambda addr: protocol)
        server = WebSocketFactory(factory)
        self.network.reactor.listenTCP(9339, server, interface="127.0.0.1")
        self.begin("call", self.file(given), "ws://127.0.0.1:9339")
        self.network.advance(60)
        self.assertEqual((self.status(), self.err), (0, ""))
        self.assertEqual(protocol.transport.requestPath, "/game")
        self.results.clear()
        plain = Factory.forProtocol(Refusing)
        self.network.reactor.listenTCP(9340, plain, interface="127.0.0.1")
        self.begin("call", self.file(given), "ws://127.0.0.1:9340")
        self.network.advance(60)
        self.assertEqual(self.status(), 2)
        self.assertIn("openfl-session: ws://127.0.0.1:9340: ", self.err)

    def test_brokenPipe(self) -> None:
        """
        The status is unchanged if the reader of the output has ended.
        """
        self.listen(session(">a", "<X", end="client"))
        path = self.file(session(">a", "<b", end="client"))
        read, write = os.pipe()
        os.close(read)
        with open(write, "w") as stream:
            self.patch(sys, "stdout", stream)
            self.begin("call", path, "tcp:127.0.0.1:9339")
        self.assertEqual(self.status(), 1)
        self.assertEqual(self.err, "")


class Refusing(Peer):
    """
    A server that refuses WebSockets.
    """

    def connectionMade(self) -> None:
        self.transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        self.transport.loseConnection()


class OptionTests(CommandCase):
    """
    The options are parsed.
    """

    def test_order(self) -> None:
        """
        Options can be before, between and after files; after C{--}, there are only files.
        """
        options = ServeOptions()
        options.parseOptions(["a", "--loose", "b", "--speed", "2", "--set=x=1", "--", "--c"])
        self.assertEqual(options["files"], ["a", "b", "--c"])
        self.assertEqual(
            (options["loose"], options["speed"], options["given"]), (1, 2.0, {"x": "1"})
        )

    def test_withoutMasks(self) -> None:
        """
        Without masks, there are no masks of single sessions.
        """
        options = CallOptions()
        options.parseOptions(["a", "tcp:h:1"])
        self.assertEqual(options.masksOf([session()]), {})
        self.assertEqual(
            (options["speed"], options["timeout"], options["files"]), (0.0, 5.0, ["a"])
        )

    def test_masksType(self) -> None:
        """
        The loaded masks have the name of their file.
        """
        masks = self.file("", "cp.toml")
        options = ServeOptions()
        options.parseOptions(["a", f"--masks={masks}"])
        self.assertEqual(options["masks"], Masks(name="cp.toml"))

    @given(st.lists(st.sampled_from(["-", "--", "--json", "--from=client", "a", "--hex", "-h1"])))
    def test_anyArguments(self, arguments: list[str]) -> None:
        """
        Any arguments are parsed, or are an error.
        """
        self.patch(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
        error = self.assertRaises(SystemExit, main, ["show", *arguments])
        self.assertIn(error.code, (0, 2, None))
