"""
Tests of the dashboard in a real browser.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from twisted.logger import capturedLogs
from twisted.web.server import Request

from openfl_twisted.dashboard.adminhttp import ReadOnlyResource
from openfl_twisted.dashboard.page import DashboardService
from openfl_twisted.rooms.pubsub import IPubSub, PubSubState
from openfl_twisted.services import xmlserver
from tests.brokers.lossybroker import LossyBroker, LossyPubSub
from tests.clients.browser import CHROMIUM, Page, shown
from tests.clients.conftest import need
from tests.clients.test_browser import inBrowser
from tests.doubles import linesOf
from tests.live.peers import HOST, dial

pytestmark = pytest.mark.slow

ANY = f"tcp:0:interface={HOST}"

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
    Run a server with a dashboard in the block.

    @param page: receives the reports of the dashboard's page.
    @param acts: additional code for the page.
    @param arguments: additional arguments of the server.
    @param pubSub: sends messages to other servers, if any.
    @return: the port of the server, the URL of the dashboard, and the token.
    """
    options = xmlserver.Options()
    options.parseOptions([f"--listen={ANY}", f"--dashboard={ANY}", *arguments])
    options["broker"], options["presence"] = pubSub, None
    service: Any = xmlserver.makeService(options)
    [_, site] = service.services
    assert isinstance(site, DashboardService)
    root: Any = site.guard.wrappedFactory
    own = root.resource.children[b"dashboard.js"]
    root.resource.putChild(b"dashboard.js", Script(own, LOOK + acts))
    root.resource.putChild(b"report", page)
    with capturedLogs() as logs:
        service.startService()
    printed = "\n".join(linesOf(logs))
    [port] = re.findall(r"listening on \S+:(\d+)", printed)
    [(url, token)] = re.findall(r"dashboard on (\S+)#(\S+)", printed)
    try:
        yield int(port), url, token
    finally:
        await service.stopService()


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
