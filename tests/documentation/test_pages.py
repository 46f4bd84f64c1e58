"""
Tests that run all code blocks of the documentation, page by page.
"""

import os
import pickle
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.documentation.blocks import DOCS, ROOT, Block, allBlocks
from tests.support.namespaces import apart

pytestmark = pytest.mark.slow

PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [*ROOT.glob("*.md"), *DOCS.rglob("*.rst")]
    if "_build" not in path.parts
)

blocksOfAll = cache(allBlocks)
"""
Command that finds the blocks, during the tests instead of their collection.
"""


def test_pages() -> None:
    """
    Every page with code blocks is tested.
    """
    assert {*blocksOfAll()} <= {*PAGES}


@pytest.mark.parametrize("page", PAGES)
def test_page(page: str, tmp_path: Path) -> None:
    """
    All code blocks of a page run as described.
    """
    blocks: list[Block] = blocksOfAll().get(page, [])
    if all(block.hidden for block in blocks):
        return
    command = apart()
    # Finding the blocks takes longer than most pages, so it is done once.
    found = tmp_path / "blocks"
    found.write_bytes(pickle.dumps(blocks))
    options = [f"--blocks={found}", *(["--loopback"] if command else [])]
    done = subprocess.run(
        [*command, sys.executable, "-m", "tests.documentation.play", *options, page],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
