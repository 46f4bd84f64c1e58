"""
A web page and its game on one port, in Chromium.
"""

import ast
import functools
from pathlib import Path

import pytest
import trustme
from twisted.web.server import Site

from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.tls.server import ServerCertificates
from tests.clients.browser import CHROMIUM, Page, shown
from tests.clients.conftest import need
from tests.live import live
from tests.live.peers import HOST, serving, until

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "webpages.py"

# Sends a message as a user does, and reports the message that the page shows.
SCRIPT = """
<script>
socket.addEventListener("open", () => {
	input.value = "hello";
	document.querySelector("form").requestSubmit();
});
socket.addEventListener("message", () => {
	const text = document.body.lastElementChild.textContent;
	fetch("/", {method: "POST", body: JSON.stringify(["shown", text])});
});
</script>
"""


def pageOf(example: Path) -> str:
    """
    Return the page in an example.
    """
    [page] = [
        ast.literal_eval(node.value)
        for node in ast.parse(example.read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        if node.targets[0].id == "PAGE"
    ]
    text: bytes = page % 0
    return text.decode()


@pytest.mark.parametrize("scheme", ["http", "https"])
@functools.partial(live, patience=600)
async def test_chat(tmp_path: Path, scheme: str) -> None:
    """
    The page of the example connects to the port from which it was loaded, and shows the answer
    to its message.
    """
    need(CHROMIUM, "Chromium is not installed (apt-get install chromium)")
    (tmp_path / "index.html").write_text(pageOf(EXAMPLE) + SCRIPT)
    certificate = tmp_path / "server.pem"
    trustme.CA().issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(certificate)
    page = Page({"chat": tmp_path})
    game = XMLSocketFactory(EchoProtocol)
    factory = OnePortFactory(
        game, http=Site(page), tls=ServerCertificates(str(certificate), None).connectionCreator()
    )
    async with (
        serving(factory) as (port, guard),
        shown(page, f"{scheme}://{HOST}:{port}/chat/index.html"),
    ):
        await page.until("shown", "hello")
        expected = "websocket in tls" if scheme == "https" else "websocket"
        assert expected in {client.kind for client in guard.clients()}
    await until(lambda: not guard.protocols)
