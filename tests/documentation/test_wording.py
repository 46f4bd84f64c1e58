"""
Texts that users read are plain English: no indirect expressions, and one term for one
thing.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import openfl_twisted.load.command
from openfl_twisted.services import bridge, echoserver, policyserver, xmlserver
from openfl_twisted.telnetclient import command
from tests.documentation.blocks import DOCS

ROOT = DOCS.parent
COMMANDS = (xmlserver, echoserver, policyserver, bridge, command, openfl_twisted.load.command)
PAGES = [
    *sorted(DOCS.glob("**/*.rst")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGES.md")),
]
LOG_METHODS = {"critical", "debug", "emit", "error", "failure", "info", "warn"}

RULES = {
    r"\b(anybody|everybody|nobody|somebody|whoever|whomever)\b": "name the client, peer or user",
    r"\b(he|him|his|himself|she|hers)\b": "name the client, peer or user",
    r"\bwhat (came|comes|has come|is|was|were|waits)\b": "use a noun",
    r"^(What|Who|Whose)\b(?!.*\?)": "begin with the subject",
    r"(^|[:;] ?)there (is|are|was) no(ne)?\b": "is missing, does not exist",
    r"\bno more(?=[.,;:]|$)": "no longer",
    r"\bcut off\b": "disconnected",
    r"\bhand(s|ed)? (on|over)\b": "forward",
    r"\bother (side|end)\b": "peer",
    r"\b(zero|null) byte\b": "NUL byte",
    r"(?<!certificate )\bauthorit(y|ies)\b": "CA",
    r"\bcaller": "client",
    r"\bdoor\b": "name the class",
    r"\b(stands?|lies?) (behind|before|in front)\b": "precedes, follows, wraps",
    r"\bin one go\b": "in one call",
    r"\b(are|is|was|were) told\b": "receives, is notified",
}
"""
Regular expressions that no text may match, and the replacement.
"""


def problemsOf(text: str) -> list[str]:
    """
    Return the rules that a text breaks.
    """
    return [
        f"{text.strip()!r}: {words}"
        for pattern, words in RULES.items()
        if re.search(pattern, text, re.IGNORECASE)
    ]


def proseOf(path: Path) -> Iterator[str]:
    """
    Return the lines of a page without directives, code blocks and literals.
    """
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    for line in text.splitlines():
        if not line.startswith(("   ", "..", ">>>")):
            yield re.sub(r"``.*?``|`.*?`|<.*?>", "X", line)


def textsOfCode(path: Path) -> Iterator[str]:
    """
    Return the log messages and the texts of exceptions in a module, without single words.
    """
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(attr=name), args=arguments) if name in LOG_METHODS:
                found = arguments
            case ast.Raise(exc=ast.Call(args=arguments)):
                found = arguments
            case _:
                continue
        for argument in found:
            for part in ast.walk(argument):
                if isinstance(part, ast.Constant) and " " in str(part.value):
                    yield str(part.value)


EPYTEXT = re.compile(r"\b[A-Z]\{.*\}|^ *@\w+( \w+)?:", re.MULTILINE)
"""
The markup of the package's docstrings.
"""


class WordingTests(SynchronousTestCase):
    """
    L{RULES}.
    """

    def test_rules(self) -> None:
        """
        Each rule finds an example.
        """
        for text in (
            "nobody knows it",
            "it stops him",
            "forward what comes",
            "Who may come",
            "there is no file",
            "it reads no more",
            "the client is cut off",
            "hands on the bytes",
            "the other side closes",
            "ended by a zero byte",
            "trust the authorities",
            "the caller speaks",
            "OpenFL's door",
            "it stands in front of the server",
            "sent in one go",
            "the peer is told",
        ):
            self.assertEqual(len(problemsOf(text)), 1, text)
        self.assertEqual(problemsOf("Who requests a policy file?"), [])

    def test_pages(self) -> None:
        """
        The pages of the manual, and the files at the root of the project.
        """
        found = [
            f"{path.name}: {problem}"
            for path in PAGES
            for line in proseOf(path)
            for problem in problemsOf(line)
        ]
        self.assertEqual(found, [])

    def test_examples(self) -> None:
        """
        The examples contain no markup of docstrings, which the readers of the manual would see.
        """
        for markup in ("Run C{python x.py}.", "    @param name: the name.", "    @return: it."):
            self.assertRegex(markup, EPYTEXT)
        for path in sorted((DOCS / "examples").glob("**/*.py")):
            self.assertNotRegex(path.read_text(), EPYTEXT, path.name)

    def test_help(self) -> None:
        """
        The help of all commands.
        """
        found = [
            problem
            for module in COMMANDS
            for text in (
                module.Options.longdesc,
                *(option.meaning for option in module.Options.allOptions()),
            )
            for problem in problemsOf(text)
        ]
        self.assertEqual(found, [])

    def test_messages(self) -> None:
        """
        The log messages and the exceptions of the package.
        """
        found = [
            f"{path.name}: {problem}"
            for path in (ROOT / "openfl_twisted").glob("**/*.py")
            for text in textsOfCode(path)
            for problem in problemsOf(text)
        ]
        self.assertEqual(found, [])
