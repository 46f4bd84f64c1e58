"""
OpenFL HTML5 programs, and Flash programs in Ruffle, as clients: both run in
Chromium, which reaches the same ports by WebSocket.
"""

import functools
from pathlib import Path

import pytest
import trustme

from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.rule import AccessRule
from tests.clients.browser import opened
from tests.clients.conftest import WEB, Web
from tests.clients.test_native import ANY_PORT, Native, command, messages
from tests.live import live
from tests.live.peers import HOST, connectThrough, dial, pause, portOf, run, stop, twistd
from tests.live.test_brokers import REDIS, broker, freePort
from tests.live.test_rooms import node

pytestmark = pytest.mark.slow

# Longer than a page waits for a report, for that failure says more.
inBrowser = functools.partial(live, patience=600)

inBoth = pytest.mark.parametrize("player", ["html5", "ruffle"])

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "web"
ENDIANS = ["bigEndian", "littleEndian"]
GREETING = "Connected.Echo -- "
NUMBERS = [True, -2, -30562, -2076553554, 0.5, 8090.76, "\u00e9!"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Issue a certificate for this machine.
    """
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    trustme.CA().issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(path)
    return path


@inBoth
@inBrowser
async def test_echo(web: Web, player: str) -> None:
    """
    Every message comes back as an event of its own and in order: an empty one,
    one that is not ASCII, and one so long that the browser cuts it.
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
    A page and a TCP client exchange messages, and what that sends in one piece
    comes to the page as separate events; so does the end of the server.
    """
    sent = ["<a/>", "", "gr\u00fc\u00dfe", "<ask/>"]
    parameters = {"message": "<here/>", "ask": "<ask/>", "reply": "\u4e2d"}
    server = twistd("openfl-xml", ANY_PORT)
    port = await portOf(server)
    client = await dial(port)
    # The relay takes it in with its first bytes.
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
    One C{openfl-xml} on one port relays between a native program, OpenFL HTML5
    and Ruffle, all at the same time.
    """
    ask = {"ask": "<native/>"}
    async with (
        command("openfl-xml") as port,
        web("html5", "XMLClient", port, reply="<html5/>", **ask) as html5,
    ):
        await html5.until("connect", True)
        # To Ruffle it is connected before it is.
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
            assert one.messages() == ["<hello/>"]


@inBoth
@inBrowser
async def test_numbers(web: Web, player: str) -> None:
    """
    A C{Socket} gets the greeting of C{openfl-echo} and then its own numbers
    again, in both byte orders.
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
    A C{Socket} of OpenFL HTML5 with C{secure} speaks TLS from a page that has
    come by plain http.
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
    A page that has come by https speaks TLS, and exchanges messages with a
    client on the same port that speaks none.
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
    Through C{openfl-bridge} a page reaches a server that only speaks TCP. What
    that sends in one piece comes as separate events.
    """
    sent = ["<a/>", "", "gr\u00fc\u00dfe", "<b/>"]
    async with (
        command("openfl-xml", "--echo", "--plain") as behind,
        command("openfl-bridge", f"--connect=tcp:{HOST}:{behind}") as port,
        web(player, "XMLClient", port, message=sent, long=1) as page,
    ):
        await page.until("data", "x")
        assert page.reports == [["connect", True], *(["data", text] for text in [*sent, "x"])]


@inBrowser
async def test_twoServers(native: Native, web: Web, tmp_path: Path) -> None:
    """
    A page on one server and a native program on another one are in one room,
    joined by Redis.
    """
    port = freePort()
    async with broker(REDIS, tmp_path, REDIS.command(port)):
        one, here = await node(REDIS, port, tmp_path, rooms="path")
        two, there = await node(REDIS, port, tmp_path, rooms="path")
        asked = {"message": "chess", "ask": "<ask/>", "reply": "<reply/>"}
        async with web("html5", "XMLClient", str(here), **asked) as page:
            await page.until("connect", True)
            # Who is heard there is in the room, and what is said there is heard here.
            witness = await dial(there)
            witness.send(b"chess\0")
            while not page.messages():
                witness.send(b"<here/>\0")
                await pause(0.1)
            client = run(*native("XMLClient"), HOST, str(there), "1", "", "chess", "<ask/>")
            assert await messages(client) == ["<reply/>\0"]
            assert page.messages()[-1] == "<ask/>"
        await stop(one)
        await stop(two)
        await witness.untilLost()


@inBoth
@inBrowser
async def test_origin(web: Web, player: str, tmp_path: Path) -> None:
    """
    A page is let in if the policy file permits its domain, and refused if not;
    Ruffle is not told why, and takes itself for connected first.
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
    A page whose origin the policy file does not allow cannot send a message by any
    kind of request: each is answered, and other clients receive nothing.
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


# The page does not report, so it is looked at; and it is used as by hand.
LOOK = """
<script>
new MutationObserver(() => {
	const said = talk.lastChild.textContent;
	fetch("/report", { method: "POST", body: JSON.stringify([said]) });
	if (said === "Ben<i>hello</i>") {
		text.value = "<b>welcome</b>";
		document.querySelector("form").requestSubmit();
	}
}).observe(talk, { childList: true });
</script>
"""


@inBrowser
async def test_chat(modules: Path, tmp_path: Path) -> None:
    """
    The example's page says who has come, shows what others say, as text only,
    whether it is XML or not, and sends what is typed.
    """
    (tmp_path / "chat.html").write_text((EXAMPLE / "chat.html").read_text() + LOOK)
    (tmp_path / "node_modules").symlink_to(modules)
    async with command("openfl-xml") as port:
        client = await dial(int(port))
        client.send(b"<client/>\0")
        parameters = {"port": port, "name": "Ann"}
        async with opened({"web": tmp_path}, "web/chat.html", parameters) as page:
            await page.until("Annhas come")
            await client.until(b'<message from="Ann">has come</message>\0')
            client.send(b'<message from="Ben">&lt;i&gt;hello&lt;/i&gt;</message>\0')
            await page.until("Ben<i>hello</i>")
            await page.until("Ann<b>welcome</b>")
            await client.until(b'<message from="Ann">&lt;b&gt;welcome&lt;/b&gt;</message>\0')
            client.send(b"no XML\0")
            await page.until("somebodyno XML")
        await client.close()
