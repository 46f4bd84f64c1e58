"""
Every way has a program see the same.
"""

from typing import Any

from twisted.internet.protocol import ClientFactory, Factory
from twisted.trial.unittest import SynchronousTestCase

from tests.reactors.conversations import CONVERSATIONS, Boom, HalfRecorder, Recorder, played
from tests.reactors.ways import HOST, JOINING, STOCK, way


class EquivalenceTests(SynchronousTestCase):
    """
    The same conversations with each variant.
    """

    def compare(self, make: type[Recorder]) -> None:
        """
        Run each conversation on Twisted's own transports, and on the others.
        """
        for name in CONVERSATIONS:
            with way(STOCK) as stock:
                wanted = played(stock, name, make)
            failures = len(self.flushLoggedErrors(Boom))
            for other in JOINING:
                with way(other) as own:
                    self.assertEqual(played(own, name, make), wanted, f"{name}, {other}")
                self.assertEqual(len(self.flushLoggedErrors(Boom)), failures, f"{name}, {other}")

    def test_same(self) -> None:
        """
        The events of a server and its peer are the same with each reactor.
        """
        self.compare(Recorder)

    def test_sameByHalves(self) -> None:
        """
        The same for a server that supports half-close.
        """
        self.compare(HalfRecorder)


class Events(ClientFactory):
    """
    Records the calls of a client.
    """

    noisy = False

    def __init__(self) -> None:
        self.client = Recorder()

    def buildProtocol(self, addr: object) -> Any:
        return self.client

    def clientConnectionLost(self, connector: object, reason: Any) -> None:
        self.client.events.append("factory: lost")

    def clientConnectionFailed(self, connector: object, reason: Any) -> None:
        self.client.events.append("factory: failed")


class ClientTests(SynchronousTestCase):
    """
    Clients of the openfl reactor.
    """

    def events(self, name: str, end: str) -> list[Any]:
        """
        Return the events of a client whose connection ends.

        @param end: the side, and its method.
        """
        side, method = end.split(".")
        with way(name) as own:
            server, factory = Recorder(), Events()
            serving = Factory.forProtocol(lambda: server)
            serving.noisy = False
            client = factory.client
            ends = {"server": server, "client": client}[side]
            server.react = lambda data: server.transport.write(data)
            client.begin = lambda: client.transport.write(b"hello")
            client.react = lambda data: getattr(ends.transport, method)()
            own.reactor.connectTCP(HOST, own.listen(serving), factory)
            own.until(lambda: client.events[-1:] == ["factory: lost"])
            return client.events

    def test_order(self) -> None:
        """
        The protocol is notified that the connection is lost before its factory.
        """
        for end in ("client.loseConnection", "client.abortConnection", "server.loseConnection"):
            wanted = self.events(STOCK, end)
            self.assertEqual(wanted[-1], "factory: lost")
            self.assertEqual(self.events("openfl", end), wanted, end)
