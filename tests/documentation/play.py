"""
Runs a page of the documentation: creates its files, runs its commands, and compares their
output.

Run C{python -m tests.documentation.play README.md} in the root of the project. Servers
listen on the ports that the page names, so the tests run each page in a separate network
namespace.
"""

import argparse
import doctest
import fcntl
import io
import os
import pickle
import re
import socket
import struct
import subprocess
import sys
import tomllib
from contextlib import suppress
from importlib.metadata import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree.ElementTree import XML

import trustme
import yaml

from openfl_twisted.sessions import Session
from openfl_twisted.wire.policy.file import PolicyFile
from tests.documentation.blocks import DOCS, ROOT, Block, allBlocks
from tests.documentation.shell import (
    ADDRESS_IN_USE,
    TIMEOUT,
    Command,
    PageError,
    commandsIn,
    matches,
    wait,
)

INSTALLS = re.compile(
    r"(\S*/)?(pip|npm) |apt-get |python3 -m venv |\. \S*activate|\S+ -m pytest|\S*nox "
    r"|\S+ -m benchmarks"
)
"""
Commands that are skipped: those that install the tests' environment, the tests
themselves, which C{.ci/run} runs, and those that take an hour.
"""

LONGER_WAIT = 30
"""
The C{--wait} option of a repeated C{openfl-telnet} (seconds).
"""

_assignment = re.compile(r"[A-Za-z_]+=(\S+|'[^']*'|\"[^\"]*\"|\$\(.*\))$")

LANGUAGES = {".py": "python", ".hx": "haxe", ".as": "actionscript", ".html": "html"}


def isTestedSeparately(source: Path) -> bool:
    """
    Return whether a separate test runs a file of the documentation.
    """
    names = {source.name} | ({source.parent.name} if "tutorial" in source.parts else set())
    tests = [*ROOT.glob("tests/live/test_*.py"), *ROOT.glob("tests/clients/test_*.py")]
    return any(f'"{name}"' in path.read_text() for name in names for path in tests)


class Reader:
    """
    Runs the blocks of a page in a folder.

    @ivar folder: the folder. A virtual environment in its C{.venv} is used instead of
        that of the tests.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.typed: list[Command] = []
        self._latest: list[Command] = []
        self._failed: str | None = None
        self._names: dict[str, object] = {}
        self._parts: list[str] = []
        self._tests: Block | None = None
        self._made: dict[str, Path | None] = {}
        for name, original in (".venv", Path(sys.prefix)), ("docs", DOCS):
            if not (folder / name).exists():
                (folder / name).symlink_to(original)
        path = f"{folder / '.venv' / 'bin'}:{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}
        # The installed package must work without the import path of the tests.
        self.environment.pop("PYTHONPATH", None)
        self._createPrerequisites()

    def _createPrerequisites(self) -> None:
        """
        Create the certificates and the policy file that pages assume.
        """
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.folder / "ca.pem")
        server = authority.issue_cert("localhost", "127.0.0.1", "games.example")
        server.private_key_and_cert_chain_pem.write_to_path(self.folder / "certificate.pem")
        server.private_key_pem.write_to_path(self.folder / "key.pem")

    def play(self, blocks: list[Block]) -> None:
        """
        Run all blocks of a page.
        """
        try:
            for block in blocks:
                if block.language != "text":
                    self._checkFailure()
                self.take(block)
            self._checkFailure()
            self._runTests()
            self._checkFilesUsed()
            for command in self.typed:
                if "Traceback" in command.text:
                    raise PageError(f"{command.line}:\n{command.text}")
        finally:
            self.stopAll()

    def _checkFilesUsed(self) -> None:
        """
        Check that each created file is used by a command or another test.
        """
        for name, source in self._made.items():
            isTyped = any(Path(name).stem in command.line for command in self.typed)
            if not isTyped and (source is None or not isTestedSeparately(source)):
                raise PageError(f"{name}: created, but not used")

    def stopAll(self) -> None:
        for command in self.typed:
            command.stop()

    def take(self, block: Block) -> None:
        """
        Run a block according to its language.
        """
        kind = getattr(self, f"_take_{block.language}", None)
        if kind is None:
            raise PageError(f"{block}: unknown language")
        if block.source is not None:
            self._checkIncluded(block, block.source)
        if block.caption:
            file = self.folder / block.caption
            file.parent.mkdir(exist_ok=True, parents=True)
            # Write the complete file, since the block can be a part of it.
            text = block.text + "\n" if block.source is None else block.source.read_text()
            file.write_text(text)
            self._made[block.caption] = block.source
        try:
            kind(block)
        except Exception as problem:
            raise PageError(f"{block}: {problem}") from problem

    def _checkIncluded(self, block: Block, source: Path) -> None:
        """
        Check a file that a page includes.
        """
        language = LANGUAGES.get(source.suffix)
        if language not in (None, block.language) and source.suffix != ".html":
            raise PageError(f"{block}: {source.name} should be shown as {language}")
        if not (isTestedSeparately(source) or block.caption):
            raise PageError(f"{block}: no test runs {source.name}")

    # Commands and their output

    def _checkFailure(self) -> None:
        """
        Raise the error of the last block, unless the page has shown it.
        """
        if self._failed is not None:
            raise PageError(self._failed)

    def _take_sh(self, block: Block) -> None:
        if not block.hidden:
            self._latest = []
        for line in commandsIn(block.text):
            self._checkFailure()
            if _assignment.match(line):
                self._assign(line)
            else:
                self.type(line)
            if block.hidden:
                self._checkFailure()

    def _assign(self, line: str) -> None:
        """
        Set a shell variable for the following commands.
        """
        name = line.partition("=")[0]
        command = ["bash", "-c", f'{line}; printf %s "${name}"']
        result = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        self.environment[name] = result.stdout

    def type(self, line: str) -> None:
        """
        Run a command, and wait until it has exited or is listening.
        """
        rest = self._withoutInstallation(line)
        if not rest:
            return
        command = Command(rest, self.folder, self.environment)
        self._settle(command)
        if command.status and ADDRESS_IN_USE.search(command.printed):
            # The page shows an alternative, so the first server is stopped.
            self.stopAll()
            command = Command(rest, self.folder, self.environment)
            self._settle(command)
        self.typed.append(command)
        self._latest.append(command)
        if command.status:
            self._failed = f"{rest}: status {command.status}\n{command.text}"

    def _settle(self, command: Command) -> None:
        try:
            wait(command.isReady, TIMEOUT, f"{command.line} neither exited nor listening")
        except PageError:
            command.stop()
            raise

    def _withoutInstallation(self, line: str) -> str:
        """
        Remove the commands that install something.
        """
        rest = []
        for part in line.split(" && "):
            if not INSTALLS.match(part):
                rest.append(part)
                continue
            for extra in re.findall(r"\[(\w+)\]", part):
                if extra not in (metadata("openfl-twisted").get_all("Provides-Extra") or []):
                    raise PageError(f"{part}: unknown extra {extra}")
        return " && ".join(rest)

    def _take_text(self, block: Block) -> None:
        """
        Check that the output of a command in the last block, or of a server, contains the
        block. It can also be the error of a failed command.
        """
        if block.source is not None:
            # A file for another program.
            return
        listening = [command for command in self.typed if command.status is None]
        commands = [*self._latest, *listening]

        def printed() -> bool:
            return any(matches(block.text, each.text) for each in commands)

        def mayPrint() -> bool:
            return not printed() and not all(each.outputClosed for each in commands)

        with suppress(PageError):
            wait(lambda: not mayPrint(), TIMEOUT, "")
        if not printed():
            commands += self._repeatTelnet()
        if not printed():
            everything = "\n".join(each.text for each in commands)
            raise PageError(f"expected output is missing; printed:\n{everything}")
        self._failed = None

    def _repeatTelnet(self) -> list[Command]:
        """
        Repeat each C{openfl-telnet} command of the last block with a longer C{--wait},
        since the machine of the tests can be slow.

        @return: the repeated commands.
        """
        before = len(self._latest)
        for command in self._latest[:before]:
            if command.status == 0 and "openfl-telnet " in command.line:
                line = re.sub(r" --wait \S+", "", command.line)
                self.type(line.replace("openfl-telnet ", f"openfl-telnet --wait {LONGER_WAIT} "))
        return self._latest[before:]

    # Programs

    def _take_python(self, block: Block) -> None:
        if block.source is None and not block.caption:
            self._run(block)
        elif block.caption:
            compile(block.text, block.caption, "exec")

    def _run(self, block: Block) -> None:
        """
        Run a part of a program after the previous parts. Tests run once, at the end of
        the page.
        """
        self._parts.append(block.text)
        if re.search(r"^ *(async )?def test_", block.text, re.MULTILINE):
            self._tests = block
        else:
            self._runParts()

    def _runTests(self) -> None:
        """
        Run the tests of the page with pytest.
        """
        if self._tests is not None:
            try:
                self._runParts("-m", "pytest", "-q", "-p", "no:cacheprovider")
            except PageError as problem:
                raise PageError(f"{self._tests} and the blocks before it: {problem}") from problem

    def _runParts(self, *options: str) -> None:
        """
        Run all parts so far.

        @param options: options of the interpreter.
        """
        program = self.folder / "test_page.py"
        program.write_text("\n\n".join(self._parts))
        result = subprocess.run(
            [sys.executable, "-W", "error", *options, program],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        if result.returncode:
            raise PageError(result.stdout + result.stderr)

    def _take_pycon(self, block: Block) -> None:
        test = doctest.DocTestParser().get_doctest(block.text, self._names, str(block), None, 0)
        report: list[str] = []
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        test.globs = self._names
        doctest.DocTestRunner(optionflags=flags).run(test, out=report.append, clear_globs=False)
        if report:
            raise PageError("".join(report))

    def _mustBeIncluded(self, block: Block) -> None:
        """
        Check a block in a language that must be included from a tested file.
        """
        if block.source is None:
            raise PageError("the block must be included from a tested file in docs/examples")

    _take_haxe = _take_actionscript = _take_javascript = _take_html = _mustBeIncluded
    _take_nginx = _take_ini = _mustBeIncluded

    # Data

    def _take_xml(self, block: Block) -> None:
        if "<cross-domain-policy" in block.text:
            PolicyFile.fromXML(block.text.encode())
        else:
            # The data is our own, so entity expansion is not a risk.
            XML(block.text)

    def _take_json(self, block: Block) -> None:
        session = Session.read(io.BytesIO(block.text.encode()), "block")
        if session.warnings:
            raise PageError("".join(session.warnings))

    def _take_toml(self, block: Block) -> None:
        tomllib.loads(block.text)
        if not block.caption:
            raise PageError("the block must have a caption, so that a command can use it")

    def _take_yaml(self, block: Block) -> None:
        for job in yaml.safe_load(block.text)["scrape_configs"]:
            for target in job["static_configs"]:
                for address in target["targets"]:
                    self.type(f"curl -s --fail http://{address}/metrics")


def raiseLoopback() -> None:
    """
    Enable the loopback interface of a new network namespace.
    """
    with socket.socket() as control:
        name = b"lo"
        # SIOCGIFFLAGS, SIOCSIFFLAGS and IFF_UP of Linux.
        answer = fcntl.ioctl(control, 0x8913, struct.pack("16sh14x", name, 0))
        (flags,) = struct.unpack_from("h", answer, 16)
        fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", name, flags | 1))


def main() -> None:
    """
    Run the page arguments on the command line.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", help="path of a page, for example docs/howto/policy.rst")
    parser.add_argument("--loopback", action="store_true", help="enable the loopback interface")
    parser.add_argument("--blocks", help="pickle file of the blocks of the page")
    parser.add_argument("--folder", help="folder to run it in (default: a temporary one)")
    arguments = parser.parse_args()
    if arguments.loopback:
        raiseLoopback()
    if arguments.blocks:
        blocks = pickle.loads(Path(arguments.blocks).read_bytes())
    else:
        blocks = allBlocks()[arguments.page]
    if arguments.folder:
        Reader(Path(arguments.folder)).play(blocks)
        return
    with TemporaryDirectory() as folder:
        Reader(Path(folder)).play(blocks)


if __name__ == "__main__":
    try:
        main()
    except PageError as problem:
        sys.exit(str(problem))
