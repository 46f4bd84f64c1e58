"""
Messages that are longer than the maximum length of a message in a recording.
"""

from pathlib import Path
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.sessions import (
    PlayerFactory,
    Recorder,
    RecordingFactory,
    RunPlayer,
    Session,
)
from openfl_twisted.sessions._recorder import MAX_MESSAGE
from openfl_twisted.testing import MemoryNetwork, Peer, connectedPair
from openfl_twisted.wire.dialects import DIALECTS
from tests.support.recorderclock import THREAD_TIMEOUT, RecorderClock

DATA = b"<a/>\0" + b"x" * (2 * MAX_MESSAGE) + b"\0<b/>\0"


class Echo(XMLSocketProtocol):
    MAX_LENGTH = 3 * MAX_MESSAGE

    def messageReceived(self, message: str) -> None:
        self.sendMessage(message)


class LongTests(SynchronousTestCase):
    """
    A long message, which is recorded in parts.
    """

    def record(self) -> Session:
        """
        Record a client that sends C{DATA}, and receives it.
        """
        clock = RecorderClock()
        recorder = Recorder(Path(self.mktemp()), "xml", DIALECTS["xml"], clock=clock)
        recorder.start()
        factory = RecordingFactory(XMLSocketFactory(Echo), recorder, clock=clock)
        network = MemoryNetwork.forTest(self.addCleanup)
        client = connectedPair(Peer(), factory, network=network).client
        client.send(DATA)
        network.flush()
        client.close()
        network.flush()
        recorder.stop()
        clock.fromThread.get(timeout=THREAD_TIMEOUT)()
        assert recorder.folder is not None
        [path] = recorder.folder.iterdir()
        return Session.load(path)

    def test_replay(self) -> None:
        """
        The session can be played as server and as client, with other segments.
        """
        session = self.record()
        total = len(session.messages)
        self.assertTrue(any(each.isPartial for each in session.messages))
        for side in ("client", "server"):
            data = b"".join(each.data for each in session.messages if each.side == side)
            self.assertEqual(data, DATA)

        network = MemoryNetwork.forTest(self.addCleanup)
        player = PlayerFactory([session], clock=network.reactor)
        pair = connectedPair(Peer(), player, network=network)
        pair.connection.toServer.split([3, 70_000, 1, MAX_MESSAGE])
        pair.client.send(DATA)
        network.flush()
        self.assertEqual(pair.client.received, DATA)
        pair.client.close()
        network.flush()
        player.verify()
        self.assertEqual(player.results[0].done, total)

        served = XMLSocketFactory(Echo)
        port = network.reactor.listenTCP(0, served, interface="127.0.0.1").getHost().port
        endpoint = TCP4ClientEndpoint(network.reactor, "127.0.0.1", port)

        def connect(session: Session, factory: Any) -> Any:
            return endpoint.connect(factory)

        run = RunPlayer([session], connect, clock=network.reactor)
        [result] = network.run(run.start())
        self.assertIsNone(result.problem)
        self.assertEqual(result.done, total)
