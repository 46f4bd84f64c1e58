"""
Tests for L{tests.documentation.play}.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from tests.documentation.blocks import DOCS, SHELL, Block
from tests.documentation.play import Reader
from tests.documentation.shell import PageError, commandsIn, matches


def play(*blocks: tuple[str, str] | tuple[str, str, str]) -> None:
    """
    Run a page of blocks.

    @param blocks: language, text, and optionally caption of each block.
    """
    page = [Block("a page", 1, *each) for each in blocks]
    with TemporaryDirectory() as folder:
        Reader(Path(folder)).play(page)


class ReaderTests(SynchronousTestCase):
    """
    L{Reader} detects errors of pages.
    """

    def fails(self, words: str, *blocks: tuple[str, str] | tuple[str, str, str]) -> None:
        """
        Check that a page is rejected with an error.
        """
        self.assertIn(words, str(self.assertRaises(PageError, play, *blocks)))

    def test_shell(self) -> None:
        """
        A command must succeed and print the shown output. A command may only fail if the
        page shows its error.
        """
        play((SHELL, "echo one two"), ("text", "one …"))
        self.fails("expected output is missing", (SHELL, "echo one"), ("text", "two"))
        self.fails("status 3", (SHELL, "(exit 3)"))
        self.fails("status 3", (SHELL, "echo no; (exit 3)"), (SHELL, "true"))
        play((SHELL, "echo no; (exit 3)"), ("text", "no"))
        self.fails("Traceback", (SHELL, "echo Traceback"))

    def test_background(self) -> None:
        """
        Late output of a background process counts.
        """
        play((SHELL, "(sleep 0.7; echo late) &"), ("text", "late"))
        self.fails("expected output is missing", (SHELL, "(echo late) &"), ("text", "later"))

    def test_stopped(self) -> None:
        """
        Background processes are terminated at the end of the page.
        """
        play((SHELL, "sleep 1000 & echo started"), ("text", "started"))

    def test_busyServer(self) -> None:
        """
        An C{openfl-telnet} whose server replies too late is repeated.
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
        Output of commands in earlier blocks does not count.
        """
        self.fails("expected output", (SHELL, "echo one"), (SHELL, "echo two"), ("text", "one"))

    def test_variables(self) -> None:
        """
        A variable is kept until the end of the page.
        """
        play((SHELL, "NAME=$(echo Ann)"), (SHELL, 'echo "$NAME"'), ("text", "Ann"))

    def test_files(self) -> None:
        """
        A block with a caption creates a file, which must be used.
        """
        play(("python", "print(2 + 2)", "adding.py"), (SHELL, "python adding.py"), ("text", "4"))
        self.fails("created, but not used", ("python", "print(2 + 2)", "adding.py"))

    def test_python(self) -> None:
        """
        Programs and interpreter sessions in Python are run.
        """
        play(("python", "assert 2 + 2 == 4"), ("pycon", ">>> 2 + 2\n4\n"))
        self.fails("AssertionError", ("python", "assert 2 + 2 == 5"))
        self.fails("Expected", ("pycon", ">>> 2 + 2\n5\n"))

    def test_parts(self) -> None:
        """
        A part of a program runs after the previous parts. Tests are run with pytest.
        """
        play(("python", "number = 4"), ("python", "assert number == 4"))
        play(("python", "number = 4"), ("python", "def test_it():\n    assert number == 4"))
        self.fails("assert 4 == 5", ("python", "def test_it():\n    assert 4 == 5"))

    def test_others(self) -> None:
        """
        A block in an unknown language, or a program that is not included from a tested
        file, is rejected.
        """
        self.fails("unknown language", ("cobol", "STOP RUN."))
        self.fails("must be included from a tested file", ("haxe", "class Main {}"))
        self.fails("a page:1 (toml)", ("toml", "a = "))
        self.fails("a page:1 (xml)", ("xml", "<a>"))
        self.fails("a page:1 (xml)", ("xml", "<cross-domain-policy><a/></cross-domain-policy"))
        unknown = DOCS / "examples" / "unknown.py"
        block = Block("a page", 1, "python", "", source=unknown)
        with TemporaryDirectory() as folder:
            problem = self.assertRaises(PageError, Reader(Path(folder)).play, [block])
        self.assertIn("no test runs unknown.py", str(problem))

    def test_extras(self) -> None:
        """
        Commands that install something are skipped, but their extras must exist.
        """
        play((SHELL, "pip install 'openfl-twisted[test]'"))
        self.fails("unknown extra rockets", (SHELL, "pip install 'openfl-twisted[rockets]'"))


class TextTests(SynchronousTestCase):
    """
    Parsing of commands, and matching of output.
    """

    def test_commands(self) -> None:
        """
        An incomplete command continues in the next line.
        """
        text = "one\n(two;\nthree) |\n  four\nfive \\\n  six\n"
        found = list(commandsIn(text))
        self.assertEqual(found, ["one", "(two;\nthree) |\n  four", "five \\\n  six"])
        self.assertRaises(PageError, list, commandsIn("(one"))

    def test_matches(self) -> None:
        """
        Expected lines must occur in order, possibly with others in between. C{…} matches
        any text within a line.
        """
        printed = "a\nport 8080 is open\nb\n"
        for expected in ("a\nb", "port … open", "  a  ", "8080"):
            self.assertTrue(matches(expected, printed), expected)
        for expected in ("b\na", "port … closed", "a b"):
            self.assertFalse(matches(expected, printed), expected)
