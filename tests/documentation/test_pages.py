"""
Every code block that people read does what the text says: each page is played
from its first line to its last.
"""

import os
import subprocess
import sys

import pytest

from tests.documentation.blocks import ROOT, allBlocks

APART = ["unshare", "--net", "--pid", "--fork", "--kill-child"]
"""
Gives a page a network of its own, so that nobody else has the ports that it
names, and ends what it has left behind.
"""

PAGES = [page for page, blocks in allBlocks().items() if not all(block.hidden for block in blocks)]


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


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_page(page: str) -> None:
    """
    A page can be followed word for word.
    """
    command = apart()
    options = ["--loopback"] if command else []
    done = subprocess.run(
        [*command, sys.executable, "-m", "tests.documentation.play", *options, page],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
