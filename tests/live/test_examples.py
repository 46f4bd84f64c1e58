"""
The examples of the documentation.
"""

import sys
from pathlib import Path

import pytest
import trustme

from tests.live import live
from tests.live.peers import HOST, connectThrough, dial, portOf, run, stop, twistd

ANY_PORT = f"--listen=tcp:0:interface={HOST}"
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def example(name: str, *arguments: str) -> list[str]:
    """
    Return the command that runs an example.
    """
    return [sys.executable, str(EXAMPLES / name), *arguments]


@live
async def test_shoutingAndClient() -> None:
    """
    The user-defined protocol answers, and the client prints the answer.
    """
    server = twistd(
        "openfl-xml",
        "--app=shouting:Shouter",
        f"--listen=tcp:0:interface={HOST}",
        path=str(EXAMPLES),
    )
    port = await portOf(server)
    client = run(*example("client.py", f"tcp:{HOST}:{port}", "<hello/>"))
    assert await client.ended == 0, client.printed
    assert client.printed == b"<HELLO/>\n"
    await stop(server)


@live
async def test_dice() -> None:
    """
    The user-defined rooms have the standard commands, and one more.
    """
    server = twistd("openfl-xml", "--app=dice:Dice", ANY_PORT, path=str(EXAMPLES))
    client = await dial(await portOf(server))
    client.send(b"<roll/>\0")
    await client.until(b'<error code="room">')
    client.send(b'<join room="a" name="&lt;Ann>"/>\0<roll/>\0')
    await client.until(b'<rolled name="&lt;Ann&gt;" value="')
    await client.close()
    await stop(server)


@live
async def test_server() -> None:
    """
    The broadcast server in a user's program forwards messages.
    """
    server = run(*example("server.py", f"tcp:0:interface={HOST}"))
    port = await portOf(server)
    one, two = await dial(port), await dial(port)
    await connectThrough(one, two)
    one.send(b"<hello/>\0")
    await two.until(b"<hello/>\0")
    await one.close()
    await two.close()
    server.transport.signalProcess("TERM")
    await server.ended
    assert "Traceback" not in server.printed.decode()


@live
async def test_xmlSocketClient() -> None:
    """
    The guide's XMLSocket client prints the received messages.
    """
    server = twistd("openfl-xml", "--echo", f"--listen=tcp:0:interface={HOST}")
    client = run(*example("xmlsocketclient.py", HOST, str(await portOf(server))))
    await client.until(b"\n")
    assert client.printed == b"[data] <test><data>Hello</data></test>\n"
    await stop(server)
    assert await client.ended == 0


@live
async def test_secureClient(tmp_path: Path) -> None:
    """
    The secure client prints the status of the certificate, and the reason if it is
    not trusted.
    """
    authority, stranger = trustme.CA(), trustme.CA()
    chain, ours, other = (tmp_path / f"{name}.pem" for name in ("server", "ours", "other"))
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(chain)
    authority.cert_pem.write_to_path(ours)
    stranger.cert_pem.write_to_path(other)
    server = twistd("openfl-xml", f"--tls-certificate={chain}", ANY_PORT)
    port = str(await portOf(server))
    client = run(*example("secureclient.py", HOST, port, str(ours)))
    assert await client.ended == 0, client.printed
    assert client.printed == b"trusted\n"
    client = run(*example("secureclient.py", HOST, port, str(other)))
    assert await client.ended == 0, client.printed
    problem, status = client.printed.decode().splitlines()
    assert problem.startswith("Error #2031: ") and "trusted" in problem
    assert status == "untrustedSigners"
    await stop(server)


@live
async def test_telnet() -> None:
    """
    The guide's Telnet client sends its input and prints received data until the server
    closes. Without a server it prints an error.
    """
    server = twistd("openfl-echo", "--style=simple-server", f"--listen=tcp:0:interface={HOST}")
    port = str(await portOf(server))
    client = run(*example("telnet.py", HOST, port))
    client.transport.write("grüße\nEXIT\n".encode())
    assert await client.ended == 0, client.printed
    assert client.printed.decode().splitlines() == [
        f"Trying to connect to {HOST}:{port}",
        "connected...",
        "Enter EXIT to exit.",
        "Echo: grüße",
        "Echo: EXIT",
        "closed...",
    ]
    await stop(server)
    client = run(*example("telnet.py", HOST, port))
    assert await client.ended == 0, client.printed
    assert client.printed.endswith(b"\nUnable to connect: socket error.\n")
    client = run(*example("telnet.py", HOST, ""))
    assert await client.ended == 1
    assert client.printed == b"'' is not a port from 1 to 65535\n"


@live
async def test_serverSocketExample() -> None:
    """
    The guide's ServerSocketExample greets, echoes, and prints its actions.
    """
    server = run(*example("serversocketexample.py", "0"))
    client = await dial(await portOf(server))
    await client.until(b"Connected.")
    client.send("grüße".encode())
    assert await client.until(b"e") and await client.until("Echo -- grüße".encode())
    await client.close()
    printed = await server.until(b"Connection to client closed.\n")
    assert printed.splitlines()[1:] == [
        "Sending connect message",
        "Received: grüße",
        "Sending: Echo -- grüße",
        "Connection to client closed.",
    ]
    server.transport.signalProcess("TERM")
    await server.ended


@live
async def test_programsThatEnd() -> None:
    """
    Programs that end print the output of the pages.
    """
    for name, printed in [
        ("datagrams.py", "Received from 127.0.0.1: Hello.\n"),
        ("binarysocket.py", "bigEndian: 42\nlittleEndian: 42\n"),
        ("remoting.py", "ArrayCollection([1, 2, 3])\nServer.Unknown: no such operation\n"),
        (
            "highscores.py",
            "[{'name': 'Ben', 'score': 700}, {'name': 'Ann', 'score': 500}]\n",
        ),
    ]:
        program = run(*example(name))
        assert await program.ended == 0, program.printed
        assert program.printed.decode() == printed


@live
async def test_certificates() -> None:
    """
    The example prints each certificate status with its reason.
    """
    for status, words in {
        "unknown": "The TLS handshake failed",
        "trusted": "connect",
        "expired": "has expired",
        "notYetValid": "is not valid yet",
        "principalMismatch": "is not valid for this server name",
        "untrustedSigners": "is not signed by a trusted certificate authority",
        "invalidChain": "has an invalid certificate chain",
        "invalid": "unsuitable certificate purpose",
        "revoked": "has been revoked",
    }.items():
        program = run(*example("certificates.py", status))
        assert await program.ended == 0, program.printed
        printed = program.printed.decode()
        assert printed.startswith(f"{status}\n")
        assert words in printed


@live
async def test_hello() -> None:
    """
    The shortest client sends a message and prints the answer.
    """
    server = twistd("openfl-xml", "--echo", f"--listen=tcp:0:interface={HOST}")
    client = run(*example("hello.py", str(await portOf(server))))
    assert await client.ended == 0, client.printed
    assert client.printed == b"<hello/>\n"
    await stop(server)


@pytest.mark.slow
@live
async def test_penguinSessions(tmp_path: Path) -> None:
    """
    The sessions of two penguins, and of one with a wrong password, are recorded and played
    against a restarted server.
    """
    folder = tmp_path / "tapes"
    command = ("openfl-xml", "--app=penguinlogin:LoginPenguin", ANY_PORT)
    server = twistd(*command, f"--record={folder}", path=str(EXAMPLES))
    target = f"tcp:{HOST}:{await portOf(server)}"
    players = [
        run(*example("penguinclient.py", target, *names))
        for names in (("Ann", "snow"), ("Ben", "ice"))
    ]
    for each in players:
        assert await each.ended == 0, each.printed
    other = run(*example("penguinclient.py", target, "Ann", "rain"))
    assert await other.ended == 0, other.printed
    assert other.printed == b"seen:\n"
    await stop(server)
    [tapes] = folder.iterdir()
    server = twistd(*command, path=str(EXAMPLES))
    target = f"tcp:{HOST}:{await portOf(server)}"
    program = str(Path(sys.executable).parent / "openfl-session")
    # The timeout only ends sessions that hang.
    options = ("--masks=penguin.toml", "--timeout=200", str(tapes), target)
    player = run(program, "call", *options, path=str(EXAMPLES))
    assert await player.ended == 0, player.printed
    assert b"000003  6 of 6" in player.printed
    await stop(server)
