"""
A headless Chromium that is operated like a user does: with the mouse and the keyboard, at any
size of the window. The DevTools protocol is JSON with a NUL byte after each message.
"""

import base64
import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from tests.clients.browser import CHROMIUM, FLAGS, MAX_SHOWN, REPORT_TIMEOUT
from tests.live.peers import Process, pause, running, theReactor

_KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowDown": 40}
"""
The keys that tests press, and their codes.
"""


class Browser(Process):
    """
    A browser with one page.

    @ivar errors: the exceptions, and the violations of the content security policy, of the page.
    """

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[str] = []
        self._buffer = b""
        self._numbers = count(1)
        self._asked: dict[int, Deferred[dict[str, Any]]] = {}
        self._session: dict[str, str] = {}

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        if childFD != 4:
            super().childDataReceived(childFD, data)
            return
        *messages, self._buffer = (self._buffer + data).split(b"\0")
        for message in messages:
            self._received(json.loads(message))

    def _received(self, message: dict[str, Any]) -> None:
        if "id" in message:
            asked = self._asked.pop(message["id"])
            if "error" in message:
                asked.errback(AssertionError(message["error"]["message"]))
            else:
                asked.callback(message["result"])
        elif message["method"] == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(message["params"]["exceptionDetails"])[:MAX_SHOWN])
        elif message["method"] == "Log.entryAdded" and message["params"]["entry"]["source"] in (
            "security",
            "javascript",
        ):
            self.errors.append(message["params"]["entry"]["text"])

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """
        Send a command of the DevTools protocol.

        @return: the result.
        """
        number = next(self._numbers)
        asked: Deferred[dict[str, Any]] = Deferred()
        self._asked[number] = asked
        command = {"id": number, "method": method, "params": parameters, **self._session}
        self.transport.writeToChild(3, json.dumps(command).encode() + b"\0")
        return await asked.addTimeout(REPORT_TIMEOUT, theReactor())

    async def attach(self) -> None:
        """
        Select the page for all further commands.
        """
        targets = await self.ask("Target.getTargets")
        [page] = [each for each in targets["targetInfos"] if each["type"] == "page"]
        session = await self.ask("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = {"sessionId": session["sessionId"]}
        for domain in ("Runtime", "Log", "Page"):
            await self.ask(f"{domain}.enable")

    async def open(self, url: str, width: int, height: int, *, dark: bool = False) -> None:
        """
        Show a page in a window of this size.

        @param dark: whether the user prefers a dark theme.
        """
        await self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        await self.setDark(dark=dark)
        await self.ask("Page.navigate", url=url)

    async def setDark(self, *, dark: bool) -> None:
        """
        Set whether the user prefers a dark theme.
        """
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", features=[scheme])

    async def evaluate(self, expression: str) -> Any:
        """
        Evaluate an expression in the page.

        @return: the value.
        """
        found = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def wait(self, expression: str) -> Any:
        """
        Wait until an expression is true in the page.

        @return: the value.
        """
        try:
            # While the page is loading, its elements do not exist.
            while not (
                value := await self.evaluate(
                    f"(() => {{ try {{ return {expression} }} catch {{}} }})()"
                )
            ):
                await pause(0.05)
        except CancelledError:
            # The test has timed out.
            text = (await self.text("body"))[:MAX_SHOWN]
            raise AssertionError(f"{expression} is false; {self.errors} {text}") from None
        return value

    async def text(self, selector: str) -> str:
        """
        Return the visible text of an element.
        """
        return str(await self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    async def click(self, selector: str) -> None:
        """
        Scroll an element into view if needed, and click it with the mouse.
        """
        element = f"document.querySelector({json.dumps(selector)})"
        await self.wait(f"{element}.getClientRects().length")
        box = await self.evaluate(
            f"(() => {{ const element = {element};"
            " element.scrollIntoView({ block: 'nearest' });"
            " const box = element.getBoundingClientRect();"
            " return [box.left + box.width / 2, box.top + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.ask(
                "Input.dispatchMouseEvent",
                type=kind,
                x=box[0],
                y=box[1],
                button="left",
                clickCount=1,
            )

    async def press(self, key: str) -> None:
        """
        Press and release a key, such as C{"Tab"}.
        """
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            await self.ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=_KEYS[key],
                **(text if kind == "keyDown" else {}),
            )

    async def tabTo(self, condition: str) -> None:
        """
        Press the tabulator key until the focused element meets a condition.

        @param condition: an expression with the element as C{focused}.
        """
        for _ in range(200):
            await self.press("Tab")
            if await self.evaluate(f"(focused => {condition})(document.activeElement)"):
                return
        raise AssertionError(f"no focused element meets {condition}")

    async def picture(self, path: Path) -> None:
        """
        Write a picture of the window.
        """
        found = await self.ask("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(found["data"]))


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """
    Run a browser in the block.
    """
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser()
        flags = (*FLAGS, "--remote-debugging-pipe", f"--user-data-dir={profile}")
        # In a separate process group, all processes of the browser can be killed together.
        command = ("env", f"HOME={profile}", "setsid", CHROMIUM, *flags, "about:blank")
        theReactor().spawnProcess(
            browser,
            command[0],
            command,
            env=None,
            childFDs={0: "w", 1: "r", 2: "r", 3: "w", 4: "r"},
        )
        running.add(browser)
        group = browser.transport.pid
        try:
            await browser.attach()
            yield browser
        finally:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            await browser.ended
