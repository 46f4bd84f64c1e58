"""
Writes the pictures of the dashboard for the documentation: C{python -m tests.clients.pictures}.
With an argument, they are written to this folder, also in the dark theme.
"""

import math
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, react

from tests.clients.devtools import chromium
from tests.clients.served import ROWS, serve
from tests.frames import REQUEST, TEXT, frame
from tests.live.peers import dial

IMAGES = Path(__file__).parents[2] / "docs" / "images"

MEMBERS = [
    ("chess", "Ann"), ("lobby", "Ben"), ("harbour", "Cleo"), ("chess", "Dora"),
    ("lobby", "Emil"), ("harbour", "Frida"), ("chess", "Gus"), ("harbour", "Hugo"),
]  # fmt: skip


def messages(name: str) -> Iterator[str]:
    """
    Return the messages of a player.
    """
    step = 0
    while True:
        step += 1
        yield f'<move x="{(step * 37 + len(name)) % 640}" y="{(step * 53) % 480}"/>'
        yield f'<score points="{step % 9}"/>'
        if step % 5 == 0:
            yield "<say>gr\u00fc\u00dfe \u2013 next round?</say>"


def fillHistory(state: Any) -> None:
    """
    Add an hour of traffic to the history.
    """
    now, received, sent = state.clock.seconds(), 0.0, 0.0
    for number in range(360):
        load = 220 * (1.6 + math.sin(number / 40)) * (1 + 0.2 * math.sin(number * 1.7))
        received, sent = received + load, sent + 2 * load
        totals = [int(received), int(sent), int(20 * received), int(22 * sent)]
        report = {"clients": 8, "totals": totals, "lag": 0.001}
        state.history.add(now - 3600 + number * 10, {0: report}, {0})


async def draw(folder: Path, *, withDark: bool) -> None:
    """
    Write the pictures.

    @param withDark: whether to write them in the dark theme as well.
    """
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(serve("--rooms=xml", "--ping-interval=1"))
        browser = await stack.enter_async_context(chromium())
        state: Any = served.site.state
        state.server.service.commandName = "openfl-xml"
        state.server.service.hosts = [IPv4Address("TCP", "127.0.0.1", 8080)]
        fillHistory(state)
        for number, (room, name) in enumerate(MEMBERS):
            client = await dial(served.port)
            stack.push_async_callback(client.close)
            join = f'<join room="{room}" name="{name}"/>'
            isWebSocket = number % 2 == 1
            if isWebSocket:
                client.send(REQUEST.replace(b"GET /x/room?id=1", b"GET /"))
                await client.until(b"\r\n\r\n")

            def send(text: str, client: Any = client, isWebSocket: bool = isWebSocket) -> None:
                data = text.encode()
                client.send(frame(TEXT, data) if isWebSocket else data + b"\0")

            send(join)
            await client.until(b"<welcome")
            texts = messages(name)
            playing = LoopingCall(lambda texts=texts, send=send: send(next(texts)))
            playing.start(0.2 + 0.07 * number).addErrback(lambda _: None)
            stack.callback(playing.stop)
        url = f"{served.url}#{served.token}"
        await browser.open(url, 1280, 900)
        await browser.wait(f"{ROWS}.length === {len(MEMBERS)}")
        await browser.evaluate(
            "(() => { const span = document.getElementById('span'); span.value = '3600';"
            " span.dispatchEvent(new Event('change')); })()"
        )
        await browser.click("#roomlist li button")
        await browser.click("#table tr:nth-child(3) .listen")
        await browser.wait("document.querySelectorAll('#messages li').length > 15")
        await browser.evaluate("scrollTo(0, 0)")
        await browser.picture(folder / "dashboard.png")
        if withDark:
            await browser.setDark(dark=True)
            await browser.wait("document.querySelectorAll('#messages li').length > 25")
            await browser.picture(folder / "dashboard-dark.png")
            await browser.evaluate("scrollTo(0, 10000)")
            await browser.picture(folder / "dashboard-end.png")
            await browser.setDark(dark=False)
        await browser.open(url, 390, 844)
        await browser.wait(f"{ROWS}.length === {len(MEMBERS)}")
        await browser.evaluate("document.getElementById('split').scrollIntoView()")
        await browser.picture(folder / "dashboard-phone.png")
        if withDark:
            await browser.setDark(dark=True)
            await browser.evaluate("scrollTo(0, 0)")
            await browser.picture(folder / "dashboard-phone-dark.png")
            await browser.click("#table tr:nth-child(2) .listen")
            await browser.wait("document.querySelectorAll('#messages li').length > 8")
            await browser.picture(folder / "dashboard-phone-listen.png")
        assert browser.errors == []


def main(reactor: object, *arguments: str) -> Deferred[None]:
    """
    Write the pictures of the documentation, or those of a folder.
    """
    folder = Path(arguments[0]) if arguments else IMAGES
    return Deferred.fromCoroutine(draw(folder, withDark=bool(arguments)))


if __name__ == "__main__":
    react(main, sys.argv[1:])
