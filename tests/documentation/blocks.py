"""
Finds the code blocks of the documentation, as its programs find them: those of
the pages by Sphinx, those of the README and its like by a parser of Markdown.
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

    @ivar page: the file where it stands, beside the root.
    @ivar line: where there; 0 if it is not known.
    @ivar language: what it is written in.
    @ivar text: its text.
    @ivar caption: the file that a reader shall make of it; empty if none.
    @ivar source: the file from which it is taken, or C{None}.
    @ivar hidden: whether readers do not see it: in a comment that begins with
        C{play:} stands what a page takes for granted, such as a server.
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
    Find the caption of a block.
    """
    parent = node.parent
    if isinstance(parent, nodes.container) and isinstance(parent.children[0], nodes.caption):
        return parent.children[0].astext()
    return ""


@cache
def ofPages() -> dict[str, list[Block]]:
    """
    Find the blocks of all pages, by the name of the page.
    """
    # Sphinx takes its time to be imported.
    from sphinx.application import Sphinx

    with TemporaryDirectory() as folder:
        # Without what makes the API's pages: that is not needed here, and takes a minute.
        app = Sphinx(
            DOCS,
            DOCS,
            folder,
            folder,
            "dummy",
            {"extensions": []},
            status=None,
            # The build of the documentation itself fails for them.
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
    Read a block of a page.
    """
    line = node.line or 0
    if isinstance(node, nodes.comment):
        return Block(page, line, SHELL, node.astext().removeprefix(_HIDDEN).strip(), hidden=True)
    # Sphinx notes where what is included comes from; of others it is the page.
    source = Path(node.get("source") or page)
    return Block(
        page,
        line,
        # What has no language is typed into a shell: that is the setting of our pages.
        node.get("language", SHELL),
        node.astext(),
        _captionOf(node),
        None if source.suffix == ".rst" else source,
    )


def ofMarkdown(path: Path) -> Iterator[Block]:
    """
    Find the blocks of a file in Markdown. A block after a line that names a file
    and ends in a colon is that file.
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
    Find the blocks of everything that people read, by the file.
    """
    found = dict(ofPages())
    for path in sorted(ROOT.glob("*.md")):
        blocks = list(ofMarkdown(path))
        if blocks:
            found[path.name] = blocks
    return found
