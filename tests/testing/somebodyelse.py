"""
A pytest of somebody else's, who has installed this package.
"""

import subprocess
import sys
from pathlib import Path


def runPytest(directory: Path, name: str, code: str, *arguments: str) -> str:
    """
    Run pytest in a directory of its own.

    @param directory: the directory, which is made.
    @param name: the name of the file with tests.
    @param code: what is in it.
    @param arguments: more arguments for pytest.
    @return: what it has printed.
    """
    directory.mkdir()
    (directory / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    (directory / name).write_text(code)
    # Another plugin imports Twisted, and what pytest keeps is of no use here.
    command = [sys.executable, "-m", "pytest", "-p", "no:twisted", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr
