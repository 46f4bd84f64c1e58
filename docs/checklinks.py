"""
Fails the build of the documentation if a page links to a page or a section that does not exist,
also in the API reference.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_link = re.compile(r'<[a-z][^<>]*\s(?:href|src)="([^"]*)"')
_anchor = re.compile(r'<[a-z][^<>]*\s(?:id|name)="([^"]*)"')
_external = re.compile(r"[a-z]+:|//")


def brokenLinks(folder: Path) -> list[str]:
    """
    Return the links to missing files and sections, each with the page that contains it.

    @param folder: the folder with the pages.
    """
    texts = {path: path.read_text("utf-8") for path in sorted(folder.glob("**/*.html"))}
    anchors = {path: {*_anchor.findall(text)} for path, text in texts.items()}
    broken = []
    for path, text in texts.items():
        for link in sorted({*_link.findall(text)}):
            if _external.match(link):
                continue
            address, section = urldefrag(unquote(link))
            target = (path.parent / address.partition("?")[0]).resolve() if address else path
            exists = target.is_file() or target.is_dir()
            if not exists or (section and section not in anchors.get(target, {section})):
                broken.append(f"{path.relative_to(folder)}: {link}")
    return broken


def _check(app: Sphinx, exception: Exception | None) -> None:
    if exception is None:
        broken = brokenLinks(Path(app.outdir).resolve())
        if broken:
            raise ExtensionError("broken links:\n" + "\n".join(broken))


def setup(app: Sphinx) -> dict[str, Any]:
    """
    Check the links after pydoctor has written the API reference.
    """
    app.connect("build-finished", _check, priority=900)
    return {"parallel_read_safe": True}
