"""
Tests for L{openfl_twisted.services.reloading}, and for reloading servers.
"""

import os
import signal
import weakref
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trustme
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile

from openfl_twisted.protocols.datagram import DatagramEchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.services import policyserver, xmlserver
from openfl_twisted.services.reloading import ReloadService, _reopenLogs
from openfl_twisted.services.serving import DatagramService, ServerService
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.request import REQUEST
from openfl_twisted.wire.policy.rule import AccessRule
from tests.doubles import TightTransport, linesOf
from tests.frames import REQUEST as UPGRADE
from tests.services.servingcase import ServingTestCase


class Reactor(MemoryReactorClock):
    """
    A reactor whose C{callFromThread} is called in the test.
    """

    def callFromThread(self, callable: Any, *arguments: object, **named: object) -> None:  # noqa: A002
        self.callLater(0, callable, *arguments, **named)


class ReloadTestCase(ServingTestCase):
    """
    A directory for files.
    """

    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)


class SignalTests(ReloadTestCase):
    """
    L{ReloadService} handles SIGHUP.
    """

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self.reloads: list[str] = []
        self.reactor = Reactor()
        self.service_ = ReloadService(lambda: self.reloads.append("reloaded"), self.reactor)

    def hangUp(self) -> list[str]:
        """
        Send SIGHUP to this process.

        @return: the log lines.
        """
        with capturedLogs() as logs:
            os.kill(os.getpid(), signal.SIGHUP)
            # The handler schedules the work in the reactor.
            self.reactor.advance(0)
        return linesOf(logs)

    def test_signal(self) -> None:
        """
        SIGHUP reloads while the service runs, and has its default action afterwards.
        """
        self.service_.startService()
        [line] = self.hangUp()
        self.assertIn("SIGHUP received", line)
        self.assertEqual(self.reloads, ["reloaded"])
        self.service_.stopService()
        self.assertIs(signal.getsignal(signal.SIGHUP), signal.SIG_DFL)

    def test_handledElsewhere(self) -> None:
        """
        A program that handles SIGHUP itself keeps its handler.
        """
        handled: list[int] = []
        signal.signal(signal.SIGHUP, lambda number, frame: handled.append(number))
        self.service_.startService()
        self.hangUp()
        self.service_.stopService()
        self.hangUp()
        self.assertEqual((handled, self.reloads), ([signal.SIGHUP] * 2, []))

    def test_handledElsewhereLater(self) -> None:
        """
        A handler that the program installs later is kept when the service stops.
        """
        handled: list[int] = []
        self.service_.startService()
        signal.signal(signal.SIGHUP, lambda number, frame: handled.append(number))
        self.service_.stopService()
        self.hangUp()
        self.assertEqual((handled, self.reloads), ([signal.SIGHUP], []))

    def test_several(self) -> None:
        """
        All running services of a process reload.
        """
        other = ReloadService(lambda: self.reloads.append("other"), self.reactor)
        self.service_.startService()
        other.startService()
        self.hangUp()
        self.assertEqual(self.reloads, ["reloaded", "other"])
        self.service_.stopService()
        self.hangUp()
        self.assertEqual(self.reloads[2:], ["other"])
        other.stopService()
        self.assertIs(signal.getsignal(signal.SIGHUP), signal.SIG_DFL)

    def test_whileClosing(self) -> None:
        """
        A server handles SIGHUP until its last connection is closed; the default action
        would end the process.
        """
        service = self.service(xmlserver, "--shutdown-timeout=2", "--policy=none")
        with capturedLogs():
            service.startService()
        connection: Any = service.factory.buildProtocol(None)
        connection.makeConnection(TightTransport(connection))
        connection.write(b"abc")
        stopped = service.stopService()
        self.assertIsNot(signal.getsignal(signal.SIGHUP), signal.SIG_DFL)
        clock: Any = service.factory.clock
        clock.advance(2)
        self.successResultOf(stopped)
        self.assertIs(signal.getsignal(signal.SIGHUP), signal.SIG_DFL)

    def test_datagrams(self) -> None:
        """
        A UDP server handles SIGHUP too.
        """
        service = DatagramService([], DatagramEchoProtocol, self.reactor)
        service.startService()
        [line] = self.hangUp()
        self.assertIn("SIGHUP received", line)
        self.successResultOf(service.stopService())
        self.assertIs(signal.getsignal(signal.SIGHUP), signal.SIG_DFL)

    def test_failure(self) -> None:
        """
        An exception is logged, and the server continues.
        """

        def fail() -> None:
            raise ValueError("broken")

        service = ReloadService(fail, self.reactor)
        service.startService()
        self.addCleanup(service.stopService)
        self.assertEqual(self.hangUp()[-1], "reload after SIGHUP failed")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_logs(self) -> None:
        """
        After log files were renamed, logging continues in new files.
        """
        path = self.folder / "server.log"
        log = LogFile.fromFullPath(str(path))
        self.addCleanup(log.close)
        log.write("before\n")
        log.flush()
        path.rename(self.folder / "server.log.1")
        self.assertGreaterEqual(_reopenLogs(), 1)
        log.write("after\n")
        log.flush()
        self.assertEqual(path.read_text(), "after\n")

    def test_deadProxy(self) -> None:
        """
        A weak proxy of a deleted object does not prevent reopening the log files.
        """
        log = LogFile.fromFullPath(str(self.folder / "server.log"))
        self.addCleanup(log.close)
        gone = LogFile.fromFullPath(str(self.folder / "gone.log"))
        gone.close()
        proxy = weakref.proxy(gone)
        del gone
        self.assertRaises(ReferenceError, getattr, proxy, "path")
        self.assertGreaterEqual(_reopenLogs(), 1)

    def test_logLost(self) -> None:
        """
        A log file that cannot be reopened stays in use. The other log files are
        reopened, and the server reloads.
        """
        path, gone = self.folder / "server.log", self.folder / "folder" / "gone.log"
        gone.parent.mkdir()
        logs = [LogFile.fromFullPath(str(each)) for each in (gone, path)]
        closed = LogFile.fromFullPath(str(self.folder / "closed.log"))
        closed.close()
        for log in logs:
            self.addCleanup(log.close)
        gone.parent.rename(self.folder / "moved")
        path.rename(self.folder / "server.log.1")
        self.service_.startService()
        self.addCleanup(self.service_.stopService)
        lines = self.hangUp()
        self.assertIn(f"cannot reopen the log file {gone}: No such file or directory", lines[0])
        self.assertEqual(self.reloads, ["reloaded"])
        for log in logs:
            log.write("after\n")
            log.flush()
        self.assertEqual((self.folder / "moved" / "gone.log").read_text(), "after\n")
        self.assertEqual(path.read_text(), "after\n")


class ServerTests(ReloadTestCase):
    """
    L{ServerService.reload} reloads certificates and policy file.
    """

    def write(self, domain: str) -> Path:
        """
        Write a policy file that grants access to one domain.
        """
        path = self.folder / "policy.xml"
        path.write_bytes(PolicyFile((AccessRule(domain, "*"),)).toXML())
        return path

    def reload(self, service: ServerService) -> list[str]:
        """
        Reload.

        @return: the log lines.
        """
        with capturedLogs() as logs:
            service.reload()
        return linesOf(logs)

    def answer(self, service: ServerService, request: bytes) -> bytes:
        """
        Send a request to a server.
        """
        protocol: Any = service.factory.buildProtocol(None)
        transport = TightTransport(protocol, 10_000)
        protocol.makeConnection(transport)
        protocol.dataReceived(request)
        answer = transport.drainAll()
        protocol.connectionLost(Failure(ConnectionDone()))
        return answer

    def test_policy(self) -> None:
        """
        The new file applies to policy requests and WebSocket origins, with and without
        protocol detection, and on a policy port.
        """
        for module, arguments in [
            (xmlserver, []),
            (xmlserver, ["--plain"]),
            (policyserver, []),
        ]:
            path = self.write("127.0.0.1")
            service = self.service(module, f"--policy={path}", *arguments)
            self.assertIn(b'"127.0.0.1"', self.answer(service, REQUEST))
            detects = isinstance(service.factory.wrappedFactory, OnePortFactory)
            if detects:
                self.assertIn(b" 101 ", self.answer(service, UPGRADE))
            self.write("b.example")
            self.assertEqual(self.reload(service), [f"policy file reloaded from {path}"])
            self.assertIn(b'"b.example"', self.answer(service, REQUEST))
            if detects:
                self.assertIn(b" 403 ", self.answer(service, UPGRADE))

    def test_invalidPolicy(self) -> None:
        """
        If the policy file is invalid the previous one stays in use, and the reason is
        logged.
        """
        path = self.write("a.example")
        service = self.service(xmlserver, f"--policy={path}")
        for content in (b"<a/>", None):
            path.unlink()
            if content is not None:
                path.write_bytes(content)
            [line] = self.reload(service)
            self.assertIn(f"cannot reload the policy file {path}: ", line)
            self.assertIn("still using the previous one", line)
        self.assertIn(b'"a.example"', self.answer(service, REQUEST))

    def test_problems(self) -> None:
        """
        Problems of the new file are logged for each port.
        """
        service = self.service(xmlserver, f"--policy={self.write('a.example')}")
        with capturedLogs():
            service.startService()
        self.addCleanup(service.stopService)
        rules = (AccessRule("a.example", "80"),)
        (self.folder / "policy.xml").write_bytes(PolicyFile(rules).toXML())
        lines = self.reload(service)
        self.assertIn("policy file on 0.0.0.0:8080: rule 1 grants ports below 1024", lines[1])

    def test_certificates(self) -> None:
        """
        Certificates are reloaded. If one is invalid, the previous ones stay in use.
        """
        path = self.folder / "server.pem"
        trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(path))
        service = self.service(xmlserver, f"--tls-certificate={path}")
        self.assertEqual(self.reload(service), [f"certificates reloaded from {path}"])
        path.write_bytes(b"")
        [line] = self.reload(service)
        self.assertIn("cannot reload certificates: ", line)
        self.assertIn("; still using the previous ones", line)

    def test_nothing(self) -> None:
        """
        A server without files has nothing to reload.
        """
        self.assertEqual(self.reload(self.service(xmlserver)), [])
