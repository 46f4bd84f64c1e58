"""
Calls that a program has forgotten: each is one line in the log.
"""

from typing import Any

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.events import DatagramSocketDataEvent, ServerSocketConnectEvent
from openfl_twisted.net import DatagramSocket, ServerSocket, XMLSocket
from openfl_twisted.testing import MemoryNetwork
from tests.doubles import linesOf

DATA = DatagramSocketDataEvent.DATA


def ignore(event: Any) -> None:
    """
    Do nothing with an event.
    """


class ForgottenTests(SynchronousTestCase):
    """
    A C{DatagramSocket} without C{receive}, and a C{ServerSocket} without a listener.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork()

    def datagramSocket(self) -> DatagramSocket:
        """
        Create a C{DatagramSocket} on the network of the test.
        """
        return DatagramSocket(reactor=self.network.reactor)

    def test_receive(self) -> None:
        """
        A bound socket with a listener, but without C{receive}, is logged after 10 seconds, once.
        """
        for first in (True, False):
            socket = self.datagramSocket()
            if first:
                socket.addEventListener(DATA, ignore)
            socket.bind(0, "127.0.0.1")
            if not first:
                socket.addEventListener(DATA, ignore)
            with capturedLogs() as logs:
                self.network.advance(9)
                self.assertEqual(linesOf(logs), [])
                self.network.advance(1)
                socket.addEventListener(DATA, print)
                self.network.advance(100)
            self.assertEqual(
                linesOf(logs),
                [
                    (
                        f"the DatagramSocket at 127.0.0.1, port {socket.localPort} has a listener"
                        " for data, but receives nothing: call receive()"
                    )
                ],
            )
            socket.close()
            self.network.flush()

    def test_received(self) -> None:
        """
        Sockets that receive, have no listener, or are closed are not logged.
        """
        with capturedLogs() as logs:
            for number in range(4):
                socket = self.datagramSocket()
                socket.bind(0, "127.0.0.1")
                socket.addEventListener(DATA, ignore)
                if number == 0:
                    socket.receive()
                elif number == 1:
                    socket.removeEventListener(DATA, ignore)
                elif number == 2:
                    socket.close()
                else:
                    socket.addEventListener("close", ignore)
                    socket.receive()
            self.network.advance(100)
        self.assertNotIn("receive()", " ".join(linesOf(logs)))

    def test_connect(self) -> None:
        """
        A connection without a listener is aborted; the first one is logged.
        """
        server = ServerSocket(reactor=self.network.reactor)
        server.bind(8080, "127.0.0.1")
        server.listen()
        with capturedLogs() as logs:
            for _ in range(2):
                socket = XMLSocket("127.0.0.1", 8080, reactor=self.network.reactor)
                self.network.run(socket.whenClosed())
        lines = [line for line in linesOf(logs) if "listener" in line]
        self.assertEqual(len(lines), 1)
        self.assertRegex(
            lines[0],
            r"^127.0.0.1:\d+ aborted: the ServerSocket at 127.0.0.1, port 8080 has no listener for"
            r" connect; add it before listen\(\) with"
            r" addEventListener\(ServerSocketConnectEvent.CONNECT, ...\) \(logged once\)$",
        )
        accepted: list[Any] = []
        server.addEventListener(ServerSocketConnectEvent.CONNECT, accepted.append)
        XMLSocket("127.0.0.1", 8080, reactor=self.network.reactor)
        self.network.flush()
        self.assertEqual(len(accepted), 1)
