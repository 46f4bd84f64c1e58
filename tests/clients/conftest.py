"""
Fixtures for real clients. The tests are skipped if a client is not installed.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.clients.browser import CHROMIUM, Page, opened
from tests.live.conftest import clean

__all__ = ["clean"]

HERE = Path(__file__).parent
NATIVE = HERE / "native"
WEB = HERE / "web"
MODULES = HERE / "node_modules"
OPENFL = MODULES / "openfl" / "src"
EXAMPLES = HERE.parents[1] / "docs" / "examples"

Web = Callable[..., AbstractAsyncContextManager[Page]]


def need(present: object, what: str) -> None:
    """
    Skip a test if a requirement is missing. In CI, fail instead.
    """
    if present:
        return
    if "CI" in os.environ:
        pytest.fail(f"{what}: in CI no client test is skipped")
    pytest.skip(what)


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """
    Compile native OpenFL programs, once per session.

    @return: a function that returns the command of a program in C{native/}.
    """
    need(shutil.which("haxe"), "haxe is not installed (apt-get install haxe neko)")
    need(shutil.which("neko"), "neko is not installed (apt-get install haxe neko)")
    need(OPENFL.exists(), "openfl is not installed (npm install --prefix tests/clients)")
    compiled = tmp_path_factory.mktemp("native")

    def command(name: str) -> list[str]:
        program = compiled / f"{name}.n"
        if not program.exists():
            # The last class path has priority.
            folders = (OPENFL, NATIVE / "shim", EXAMPLES, NATIVE)
            paths = [part for path in folders for part in ("-cp", path)]
            subprocess.run(
                ["haxe", *paths, "-main", name, "-neko", program], check=True, capture_output=True
            )
        return [str(shutil.which("neko")), str(program)]

    return command


@pytest.fixture(scope="session")
def modules() -> Path:
    """
    Require the browser and the modules of the pages.

    @return: the folder of OpenFL HTML5 and Ruffle.
    """
    need(CHROMIUM, "chromium is not installed (apt-get install chromium)")
    for name in ["openfl", "@ruffle-rs"]:
        need(
            (MODULES / name).exists(),
            f"{name} is not installed (npm install --prefix tests/clients)",
        )
    return MODULES


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory, modules: Path) -> Web:
    """
    Compile the Flash programs, once per session.

    @return: a function that returns a context manager, which opens C{html5.html} or
        C{ruffle.html} with a program.
    """
    need(shutil.which("haxe"), "haxe is not installed (apt-get install haxe)")
    compiled = tmp_path_factory.mktemp("swf")
    for path in WEB.glob("*Client.hx"):
        swf = compiled / f"{path.stem}.swf"
        subprocess.run(
            ["haxe", "-cp", WEB, "-main", path.stem, "-swf", swf, "-swf-version", "11"],
            check=True,
            capture_output=True,
        )
    folders = {"web": WEB, "swf": compiled, "node_modules": modules}

    def openPage(
        player: str,
        program: str,
        port: str,
        certificate: Path | None = None,
        **parameters: Any,
    ) -> AbstractAsyncContextManager[Page]:
        parameters |= {"program": program, "port": port}
        return opened(folders, f"web/{player}.html", parameters, certificate)

    return openPage
