"""
What plays the pages sees when they are wrong.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from tests.documentation.blocks import DOCS, SHELL, Block
from tests.documentation.play import Reader
from tests.documentation.shell import Wrong, commandsIn, matches


def play(*blocks: tuple[str, str] | tuple[str, str, str]) -> None:
    """
    Play a page of blocks: language, text, and the caption if there is one.
    """
    page = [Block("a page", 1, *each) for each in blocks]
    with TemporaryDirectory() as folder:
        Reader(Path(folder)).play(page)


class ReaderTests(SynchronousTestCase):
    """
    L{Reader}.
    """

    def fails(self, words: str, *blocks: tuple[str, str] | tuple[str, str, str]) -> None:
        """
        Check that a page is found to be wrong, and why.
        """
        self.assertIn(words, str(self.assertRaises(Wrong, play, *blocks)))

    def test_shell(self) -> None:
        """
        A command must succeed, and print what the page shows behind it; one that
        fails is right only where the page shows how.
        """
        play((SHELL, "echo one two"), ("text", "one …"))
        self.fails("nobody prints this", (SHELL, "echo one"), ("text", "two"))
        self.fails("status 3", (SHELL, "(exit 3)"))
        self.fails("status 3", (SHELL, "echo no; (exit 3)"), (SHELL, "true"))
        play((SHELL, "echo no; (exit 3)"), ("text", "no"))
        self.fails("Traceback", (SHELL, "echo Traceback"))

    def test_background(self) -> None:
        """
        The late output of a command in the background counts.
        """
        play((SHELL, "(sleep 0.7; echo late) &"), ("text", "late"))
        self.fails("nobody prints this", (SHELL, "(echo late) &"), ("text", "later"))

    def test_stopped(self) -> None:
        """
        A program that a command started in the background ends with the page.
        """
        play((SHELL, "sleep 1000 & echo started"), ("text", "started"))

    def test_busyServer(self) -> None:
        """
        C{openfl-telnet} whose server was silent for too long is typed again.
        """
        program = 'case "$*" in "--wait 30 --xml h") echo answer; esac'
        play(
            (SHELL, f"mkdir bin; echo '{program}' > bin/openfl-telnet; chmod +x bin/*"),
            (SHELL, "PATH=$PWD/bin:$PATH"),
            (SHELL, "openfl-telnet --xml --wait 1 h"),
            ("text", "answer"),
        )

    def test_earlierOutput(self) -> None:
        """
        What an earlier block has printed does not count.
        """
        self.fails("nobody", (SHELL, "echo one"), (SHELL, "echo two"), ("text", "one"))

    def test_variables(self) -> None:
        """
        A variable lasts until the end of the page.
        """
        play((SHELL, "NAME=$(echo Ann)"), (SHELL, 'echo "$NAME"'), ("text", "Ann"))

    def test_files(self) -> None:
        """
        A block with a caption is a file, and something must be done with it.
        """
        play(("python", "print(2 + 2)", "adding.py"), (SHELL, "python adding.py"), ("text", "4"))
        self.fails("nothing is done with it", ("python", "print(2 + 2)", "adding.py"))

    def test_python(self) -> None:
        """
        Python is run: a program, and what is typed into the interpreter.
        """
        play(("python", "assert 2 + 2 == 4"), ("pycon", ">>> 2 + 2\n4\n"))
        self.fails("AssertionError", ("python", "assert 2 + 2 == 5"))
        self.fails("Expected", ("pycon", ">>> 2 + 2\n5\n"))

    def test_parts(self) -> None:
        """
        A part of a program has the parts before it, and tests are run as such.
        """
        play(("python", "number = 4"), ("python", "assert number == 4"))
        play(("python", "number = 4"), ("python", "def test_it():\n    assert number == 4"))
        self.fails("assert 4 == 5", ("python", "def test_it():\n    assert 4 == 5"))

    def test_others(self) -> None:
        """
        What nobody runs is wrong: a language that is not known, and a program that
        stands in a page instead of in a file that is tested.
        """
        self.fails("nobody runs this", ("cobol", "STOP RUN."))
        self.fails("must be a file", ("haxe", "class Main {}"))
        self.fails("a page:1 (toml)", ("toml", "a = "))
        self.fails("a page:1 (xml)", ("xml", "<a>"))
        self.fails("a page:1 (xml)", ("xml", "<cross-domain-policy><a/></cross-domain-policy"))
        unknown = DOCS / "examples" / "unknown.py"
        block = Block("a page", 1, "python", "", source=unknown)
        with TemporaryDirectory() as folder:
            problem = self.assertRaises(Wrong, Reader(Path(folder)).play, [block])
        self.assertIn("no test runs unknown.py", str(problem))

    def test_extras(self) -> None:
        """
        What installs is not typed, but its extras must exist.
        """
        play((SHELL, "pip install 'openfl-twisted[test]'"))
        self.fails("there is no extra rockets", (SHELL, "pip install 'openfl-twisted[rockets]'"))


class TextTests(SynchronousTestCase):
    """
    How commands and their output are read.
    """

    def test_commands(self) -> None:
        """
        A command goes on in the next line while its end is to come.
        """
        text = "one\n(two;\nthree) |\n  four\nfive \\\n  six\n"
        found = list(commandsIn(text))
        self.assertEqual(found, ["one", "(two;\nthree) |\n  four", "five \\\n  six"])
        self.assertRaises(Wrong, list, commandsIn("(one"))

    def test_matches(self) -> None:
        """
        Lines follow each other, with others between; C{…} is anything in a line.
        """
        printed = "a\nport 8080 is open\nb\n"
        for expected in ("a\nb", "port … open", "  a  ", "8080"):
            self.assertTrue(matches(expected, printed), expected)
        for expected in ("b\na", "port … closed", "a b"):
            self.assertFalse(matches(expected, printed), expected)
