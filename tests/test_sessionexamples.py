"""
C{docs/examples/penguinclient.py} is recorded, and its sessions are played against a new server with
C{docs/examples/penguin.toml}.
"""

import random
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.sessioncommand import CallOptions
from openfl_twisted.sessions import Recorder, RecordingFactory, RunPlayer, Session
from openfl_twisted.testing import EVERY_BYTE, MemoryNetwork
from openfl_twisted.wire.dialects import DIALECTS
from tests.support.examples import EXAMPLES
from tests.support.recorderclock import THREAD_TIMEOUT, RecorderClock

HOST = "127.0.0.1"
MASKS = EXAMPLES / "penguin.toml"

Served = Callable[[], Any]


class EveningTests(SynchronousTestCase):
    """
    Two players who meet, and a client with a wrong password.
    """

    def setUp(self) -> None:
        self.patch(sys, "path", [str(EXAMPLES), *sys.path])
        self.client = import_module("penguinclient")
        self.server = import_module("penguinlogin").LoginPenguin

    def record(self, hide: dict[str, str] | None = None) -> Path:
        """
        Record the clients.

        @param hide: the patterns of secrets, by name.
        @return: the folder of the run.
        """
        clock = RecorderClock()
        recorder = Recorder(Path(self.mktemp()), "xml", DIALECTS["xml"], hide=hide, clock=clock)
        recorder.start()
        network = MemoryNetwork.forTest(self.addCleanup)
        factory = RecordingFactory(self.served(), recorder, clock=clock)
        port = network.reactor.listenTCP(0, factory, interface=HOST).getHost().port
        players = [
            self.client.PenguinClient(*names)
            for names in (("Ann", "snow"), ("Ben", "ice"), ("Ann", "rain"))
        ]
        for player in players:
            TCP4ClientEndpoint(network.reactor, HOST, port).connect(
                self.factoryOf(network, player, None)
            )
        network.flush()
        self.assertEqual(
            [self.successResultOf(player.ended) for player in players],
            [
                ["ap 101 Ben 330 300", "sp 101 310 320", "rp 101"],
                ["sp 100 310 320", "sm 100 Hello Ben"],
                [],
            ],
        )
        stopped = recorder.stop()
        clock.fromThread.get(timeout=THREAD_TIMEOUT)()
        self.successResultOf(stopped)
        assert recorder.folder is not None
        return recorder.folder

    def served(self, **members: Any) -> XMLSocketFactory[Any]:
        """
        Create a server without clients.

        @param members: members of the server's class that differ.
        """
        kind = type("FreshPenguin", (self.server,), {"numbers": count(100), **members})
        return XMLSocketFactory(kind)

    @staticmethod
    def factoryOf(network: MemoryNetwork, made: Any, sizes: Iterable[int] | None) -> Any:
        """
        Create a client factory whose connections are split into segments.

        @param made: the protocol, or a factory.
        @param sizes: the sizes of the segments; C{None} to split nothing.
        """
        from twisted.internet.protocol import ClientFactory

        class SplitFactory(ClientFactory):
            noisy = False

            def buildProtocol(self, addr: Any) -> Any:
                connection = network.connections[-1]
                for flow in (connection.toServer, connection.toClient):
                    if sizes is not None:
                        flow.split(sizes)
                return made.buildProtocol(addr) if hasattr(made, "buildProtocol") else made

        return SplitFactory()

    def play(
        self, options: CallOptions, sizes: Iterable[int] | None = None, **members: Any
    ) -> list[Any]:
        """
        Play the sessions against a new server.

        @param options: the parsed options of C{openfl-session call}.
        @return: the results.
        """
        network = MemoryNetwork.forTest(self.addCleanup)
        served = self.served(**members)
        port = network.reactor.listenTCP(0, served, interface=HOST).getHost().port

        def connect(session: Session, factory: Any) -> Any:
            endpoint = TCP4ClientEndpoint(network.reactor, HOST, port)
            return endpoint.connect(self.factoryOf(network, factory, sizes))

        sessions = options.load()
        run = RunPlayer(
            sessions,
            connect,
            options["masks"],
            masksOf=options.masksOf(sessions),
            clock=network.reactor,
        )
        return network.run(run.start())

    def optionsFor(self, *arguments: str | Path) -> CallOptions:
        """
        Parse the options of C{openfl-session call}.
        """
        options = CallOptions()
        options.parseOptions([*map(str, arguments), f"tcp:{HOST}:6112"])
        return options

    def test_evening(self) -> None:
        """
        The sessions play against a server with new keys and times, however the streams are split.
        """
        options = self.optionsFor(f"--masks={MASKS}", self.record())
        split = random.Random(1)
        sizes = [split.randint(1, 40) for _ in range(1000)]
        for each in (None, EVERY_BYTE, sizes):
            results = self.play(options, each)
            self.assertEqual([result.problem for result in results], [None] * 3)
            self.assertEqual([(r.done, r.total) for r in results], [(19, 19), (16, 16), (6, 6)])

    def test_changedServer(self) -> None:
        """
        A field that the server has changed is named: the message, both values and the place.
        """

        def move(penguin: Any, x: int, y: int) -> None:
            penguin.tell("sp", x, y + 1)

        options = self.optionsFor(f"--masks={MASKS}", self.record())
        moved = self.server.move
        move.__dict__.update(moved.__dict__)
        for each in (None, EVERY_BYTE):
            problem = self.play(options, each, move=move)[0].problem
            self.assertIn("000001.session:16: message 15 of 19, sent by the server", problem)
            self.assertIn("recorded  xt 'sp' '-1' '100' '310' '320'", problem)
            self.assertIn("now       xt 'sp' '-1' '100' '310' '321'", problem)
            self.assertIn("known: key=", problem)

    def test_withoutMasks(self) -> None:
        """
        Without masks, the first difference is the key. With the common masks alone, the client
        with the wrong password sends the right one.
        """
        folder = self.record()
        problem = self.play(self.optionsFor(folder))[0].problem
        self.assertIn("000001.session:5: message 4", problem)
        self.assertIn("<k>", problem)
        masks = Path(self.mktemp()).with_suffix(".toml")
        masks.write_bytes(MASKS.read_bytes())
        options = self.optionsFor(f"--masks={masks}", folder)
        one, two, three = (result.problem for result in self.play(options))
        self.assertEqual((one, two), (None, None))
        self.assertIn("recorded  xt 'e' '-1' '101'", three)
        self.assertIn("now       xt 'l'", three)

    def test_hidden(self) -> None:
        """
        A password hash that was not recorded is computed, although the pattern of its variable does
        not match the name in braces. A typing error in the name of a given value is reported.
        """
        folder = self.record({"password": "<pword>(.*?)</pword>"})
        files = sorted(folder.iterdir())
        self.assertIn("<pword>{password}</pword>", files[0].read_text())
        results = self.play(self.optionsFor(f"--masks={MASKS}", *files[:2]))
        self.assertEqual([result.problem for result in results], [None, None])
        wrong = self.optionsFor(f"--masks={MASKS}", "--set=passwort=a", folder)
        problem = self.assertRaises(UsageError, wrong.load)
        self.assertIn("--set=passwort: must be a variable of the masks", str(problem))
        self.assertIn(": key, nick, password, time", str(problem))
