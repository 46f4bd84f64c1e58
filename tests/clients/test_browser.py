"""
Tests with OpenFL HTML5 programs, and Flash programs in Ruffle, as clients. Both run in
Chromium and connect by WebSocket.
"""

from pathlib import Path

import pytest
import trustme

from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.rule import AccessRule
from tests.clients.browser import opened
from tests.clients.conftest import WEB, Web
from tests.clients.inbrowser import ENDIANS, EXAMPLE, GREETING, NUMBERS, inBoth, inBrowser
from tests.clients.programs import ANY_PORT, Native, command, messages
from tests.live.peers import HOST, connectThrough, dial, pause, portOf, run, stop, twistd
from tests.support.brokers import REDIS, broker
from tests.support.ports import freePort
from tests.support.rooms import node

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Issue a certificate for the loopback interface.
    """
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    trustme.CA().issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(path)
    return path


@inBoth
@inBrowser
async def test_echo(web: Web, player: str) -> None:
    """
    Every message is echoed in order as a separate event: an empty one, one with non-ASCII
    characters, and one that the browser splits.
    """
    sent = ["<a/>", "", "gr\u00fc\u00dfe \u4e2d \U0001f600", "<b/>"]
    long = 200_000
    async with (
        command("openfl-xml", "--echo") as port,
        web(player, "XMLClient", port, message=sent, long=long) as page,
    ):
        await page.until("data", "x" * long)
        expected = [*sent, "x" * long]
        assert page.reports == [["connect", True], *(["data", text] for text in expected)]


@inBoth
@inBrowser
async def test_relay(web: Web, player: str) -> None:
    """
    A page and a TCP client exchange messages. Messages received together, and the
    server's EOF, are separate events.
    """
    sent = ["<a/>", "", "gr\u00fc\u00dfe", "<ask/>"]
    parameters = {"message": "<here/>", "ask": "<ask/>", "reply": "\u4e2d"}
    server = twistd("openfl-xml", ANY_PORT)
    port = await portOf(server)
    client = await dial(port)
    # The first bytes identify the client for the relay.
    client.send(b"<client/>\0")
    async with web(player, "XMLClient", str(port), **parameters) as page:
        await page.until("connect", True)
        await client.until(b"<here/>\0")
        client.send("".join(message + "\0" for message in sent).encode())
        await page.until("data", "<ask/>")
        await client.until("<here/>\0\u4e2d\0".encode())
        await stop(server)
        await page.until("close")
        expected = [["connect", True], *(["data", text] for text in sent), ["close"]]
        assert page.reports == expected
    await client.untilLost()


@inBrowser
async def test_everyClient(native: Native, web: Web) -> None:
    """
    One C{openfl-xml} port relays between a native program, OpenFL HTML5 and Ruffle at the
    same time.
    """
    ask = {"ask": "<native/>"}
    async with (
        command("openfl-xml") as port,
        web("html5", "XMLClient", port, reply="<html5/>", **ask) as html5,
    ):
        await html5.until("connect", True)
        # Ruffle reports the connection before it is established.
        ruffling = web("ruffle", "XMLClient", port, message="<here/>", reply="<ruffle/>", **ask)
        async with ruffling as ruffle:
            await html5.until("data", "<here/>")
            client = run(*native("XMLClient"), HOST, port, "2", "", "<native/>")
            assert sorted(await messages(client)) == ["<html5/>\0", "<ruffle/>\0"]
            await html5.until("data", "<ruffle/>")
            await ruffle.until("data", "<html5/>")
            assert html5.messages() == ["<here/>", "<native/>", "<ruffle/>"]
            assert ruffle.messages() == ["<native/>", "<html5/>"]


@inBrowser
async def test_pages(web: Web) -> None:
    """
    Two pages of OpenFL HTML5 exchange messages.
    """
    async with (
        command("openfl-xml") as port,
        web("html5", "XMLClient", port, ask="<hello/>", reply="<welcome/>") as one,
    ):
        await one.until("connect", True)
        async with web("html5", "XMLClient", port, message="<hello/>") as two:
            await two.until("data", "<welcome/>")
            # The report of the other page can arrive later.
            await one.until("data", "<hello/>")
            assert one.messages() == ["<hello/>"]


@inBoth
@inBrowser
async def test_numbers(web: Web, player: str) -> None:
    """
    A C{Socket} receives the greeting of C{openfl-echo} and its echoed numbers, in both
    byte orders.
    """
    async with command("openfl-echo") as port:
        for endian in ENDIANS:
            values = {"endian": endian, "greeting": GREETING}
            async with web(player, "NumbersClient", port, **values) as page:
                await page.until("numbers", *NUMBERS)
                assert page.reports[:2] == [["greeting", GREETING], ["numbers", *NUMBERS]]


@inBrowser
async def test_secure(web: Web, certificate: Path) -> None:
    """
    A secure C{Socket} of OpenFL HTML5 uses TLS from a page loaded by http.
    """
    values = {"endian": ENDIANS[0], "greeting": GREETING, "secure": ""}
    async with (
        command("openfl-echo", f"--tls-certificate={certificate}") as port,
        web("html5", "NumbersClient", port, **values) as page,
    ):
        await page.until("numbers", *NUMBERS)


@inBoth
@inBrowser
async def test_https(web: Web, certificate: Path, player: str) -> None:
    """
    A page loaded by https uses TLS, and exchanges messages with a plain client on the
    same port.
    """
    parameters = {"message": "<here/>", "ask": "<ask/>", "reply": "<reply/>", "secure": ""}
    async with command("openfl-xml", f"--tls-certificate={certificate}") as port:
        client = await dial(int(port))
        client.send(b"<client/>\0")
        async with web(player, "XMLClient", port, certificate=certificate, **parameters) as page:
            await page.until("connect", True)
            await client.until(b"<here/>\0")
            client.send(b"<ask/>\0")
            await client.until(b"<reply/>\0")
        await client.close()


@inBoth
@inBrowser
async def test_bridge(web: Web, player: str) -> None:
    """
    A page connects through C{openfl-bridge} to a TCP server. Messages received together
    are separate events.
    """
    sent = ["<a/>", "", "gr\u00fc\u00dfe", "<b/>"]
    async with (
        command("openfl-xml", "--echo", "--plain") as serverPort,
        command("openfl-bridge", f"--connect=tcp:{HOST}:{serverPort}") as port,
        web(player, "XMLClient", port, message=sent, long=1) as page,
    ):
        await page.until("data", "x")
        assert page.reports == [["connect", True], *(["data", text] for text in [*sent, "x"])]


@inBrowser
async def test_twoServers(native: Native, web: Web, tmp_path: Path) -> None:
    """
    A page and a native program share a room on two servers connected by Redis.
    """
    port = freePort()
    async with broker(REDIS, tmp_path, REDIS.command(port)):
        one, here = await node(REDIS, port, tmp_path, rooms="path")
        two, there = await node(REDIS, port, tmp_path, rooms="path")
        asked = {"message": "chess", "ask": "<ask/>", "reply": "<reply/>"}
        async with web("html5", "XMLClient", str(here), **asked) as page:
            await page.until("connect", True)
            # A message received on the other server shows that the client has joined and
            # that the servers are connected.
            observer = await dial(there)
            observer.send(b"chess\0")
            while not page.messages():
                observer.send(b"<here/>\0")
                await pause(0.1)
            client = run(*native("XMLClient"), HOST, str(there), "1", "", "chess", "<ask/>")
            assert await messages(client) == ["<reply/>\0"]
            assert page.messages()[-1] == "<ask/>"
        await stop(one)
        await stop(two)
        await observer.untilLost()


@inBoth
@inBrowser
async def test_origin(web: Web, player: str, tmp_path: Path) -> None:
    """
    A page is accepted if the policy file allows its domain, and refused otherwise. Ruffle
    reports a connection first, and no error.
    """
    policy = tmp_path / "policy.xml"
    refused = {"html5": [["ioError"], ["close"]], "ruffle": [["connect", True], ["close"]]}
    for domain in [HOST, "games.example"]:
        policy.write_bytes(PolicyFile((AccessRule(domain, "*"),)).toXML())
        async with (
            command("openfl-xml", "--echo", f"--policy={policy}") as port,
            web(player, "XMLClient", port, message="<a/>") as page,
        ):
            if domain == HOST:
                await page.until("data", "<a/>")
            else:
                await page.until("close")
                assert page.reports == refused[player]


@inBrowser
async def test_otherOrigin(modules: Path, tmp_path: Path) -> None:
    """
    A page from an origin that the policy file does not allow cannot send a message by any
    kind of request. Each request is answered, and other clients receive nothing.
    """
    policy = tmp_path / "policy.xml"
    policy.write_bytes(PolicyFile((AccessRule("games.example", "*"),)).toXML())
    async with command("openfl-xml", f"--policy={policy}") as port:
        one, other = await dial(int(port)), await dial(int(port))
        await connectThrough(one, other)
        query = {"port": port, "host": HOST}
        async with opened(
            {"web": WEB, "node_modules": modules}, "web/requests.html", query
        ) as page:
            reports = await page.until("done")
        assert ["POST", "answered"] in reports
        assert ["late", "answered"] in reports
        assert ["PUT", "failed"] in reports
        assert ["websocket", "failed"] in reports
        one.send(b"<end/>\0")
        assert b"attack" not in await other.until(b"<end/>\0")


# The page sends no reports, so this script observes it and operates it like a user.
OBSERVER_SCRIPT = """
<script>
new MutationObserver(() => {
	const shown = talk.lastChild.textContent;
	fetch("/report", { method: "POST", body: JSON.stringify([shown]) });
	if (shown === "Ben<i>hello</i>") {
		text.value = "<b>welcome</b>";
		document.querySelector("form").requestSubmit();
	}
}).observe(talk, { childList: true });
</script>
"""


@inBrowser
async def test_chat(modules: Path, tmp_path: Path) -> None:
    """
    The page of the example shows joins and received messages as plain text, XML or not,
    and sends the entered text.
    """
    (tmp_path / "chat.html").write_text((EXAMPLE / "chat.html").read_text() + OBSERVER_SCRIPT)
    (tmp_path / "node_modules").symlink_to(modules)
    async with command("openfl-xml") as port:
        client = await dial(int(port))
        client.send(b"<client/>\0")
        parameters = {"port": port, "name": "Ann"}
        async with opened({"web": tmp_path}, "web/chat.html", parameters) as page:
            await page.until("Annhas joined")
            await client.until(b'<message from="Ann">has joined</message>\0')
            client.send(b'<message from="Ben">&lt;i&gt;hello&lt;/i&gt;</message>\0')
            await page.until("Ben<i>hello</i>")
            await page.until("Ann<b>welcome</b>")
            await client.until(b'<message from="Ann">&lt;b&gt;welcome&lt;/b&gt;</message>\0')
            client.send(b"no XML\0")
            await page.until("unknownno XML")
        await client.close()


# Observes the page and operates it, like OBSERVER_SCRIPT.
PLAIN_SCRIPT = """
<script>
new MutationObserver(() => {
	const shown = document.querySelector("ul").lastChild.textContent;
	fetch("/report", { method: "POST", body: JSON.stringify([shown]) });
	if (shown === "welcome") {
		document.querySelector("input").value = "gr\u00fc\u00dfe";
		document.querySelector("form").requestSubmit();
	}
}).observe(document.querySelector("ul"), { childList: true });
</script>
"""


@inBrowser
async def test_plainPage(tmp_path: Path) -> None:
    """
    The page that uses C{WebSocket} directly exchanges text messages without NUL bytes with a
    native client.
    """
    (tmp_path / "plain.html").write_text((EXAMPLE / "plain.html").read_text() + PLAIN_SCRIPT)
    async with command("openfl-xml", "--farewell=bye") as port:
        client = await dial(int(port))
        client.send(b"<client/>\0")
        async with opened({"web": tmp_path}, "web/plain.html", {"port": port}) as page:
            await client.until(b"hello\0")
            client.send(b"welcome\0")
            await page.until("welcome")
            await client.until("gr\u00fc\u00dfe\0".encode())
        await client.close()
