"""
Tests of the dashboard in a real browser.
"""

import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.web.resource import Resource
from twisted.web.server import Request

from openfl_twisted.dashboard.adminhttp import ReadOnlyResource
from openfl_twisted.rooms.pubsub import IPubSub, PubSubState
from openfl_twisted.services import bridge, xmlserver
from tests.brokers.lossybroker import LossyBroker, LossyPubSub
from tests.clients.browser import CHROMIUM, Page, shown
from tests.clients.conftest import need
from tests.clients.devtools import Browser, chromium
from tests.clients.inbrowser import inBrowser
from tests.clients.served import ROWS, Served, serve
from tests.live.peers import HOST, Buffered, dial, until

pytestmark = pytest.mark.slow

# The page sends no reports, so this script observes it and operates it like a user.
LOOK = """
const told = new Set();
function tell(...what) {
	const body = JSON.stringify(what);
	if (told.has(body)) return;
	told.add(body);
	fetch("/report", { method: "POST", body });
}
addEventListener("error", (event) => tell("error", event.message));
addEventListener("securitypolicyviolation", (event) => tell("error", event.violatedDirective));
function look() {
	const status = $("status").textContent;
	if (status !== "connecting") tell("status", status);
	const kinds = [...$("table").rows].map((row) => row.cells[1].textContent);
	if (!kinds.includes("")) tell("clients", ...kinds);
	for (const item of $("messages").children) tell("line", item.lastChild.textContent);
	if ($("said").textContent) tell("said", $("said").textContent);
	if (!document.querySelector("section.broker").hidden) tell("broker", $("broker").textContent);
	if (!document.querySelector(".missed").hidden) tell("missed", $("missed").textContent);
	const pen = $("chart").getContext("2d");
	const drawn = $("chart").width && pen.getImageData(0, 0, $("chart").width, $("chart").height);
	if (drawn && drawn.data.some((value) => value)) tell("drawn");
	act();
}
new MutationObserver(look).observe(
	document.body, { attributes: true, childList: true, subtree: true, characterData: true });
"""


class Script(ReadOnlyResource):
    """
    The dashboard's script with additional code.
    """

    def __init__(self, script: Any, more: str) -> None:
        super().__init__()
        self.script = script
        self.more = more

    def render_GET(self, request: Request) -> bytes:
        return bytes(self.script.render_GET(request)) + self.more.encode()


@asynccontextmanager
async def dashboard(
    page: Page, acts: str, *arguments: str, pubSub: IPubSub | None = None
) -> AsyncIterator[tuple[int, str, str]]:
    """
    Run a server whose dashboard reports to a page.

    @param page: receives the reports of the dashboard's page.
    @param acts: additional code for the page.
    @param arguments: additional arguments of the server.
    @param pubSub: sends messages to other servers, if any.
    @return: the port of the server, the URL of the dashboard, and the token.
    """
    async with serve(*arguments, pubSub=pubSub) as served:
        root = served.resource
        root.putChild(b"dashboard.js", Script(root.children[b"dashboard.js"], LOOK + acts))
        root.putChild(b"report", page)
        yield served.port, served.url, served.token


ACTS = """
let kicked = false;
function act() {
	if (told.has('["line","<b>hello</b>"]') && !told.has('["said","sent to 2"]')) {
		$("text").value = "<all/>";
		$("say").requestSubmit();
	} else if (told.has('["line","<all/>"]') && !kicked) {
		kicked = true;
		const kick = document.querySelector("button.kick");
		kick.click();
		kick.click();
	} else if (told.has('["clients","plain","plain"]') && !listening) {
		document.querySelector("button.listen").click();
	}
}
look();
"""

TYPE = """
let typed = false;
function act() {
	if (told.has('["status","enter the access token"]') && !typed) {
		typed = true;
		$("token").value = "wrong";
		$("login").requestSubmit();
	}
}
look();
"""


@inBrowser
async def test_page() -> None:
    """
    The page shows two clients and a chart. It shows a message of one client as text,
    sends a message to both, and disconnects one.
    """
    need(CHROMIUM, "chromium is not installed (apt-get install chromium)")
    page = Page({})
    async with dashboard(page, ACTS) as (port, url, token):
        clients = [await dial(port) for _ in "ab"]
        for client in clients:
            client.send(b"\0")
        async with shown(page, f"{url}#{token}"):
            await page.until("clients", "plain", "plain")
            await page.until("line", "listening")
            clients[1].send(b"<b>hello</b>\0")
            await page.until("line", "<b>hello</b>")
            await page.until("said", "sent to 2")
            for client in clients:
                await client.until(b"<all/>\0")
            await clients[1].untilLost()
            await page.until("line", "the client has disconnected")
            await page.until("clients", "plain")
            await page.until("drawn")
            assert ["status", "connected"] in page.reports
            assert not [report for report in page.reports if report[0] == "error"]
        await clients[0].close()


@inBrowser
async def test_broker() -> None:
    """
    The page shows the state of the broker, and the number of lost messages if there
    are any.
    """
    need(CHROMIUM, "chromium is not installed (apt-get install chromium)")
    page = Page({})
    broker = LossyBroker()
    here, there = LossyPubSub(broker), LossyPubSub(broker)
    here.subscribe("a", lambda payload: None)
    await there.start()
    idle = "function act() {}\nlook();"
    async with dashboard(page, idle, "--rooms=xml", pubSub=here) as (_, url, token):
        there.publish("a", b"1")
        async with shown(page, f"{url}#{token}"):
            await page.until("broker", "up")
            assert not [report for report in page.reports if report[0] == "missed"]
            broker.copies = 0
            for _ in range(3):
                there.publish("a", b"lost")
            broker.cut()
            await page.until("broker", "down")
            broker.mend()
            broker.copies = 1
            there.publish("a", b"2")
            await page.until("missed", "3")
            assert here.state is PubSubState.UP
            assert not [report for report in page.reports if report[0] == "error"]
    await there.stop()


@inBrowser
async def test_token() -> None:
    """
    Without the token the page shows nothing and asks for it; the entered token is
    verified.
    """
    need(CHROMIUM, "chromium is not installed (apt-get install chromium)")
    page = Page({})
    async with dashboard(page, TYPE) as (port, url, _):
        client = await dial(port)
        client.send(b"\0")
        async with shown(page, url):
            await page.until("status", "enter the access token")
            await page.until("status", "wrong dashboard token")
            assert ["clients", "plain"] not in page.reports
        await client.close()


SIZES = pytest.mark.parametrize(
    ("width", "height"), [(1280, 720), (390, 844)], ids=["desktop", "phone"]
)

OVERFLOWS = "document.documentElement.scrollWidth > innerWidth"
IN_VIEW = """(() => {
	const box = document.getElementById("listening").getBoundingClientRect();
	const isVisible = box.top > -1 && box.bottom < innerHeight + 1 && box.right <= innerWidth;
	return isVisible && box.height > 200;
})()"""


@asynccontextmanager
async def opened(
    *arguments: str, width: int = 1280, height: int = 720, module: Any = xmlserver
) -> AsyncIterator[tuple[Served, Browser]]:
    """
    Run a server, and show its dashboard in a browser. The page must have no errors.
    """
    need(CHROMIUM, "chromium is not installed (apt-get install chromium)")
    async with serve(*arguments, module=module) as served, chromium() as browser:
        await browser.open(f"{served.url}#{served.token}", width, height)
        await browser.wait("document.getElementById('main').hidden === false")
        yield served, browser
        assert browser.errors == []


@asynccontextmanager
async def clients(port: int, *messages: bytes) -> AsyncIterator[list[Buffered]]:
    """
    Connect a client for each message, which it sends.
    """
    async with AsyncExitStack() as stack:
        found = []
        for message in messages:
            client = await dial(port)
            stack.push_async_callback(client.close)
            client.send(message)
            found.append(client)
        yield found


async def rowsShown(browser: Browser, count: int) -> None:
    """
    Wait until the page shows a number of clients.
    """
    await browser.wait(f"{ROWS}.length === {count}")


@SIZES
@inBrowser
async def test_listen(width: int, height: int) -> None:
    """
    The messages of the last client in a long list are visible immediately, beside the table
    or on the whole phone. The page never scrolls horizontally.
    """
    async with (
        opened(width=width, height=height) as (served, browser),
        clients(served.port, *[b"\0"] * 30) as connected,
    ):
        await rowsShown(browser, 30)
        assert not await browser.evaluate(OVERFLOWS)
        await browser.click("#table tr:last-child .listen")
        assert await browser.wait(IN_VIEW)
        assert not await browser.evaluate(OVERFLOWS)
        connected[0].send(b"<b>hello</b>\0")
        await browser.wait("document.getElementById('messages').innerText.includes('<b>hello</b>')")
        assert await browser.evaluate(IN_VIEW)
        await browser.click("#stop")
        await browser.wait("document.activeElement.className === 'listen'")


@inBrowser
async def test_sort() -> None:
    """
    A click on a heading sorts by this column, a second click in the other order. On a phone,
    the column is selected from a list.
    """
    first = f"{ROWS}[0].querySelector('.bytesIn').textContent"
    sorting = "document.querySelector('th.bytesIn').ariaSort"
    async with (
        opened() as (served, browser),
        clients(served.port, b"a\0", b"abcdef\0", b"abc\0"),
    ):
        await rowsShown(browser, 3)
        await browser.wait(f"{first} === '4 B'")
        await browser.click("th.bytesIn button")
        await browser.wait(f"{first} === '7 B'")
        assert await browser.evaluate(sorting) == "descending"
        await browser.click("th.bytesIn button")
        await browser.wait(f"{first} === '2 B'")
        assert await browser.evaluate(sorting) == "ascending"
        await browser.open(served.url, 390, 844)
        await rowsShown(browser, 3)
        assert not await browser.evaluate("document.querySelector('thead').getClientRects().length")
        await browser.evaluate(
            "(() => { const sort = document.getElementById('sort'); sort.value = 'bytesIn';"
            " sort.dispatchEvent(new Event('change')); })()"
        )
        await browser.wait(f"{first} === '7 B'")
        await browser.click("#reverse")
        await browser.wait(f"{first} === '2 B'")


@SIZES
@inBrowser
async def test_rooms(width: int, height: int) -> None:
    """
    A click on a room shows its members as text. Closing it takes two clicks; the members are
    notified, and the room disappears.
    """
    join = '<join room="{}" name="{}"/>\0'
    joins = [join.format("&lt;i>go&lt;/i>", name).encode() for name in ("Ann", "&lt;b>Ben")]
    async with (
        opened("--rooms=xml", width=width, height=height) as (served, browser),
        clients(served.port, *joins, join.format("chess", "Cleo").encode()) as connected,
    ):
        await browser.wait("document.querySelectorAll('#roomlist button').length === 2")
        await browser.click("#roomlist li:first-child button")
        await browser.wait("document.querySelectorAll('#members li').length === 2")
        members = await browser.text("#members")
        assert "Ann" in members and "<b>Ben" in members and "client 1" in members
        assert await browser.text("#roomhead") == "<i>go</i>"
        assert not await browser.evaluate(OVERFLOWS)
        await browser.click("#closeroom")
        assert await browser.text("#closeroom") == "Sure?"
        await browser.click("#closeroom")
        for client in connected[:2]:
            await client.until(b'<error code="closed">')
        await browser.wait("document.querySelectorAll('#roomlist button').length === 1")
        await browser.wait("document.getElementById('room').hidden")
        assert b"closed" not in connected[2].received


class Blocks(Resource):
    """
    The commands to block and unblock an address, and the list of blocked addresses.
    """

    isLeaf = True

    def __init__(self, served: Served) -> None:
        super().__init__()
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.blocked: list[dict[str, Any]] | None = None
        state: Any = served.site.state
        describe = state.describe
        state.describe = lambda view: {**describe(view), "blocked": self.blocked}
        for name in (b"block", b"unblock"):
            served.resource.putChild(name, self)

    def render_POST(self, request: Request) -> bytes:
        assert request.content is not None and request.path is not None
        asked = json.load(request.content)
        name = request.path.decode().strip("/")
        self.received.append((name, asked))
        self.blocked = []
        if name == "block":
            until = time.time() + asked["seconds"]
            reason = asked["reason"]
            self.blocked = [{"address": asked["address"], "until": until, "reason": reason}]
        return b"{}"


@SIZES
@inBrowser
async def test_block(width: int, height: int) -> None:
    """
    The address of a client is blocked for a time, and shown until it is no longer blocked. If
    the server cannot block addresses, the button is hidden.
    """
    async with (
        opened(width=width, height=height) as (served, browser),
        clients(served.port, b"\0"),
    ):
        await rowsShown(browser, 1)
        blocks = Blocks(served)
        await browser.wait("document.querySelector('.block').hidden")
        blocks.blocked = []
        await browser.wait("!document.querySelector('.block').hidden")
        await browser.click("#table .block")
        await browser.wait("document.getElementById('blocking').open")
        assert HOST in await browser.text("#blockinghead")
        await browser.evaluate("document.getElementById('blockreason').value = '<i>spam</i>'")
        await browser.click("#block button")
        await browser.wait("document.querySelector('#blocks li')")
        assert not await browser.evaluate("document.getElementById('blocking').open")
        body = {"address": HOST, "seconds": 3600, "reason": "<i>spam</i>"}
        assert blocks.received == [("block", body)]
        shown = await browser.text("#blocks")
        assert HOST in shown and "<i>spam</i>" in shown
        assert not await browser.evaluate(OVERFLOWS)
        await browser.click("#blocks .unblock")
        await browser.wait("!document.querySelector('#blocks li')")
        assert blocks.received[1:] == [("unblock", {"address": HOST})]


@SIZES
@inBrowser
async def test_keyboard(width: int, height: int) -> None:
    """
    A user without a mouse listens to a client, closes the panel, and disconnects the client.
    The focus is visible, and returns to the button, or to the next client.
    """
    async with (
        opened(width=width, height=height) as (served, browser),
        clients(served.port, b"\0", b"\0") as connected,
    ):
        await rowsShown(browser, 2)
        await browser.tabTo("focused.className === 'listen'")
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert await browser.evaluate(outline) == "solid"
        await browser.press("Enter")
        await browser.wait("document.activeElement.id === 'listeninghead'")
        assert await browser.evaluate(IN_VIEW)
        await browser.press("Tab")
        assert await browser.evaluate("document.activeElement.id") == "stop"
        await browser.press("Enter")
        await browser.wait("document.activeElement.className === 'listen'")
        await browser.press("Tab")
        assert await browser.evaluate("document.activeElement.className") == "kick"
        await browser.press("Enter")
        assert await browser.evaluate("document.activeElement.textContent") == "Sure?"
        await browser.press("Enter")
        await connected[1].untilLost()
        await rowsShown(browser, 1)
        assert await browser.evaluate("document.activeElement.className") == "listen"
        if width > 1000:
            await browser.evaluate("document.activeElement.blur()")
            await browser.tabTo("focused.textContent === 'address'")
            await browser.press("Enter")
            await browser.wait("document.querySelector('th.address').ariaSort === 'ascending'")


@inBrowser
async def test_focus() -> None:
    """
    A focused button keeps the focus when its row moves.
    """
    async with (
        opened() as (served, browser),
        clients(served.port, b"abc\0", b"a\0") as connected,
    ):
        await rowsShown(browser, 2)
        await browser.click("th.bytesIn button")
        first = f"{ROWS}[0].querySelector('.bytesIn').textContent"
        await browser.wait(f"{first} === '4 B'")
        # Rows do not move while the mouse pointer is over them.
        await browser.ask("Input.dispatchMouseEvent", type="mouseMoved", x=0, y=0)
        await browser.tabTo("focused.className === 'kick'")
        row = "document.activeElement.closest('tr')"
        assert await browser.evaluate(f"{row}.rowIndex") == 1
        connected[1].send(b"x" * 100 + b"\0")
        await browser.wait(f"{row}.rowIndex === 2")
        assert await browser.evaluate("document.activeElement.className") == "kick"


@inBrowser
async def test_bridge() -> None:
    """
    The page of the bridge shows the messages between client and server.
    """
    async with (
        serve("--echo") as target,
        opened(f"--connect=tcp:{HOST}:{target.port}", module=bridge) as (served, browser),
        clients(served.port, b"<a/>\0") as [client],
    ):
        await rowsShown(browser, 1)
        await browser.click("#table .listen")
        await browser.wait("document.getElementById('messages').innerText.includes('listening')")
        client.send("<b>gr\u00fc\u00dfe</b>\0".encode())
        found = "document.querySelectorAll('#messages .{}').length"
        await browser.wait(f"{found.format('in')} && {found.format('out')}")
        assert (await browser.text("#messages")).count("<b>gr\u00fc\u00dfe</b>") == 2


@inBrowser
async def test_export(tmp_path: Path) -> None:
    """
    The page downloads a table as CSV, and everything as JSON.
    """
    async with (
        opened() as (served, browser),
        clients(served.port, b"\0"),
    ):
        await rowsShown(browser, 1)
        await browser.ask("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
        await browser.click("#csv")
        await browser.wait("document.getElementById('saved').textContent.includes('clients.csv')")
        await browser.click("#json")
        await browser.wait("document.getElementById('saved').textContent.includes('.json')")
        files = [tmp_path / "clients.csv", tmp_path / "dashboard.json"]
        await until(lambda: all(each.exists() for each in files))
        assert "127.0.0.1:" in files[0].read_text()
        assert json.loads(files[1].read_text())["connected"] == 1


@inBrowser
async def test_hour() -> None:
    """
    A page opened now shows the history that the server has kept.
    """
    need(CHROMIUM, "chromium is not installed (apt-get install chromium)")
    async with serve() as served, chromium() as browser:
        state = served.site.state
        now = state.clock.seconds()
        for number in range(100):
            report = {"clients": 0, "totals": [number * 50] * 4, "lag": 0.0}
            state.history.add(now - 1000 + number * 10, {0: report}, {0})
        await browser.open(f"{served.url}#{served.token}", 1280, 720)
        await browser.wait("document.getElementById('main').hidden === false")
        await browser.evaluate("document.getElementById('span').value = '3600'")
        # The line of the sent messages is drawn in the last quarter of the hour.
        drawn = """(() => {
            const canvas = document.getElementById("chart");
            const { data } = canvas.getContext("2d").getImageData(
                canvas.width * 0.75, 0, canvas.width * 0.1, canvas.height);
            for (let at = 0; at < data.length; at += 4)
                if (Math.abs(data[at] - 0xb4) < 9 && Math.abs(data[at + 1] - 0x54) < 9) return true;
        })()"""
        await browser.wait(drawn)
        assert browser.errors == []


@SIZES
@inBrowser
async def test_reasons(width: int, height: int) -> None:
    """
    The page shows the numbers of refused and disconnected clients by reason. A limit with the
    same name for both has two rows.
    """
    async with (
        opened("--max-connections=2", width=width, height=height) as (served, browser),
        clients(served.port, b"\0", b"\0", b"\0"),
    ):
        state: Any = served.site.state
        state.server.served.cut["rate"] = 12
        state.server.guard.refusals["rate"] = 7
        await browser.wait("document.querySelectorAll('#reasons tr').length === 3")
        lines = (await browser.text("#reasons")).splitlines()
        assert [line.split()[0] for line in lines] == ["refused:", "refused:", "disconnected:"]
        assert [line.split()[-1] for line in lines] == ["1", "7", "12"]
        assert not await browser.evaluate(OVERFLOWS)
