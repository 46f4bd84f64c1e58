"""
Tests that each promise of the pages about security and limits has a test.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from docutils.core import publish_doctree
from docutils.nodes import (
    Node,
    document,
    entry,
    list_item,
    paragraph,
    row,
    section,
    system_message,
    thead,
    title,
)
from twisted.trial.unittest import SynchronousTestCase

from tests.documentation.promises import EXEMPT, PROMISES

TESTS = Path(__file__).parent.parent
TOPICS = TESTS.parent / "docs" / "topics"


def itemsOf(text: str) -> Iterator[tuple[str, str]]:
    """
    Read a page.

    @return: the section and the text of each table row (of which the text is the first column),
        list item and paragraph.
    """
    # Roles of Sphinx are replaced by text of the same width, which keeps the columns of tables.
    plain = re.sub(
        r":(?:doc|ref):`([^`<]*)[^`]*`", lambda match: match[1].ljust(len(match[0])), text
    )
    page = publish_doctree(plain, settings_overrides={"report_level": 5})
    for node in page.findall():
        above = list(ancestors(node))
        match node:
            case row() if not isinstance(node.parent, thead):
                yield sectionOf(above), wordsOf(next(node.findall(entry)))
            case list_item():
                yield sectionOf(above), wordsOf(node)
            case paragraph() if not any(
                isinstance(each, row | list_item | system_message) for each in above
            ):
                yield sectionOf(above), wordsOf(node)


def ancestors(node: Node) -> Iterator[Node]:
    """
    Return the ancestors of a node, innermost first.
    """
    while node.parent is not None:
        node = node.parent
        yield node


def sectionOf(nodes: list[Node]) -> str:
    """
    Return the title of the innermost of these nodes that has one.
    """
    innermost = next(each for each in nodes if isinstance(each, section | document))
    return wordsOf(next(innermost.findall(title)))


def wordsOf(node: Node) -> str:
    """
    Return the text of a node, in one line.
    """
    return " ".join(node.astext().split())


@cache
def definedIn(name: str) -> frozenset[str]:
    """
    Return the tests that a module defines, as C{Class.test} or C{test}. It is not imported.

    Tests are generated from the tables of C{tls/situations}: there, each text is one.

    @param name: the path below C{tests}.
    """
    path = TESTS / name
    if not path.is_file():
        return frozenset()
    module = ast.parse(path.read_text())
    if name.startswith("tls/situations/"):
        texts = (each.value for each in ast.walk(module) if isinstance(each, ast.Constant))
        return frozenset(each for each in texts if isinstance(each, str))
    body = module.body
    classes = [(f"{each.name}.", each.body) for each in body if isinstance(each, ast.ClassDef)]
    return frozenset(
        prefix + each.name
        for prefix, nodes in [("", body), *classes]
        for each in nodes
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        and each.name.startswith("test_")
    )


def found(key: str, items: list[str]) -> list[str]:
    """
    Return the items that have this text, or else those that begin with it.
    """
    return [each for each in items if each == key] or [
        each for each in items if each.startswith(key)
    ]


class PromiseTests(SynchronousTestCase):
    """
    L{tests.documentation.promises}.
    """

    def report(self, problems: list[str]) -> None:
        """
        Fail if there are problems.
        """
        if problems:
            self.fail("\n".join(["tests/documentation/promises.py:", *problems]))

    def test_complete(self) -> None:
        """
        Each table row, list item and paragraph of the pages has tests, or a reason for having
        none. No entry is without its text in the page.
        """
        problems = []
        for page, sections in PROMISES.items():
            items: dict[str, list[str]] = {}
            for name, text in itemsOf((TOPICS / page).read_text()):
                items.setdefault(name, []).append(text)
            known: set[tuple[str, str]] = set()
            for table in (sections, EXEMPT[page]):
                for name, keys in table.items():
                    for key in keys:
                        texts = found(key, items.get(name, []))
                        if len(texts) != 1:
                            problems.append(
                                f"{page}, {name}: {len(texts)} texts begin with {key!r}"
                            )
                        elif (name, texts[0]) in known:
                            problems.append(f"{page}, {name}: another entry has {key!r}, too")
                        known.update((name, each) for each in texts)
            problems += [
                f"{page}, {name}: no entry for {text[:60]!r}"
                for name, texts in items.items()
                for text in texts
                if (name, text) not in known
            ]
        self.report(problems)

    def test_exist(self) -> None:
        """
        Each entry names a test, and each named test exists.
        """
        problems = []
        for page, sections in PROMISES.items():
            for name, keys in sections.items():
                for key, tests in keys.items():
                    problems += [
                        f"{page}, {name}, {key!r}: there is no test {test}"
                        for test in tests or ["at all"]
                        if test.partition(" ")[2] not in definedIn(test.partition(" ")[0])
                    ]
        self.report(problems)
