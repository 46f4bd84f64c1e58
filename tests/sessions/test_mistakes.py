"""
C{openfl-session} and C{--record} report mistakes in one line that says what to correct.
"""

import io
import sys
from pathlib import Path

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.services.xmlserver import Options
from openfl_twisted.sessioncommand import CallOptions, ConvertOptions, convert, main
from openfl_twisted.sessions import Header, Message, Recorder, Session
from openfl_twisted.sessions._recorder import RecorderError
from openfl_twisted.wire.dialects import DIALECTS


class MistakeTests(SynchronousTestCase):
    """
    Wrong arguments and files.
    """

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir(mode=0o700)
        self.path = self.folder / "000001.session"
        messages = [Message(b"<a>x</a>\0", "client", n=1), Message(b"<b/>\0", "server", n=2)]
        Session(Header("xml"), messages).save(self.path)
        self.errors, self.output = io.StringIO(), io.TextIOWrapper(io.BytesIO())
        self.patch(sys, "stderr", self.errors)
        self.patch(sys, "stdout", self.output)

    def run_(self, *arguments: str | Path) -> str:
        """
        Run the command.

        @return: the errors.
        """
        self.assertRaises(SystemExit, main, [str(each) for each in arguments])
        return self.errors.getvalue()

    def masks(self, *lines: str) -> Path:
        """
        Create a file with one variable.
        """
        path = self.folder / "m.toml"
        path.write_text("\n".join(["[[variable]]", "name = 'a'", *lines]))
        return path

    def test_emptyFile(self) -> None:
        """
        An empty file is not reported as a file of another format.
        """
        self.path.write_bytes(b"")
        self.assertIn("000001.session: the file is empty", self.run_("show", self.path))

    def test_compute(self) -> None:
        """
        The error for a missing function names the file of the masks.
        """
        path = self.masks("pattern = '(a)'", "compute = 'missing:f'")
        problem = self.run_("call", self.path, f"--masks={path}", "tcp:127.0.0.1:1")
        self.assertIn(f"--masks={path}: compute=missing:f: ModuleNotFoundError", problem)

    def test_set(self) -> None:
        """
        C{--set} requires the name of a variable, or of a hidden value.
        """
        path = self.masks("pattern = '(a)'")
        for arguments, end in (
            ([], "hidden value"),
            ([f"--masks={path}"], "hidden value: a"),
        ):
            options = CallOptions()
            target = "tcp:127.0.0.1:1"
            options.parseOptions([*arguments, "--set=b=1", str(self.path), target])
            problem = self.assertRaises(UsageError, options.load)
            self.assertEqual(str(problem), f"--set=b: must be a variable of the masks or a {end}")

    def test_hide(self) -> None:
        """
        A pattern that matches nothing is reported: the secret is still in the result.
        """
        self.assertIn("--hide=a: must have the form NAME=REGEX", self.run_("convert", "--hide=a"))
        options = ConvertOptions()
        options.parseOptions(["--hide=a=(y)", "--hide=b=<a>(.)", str(self.path)])
        convert(options)
        self.assertIn("--hide: a matches nothing in this session\n", self.errors.getvalue())
        self.assertNotIn("b matches nothing", self.errors.getvalue())
        self.output.seek(0)
        self.assertIn("<a>{b}</a>", self.output.read())

    def test_convertMasks(self) -> None:
        """
        Masks are used for text only.
        """
        path = self.masks("pattern = '<a>(.)'")
        self.assertIn(
            "--masks requires --to=text", self.run_("convert", f"--masks={path}", self.path)
        )
        options = ConvertOptions()
        options.parseOptions([f"--masks={path}", "--to=text", str(self.path)])
        convert(options)
        self.output.seek(0)
        self.assertEqual(self.output.read(), "-> <a>{a}</a>\n<- <b/>\n")

    def test_record(self) -> None:
        """
        C{--record} requires a folder, and the limits of recordings require C{--record}.
        """
        recorder = Recorder(self.path, "xml", DIALECTS["xml"])
        problem: Exception = self.assertRaises(RecorderError, recorder.start)
        self.assertEqual(str(problem), f"{self.path}: must be a folder")
        problem = self.assertRaises(UsageError, Options().parseOptions, ["--record-limit=3M"])
        self.assertEqual(str(problem), "--record-limit requires --record")
