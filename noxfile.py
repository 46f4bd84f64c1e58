"""
Everything that can be checked: C{nox -l} lists it, C{nox -s NAME} runs it.
"""

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


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """The fast tests, by pytest; pass arguments after --."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


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
