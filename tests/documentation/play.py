"""
Plays a page of the documentation as a reader does: makes the files that it
shows, types its commands, and compares what comes.

C{python -m tests.documentation.play README.md}, in the folder of the project. It
takes the ports that the page names, so the tests give it a network of its own.
"""

import argparse
import doctest
import fcntl
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

from openfl_twisted.wire.policy.file import PolicyFile
from tests.documentation.blocks import DOCS, ROOT, Block, allBlocks
from tests.documentation.shell import (
    PATIENCE,
    TAKEN,
    Command,
    Wrong,
    commandsIn,
    matches,
    wait,
)

INSTALLS = re.compile(
    r"(\S*/)?(pip|npm) |apt-get |python3 -m venv |\. \S*activate|\S+ -m pytest|\S*nox "
    r"|\S+ -m benchmarks"
)
"""
What is not typed again while the tests run: what sets up the environment in which
they run, and the tests themselves; C{.ci/run} types it, from the README. And what
takes an hour.
"""

LONGER = 30
"""
How many seconds C{openfl-telnet} waits for a silent server when it is typed again.
"""

_assignment = re.compile(r"[A-Za-z_]+=(\S+|'[^']*'|\"[^\"]*\"|\$\(.*\))$")

LANGUAGES = {".py": "python", ".hx": "haxe", ".as": "actionscript", ".html": "html"}


def elsewhere(source: Path) -> bool:
    """
    Say whether a file of the documentation is run by a test of its own.
    """
    names = {source.name} | ({source.parent.name} if "tutorial" in source.parts else set())
    tests = [*ROOT.glob("tests/live/test_*.py"), *ROOT.glob("tests/clients/test_*.py")]
    return any(f'"{name}"' in path.read_text() for name in names for path in tests)


class Reader:
    """
    Does what the pages say, in a folder of his own.

    @ivar folder: if an environment is in it already, in C{.venv}, he uses that,
        and else the one that the tests are run with.
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
        # What the tests can import must not help what is installed.
        self.environment.pop("PYTHONPATH", None)
        self._makePossessions()

    def _makePossessions(self) -> None:
        """
        Make what the pages take for granted: certificates, and a policy file.
        """
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.folder / "ca.pem")
        server = authority.issue_cert("localhost", "127.0.0.1", "games.example")
        server.private_key_and_cert_chain_pem.write_to_path(self.folder / "certificate.pem")
        server.private_key_pem.write_to_path(self.folder / "key.pem")

    def play(self, blocks: list[Block]) -> None:
        """
        Do what the blocks say.
        """
        try:
            for block in blocks:
                if block.language != "text":
                    self._mustBeFine()
                self.take(block)
            self._mustBeFine()
            self._runTests()
            self._mustBeUsed()
            for command in self.typed:
                if "Traceback" in command.text:
                    raise Wrong(f"{command.line}:\n{command.text}")
        finally:
            self.stopAll()

    def _mustBeUsed(self) -> None:
        """
        Complain if a file is made that no command uses, nor another test.
        """
        for name, source in self._made.items():
            isTyped = any(Path(name).stem in command.line for command in self.typed)
            if not isTyped and (source is None or not elsewhere(source)):
                raise Wrong(f"{name} is made, and nothing is done with it")

    def stopAll(self) -> None:
        """
        End all servers.
        """
        for command in self.typed:
            command.stop()

    def take(self, block: Block) -> None:
        """
        Do what a block says.
        """
        kind = getattr(self, f"_take_{block.language}", None)
        if kind is None:
            raise Wrong(f"{block}: nobody runs this")
        if block.source is not None:
            self._included(block, block.source)
        if block.caption:
            file = self.folder / block.caption
            file.parent.mkdir(exist_ok=True, parents=True)
            # All of it: what is shown can be a part.
            text = block.text + "\n" if block.source is None else block.source.read_text()
            file.write_text(text)
            self._made[block.caption] = block.source
        try:
            kind(block)
        except Exception as problem:
            raise Wrong(f"{block}: {problem}") from problem

    def _included(self, block: Block, source: Path) -> None:
        """
        Look at a file of which a page shows something.
        """
        language = LANGUAGES.get(source.suffix)
        if language not in (None, block.language) and source.suffix != ".html":
            raise Wrong(f"{block}: {source.name} should be shown as {language}")
        if not (elsewhere(source) or block.caption):
            raise Wrong(f"{block}: no test runs {source.name}")

    # What is typed, and what comes

    def _mustBeFine(self) -> None:
        """
        Complain if the last block has failed, and the page does not show how.
        """
        if self._failed is not None:
            raise Wrong(self._failed)

    def _take_sh(self, block: Block) -> None:
        if not block.hidden:
            self._latest = []
        for line in commandsIn(block.text):
            self._mustBeFine()
            if _assignment.match(line):
                self._assign(line)
            else:
                self.type(line)
            if block.hidden:
                self._mustBeFine()

    def _assign(self, line: str) -> None:
        """
        Set a variable of the shell for what comes.
        """
        name = line.partition("=")[0]
        command = ["bash", "-c", f'{line}; printf %s "${name}"']
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        self.environment[name] = done.stdout

    def type(self, line: str) -> None:
        """
        Type a command, and wait until it has ended or listens.
        """
        rest = self._withoutInstalling(line)
        if not rest:
            return
        command = Command(rest, self.folder, self.environment)
        self._settle(command)
        if command.status and TAKEN.search(command.printed):
            # Another way to do the same: the reader ends the first one.
            self.stopAll()
            command = Command(rest, self.folder, self.environment)
            self._settle(command)
        self.typed.append(command)
        self._latest.append(command)
        if command.status:
            self._failed = f"{rest}: status {command.status}\n{command.text}"

    def _settle(self, command: Command) -> None:
        try:
            wait(command.settled, PATIENCE, f"{command.line} has not ended, nor does it listen")
        except Wrong:
            command.stop()
            raise

    def _withoutInstalling(self, line: str) -> str:
        """
        Leave out what installs.
        """
        rest = []
        for part in line.split(" && "):
            if not INSTALLS.match(part):
                rest.append(part)
                continue
            for extra in re.findall(r"\[(\w+)\]", part):
                if extra not in (metadata("openfl-twisted").get_all("Provides-Extra") or []):
                    raise Wrong(f"{part}: there is no extra {extra}")
        return " && ".join(rest)

    def _take_text(self, block: Block) -> None:
        """
        Look for what a page says that comes: from a command of the last block, or
        from a server. A command that was meant to fail has failed as it should.
        """
        if block.source is not None:
            # A file that another program reads.
            return
        listening = [command for command in self.typed if command.status is None]
        heard = [*self._latest, *listening]

        def printed() -> bool:
            return any(matches(block.text, each.text) for each in heard)

        def mayCome() -> bool:
            return not printed() and not all(each.silent for each in heard)

        with suppress(Wrong):
            wait(lambda: not mayCome(), PATIENCE, "")
        if not printed():
            heard += self._typeAgain()
        if not printed():
            everything = "\n".join(each.text for each in heard)
            raise Wrong(f"nobody prints this; there was\n{everything}")
        self._failed = None

    def _typeAgain(self) -> list[Command]:
        """
        Type again each C{openfl-telnet} of the last block, with more time for the
        server: C{--wait} of the page is right for a machine that is not busy.

        @return: the commands that have been typed.
        """
        before = len(self._latest)
        for command in self._latest[:before]:
            if command.status == 0 and "openfl-telnet " in command.line:
                line = re.sub(r" --wait \S+", "", command.line)
                self.type(line.replace("openfl-telnet ", f"openfl-telnet --wait {LONGER} "))
        return self._latest[before:]

    # Programs

    def _take_python(self, block: Block) -> None:
        if block.source is None and not block.caption:
            self._run(block)
        elif block.caption:
            compile(block.text, block.caption, "exec")

    def _run(self, block: Block) -> None:
        """
        Run a part of a program, with the parts before it: what a page has imported
        is not imported again. Tests run once, at the end of the page.
        """
        self._parts.append(block.text)
        if re.search(r"^ *(async )?def test_", block.text, re.MULTILINE):
            self._tests = block
        else:
            self._runParts()

    def _runTests(self) -> None:
        """
        Run the tests of the page by pytest.
        """
        if self._tests is not None:
            try:
                self._runParts("-m", "pytest", "-q", "-p", "no:cacheprovider")
            except Wrong as problem:
                raise Wrong(f"{self._tests} and the blocks before it: {problem}") from problem

    def _runParts(self, *how: str) -> None:
        """
        Run all parts so far.
        """
        program = self.folder / "test_page.py"
        program.write_text("\n\n".join(self._parts))
        done = subprocess.run(
            [sys.executable, "-W", "error", *how, program],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        if done.returncode:
            raise Wrong(done.stdout + done.stderr)

    def _take_pycon(self, block: Block) -> None:
        test = doctest.DocTestParser().get_doctest(block.text, self._names, str(block), None, 0)
        report: list[str] = []
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        test.globs = self._names
        doctest.DocTestRunner(optionflags=flags).run(test, out=report.append, clear_globs=False)
        if report:
            raise Wrong("".join(report))

    def _ofFile(self, block: Block) -> None:
        """
        Take a language that is only shown from files: a test runs each of them.
        """
        if block.source is None:
            raise Wrong("this must be a file under docs/examples that a test runs")

    _take_haxe = _take_actionscript = _take_javascript = _take_html = _ofFile
    _take_nginx = _take_ini = _ofFile

    # Data

    def _take_xml(self, block: Block) -> None:
        if "<cross-domain-policy" in block.text:
            PolicyFile.fromXML(block.text.encode())
        else:
            # It stands in our own documentation, so it is no attack.
            XML(block.text)

    def _take_toml(self, block: Block) -> None:
        tomllib.loads(block.text)
        if not block.caption:
            raise Wrong("this needs a caption, so that a command can use it")

    def _take_yaml(self, block: Block) -> None:
        for job in yaml.safe_load(block.text)["scrape_configs"]:
            for target in job["static_configs"]:
                for address in target["targets"]:
                    self.type(f"curl -s --fail http://{address}/metrics")


def raiseLoopback() -> None:
    """
    Switch the loopback of a new network on.
    """
    with socket.socket() as control:
        name = b"lo"
        # SIOCGIFFLAGS, SIOCSIFFLAGS and IFF_UP of Linux.
        answer = fcntl.ioctl(control, 0x8913, struct.pack("16sh14x", name, 0))
        (flags,) = struct.unpack_from("h", answer, 16)
        fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", name, flags | 1))


def main() -> None:
    """
    Play a page.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", help="a page, as docs/howto/policy.rst")
    parser.add_argument("--loopback", action="store_true", help="switch the loopback on first")
    parser.add_argument("--blocks", help="a file with the blocks of the page, which saves time")
    parser.add_argument("--folder", help="where to play it, instead of in one that is empty")
    given = parser.parse_args()
    if given.loopback:
        raiseLoopback()
    if given.blocks:
        blocks = pickle.loads(Path(given.blocks).read_bytes())
    else:
        blocks = allBlocks()[given.page]
    if given.folder:
        Reader(Path(given.folder)).play(blocks)
        return
    with TemporaryDirectory() as folder:
        Reader(Path(folder)).play(blocks)


if __name__ == "__main__":
    try:
        main()
    except Wrong as problem:
        sys.exit(str(problem))
