"""
C{docs/examples/penguin.py} and C{docs/examples/smartfox.py} serve the messages of the original
clients, however the stream is split.
"""

import importlib.util
import math
import re
from io import BytesIO
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.roomprotocol import RoomFactory
from openfl_twisted.testing import EVERY_BYTE, MemoryNetwork, Peer, connectedPair
from openfl_twisted.wire.amf import codec
from tests.support.examples import EXAMPLES


def load(name: str) -> Any:
    """
    Return the module of an example in C{docs/examples}.
    """
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Game:
    """
    A server with several clients in memory.
    """

    def __init__(self, protocol: Any, *, split: bool) -> None:
        self.network = MemoryNetwork()
        self.factory = XMLSocketFactory(protocol)
        self.split = split

    def join(self) -> "Client":
        """
        Connect another client to the server.
        """
        return Client(self)


class Client:
    """
    A client that sends the bytes of the original program.
    """

    def __init__(self, game: Game) -> None:
        self.network = game.network
        pair = connectedPair(Peer(), game.factory, network=game.network)
        self.peer = pair.client
        if game.split:
            pair.connection.toServer.split(EVERY_BYTE)

    def send(self, data: bytes) -> list[str]:
        """
        Send bytes.

        @return: the messages received since the last call.
        """
        self.peer.send(data)
        return self.read()

    def read(self) -> list[str]:
        """
        Return the messages received since the last call.
        """
        self.network.flush()
        found = self.peer.received.decode().split("\0")
        self.peer.segments.clear()
        return found[:-1]

    def close(self) -> None:
        """
        Close the connection, and run the network until it is idle.
        """
        self.peer.close()
        self.network.flush()


class ExampleTests(SynchronousTestCase):
    """
    The examples.
    """

    def test_short(self) -> None:
        """
        An example has at most 60 lines.
        """
        for name in ("penguin", "smartfox"):
            text = (EXAMPLES / f"{name}.py").read_text()
            self.assertLessEqual(text.count("\n"), 60, name)

    def penguins(self, *, split: bool) -> None:
        game = Game(load("penguin").Penguin, split=split)
        ann, ben = game.join(), game.join()
        for number, (client, nick) in enumerate(((ann, "Ann"), (ben, "Ben")), 100):
            self.assertEqual(
                client.send(
                    b"<msg t='sys'><body action='verChk' r='0'><ver v='153' /></body></msg>\0"
                ),
                ['<msg t="sys"><body action="apiOK" r="0"/></msg>'],
            )
            [key] = client.send(b"<msg t='sys'><body action='rndK' r='-1'></body></msg>\0")
            self.assertTrue(
                re.fullmatch(
                    r'<msg t="sys"><body action="rndK" r="-1"><k>[0-9a-f]{10}</k></body></msg>', key
                )
            )
            login = (
                "<msg t='sys'><body action='login' r='0'><login z='w1'>"
                f"<nick><![CDATA[{nick}]]></nick><pword><![CDATA[0123abc]]></pword>"
                "</login></body></msg>\0"
            )
            self.assertEqual(client.send(login.encode()), [f"%xt%l%-1%{number}%{nick}%"])
        self.assertEqual(
            ann.send(b"%xt%s%j#jr%-1%100%330%300%\0"),
            ["%xt%jr%-1%100%100|Ann|330|300%", "%xt%ap%-1%100%Ann%330%300%"],
        )
        self.assertEqual(ann.send(b"%xt%s%u#sp%3%10%20%\0"), ["%xt%sp%-1%100%10%20%"])
        self.assertEqual(
            ben.send(b"%xt%s%j#jr%-1%100%0%0%\0%xt%s%m#sm%3%101%hi <b>%\0"),
            [
                "%xt%jr%-1%100%100|Ann|10|20%101|Ben|0|0%",
                "%xt%ap%-1%101%Ben%0%0%",
                "%xt%sm%-1%101%hi <b>%",
            ],
        )
        self.assertEqual(ann.read(), ["%xt%ap%-1%101%Ben%0%0%", "%xt%sm%-1%101%hi <b>%"])
        ben.send(b"%xt%s%j#jr%-1%200%1%2%\0")
        self.assertEqual(ann.read(), ["%xt%rp%-1%101%"])
        self.assertEqual(ben.send(b"%xt%s%j#jr%-1%100%1%2%\0")[-1], "%xt%ap%-1%101%Ben%1%2%")
        ann.read()
        ben.close()
        self.assertEqual(ann.read(), ["%xt%rp%-1%101%"])

    def test_penguin(self) -> None:
        """
        Two penguins log in, meet in a room, move, chat and leave.
        """
        self.penguins(split=False)
        self.penguins(split=True)

    def test_penguinRefuses(self) -> None:
        """
        A client with an old version, without a login or with a wrong name gets an error, and
        joins no room.
        """
        client = Game(load("penguin").Penguin, split=False).join()
        self.assertEqual(
            client.send(b"<msg t='sys'><body action='verChk' r='0'><ver v='1' /></body></msg>\0"),
            ['<msg t="sys"><body action="apiKO" r="0"/></msg>'],
        )
        self.assertEqual(client.send(b"%xt%s%j#jr%-1%100%0%0%\0%xt%s%m#sm%-1%1%hi%\0"), [])
        login = (
            b"<msg t='sys'><body action='login' r='0'><login z='w1'><nick>%s</nick>"
            b"<pword>p</pword></login></body></msg>\0"
        )
        self.assertEqual(client.send(login % b"Ann"), ["%xt%e%-1%101%"])
        client.send(b"<msg t='sys'><body action='rndK' r='-1'></body></msg>\0")
        for nick in (b"A%n", b"", b"A|n"):
            self.assertEqual(client.send(login % nick), ["%xt%e%-1%101%"])
        self.assertEqual(client.send(login % b"Ann"), ["%xt%l%-1%100%Ann%"])
        self.assertEqual(client.send(login % b"Ben"), ["%xt%e%-1%101%"])
        self.assertIn("%xt%error%-1%parameter%", client.send(b"%xt%s%j#jr%-1%a%\0")[0])
        self.assertIn("%xt%error%-1%unknown%", client.send(b"%xt%s%g#gm%-1%\0")[0])

    def users(self, *, split: bool) -> None:
        game = Game(load("smartfox").User, split=split)
        ann, ben = game.join(), game.join()
        self.assertEqual(
            ann.send(b"<msg t='sys'><body action='verChk' r='0'><ver v='165' /></body></msg>\0"),
            ['<msg t="sys"><body action="apiOK" r="0"/></msg>'],
        )
        for number, (client, nick) in enumerate(((ann, "Ann"), (ben, "<Ben>")), 1):
            login = (
                "<msg t='sys'><body action='login' r='0'><login z='chat'>"
                f"<nick><![CDATA[{nick}]]></nick><pword><![CDATA[]]></pword></login></body></msg>\0"
            )
            escaped = nick.replace("<", "&lt;").replace(">", "&gt;")
            answer = f'<login n="{escaped}" id="{number}" mod="0"/>'
            self.assertEqual(
                client.send(login.encode()),
                [f'<msg t="sys"><body action="logOK" r="0">{answer}</body></msg>'],
            )
        [rooms] = ann.send(b"<msg t='sys'><body action='getRmList' r='-1'></body></msg>\0")
        settings = 'priv="0" temp="0" game="0" ucnt="0" maxu="50" maxs="0"'
        self.assertEqual(
            rooms,
            '<msg t="sys"><body action="rmList" r="0"><rmList>'
            f'<rm id="1" {settings}><n>Lobby</n></rm><rm id="2" {settings}><n>Garden</n></rm>'
            "</rmList></body></msg>",
        )
        join = (
            b"<msg t='sys'><body action='joinRoom' r='-1'>"
            b"<room id='2' pwd='' spec='0' leave='1' old='-1' /></body></msg>\0"
        )
        one = '<u i="1" m="0" s="0" p="0"><n>Ann</n></u>'
        two = '<u i="2" m="0" s="0" p="0"><n>&lt;Ben&gt;</n></u>'
        start = '<msg t="sys"><body action="'
        end = "</body></msg>"
        self.assertEqual(
            ann.send(join),
            [
                f'{start}uER" r="2">{one}{end}',
                f'{start}joinOK" r="2"><pid id="0"/><vars/><uLs r="2">{one}</uLs>{end}',
            ],
        )
        self.assertEqual(
            ben.send(join)[1],
            f'{start}joinOK" r="2"><pid id="0"/><vars/><uLs r="2">{one}{two}</uLs>{end}',
        )
        self.assertEqual(ann.read(), [f'{start}uER" r="2">{two}{end}'])
        text = (
            b"<msg t='sys'><body action='pubMsg' r='2'><txt><![CDATA[a < b]]></txt></body></msg>\0"
        )
        said = f'{start}pubMsg" r="2"><user id="1"/><txt>a &lt; b</txt>{end}'
        self.assertEqual(ann.send(text), [said])
        self.assertEqual(ben.read(), [said])
        ann.close()
        self.assertEqual(ben.read(), [f'{start}userGone" r="2"><user id="1"/>{end}'])

    def test_smartFox(self) -> None:
        """
        Two users log in, list the rooms, join one, chat and leave.
        """
        self.users(split=False)
        self.users(split=True)

    def test_smartFoxRefuses(self) -> None:
        """
        A name in use is refused. A client without a login joins no room, and its messages are
        dropped.
        """
        game = Game(load("smartfox").User, split=False)
        ann, other = game.join(), game.join()
        join = b"<msg t='sys'><body action='joinRoom'><room id='%d'/></body></msg>\0"
        text = b"<msg t='sys'><body action='pubMsg'><txt>a</txt></body></msg>\0"
        self.assertEqual(other.send(join % 1 + text), [])
        login = b"<msg t='sys'><body action='login'><nick>Ann</nick></body></msg>\0"
        self.assertIn("logOK", ann.send(login)[0])
        for client in (ann, other):
            self.assertIn("logKO", client.send(login)[0])
        self.assertEqual(ann.send(join % 3), [])
        self.assertIn("parameter", ann.send(join.replace(b"%d", b"a"))[0])


class TableTests(SynchronousTestCase):
    """
    C{docs/examples/table.py}.
    """

    def test_room(self) -> None:
        """
        The members of a room receive its moves, and are notified when a member leaves.
        """
        table = load("table")
        lobby, network = Lobby(), MemoryNetwork()
        factory = RoomFactory(table.Player, lobby)
        one, two = (connectedPair(Peer(), factory, network=network).client for _ in "ab")
        for each in (one, two):
            each.send(b"garden\0")
            network.flush()
        two.send(b'{"type":"move","x":3}\0')
        network.flush()
        moved = b'{"type": "moved", "name": "guest2", "x": 3}\0'
        self.assertEqual((one.received, two.received), (moved, moved))
        two.send(b'{"type":"wave"}\0')
        network.flush()
        two.transport.loseConnection()
        network.flush()
        self.assertEqual(
            one.received,
            moved + b'{"type":"wave"}\0{"type": "left", "name": "guest2"}\0',
        )
        self.assertEqual(len(lobby.observers), 1)


class ScoresTests(SynchronousTestCase):
    """
    C{docs/examples/highscores.py}.
    """

    def test_wrong(self) -> None:
        """
        A body that is not a score is answered with 400, and a long name is shortened.
        """
        example = load("highscores")
        scores = example.Scores()
        for score in (math.inf, math.nan, "x", None):
            request: Any = DummyRequest([b""])
            request.content = BytesIO(codec.encode({"name": "Ann", "score": score}))
            scores.render_POST(request)
            self.assertEqual((request.responseCode, scores.scores), (400, []))
        request.content = BytesIO(codec.encode({"name": "A" * 1000, "score": 5}))
        answer, _ = codec.decode(scores.render_POST(request))
        self.assertEqual([dict(each) for each in answer], [{"name": "A" * 20, "score": 5}])
