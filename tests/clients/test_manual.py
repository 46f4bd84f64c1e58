"""
The search of the documentation, in a real browser.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.browser import CHROMIUM, opened
from tests.clients.conftest import WEB, need
from tests.clients.inbrowser import inBrowser
from tests.documentation.blocks import DOCS

pytestmark = pytest.mark.slow

FIRST = {
    "intermediate": "howto/tls",
    "certificate chain": "topics/certificates",
    "rate limit": "topics/limits",
    "graceful": "deploy/systemd",
    "heartbeat": "topics/limits",
    "keepalive": "topics/limits",
    "connection refused": "howto/troubleshooting",
    "troubleshooting": "howto/troubleshooting",
    "glossary": "reference/glossary",
    "FAQ": "howto/troubleshooting",
    "CORS": "howto/ruffle",
    "mypy": "howto/embed",
    "type hints": "howto/embed",
    "Docker": "deploy/container",
    "container": "deploy/container",
    "pid file": "reference/commands",
    "health check": "deploy/container",
    "backlog": "topics/limits",
    "subprotocol": "howto/browser",
    "ArrayCollection": "howto/flex",
    "BlazeDS": "howto/flex",
    "SmartFox": "howto/revive",
    "RTMP": "topics/scope",
    "broadcast": "howto/openfl",
    "multicast": "howto/openfl",
    "reload": "howto/xmlserver",
    "async": "howto/async",
    "asyncio": "howto/async",
    "FastAPI": "howto/async",
    "load test": "howto/load",
    "Windows": "topics/reactors",
    "2048": "howto/troubleshooting",
    "2044": "reference/errors",
    "login": "howto/handlers",
    "game loop": "howto/async",
    "PostgreSQL": "howto/async",
    "ban": "howto/access",
    "JSON": "howto/handlers",
    "zero downtime": "deploy/container",
    "hard-coded host": "howto/ruffle",
    "capturedLogs": "howto/testing",
    "registerProducer": "howto/embed",
}
"""
The pages that readers must find first, by the words that they search for.
"""


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Build the documentation without the API pages, which take a minute.
    """
    need(CHROMIUM, "chromium is not installed (apt-get install chromium)")
    folder = tmp_path_factory.mktemp("manual")
    subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-D", "extensions=optiontables", DOCS, folder],
        check=True,
        capture_output=True,
    )
    return folder


@inBrowser
async def test_search(manual: Path) -> None:
    """
    The first result of the search is the page about the word.
    """
    words: dict[str, Any] = {"word": [*FIRST]}
    async with opened({"web": WEB, "docs": manual}, "web/search.html", words) as page:
        reports = await page.until("done")
    found = {word: path for kind, word, path in reports[:-1] if kind == "found"}
    assert found == {word: f"/docs/{name}.html" for word, name in FIRST.items()}
