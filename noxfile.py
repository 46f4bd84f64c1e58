"""
Everything that can be checked: C{nox -l} lists it, C{nox -s NAME} runs it.
"""

import re
from configparser import ConfigParser
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests", "docs"]
nox.options.reuse_existing_virtualenvs = True


@nox.session
def lint(session: nox.Session) -> None:
    """Style and form."""
    session.install("-e", ".[test]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types, as strict as can be."""
    session.install("-e", ".[test]")
    session.run("mypy", "-p", "openfl_twisted")
    session.run("mypy", "twisted/plugins")
    session.run("mypy", "tests", "docs", "benchmarks")


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """The fast tests, by pytest; pass arguments after --."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session(python="3.11")
def oldest(session: nox.Session) -> None:
    """The fast tests with the oldest versions that setup.cfg allows."""
    configuration = ConfigParser(interpolation=None)
    configuration.read("setup.cfg", encoding="utf-8")
    extras = configuration["options.extras_require"]
    wanted = [configuration["options"]["install_requires"]]
    wanted += [extras[name] for name in ("metrics", "redis", "telnet")]
    oldest = re.findall(r"^([\w-]+)(?:\[\w+\])?>=(\S+)", "\n".join(wanted), re.MULTILINE)
    constraints = Path(session.create_tmp()) / "oldest.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in oldest))
    session.install("-e", ".[test]", "-c", str(constraints))
    session.run("pytest", *session.posargs)


@nox.session
def newest(session: nox.Session) -> None:
    """The fast tests with the newest versions, including pre-releases."""
    session.install("--pre", "--upgrade", "--upgrade-strategy=eager", "-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def websockets(session: nox.Session) -> None:
    """The tests of WebSockets with the newest websockets library, also a pre-release."""
    session.install("-e", ".[test]")
    session.install("--pre", "--upgrade", "websockets")
    files = ["tests/wire/websocket", "tests/transports/test_websocket.py"]
    files += [f"tests/protocols/test_{name}.py" for name in ("websocket", "websocketclient")]
    session.run("pytest", *files, *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Build the packages in dist, and check their contents and metadata."""
    session.install("build", "check-wheel-contents", "twine", "validate-pyproject")
    session.run("validate-pyproject", "pyproject.toml")
    folder = Path("dist")
    for old in folder.glob("openfl_twisted-*"):
        old.unlink()
    session.run("pyproject-build")
    built = sorted(map(str, folder.glob("openfl_twisted-*")))
    session.run("twine", "check", "--strict", *built)
    session.run("check-wheel-contents", *[each for each in built if each.endswith(".whl")])


@nox.session
def slow(session: nox.Session) -> None:
    """The slow tests: browsers, brokers, packaging, benchmarks, the manual."""
    session.install("-e", ".[test]")
    session.run("pytest", "-m", "slow", *session.posargs)


@nox.session
def asyncio(session: nox.Session) -> None:
    """The live tests on the asyncio reactor."""
    session.install("-e", ".[test]")
    session.run("pytest", "--reactor=asyncio", "-m", "", "tests/live", "tests/clients")


@nox.session
def trial(session: nox.Session) -> None:
    """The memory tests, by trial."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "twisted.trial", "tests")


@nox.session
@nox.parametrize("mode", ["reactor", "transport"])
def twisted(session: nox.Session, mode: str) -> None:
    """Twisted's own tests, on the transports and the reactor of this package."""
    session.install("-e", ".[test]", "Twisted[http2]", "httpx", "PyHamcrest")
    session.run("python", "-m", "tests.twistedsuites", mode, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation; a warning is an error."""
    session.install("-e", ".[test]")
    session.run("sphinx-build", "-W", "-q", "docs", "docs/_build")


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Run the benchmarks; pass arguments after --, such as growth or --quick."""
    session.install("-e", ".[benchmarks]")
    session.run("python", "-m", "benchmarks", *session.posargs)
