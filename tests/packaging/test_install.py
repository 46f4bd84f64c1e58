"""
Tests that the built packages can be installed, and contain the commands.
"""

import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.documentation.blocks import ofMarkdown
from tests.documentation.play import INSTALLS
from tests.support.commands import COMMANDS
from tests.support.namespaces import apart

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NOT_SOURCE = shutil.ignore_patterns(
    ".*", "*.egg-info", "__pycache__", "build", "dist", "node_modules", "_build"
)


def run(*command: str | Path, **variables: str) -> str:
    """
    Run a program with additional environment variables.

    @return: its output.
    """
    # The installed package must work without the import path of the tests.
    environment = {**os.environ, "PYTHONPATH": "", **variables}
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A copy of the sources, since building creates files.
    """
    copy = tmp_path_factory.mktemp("checkout") / "openfl-twisted"
    shutil.copytree(ROOT, copy, ignore=NOT_SOURCE)
    return copy


@pytest.fixture(scope="module")
def built(checkout: Path) -> Path:
    """
    The folder of the wheel and the source distribution.
    """
    run(sys.executable, "-m", "build", "--no-isolation", checkout)
    return checkout / "dist"


def sources(checkout: Path) -> set[str]:
    """
    Return the files that a wheel must contain.
    """
    python = [*checkout.glob("openfl_twisted/**/*.py"), *checkout.glob("twisted/**/*.py")]
    data = [checkout / "openfl_twisted/py.typed", *checkout.glob("openfl_twisted/**/static/*")]
    return {str(path.relative_to(checkout)) for path in [*python, *data]}


def test_wheel(checkout: Path, built: Path) -> None:
    """
    The wheel contains only the package and the plugins. In particular, no C{__init__.py}
    replaces one of Twisted's.
    """
    [wheel] = built.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == sources(checkout)
    assert {name for name in names if name.startswith("twisted/")} == {
        "twisted/plugins/openfl_twisted_endpoints.py",
        "twisted/plugins/openfl_twisted_reactors.py",
        "twisted/plugins/openfl_twisted_services.py",
    }


def test_sourceDistribution(checkout: Path, built: Path) -> None:
    """
    The source distribution also contains the tests and the documentation.
    """
    [archive] = built.glob("*.tar.gz")
    with tarfile.open(archive) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert sources(checkout) <= names
    assert {"tests/__init__.py", "tests/clients/package.json", "docs/conf.py", "LICENSE"} <= names
    assert not [name for name in names if name.endswith((".pyc", "dropin.cache"))]


def test_metadata(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    With the address of the repository, the long description has only absolute links, and the
    picture is not a web page.
    """
    for name in ("README.md", "setup.py"):
        shutil.copy(checkout / name, tmp_path)
    metadata = (checkout / "setup.cfg").read_text()
    url = "url = https://code.example/game\n"
    (tmp_path / "setup.cfg").write_text(metadata.replace("author =", f"{url}author =", 1))
    given: dict[str, str] = {}
    monkeypatch.setattr("setuptools.setup", given.update)
    runpy.run_path(str(tmp_path / "setup.py"))
    text = given["long_description"]
    links = re.findall(r"\]\(([^)]*)\)", text)
    assert len(links) > 10
    assert [link for link in links if not link.startswith("https://")] == []
    assert [link for link in links if link.endswith(".svg") and "/raw/" not in link] == []


def test_checks(checkout: Path, built: Path) -> None:
    """
    C{twine}, C{check-wheel-contents} and C{validate-pyproject} accept the packages and their
    metadata. Those that are not installed are skipped; the session C{package} of nox runs all.
    """
    wheels, packages = sorted(built.glob("*.whl")), sorted(built.iterdir())
    for program, arguments in (
        ("twine", ["check", "--strict", *packages]),
        ("check-wheel-contents", ["--config", checkout / "pyproject.toml", *wheels]),
        ("validate-pyproject", [checkout / "pyproject.toml"]),
    ):
        path = shutil.which(program)
        if path is not None:
            run(path, *arguments)


def commandsOf(twistd: Path, **variables: str) -> set[str]:
    """
    Return the commands of this package listed by C{twistd}.
    """
    words = run(twistd, "--help", **variables).split()
    return {word for word in words if word.startswith("openfl-")}


def test_install(checkout: Path, built: Path, tmp_path: Path) -> None:
    """
    C{twistd} and C{twist} list the commands of a wheel, of an editable install and of the
    checkout, and not after uninstalling. All programs run with the installed dependencies only.
    """
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    programs = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    pip, twistd = (programs / "pip", programs / "twistd")
    [wheel] = built.glob("*.whl")
    run(pip, "install", wheel)
    assert commandsOf(twistd) == commandsOf(programs / "twist") == COMMANDS
    assert run(twistd, "openfl-xml", "--version").startswith("openfl-twisted ")
    for program in ("openfl-telnet", "openfl-load", "openfl-session", *sorted(COMMANDS)):
        assert run(programs / program, "--version").startswith("openfl-twisted ")
    run(pip, "uninstall", "--yes", "openfl-twisted")
    assert commandsOf(twistd) == set()
    run(pip, "install", "--editable", checkout)
    assert commandsOf(twistd) == commandsOf(programs / "twist") == COMMANDS
    run(pip, "uninstall", "--yes", "openfl-twisted")
    assert commandsOf(twistd) == set()
    assert commandsOf(twistd, PYTHONPATH=str(checkout)) == COMMANDS


def test_readme(checkout: Path) -> None:
    """
    All commands of the README work in a checkout: its installation command installs into
    a new environment, and the others run there.
    """
    blocks = [block.text for block in ofMarkdown(ROOT / "README.md")]
    [install, *_] = [text for text in blocks if " -m venv " in text]
    parts = [part for part in install.split(" && ") if INSTALLS.match(part)]
    assert len(parts) == 2
    run("bash", "-c", f"cd '{checkout}' && {' && '.join(parts)}")
    network = apart()
    options = ["--loopback"] if network else []
    program = (*network, sys.executable, "-m", "tests.documentation.play", *options)
    run(*program, "--folder", checkout, "README.md", PYTHONPATH=str(ROOT))
