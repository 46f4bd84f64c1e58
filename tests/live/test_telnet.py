"""
C{openfl-telnet} as a process.
"""

import os
import stat
import sys
from pathlib import Path

import pytest
import trustme
from OpenSSL.SSL import TLS_METHOD, Context
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory

from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.simpleserver import SimpleServerFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from tests.live import live
from tests.live.peers import HOST, portOf, run, serving, stop, twistd
from tests.live.telnet import TELNET, ended, telnet
from tests.support.tls import Contexts

# The control sequence that enables bracketed paste, sent before a line is read.
READY = b"\x1b[?2004h"


class Speaker(Protocol):
    """
    Sends a greeting to each client, and closes when it receives data.
    """

    greeting = b"\x1b[31mred\r\n\xc2\x9b31mred\r\nlogin: "

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self.greeting)

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


class Silent(Protocol):
    """
    Sends nothing.
    """


def secure(authority: trustme.CA, factory: IProtocolFactory, name: str = HOST) -> IProtocolFactory:
    """
    Wrap a server with TLS.
    """
    context = Context(TLS_METHOD)
    authority.issue_cert(name).configure_cert(context)
    return TLSMemoryBIOFactory(Contexts(context), False, factory)


@live
async def test_pipe() -> None:
    """
    Lines of a pipe are sent, and answers are printed, until the server closes.
    """
    server = twistd("openfl-echo", "--style=simple-server", f"--listen=tcp:0:interface={HOST}")
    port = await portOf(server)
    lines = await ended(telnet(HOST, port, typed="hello\ngr\xfc\xdfe\nEXIT"))
    assert sorted(lines) == sorted(
        [
            f"connected to {HOST}:{port}", "Enter EXIT to exit.", "Echo: hello",
            "Echo: gr\xfc\xdfe", "Echo: EXIT", "closed",
        ]
    )  # fmt: skip
    await stop(server)


@live
async def test_xml() -> None:
    """
    With C{--xml} each line is a message. After the last answer the program waits until
    the connection is closed or idle.
    """
    server = twistd("openfl-xml", "--echo", f"--listen=tcp:0:interface={HOST}")
    port = await portOf(server)
    process = telnet("--xml", "--wait=1000", HOST, port, typed="<a/>\n<b>\xfc</b>\n")
    await process.until("<b>\xfc</b>\n".encode())
    await ended(telnet("--xml", "--wait=0.1", HOST, port))
    await stop(server)
    lines = await ended(process)
    assert [line for line in lines if line.startswith("<")] == ["<a/>", "<b>\xfc</b>"]


@live
async def test_muchInAPipe() -> None:
    """
    Backpressure applies to large input, and to output that is read slowly.
    """
    count = 100_000
    async with serving(SimpleServerFactory()) as (port, _):
        typed = "".join(f"{number}\n" for number in range(count)) + "EXIT\n"
        process = telnet(HOST, port, typed=typed)
        await ended(process)
    # Standard error can be printed within a line.
    printed = process.printed.decode().replace(f"connected to {HOST}:{port}\n", "")
    echoes = [f"Echo: {number}" for number in range(count)]
    assert printed.replace("closed\n", "").splitlines()[1:] == [*echoes, "Echo: EXIT"]


@live
async def test_closedOutput() -> None:
    """
    The program ends when its standard output is closed.
    """
    async with serving(SimpleServerFactory()) as (port, _):
        process = run(TELNET, HOST, str(port))
        await process.until(b"Enter EXIT to exit.")
        process.transport.closeStdout()
        process.transport.write(b"hello\n")
        assert "closed" in await ended(process)


@live
async def test_noConnection() -> None:
    """
    A failed connection is an error of one line, with status 1.
    """
    async with serving(Factory.forProtocol(Silent)) as (port, _):
        silent = telnet("--tls", "--timeout=0.3", HOST, port)
        assert await ended(silent, 1) == [f"{HOST}:{port} has not answered within 0.3 seconds"]
    assert await ended(telnet(HOST, port), 1) == [f"{HOST}:{port} refused the connection"]


@live
async def test_usage() -> None:
    """
    A usage error is one line, with status 2.
    """
    lines = await ended(telnet(HOST, "0"), 2)
    assert lines == [
        "openfl-telnet: '0' is not a port from 1 to 65535; see --help",
    ]


@live
async def test_tls(tmp_path: Path) -> None:
    """
    With C{--tls} the program connects to a trusted server.
    """
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with serving(secure(authority, XMLSocketFactory(EchoProtocol))) as (port, _):
        trusting = ("--tls", f"--ca={tmp_path / 'ca.pem'}")
        process = telnet(*trusting, "--xml", "--wait=1000", HOST, port, typed="<a/>\n")
        await process.until(b"<a/>\n")
    await ended(process)


@live
async def test_refusedCertificate(tmp_path: Path) -> None:
    """
    A refused certificate is an error with the reason.
    """
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = XMLSocketFactory(EchoProtocol)
    async with serving(secure(authority, server)) as (port, _):
        [line] = await ended(telnet("--tls", HOST, port, typed="secret\n"), 1)
        assert line.startswith(f"{HOST}:{port}: ")
        assert "not signed by a trusted certificate authority" in line, line
    async with serving(secure(authority, server, "a.example")) as (port, _):
        [line] = await ended(telnet("--tls", f"--ca={tmp_path / 'ca.pem'}", HOST, port), 1)
        assert "is not valid for this server name" in line, line


@live
async def test_notTLS() -> None:
    """
    A server without TLS is an error.
    """
    async with serving(Factory.forProtocol(Speaker)) as (port, _):
        [line] = await ended(telnet("--tls", HOST, port), 1)
        assert line.startswith(f"{HOST}:{port}: the TLS handshake failed: ")


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """
    An environment for programs in a terminal that does not answer queries.

    @return: the directory of their state files.
    """
    monkeypatch.setenv("PROMPT_TOOLKIT_NO_CPR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "openfl-twisted" / "telnet-history"


@live
async def test_terminal(terminal: Path) -> None:
    """
    In a terminal a line is typed and its echo printed. The history file is readable by
    its owner only.
    """
    async with serving(SimpleServerFactory()) as (port, _):
        process = run(TELNET, HOST, str(port), usePTY=True)
        await process.until(b"Enter EXIT to exit.\r\n" + READY)
        process.transport.write("grüße\r".encode())
        await process.until("Echo: grüße\r\n".encode() + READY)
        process.transport.write(b"EXIT\r")
        await process.until(b"Echo: EXIT")
        assert await process.ended == 0
    assert process.printed.strip().endswith(b"closed")
    assert terminal.read_text() == "grüße\nEXIT\n"
    assert stat.S_IMODE(os.stat(terminal).st_mode) == 0o600


@live
async def test_escapes(terminal: Path) -> None:
    """
    Control characters from the server are escaped. An incomplete line of the server is
    shown before the input.
    """
    async with serving(Factory.forProtocol(Speaker)) as (port, _):
        process = run(TELNET, HOST, str(port), usePTY=True)
        await process.until(b"login:")
        process.transport.write(b"me\r")
        await ended(process)
    assert b"^[[31mred" in process.printed
    assert b"M-^[31mred" in process.printed
    assert b"\x1b[31m" not in process.printed
    assert b"\xc2\x9b" not in process.printed


@live
async def test_leave(terminal: Path) -> None:
    """
    Ctrl-D, Ctrl-C and a signal end the program, and restore the terminal.
    """
    async with serving(SimpleServerFactory()) as (port, _):
        for key in (b"\x04", b"\x03"):
            process = run(TELNET, HOST, str(port), usePTY=True)
            await process.until(b"Enter EXIT to exit.\r\n" + READY)
            process.transport.write(key)
            assert (await ended(process))[-1].endswith("closed")
        process = run(TELNET, HOST, str(port), usePTY=True)
        await process.until(b"Enter EXIT to exit.\r\n" + READY)
        process.transport.signalProcess("TERM")
        await process.ended
        assert "Traceback" not in process.printed.decode()
        assert process.printed.rfind(b"\x1b[?2004l") > process.printed.rfind(READY)


@live
async def test_withoutPromptToolkit(terminal: Path) -> None:
    """
    Without C{prompt_toolkit}, lines are read from the terminal without editing.
    """
    program = (
        "import sys; sys.modules['prompt_toolkit'] = None\n"
        "from openfl_twisted.telnetclient.command import main; main()"
    )
    async with serving(SimpleServerFactory()) as (port, _):
        process = run(sys.executable, "-c", program, HOST, str(port), usePTY=True)
        await process.until(b"Enter EXIT to exit.")
        process.transport.write(b"EXIT\n")
        await process.until(b"Echo: EXIT")
        await ended(process)
    assert not terminal.exists()
