"""
Tests with the tutorial's client, compiled from one source to a native program, a page,
and a Flash program for Ruffle.
"""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol
from twisted.protocols.portforward import ProxyFactory, ProxyServer

from tests.clients.browser import opened
from tests.clients.conftest import OPENFL, need
from tests.clients.inbrowser import inBrowser
from tests.live import live
from tests.live.peers import HOST, run, theReactor
from tests.support.tutorial import TUTORIAL, board, player

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent / "tutorial"
CLIENTS = Path(__file__).parent
STEPS = ["step1", "step2", "step3"]

everyStep = pytest.mark.parametrize("step", STEPS)


def haxe(*arguments: str | Path) -> None:
    """
    Compile a program with a replacement of OpenFL's start-up.
    """
    subprocess.run(["haxe", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def walker(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """
    Compile the client of a step as a native program without graphics.

    @return: a function that returns its command.
    """
    need(shutil.which("haxe"), "haxe is not installed (apt-get install haxe neko)")
    need(shutil.which("neko"), "neko is not installed (apt-get install haxe neko)")
    need(OPENFL.exists(), "openfl is not installed (npm install --prefix tests/clients)")
    compiled = tmp_path_factory.mktemp("tutorial")

    def command(step: str) -> list[str]:
        program = compiled / f"{step}.n"
        # The last class path has priority. Walker.hx is next to the replacement of OpenFL
        # for pages.
        shutil.copy(HERE / "Walker.hx", compiled)
        paths = (OPENFL, CLIENTS / "native" / "shim", compiled, TUTORIAL / step)
        haxe(
            *(part for path in paths for part in ("-cp", path)), "-main", "Walker", "-neko", program
        )
        return [str(shutil.which("neko")), str(program)]

    return command


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, modules: Path) -> dict[str, Path]:
    """
    Compile the client of each step for HTML5 and for Flash.

    @return: the folders to serve.
    """
    need(shutil.which("haxe"), "haxe is not installed (apt-get install haxe)")
    compiled = tmp_path_factory.mktemp("pages")
    for step in STEPS:
        sources = ("-cp", HERE, "-cp", TUTORIAL / "client", "-cp", TUTORIAL / step, "-main", "Page")
        haxe(*sources, "-D", "html5", "-js", compiled / f"{step}.js")
    header = ("-swf-version", "11", "-swf-header", "384:408:30:ffffff")
    haxe(*sources, "-swf", compiled / "step3.swf", *header)
    return {
        "tutorial": HERE,
        "web": CLIENTS / "web",
        "compiled": compiled,
        "swf": compiled,
        "node_modules": modules,
    }


@everyStep
@live
async def test_native(walker: Callable[[str], list[str]], step: str) -> None:
    """
    A native program joins the board, displays another player that moves and leaves, and
    makes a move that the other one receives.
    """
    async with board(step) as port:
        other = await player(port)
        if step == "step1":
            other.send('<move x="3" y="4"/>')
            program = run(*walker(step), HOST, str(port), "1 3,4", "gone 1")
            found = await other.until('who="2"')
            found += await other.until('who="2"')
            fields = [re.findall(r'who="2" x="(\d+)" y="(\d+)"', message) for message in found]
        else:
            other.send('<join room="garden" name="Ann"/>', '<set key="at" value="3,4"/>')
            program = run(*walker(step), HOST, str(port), "Ann 3,4", "gone Ann")
            found = await other.until("<set")
            found += await other.until("<set")
            fields = [re.findall(r'value="(\d+),(\d+)"', message) for message in found]
        [(x, y)], [(further, same)] = [field for field in fields if field]
        assert abs(int(further) - int(x)) == 1
        assert same == y
        await other.end()
        assert await program.ended == 0, program.printed


@everyStep
@inBrowser
async def test_page(folders: dict[str, Path], step: str) -> None:
    """
    A page joins the board, and displays another player that moves and leaves.
    """
    async with (
        board(step) as port,
        opened(folders, "tutorial/html5.html", {"program": step, "port": port}) as page,
    ):
        other = await player(port)
        if step == "step1":
            await page.until("state", "connected")
            other.send('<move x="3" y="4"/>')
            await page.until("move", "2", 3, 4)
            await other.end()
            await page.until("gone", "2")
        else:
            other.send('<join room="garden" name="Ann"/>', '<set key="at" value="3,4"/>')
            await page.until("move", "Ann", 3, 4)
            await other.end()
            # In the third step, the membership is kept for a while.
            if step == "step2":
                await page.until("gone", "Ann")


@inBrowser
async def test_flash(folders: dict[str, Path]) -> None:
    """
    A Flash program in Ruffle joins the other players.
    """
    parameters = {"program": "step3"}
    async with board("step3") as port:
        parameters["port"] = str(port)
        async with opened(folders, "web/ruffle.html", parameters) as page:
            other = await player(port)
            other.send('<join room="garden" name="Ann"/>', '<set key="at" value="3,4"/>')
            await page.until("move", "Ann", 3, 4)
            await other.end()


@inBrowser
async def test_actionScript(modules: Path, tmp_path: Path) -> None:
    """
    The ActionScript program joins the other players, in the guide's page for Ruffle.
    """
    compiler = modules / "@apache-royale" / "royale-js" / "royale-asjs"
    need(compiler.exists(), "royale-js is not installed (npm install --prefix tests/clients)")
    need(shutil.which("java"), "java is not installed (apt-get install default-jre-headless)")
    (tmp_path / "empty.xml").write_text("<royale-config/>")
    library = compiler / "frameworks" / "libs" / "player" / "11.7" / "playerglobal.swc"
    subprocess.run(
        [
            *("java", f"-Droyalelib={compiler / 'frameworks'}"),
            *("-jar", compiler / "lib" / "compiler-mxmlc.jar"),
            f"-load-config={tmp_path / 'empty.xml'}",
            f"-external-library-path={library}",
            f"-source-path={HERE / 'as3'}",
            *("-target-player=11.7", "-swf-version=20", "-debug=false"),
            *(f"-output={tmp_path / 'game.swf'}", "--", TUTORIAL / "flash" / "Board.as"),
        ],
        check=True,
        capture_output=True,
    )
    (tmp_path / "node_modules").symlink_to(modules)
    page = (TUTORIAL.parent / "web" / "flash.html").read_text()
    async with board("step3") as port:
        load = f'{{ url: "game.swf", parameters: {{ port: "{port}" }} }}'
        text = page.replace("8080", str(port)).replace('"game.swf"', load)
        (tmp_path / "flash.html").write_text(text)
        other = await player(port)
        other.send('<join room="garden" name="Ann"/>', '<set key="at" value="3,4"/>')
        async with opened({"web": tmp_path}, "web/flash.html", {}):
            received = await other.until('key="at"')
            place = re.compile(r'<set name="[^"]+" key="at" value="\d+,\d+" />')
            assert place.search(received[-1]), received
        await other.end()


class DroppingProxy(ProxyFactory):
    """
    A proxy that can close all connections.
    """

    def __init__(self, port: int) -> None:
        super().__init__(HOST, port)
        self.connections: list[Protocol] = []

    def buildProtocol(self, addr: IAddress | None) -> ProxyServer | None:
        protocol = super().buildProtocol(addr)
        assert protocol is not None
        self.connections.append(protocol)
        return protocol

    def closeConnections(self) -> None:
        """
        Close the current connections.
        """
        for connection in self.connections:
            if connection.connected and connection.transport is not None:
                connection.transport.loseConnection()


@inBrowser
async def test_resume(folders: dict[str, Path]) -> None:
    """
    A page whose connection is lost resumes its membership. The other players are not
    notified of a leave.
    """
    async with board("step3") as serverPort:
        other = await player(serverPort)
        other.send('<join room="garden" name="Ann"/>', '<set key="at" value="3,4"/>')
        proxy = DroppingProxy(serverPort)
        port = await TCP4ServerEndpoint(theReactor(), 0, interface=HOST).listen(proxy)
        parameters = {"program": "step3", "port": port.getHost().port}
        async with opened(folders, "tutorial/html5.html", parameters) as page:
            await other.until("<set")
            await page.until("move", "Ann", 3, 4)
            [own] = [values[0] for kind, *values in page.reports if kind == "state"]
            proxy.closeConnections()
            await page.until("state", "reconnecting")
            page.reports.clear()
            await page.until("state", own)
            received = await other.until("<set")
            assert len(received) == 1
            await other.end()
        await port.stopListening()
