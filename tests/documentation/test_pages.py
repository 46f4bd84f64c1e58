"""
Every code block that people read does what the text says: each page is played
from its first line to its last.
"""

import os
import pickle
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.documentation.blocks import DOCS, ROOT, Block, allBlocks

pytestmark = pytest.mark.slow

APART = ["unshare", "--net", "--pid", "--fork", "--kill-child"]
"""
Gives a page a network of its own, so that nobody else has the ports that it
names, and ends what it has left behind.
"""

PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [*ROOT.glob("*.md"), *DOCS.rglob("*.rst")]
    if "_build" not in path.parts
)

blocksOfAll = cache(allBlocks)
"""
Finds the blocks once, when a test runs and not when pytest collects the tests.
"""


def apart() -> list[str]:
    """
    Find out how a program gets a network of its own here.
    """
    for command in (APART, [*APART, "--map-root-user"]):
        try:
            subprocess.run([*command, "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return command
    return []


def test_pages() -> None:
    """
    Every page that has blocks is played.
    """
    assert {*blocksOfAll()} <= {*PAGES}


@pytest.mark.parametrize("page", PAGES)
def test_page(page: str, tmp_path: Path) -> None:
    """
    A page can be followed word for word.
    """
    blocks: list[Block] = blocksOfAll().get(page, [])
    if all(block.hidden for block in blocks):
        return
    command = apart()
    # To find the blocks takes longer than to play most pages, so it is done once for all.
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
