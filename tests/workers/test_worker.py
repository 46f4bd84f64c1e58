"""
Tests for L{openfl_twisted.workers.worker}.
"""

import json
import socket
from unittest.mock import patch

from twisted.internet.error import ConnectionDone, ReactorNotRunning
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from openfl_twisted.reactors.inheriting import IInheritingReactor
from openfl_twisted.workers import worker
from openfl_twisted.workers.worker import WorkerSide
from tests.doubles import linesOf
from tests.support.workers import WorkerReactor


class Reactor(WorkerReactor):
    """
    A reactor that counts how often it is stopped.
    """

    isRunning = True
    stops = 0

    def stop(self) -> None:
        if not self.isRunning:
            raise ReactorNotRunning
        self.stops += 1


class WorkerTests(SynchronousTestCase):
    """
    L{WorkerSide}.
    """

    def setUp(self) -> None:
        own, other = socket.socketpair()
        self.addCleanup(other.close)
        self.patch(worker, "LINK", own.detach())
        self.reactor = Reactor()

    def test_lost(self) -> None:
        """
        The worker reports that its ports are open. When the supervisor ends, it stops.
        """
        link = WorkerSide(1, 0).start({}, self.reactor)
        transport = self.reactor.link.transport
        self.assertEqual(transport.value()[4:], b'{"ask": "listening", "with": {}}')
        with capturedLogs() as logs:
            link.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.reactor.stops, 1)
        self.assertEqual(linesOf(logs), ["the supervisor has ended; stopping"])

    def test_stop(self) -> None:
        """
        The supervisor can stop the worker, even if it is stopping already.
        """
        link = WorkerSide(1, 0).start({}, self.reactor)
        message = b'{"ask": "stop", "with": {}}'
        for _ in range(2):
            link.dataReceived(len(message).to_bytes(4, "big") + message)
            self.reactor.isRunning = False
        self.assertEqual(self.reactor.stops, 1)

    def test_check(self) -> None:
        """
        The worker answers the checks of the supervisor.
        """
        link = WorkerSide(1, 0).start({}, self.reactor)
        transport = self.reactor.link.transport
        transport.clear()
        message = b'{"ask": "check", "with": {}}'
        link.dataReceived(len(message).to_bytes(4, "big") + message)
        self.assertEqual(transport.value()[4:], b'{"ask": "alive", "with": {}}')

    def test_files(self) -> None:
        """
        The worker answers the request for the files of the application.
        """
        link = WorkerSide(1, 0).start({}, self.reactor)
        transport = self.reactor.link.transport
        transport.clear()
        link.stringReceived(b'{"ask": "files", "number": 1, "with": {}}')
        self.assertIn(__file__, json.loads(transport.value()[4:])["value"])

    def test_stopping(self) -> None:
        """
        When the worker stops, the connection is lost too.
        """
        with patch("twisted.internet.reactor", self.reactor, create=True):
            link = WorkerSide(1, 0).start({})
        self.reactor.isRunning = False
        with capturedLogs() as logs:
            link.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(logs, [])

    def test_ports(self) -> None:
        """
        The descriptors of the ports follow that of the link, in the order of the
        endpoints.
        """
        side = WorkerSide(1, 2)
        self.patch(worker, "LINK", 3)
        descriptors = [side.portReactor(self.reactor, index)._descriptor for index in range(2)]
        self.assertEqual(descriptors, [4, 5])
        verifyObject(IInheritingReactor, side.portReactor(self.reactor, 0))
        self.assertRaises(ValueError, side.portReactor, self.reactor, 2)
