"""
Runs pytest as in a project that has installed this package.
"""

import subprocess
import sys
from pathlib import Path


def runPytest(directory: Path, name: str, code: str, *arguments: str) -> str:
    """
    Run pytest in a new directory.

    @param directory: the directory to make.
    @param name: the name of the test file.
    @param code: the content of the test file.
    @param arguments: additional arguments for pytest.
    @return: the output.
    """
    directory.mkdir()
    (directory / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    (directory / name).write_text(code)
    # pytest-twisted would import Twisted; the cache is not needed.
    command = [sys.executable, "-m", "pytest", "-p", "no:twisted", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr
