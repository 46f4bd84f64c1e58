"""
Code blocks of the documentation. The blocks of pages are found by Sphinx, and those of
Markdown files by a Markdown parser.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from docutils import nodes
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SHELL = "sh"
_HIDDEN = "play:"


class Block(NamedTuple):
    """
    A code block.

    @ivar page: the path of its file, relative to the root of the project.
    @ivar line: its line number, or 0 if unknown.
    @ivar language: its language.
    @ivar text: its text.
    @ivar caption: the name of the file to create from it, or an empty string.
    @ivar source: the included file, or C{None}.
    @ivar hidden: whether it is a comment starting with C{play:}, which contains
        prerequisites such as a server.
    """

    page: str
    line: int
    language: str
    text: str
    caption: str = ""
    source: Path | None = None
    hidden: bool = False

    def __str__(self) -> str:
        return f"{self.page}:{self.line} ({self.language})"


def _captionOf(node: nodes.Element) -> str:
    """
    Return the caption of a block, or an empty string.
    """
    parent = node.parent
    if isinstance(parent, nodes.container) and isinstance(parent.children[0], nodes.caption):
        return parent.children[0].astext()
    return ""


@cache
def ofPages() -> dict[str, list[Block]]:
    """
    Return the blocks of all pages, by page.
    """
    # Importing Sphinx is slow.
    from sphinx.application import Sphinx

    with TemporaryDirectory() as folder:
        # The API pages are not needed, and building them takes a minute.
        app = Sphinx(
            DOCS,
            DOCS,
            folder,
            folder,
            "dummy",
            {"extensions": []},
            status=None,
            # The build of the documentation reports warnings.
            warning=None,
        )
        app.build()
        found: dict[str, list[Block]] = {}
        for name in sorted(app.env.found_docs):
            page = str(Path(app.env.doc2path(name)).relative_to(ROOT))
            for node in app.env.get_doctree(name).findall(_isBlock):
                found.setdefault(page, []).append(_blockOf(page, node))
        return found


def _isBlock(node: nodes.Node) -> bool:
    if isinstance(node, nodes.comment):
        return node.astext().startswith(_HIDDEN)
    return isinstance(node, nodes.literal_block)


def _blockOf(page: str, node: Any) -> Block:
    """
    Create a block from a node of a page.
    """
    line = node.line or 0
    if isinstance(node, nodes.comment):
        return Block(page, line, SHELL, node.astext().removeprefix(_HIDDEN).strip(), hidden=True)
    # The source of an included block is its file. The source of other blocks is the page.
    source = Path(node.get("source") or page)
    return Block(
        page,
        line,
        # Blocks without a language contain shell commands, as set in our configuration.
        node.get("language", SHELL),
        node.astext(),
        _captionOf(node),
        None if source.suffix == ".rst" else source,
    )


def ofMarkdown(path: Path) -> Iterator[Block]:
    """
    Yield the blocks of a Markdown file. If the line before a block names a file and ends
    in a colon, the block is that file.
    """
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for token in MarkdownIt().parse(text):
        assert token.map is not None or token.type not in ("fence", "code_block")
        start = token.map[0] if token.map else 0
        if token.type == "html_block" and token.content.startswith(f"<!-- {_HIDDEN}"):
            text = token.content.removeprefix(f"<!-- {_HIDDEN}").strip().removesuffix("-->")
            yield Block(path.name, start + 1, SHELL, text.strip(), hidden=True)
        if token.type not in ("fence", "code_block"):
            continue
        before = next((line for line in reversed(lines[:start]) if line.strip()), "")
        name = before.removesuffix("`:").rpartition("`")[2] if before.endswith("`:") else ""
        yield Block(path.name, start + 1, token.info or SHELL, token.content, name)


def allBlocks() -> dict[str, list[Block]]:
    """
    Return all blocks of the documentation, by file.
    """
    found = dict(ofPages())
    for path in sorted(ROOT.glob("*.md")):
        blocks = list(ofMarkdown(path))
        if blocks:
            found[path.name] = blocks
    return found
