"""
Tests for L{openfl_twisted.net._permission}.
"""

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import errors
from openfl_twisted.events import Event, SecurityErrorEvent, ServerSocketConnectEvent
from openfl_twisted.net import (
    SecureSocket,
    ServerSocket,
    Socket,
    XMLSocket,
    forgetPolicyFiles,
)
from openfl_twisted.net._permission import permissions
from openfl_twisted.system import Security
from openfl_twisted.testing import EventRecorder
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.request import REQUEST
from openfl_twisted.wire.policy.rule import AccessRule
from tests.net.network import Network, Peer

HOST = "192.0.2.1"
URL = "http://games.example/game.swf"
GRANTING = PolicyFile((AccessRule("games.example", "*"),))
REFUSING = PolicyFile((AccessRule("other.example", "*"),))
SOCKETS: list[Any] = [Socket, XMLSocket, SecureSocket]


class PermissionTestCase(SynchronousTestCase):
    """
    A program in a sandbox, on an in-memory network.
    """

    def setUp(self) -> None:
        """
        Set the program's URL, with C{http}.
        """
        self.addCleanup(forgetPolicyFiles)
        self.sandbox(Security.REMOTE, URL)
        self.network = Network()

    def sandbox(self, sandboxType: str, swfURL: str | None = None) -> None:
        """
        Set the sandbox of the program.
        """
        self.patch(Security, "sandboxType", sandboxType)
        self.patch(Security, "swfURL", swfURL)

    def make(self, cls: Any = Socket) -> Any:
        """
        Create a socket whose events are recorded.
        """
        socket = cls(reactor=self.network.reactor)
        self.recorder = EventRecorder(socket)
        return socket

    def assertAsked(self, *ports: int) -> None:
        """
        Check the ports of all connection attempts.
        """
        self.assertEqual([port for _, port in self.network.dialled], list(ports))

    def answer(self, policy: PolicyFile) -> Peer:
        """
        Answer the latest policy request with a policy file.
        """
        peer = self.network.answer()
        self.assertEqual(peer.received, REQUEST)
        peer.send(policy.toXML() + b"\0")
        self.assertTrue(peer.closed)
        return peer

    def decide(self, policy: PolicyFile, cls: Any = Socket) -> list[Event]:
        """
        Connect a socket to a host with the given master policy file.

        @return: its events.
        """
        self.make(cls).connect(HOST, 8080)
        self.answer(policy)
        return self.recorder.events


class GrantedTests(PermissionTestCase):
    """
    A granted connection behaves as without a sandbox.
    """

    def test_connect(self) -> None:
        """
        The socket connects when the policy file has been received, on a separate
        connection that only carries its data.
        """
        socket = self.make()
        connected = socket.whenConnected
        socket.connect(HOST, 8080)
        waiting = connected()
        self.assertAsked(843)
        self.answer(GRANTING)
        self.assertAsked(843, 8080)
        self.assertEqual(self.recorder.events, [])
        peer = self.network.answer()
        self.assertEqual(self.recorder.types, ["connect"])
        self.successResultOf(waiting)
        socket.writeUTFBytes("hello")
        socket.flush()
        self.assertEqual(peer.received, b"hello")

    def test_everySocket(self) -> None:
        """
        Each socket class requests a policy file first.
        """
        for cls in SOCKETS:
            self.network = Network()
            self.decide(GRANTING, cls)
            self.assertAsked(843, 8080)

    def test_own(self) -> None:
        """
        Without a master policy file, the file is requested from the target port, which
        is then connected to again.
        """
        self.make().connect(HOST, 8080)
        self.network.turnAway()
        self.answer(GRANTING)
        self.assertAsked(843, 8080, 8080)

    def test_known(self) -> None:
        """
        A cached policy file is not requested again until the cache is cleared. The
        result is never dispatched within the call.
        """
        self.decide(GRANTING)
        self.make().connect(HOST, 9000)
        self.assertAsked(843, 8080, 9000)
        self.network.answer()
        self.assertEqual(self.recorder.types, ["connect"])
        forgetPolicyFiles()
        self.make().connect(HOST, 9000)
        self.assertAsked(843, 8080, 9000, 843)

    def test_named(self) -> None:
        """
        A file named by C{loadPolicyFile} is requested first, but not after the cache is
        cleared.
        """
        Security.loadPolicyFile(f"xmlsocket://{HOST}:8430")
        self.assertAsked()
        self.make().connect(HOST, 8080)
        self.assertAsked(8430)
        self.answer(GRANTING)
        self.assertAsked(8430, 8080)
        forgetPolicyFiles()
        self.make().connect(HOST, 8080)
        self.assertAsked(8430, 8080, 843)

    def test_https(self) -> None:
        """
        Content loaded over HTTPS is treated as secure.
        """
        secure = PolicyFile((AccessRule("games.example", "*", secure=True),))
        self.sandbox(Security.REMOTE, "https://games.example/")
        self.assertEqual(self.decide(secure), [])
        self.assertAsked(843, 8080)
        self.network = Network()
        self.sandbox(Security.REMOTE, URL)
        self.decide(secure)
        self.assertAsked(843, 8080)
        self.network.turnAway()
        self.assertEqual(self.recorder.types, ["securityError"])

    def test_home(self) -> None:
        """
        The default host is that from which the program was loaded.
        """
        self.sandbox(Security.REMOTE, "http://192.0.2.7/")
        self.make().connect(None, 8080)
        self.assertEqual(self.network.dialled[-1][0], "192.0.2.7")
        self.sandbox(Security.REMOTE, "http://[2001:db8::1]/")
        self.make().connect(None, 8080)
        self.assertEqual(self.network.dialled[-1][0], "2001:db8::1")

    def test_masterPort(self) -> None:
        """
        C{masterPort} replaces port 843.
        """
        self.patch(permissions, "masterPort", 9843)
        self.make().connect(HOST, 80)
        self.assertAsked(9843)
        self.answer(GRANTING)
        self.assertAsked(9843, 80)


class RefusedTests(PermissionTestCase):
    """
    A denied connection dispatches C{securityError} only.
    """

    def test_event(self) -> None:
        """
        Each socket class dispatches #2048 with Flash's text and the reason, without
        C{ioError} and C{close}, and can connect again.
        """
        for cls in SOCKETS:
            self.network = Network()
            self.decide(PolicyFile(REFUSING.rules, "master-only"), cls)
            self.network.step()
            [event] = self.recorder.events
            assert isinstance(event, SecurityErrorEvent)
            self.assertEqual((event.type, event.errorID), ("securityError", 2048))
            self.assertTrue(
                event.text.startswith(
                    "Error #2048: Security sandbox violation: http://games.example/game.swf "
                    "cannot load data from 192.0.2.1:8080. master policy file on port 843: "
                ),
                event.text,
            )
            self.assertIn("its domain does not match 'games.example'", event.text)
            self.assertIn("'master-only': no other policy file is valid", event.text)
            self.assertAsked(843)
            socket = event.target
            assert isinstance(socket, Socket | XMLSocket)
            self.assertFalse(socket.connected)
            self.assertRaises(errors.IOError, socket.close)
            self.successResultOf(socket.whenClosed())

    def test_noServer(self) -> None:
        """
        If no server is listening, there is no policy file and no permission.
        """
        self.make().connect("2001:db8::1", 8080)
        self.network.turnAway()
        self.network.turnAway()
        [event] = self.recorder.events
        assert isinstance(event, SecurityErrorEvent)
        self.assertIn("cannot load data from [2001:db8::1]:8080. ", event.text)
        self.assertIn("port 843: connection refused; ", event.text)

    def test_awaited(self) -> None:
        """
        C{whenConnected} fails with the same error.
        """
        socket = self.make()
        socket.connect(HOST, 8080)
        waiting = socket.whenConnected()
        self.answer(PolicyFile(REFUSING.rules, "none"))
        error = self.failureResultOf(waiting, errors.SecurityError).value
        self.assertEqual(error.errorID, 2048)

    def test_known(self) -> None:
        """
        A cached refusal is also an event, which is never dispatched within the call.
        """
        self.decide(PolicyFile(REFUSING.rules, "none"))
        self.make().connect(HOST, 8080)
        self.assertEqual(self.recorder.events, [])
        self.network.step()
        self.assertEqual(self.recorder.types, ["securityError"])
        self.assertAsked(843)

    def test_timeout(self) -> None:
        """
        The socket's timeout includes the policy requests. It dispatches C{ioError}, and
        cancels the requests.
        """
        socket = self.make()
        socket.timeout = 2000
        socket.connect(HOST, 8080)
        peer = self.network.answer()
        self.network.reactor.advance(2)
        self.assertEqual(self.recorder.types, ["ioError"])
        self.assertTrue(peer.closed)
        self.network.reactor.advance(0)
        self.assertEqual(self.network.reactor.getDelayedCalls(), [])

    def test_silentServer(self) -> None:
        """
        A server that does not answer policy requests is a refusal before the socket's
        timeout.
        """
        self.make().connect(HOST, 8080)
        self.network.turnAway()
        self.network.answer()
        self.network.reactor.advance(10)
        [event] = self.recorder.events
        assert isinstance(event, SecurityErrorEvent)
        self.assertIn("policy file on port 8080: no answer in time", event.text)

    def test_closed(self) -> None:
        """
        Closing the socket during a policy request cancels the request without an event.
        """
        socket = self.make()
        socket.connect(HOST, 8080)
        peer = self.network.answer()
        socket.close()
        self.assertTrue(peer.closed)
        self.network.step()
        self.assertEqual(self.recorder.events, [])
        self.assertEqual(self.network.reactor.getDelayedCalls(), [])

    def test_replaced(self) -> None:
        """
        A new attempt replaces one with a pending policy request; only its result is
        dispatched.
        """
        socket = self.make()
        socket.connect(HOST, 8080)
        socket.connect("192.0.2.2", 8080)
        self.answer(PolicyFile(REFUSING.rules, "none"))
        self.network.step()
        [event] = self.recorder.events
        self.assertIn("192.0.2.2:8080", event.text)  # type: ignore[attr-defined]


class SandboxTests(PermissionTestCase):
    """
    The sandbox determines the required permission.
    """

    def test_application(self) -> None:
        """
        A desktop program needs no permission, for any URL, as in AIR and OpenFL. This
        is the default.
        """
        self.sandbox(Security.APPLICATION, URL)
        self.make().connect(HOST, 8080)
        self.make().connect(None, 8080)
        self.assertAsked(8080, 8080)
        self.assertEqual(self.network.dialled[-1][0], "127.0.0.1")

    def test_withFile(self) -> None:
        """
        In C{LOCAL_WITH_FILE}, connecting raises #2010, and an existing connection stays
        open.
        """
        self.sandbox(Security.APPLICATION)
        socket = self.make()
        socket.connect(HOST, 8080)
        self.network.answer()
        self.sandbox(Security.LOCAL_WITH_FILE)
        error = self.assertRaises(errors.SecurityError, socket.connect, HOST, 8080)
        self.assertEqual(error.errorID, 2010)
        self.assertEqual(
            str(error),
            "Error #2010: Local-with-filesystem SWF files are not permitted to use sockets.",
        )
        self.assertTrue(socket.connected)
        self.assertEqual(self.recorder.types, ["connect"])
        self.assertRaises(errors.SecurityError, XMLSocket, HOST, 8080)

    def test_withNetwork(self) -> None:
        """
        A program without a host is subject to rules for all domains only. Its sandbox
        replaces its URL in messages.
        """
        for sandbox in (Security.LOCAL_WITH_NETWORK, Security.LOCAL_TRUSTED, Security.REMOTE):
            self.sandbox(sandbox, None if sandbox == Security.REMOTE else URL)
            self.network = Network()
            self.decide(PolicyFile((AccessRule("*", "*"),)))
            self.assertAsked(843, 8080)
            self.network = Network()
            self.decide(PolicyFile(GRANTING.rules, "master-only"))
            self.network.step()
            [event] = self.recorder.events
            self.assertIn("its domain does not match content without a domain", event.text)  # type: ignore[attr-defined]
        self.assertIn("violation: remote cannot", event.text)  # type: ignore[attr-defined]

    def test_trusted(self) -> None:
        """
        In C{LOCAL_TRUSTED}, the loopback interface needs no permission.
        """
        self.sandbox(Security.LOCAL_TRUSTED)
        for host in ("127.0.0.1", "::1", "[::1]"):
            self.make().connect(host, 8080)
        self.assertAsked(8080, 8080, 8080)
        self.make().connect("127.0.0.2", 8080)
        self.assertAsked(8080, 8080, 8080, 843)

    def test_wrongURL(self) -> None:
        """
        An invalid C{swfURL} raises an exception from the call.
        """
        for url in ("games.example", "file:///game.swf", ""):
            self.sandbox(Security.REMOTE, url)
            for host in (HOST, None):
                error = self.assertRaises(errors.ArgumentError, self.make().connect, host, 80)
                self.assertIn("Security.swfURL: ", str(error))
        self.assertAsked()

    def test_accepted(self) -> None:
        """
        Sockets accepted by a C{ServerSocket} need no permission.
        """
        self.sandbox(Security.LOCAL_WITH_FILE)
        server = ServerSocket(reactor=self.network.reactor)
        sockets: list[Socket] = []
        server.addEventListener(
            ServerSocketConnectEvent.CONNECT, lambda event: sockets.append(event.socket)
        )
        server.bind(8080, "127.0.0.1")
        server.listen()
        self.network.attempts.release()
        client = Peer(self.network)
        endpoint = TCP4ClientEndpoint(self.network.reactor, "127.0.0.1", 8080)
        self.network.run(connectProtocol(endpoint, client))
        client.send(b"hello")
        self.assertEqual([socket.readUTFBytes(5) for socket in sockets], ["hello"])
