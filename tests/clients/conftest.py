"""
Finds the real clients, and says why where there are none.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.conftest import clean

__all__ = ["clean"]

HERE = Path(__file__).parent
NATIVE = HERE / "native"
OPENFL = HERE / "node_modules" / "openfl" / "src"


def need(present: object, what: str) -> None:
    """
    Skip a test if something is missing; in CI nothing may be missing.
    """
    if present:
        return
    if "CI" in os.environ:
        pytest.fail(f"{what}: in CI no client test is skipped")
    pytest.skip(what)


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """
    Compile a native OpenFL program, once in a run.

    @return: a function that gives the command for a program of C{native/}.
    """
    need(shutil.which("haxe"), "there is no haxe (apt-get install haxe neko)")
    need(shutil.which("neko"), "there is no neko (apt-get install haxe neko)")
    need(OPENFL.exists(), "there is no openfl (npm install --prefix tests/clients)")
    compiled = tmp_path_factory.mktemp("native")

    def command(name: str) -> list[str]:
        program = compiled / f"{name}.n"
        if not program.exists():
            # The last class path wins.
            paths = [part for path in (OPENFL, NATIVE / "shim", NATIVE) for part in ("-cp", path)]
            subprocess.run(
                ["haxe", *paths, "-main", name, "-neko", program], check=True, capture_output=True
            )
        return [str(shutil.which("neko")), str(program)]

    return command
