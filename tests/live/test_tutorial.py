"""
The servers of the tutorial, with players written in Python.
"""

import re
from pathlib import Path

import trustme
from twisted.internet.defer import Deferred

from openfl_twisted.events import ProgressEvent
from openfl_twisted.net import SecureSocket
from openfl_twisted.tls import Trust
from openfl_twisted.wire.policy.request import REQUEST
from tests.live import live
from tests.live.peers import HOST, dial
from tests.support.tutorial import board, player


@live
async def test_step1() -> None:
    """
    Moves are broadcast. A new player receives the positions of the others, and leaving
    players are reported. Invalid moves and messages are answered with an error.
    """
    async with board("step1") as port:
        one = await player(port)
        one.send('<move x="3" y="4"/>')
        assert await one.until("at") == ['<at who="1" x="3" y="4"/>']
        two = await player(port)
        two.send('<move x="15" y="0"/>', '<move x="14" y="0"/>')
        assert await two.until('x="14"') == [
            '<at who="1" x="3" y="4"/>',
            '<at who="2" x="15" y="0"/>',
            '<at who="2" x="14" y="0"/>',
        ]
        for wrong, code in [
            ('<move x="16" y="0"/>', "move"),
            ('<move x="a" y="0"/>', "parameter"),
            ('<move x="1"/>', "parameter"),
            ("<hello/>", "unknown"),
            ("no XML", "malformed"),
        ]:
            two.send(wrong)
            [error] = await two.until("<error")
            assert f'code="{code}"' in error
        await two.end()
        assert await one.until("gone") == [
            '<at who="2" x="15" y="0"/>',
            '<at who="2" x="14" y="0"/>',
            '<gone who="2"/>',
        ]
        await one.end()


async def playTogether(port: int) -> None:
    """
    Join a room, receive the positions, and receive errors.
    """
    ann = await player(port)
    ann.send('<join room="garden" name="Ann"/>', '<set key="at" value="3,4"/>')
    await ann.until("<welcome")
    ben = await player(port)
    ben.send('<join room="garden" name="Ben"/>', '<set key="at" value="15,0"/>', "<who/>")
    [*_, who] = await ben.until("<who")
    assert '<member name="Ann" connected="true"><data key="at" value="3,4" /></member>' in who
    assert await ann.until("<set") == [
        '<joined name="Ben" />',
        '<set name="Ben" key="at" value="15,0" />',
    ]
    for wrong in ["16,0", "3", "3,4,5", "-1,0", "٣,4"]:
        ann.send(f'<set key="at" value="{wrong}"/>')
        [error] = await ann.until("<error")
        assert 'code="move"' in error
    ann.send('<set key="color" value="red"/>', "<set ", "<say ")
    errors = await ann.until('code="xml"')
    assert 'code="malformed"' in errors[0]
    assert await ben.until("color") == ['<set name="Ann" key="color" value="red" />']
    ann.send("<leave/>")
    assert await ben.until("<left") == ['<left name="Ann" />']
    await ann.end()
    await ben.end()


@live
async def test_step2() -> None:
    """
    Players join rooms by name, and the rules of the board apply.
    """
    async with board("step2") as port:
        await playTogether(port)


@live
async def test_step3(tmp_path: Path) -> None:
    """
    The same with a custom policy file. A disconnected player resumes its membership,
    and C{SecureSocket} connects with TLS on the same port.
    """
    certificate, authority = tmp_path / "certificate.pem", trustme.CA()
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(certificate)
    async with board("step3", str(certificate)) as port:
        await playTogether(port)

        asking = await dial(port)
        asking.send(REQUEST)
        assert b'domain="games.example" to-ports="' + str(port).encode() in await asking.untilLost()

        cut = await dial(port)
        cut.send(b'<join room="garden" name="Ann"/>\0<set key="at" value="3,4"/>\0')
        welcome = await cut.until(b"<welcome")
        found = re.search(rb'token="([^"]+)"', welcome)
        assert found is not None and cut.transport is not None
        cut.transport.abortConnection()  # type: ignore[attr-defined]
        await cut.untilLost()
        back = await player(port)
        back.send(f'<resume token="{found[1].decode()}"/>', "<who/>")
        [welcome_, who] = await back.until("<who")
        assert 'name="Ann"' in welcome_
        assert '<data key="at" value="3,4" />' in who

        authority.cert_pem.write_to_path(tmp_path / "authority.pem")
        socket = SecureSocket(trust=Trust.fromPEM(tmp_path / "authority.pem"))
        socket.connect(HOST, port)
        await socket.whenConnected()
        answered: Deferred[ProgressEvent] = Deferred()
        socket.addEventListener(ProgressEvent.SOCKET_DATA, answered.callback)
        socket.writeUTFBytes('<join room="garden" name="Cleo"/>\0')
        await answered
        assert 'name="Cleo"' in socket.readUTFBytes(socket.bytesAvailable)
        assert (await back.until("joined")) == ['<joined name="Cleo" />']
        socket.close()
        await back.end()
