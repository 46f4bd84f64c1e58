"""
Tests for the services of the commands, in memory.
"""

import errno
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import trustme
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from openfl_twisted.endpoints import StartupError
from openfl_twisted.protocols.broadcast import BroadcastProtocol
from openfl_twisted.protocols.datagram import DatagramEchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.policyfile import PolicyFileFactory
from openfl_twisted.protocols.serversocketexample import ServerSocketExampleFactory
from openfl_twisted.protocols.simpleserver import FaithfulServerFactory, SimpleServerFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.rooms.pubsub import PubSubState
from openfl_twisted.rooms.room import RoomLimits
from openfl_twisted.rooms.roomprotocol import PathRoomProtocol, RoomFactory, XMLRoomProtocol
from openfl_twisted.services import echoserver, policyserver, xmlserver
from openfl_twisted.services.serving import DatagramService, ServerService, serveData
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.wire.firstbytes import FOREIGN, ClientType, Signature
from openfl_twisted.wire.framing import FRAMINGS
from openfl_twisted.wire.policy.file import PolicyFile
from tests.dashboard.browser import ADDRESS
from tests.doubles import TightTransport, linesOf
from tests.extensions import purposes
from tests.frames import BINARY, CLOSE, REQUEST, RESPONSE, TEXT, frame, framesIn
from tests.laboratory import PAST, authority, server
from tests.services.optionscase import Board, Table
from tests.services.servingcase import ServingTestCase
from tests.support.recipients import RecordingRecipient


@implementer(IStreamServerEndpoint)
class FailingEndpoint:
    """
    An endpoint whose C{listen} fails.
    """

    def __init__(self, problem: Exception) -> None:
        self.result: Deferred[IListeningPort] = fail(problem)

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        return self.result


class ServiceTests(ServingTestCase):
    """
    L{ServerService} on TCP ports.
    """

    def start(self, service: ServerService) -> list[str]:
        """
        Start a service as C{twistd} does.

        @return: the log lines.
        """
        with capturedLogs() as logs:
            service.privilegedStartService()
            service.startService()
        self.addCleanup(service.stopService)
        return linesOf(logs)

    def test_start(self) -> None:
        """
        The service listens once, before privileges are dropped, and logs the address.
        """
        service = self.service(xmlserver)
        self.assertEqual(self.start(service), ["listening on 0.0.0.0:8080 (all interfaces)"])
        [(port, factory, *_)] = self.reactor.tcpServers
        self.assertEqual(port, 8080)
        self.assertIs(factory, service.factory)

    def test_describePorts(self) -> None:
        """
        For each port, the lines of the options are logged.
        """
        service = self.service(xmlserver)
        self.patch(
            service._options,
            "describePorts",
            lambda hosts: [f"page at {host.port}" for host in hosts],
        )
        self.assertEqual(
            self.start(service), ["listening on 0.0.0.0:8080 (all interfaces)", "page at 8080"]
        )

    def test_certificates(self) -> None:
        """
        At the start, problems of the certificates are logged, and whether renewed ones
        cannot be loaded.
        """
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "server.pem"
        intermediate = authority("Intermediate", authority("Root"))
        for leaf, problem in (
            (server(intermediate), None),
            (server(intermediate, ends=PAST), "expired on 2010-01-01 00:00 UTC"),
            (server(intermediate, purposes("CLIENT_AUTH")), "is not valid for servers"),
        ):
            leaf.save(path)
            service = self.service(xmlserver, f"--tls-certificate={path}")
            _, *others = self.start(service)
            if problem is None:
                self.assertEqual(others, [])
            else:
                [line] = others
                self.assertIn(f"{path}: the certificate {problem}", line)
        server(intermediate).save(path)
        service = self.service(xmlserver, f"--tls-certificate={path}")
        with patch("pathlib.Path.read_bytes", side_effect=PermissionError(13, "Permission denied")):
            _, line = self.start(service)
        self.assertIn(f"renewed certificates cannot be loaded: {path}: Permission denied", line)

    def test_startAsTwist(self) -> None:
        """
        C{twist} starts the service without C{privilegedStartService}.
        """
        service = self.service(xmlserver)
        service.startService()
        self.assertEqual(len(self.reactor.tcpServers), 1)
        self.successResultOf(service.stopService())

    def test_cannotListen(self) -> None:
        """
        If a port cannot be opened, the start fails with one line, which names a missing
        privilege.
        """
        for problem, words in [
            (OSError(errno.EADDRINUSE, "Address already in use"), "127.0.0.1:80: Address already"),
            (PermissionError(errno.EACCES, "Permission denied"), "Permission denied; ports below"),
        ]:
            endpoint = FailingEndpoint(CannotListenError("127.0.0.1", 80, problem))
            service = self.service(xmlserver, endpoint=endpoint)
            error = self.assertRaises(StartupError, service.privilegedStartService)
            self.assertIn(words, str(error))
            self.assertEqual(error.code, str(error))
        inUse = OSError(errno.EADDRINUSE, "Address already in use")
        text = str(StartupError.fromError(CannotListenError("::", 80, inUse)))
        self.assertTrue(
            text.endswith("; the interface :: also accepts IPv4: do not listen with IPv4 as well")
        )
        service = self.service(xmlserver, endpoint=FailingEndpoint(ValueError("no such thing")))
        error = self.assertRaises(StartupError, service.startService)
        self.assertEqual(str(error), "cannot listen: no such thing")

    def test_cannotListenLater(self) -> None:
        """
        An endpoint that fails asynchronously is logged.
        """
        endpoint = FailingEndpoint(ValueError())
        self.failureResultOf(endpoint.result)
        endpoint.result = Deferred()
        service = self.service(xmlserver, endpoint=endpoint)
        self.start(service)
        endpoint.result.errback(Failure(CannotListenError(None, 80, OSError("too late"))))
        [failure] = self.flushLoggedErrors(StartupError)
        self.assertEqual(failure.getErrorMessage(), "cannot listen on *:80: too late")

    def test_policyProblems(self) -> None:
        """
        The problems of a policy file on its port are logged at the start.
        """
        service = self.service(policyserver, "--allow=*:80")
        problem = "rule 1 grants ports below 1024, but a file from port 8080 cannot"
        self.assertEqual(
            self.start(service)[1:],
            [f"policy file on 0.0.0.0:8080: {problem}"],
        )

    def test_noPolicyForThisPort(self) -> None:
        """
        On a UNIX socket no problems of a policy file are logged.
        """
        service = self.service(xmlserver)
        unix = UNIXServerEndpoint(self.reactor, "/a")
        with capturedLogs() as logs:
            service.portOpened(unix._reactor.listenUNIX(b"/a", service.factory).getHost())
        self.assertEqual(len(logs), 1)

    def stop(self, *options: str) -> tuple[TightTransport, Deferred[Any]]:
        """
        Stop a server that has a client which does not read.

        @return: the transport of the client, and the result of C{stopService}.
        """
        service = self.service(xmlserver, "--policy=none", *options)
        self.start(service)
        connection = service.factory.buildProtocol(None)
        assert connection is not None
        transport = TightTransport(connection)
        connection.makeConnection(transport)
        connection.write(b"abc")
        return transport, service.stopService()

    def test_stop(self) -> None:
        """
        At shutdown the ports are closed, and then the connections, within the timeout.
        """
        transport, stopped = self.stop("--shutdown-timeout=2")
        self.assertTrue(transport.disconnecting)
        self.assertNoResult(stopped)
        self.reactor.advance(2)
        self.assertTrue(transport.closed)
        self.successResultOf(stopped)

    def test_stopWithoutTimeout(self) -> None:
        """
        With C{--shutdown-timeout=0}, a client that does not read is disconnected immediately.
        """
        transport, stopped = self.stop("--shutdown-timeout=0")
        self.reactor.advance(0)
        self.assertTrue(transport.closed)
        self.successResultOf(stopped)


class UDPReactor:
    """
    A reactor with one UDP port in use.
    """

    def __init__(self) -> None:
        self.closed: list[int] = []

    def listenUDP(self, port: int, protocol: Any, interface: str, maxPacketSize: int) -> Any:
        if port == 7:
            raise CannotListenError(interface, port, OSError(errno.EADDRINUSE, "in use"))
        reactor = self

        class Port:
            def getHost(self) -> IPv4Address:
                return IPv4Address("UDP", interface, port)

            def stopListening(self) -> None:
                reactor.closed.append(port)

        return Port()


class DatagramServiceTests(SynchronousTestCase):
    """
    L{DatagramService} on UDP ports.
    """

    def test_ports(self) -> None:
        """
        Each port is opened once, logged, and closed.
        """
        reactor = UDPReactor()
        addresses = [(80, "127.0.0.1"), (81, "127.0.0.1")]
        service = DatagramService(addresses, DatagramEchoProtocol, reactor)
        with capturedLogs() as logs:
            service.privilegedStartService()
            service.startService()
        self.assertEqual(
            linesOf(logs),
            ["listening on 127.0.0.1:80 (UDP)", "listening on 127.0.0.1:81 (UDP)"],
        )
        self.successResultOf(service.stopService())
        self.assertEqual(reactor.closed, [80, 81])

    def test_cannotListen(self) -> None:
        """
        If a port cannot be opened, the start fails with one line.
        """
        service = DatagramService([(7, "127.0.0.1")], DatagramEchoProtocol, UDPReactor())
        error = self.assertRaises(StartupError, service.startService)
        self.assertTrue(str(error).startswith("cannot listen on 127.0.0.1:7: in use; another "))


class MakeServiceTests(ServingTestCase):
    """
    The factories of each command.
    """

    def factories(self, module: Any, *arguments: str) -> tuple[GuardFactory, Any, Any]:
        """
        Return the factories of a command, the outermost first.
        """
        guard = self.service(module, *arguments).factory
        door = guard.wrappedFactory
        return guard, door, getattr(door, "wrappedFactory", None)

    def test_xml(self) -> None:
        """
        C{openfl-xml} has a guard, protocol detection and a broadcast factory.
        """
        guard, door, xml = self.factories(
            xmlserver, "--max-connections=5", "--idle-timeout=6", "--greeting-delay=7",
            "--max-message=8", "--max-queue=9",
        )  # fmt: skip
        assert isinstance(door, OnePortFactory)
        assert isinstance(xml, XMLSocketFactory)
        self.assertEqual((guard.maxConnections, guard.idleTimeout, door.greetingDelay), (5, 6, 7))
        self.assertIs(xml.protocol, BroadcastProtocol)
        self.assertEqual(
            xml.given, {"maxLength": 8, "maxQueue": 9, "messageRate": 0.0, "byteRate": 0}
        )
        self.assertEqual((xml.policy, xml.refused), (PolicyFile.forPort, FOREIGN))
        self.assertEqual(door.policy, PolicyFile.forPort)

    def test_plain(self) -> None:
        """
        With C{--plain} there is no protocol detection, so clients are served
        immediately.
        """
        _, xml, _ = self.factories(xmlserver, "--plain", "--policy=none")
        assert isinstance(xml, XMLSocketFactory)
        self.assertIsNone(xml.policy)

    def test_tls(self) -> None:
        """
        With a certificate, protocol detection accepts TLS; with C{--plain} all
        connections use TLS.
        """
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = f"{folder.name}/server.pem"
        trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(path)
        _, door, _ = self.factories(xmlserver, f"--tls-certificate={path}")
        self.assertIn(ClientType.TLS, door.accept)
        service = self.service(xmlserver, f"--tls-certificate={path}", "--plain")
        [port] = service.services
        self.assertIsInstance(port.factory, TLSMemoryBIOFactory)
        self.assertIs(port.factory.wrappedFactory, service.factory)

    def test_subprotocols(self) -> None:
        """
        The subprotocols of the command are preferred to C{binary}.
        """
        _, door, _ = self.factories(xmlserver, "--subprotocol=chat")
        self.assertEqual(door._makeWebSockets.keywords["subprotocols"], ("chat", "binary"))

    def test_framing(self) -> None:
        """
        The framing is passed to the factory.
        """
        _, _, xml = self.factories(xmlserver, "--framing=crlf")
        assert isinstance(xml, XMLSocketFactory)
        self.assertIs(xml.framing, FRAMINGS["crlf"])

    def test_echo(self) -> None:
        """
        C{openfl-echo} has the factories of both servers, and of the faithful one.
        """
        _, _, echo = self.factories(echoserver)
        assert isinstance(echo, ServerSocketExampleFactory)
        refused = FOREIGN - {Signature.PROXY}
        self.assertEqual((echo.given, echo.refused), ({"maxLength": 65536}, refused))
        _, _, echo = self.factories(
            echoserver, "--style=simple-server", "--framing=nul", "--terminator=none",
            "--max-message=1K",
        )  # fmt: skip
        assert isinstance(echo, SimpleServerFactory)
        self.assertEqual((echo.given, echo.refused), ({"maxLength": 1024}, refused))
        self.assertEqual((echo.framing, echo.terminator), ("nul", b""))
        _, _, echo = self.factories(echoserver, "--style=simple-server", "--faithful")
        self.assertIsInstance(echo, FaithfulServerFactory)

    def test_policy(self) -> None:
        """
        C{openfl-policy} has a guard and the policy factory.
        """
        _, policy, _ = self.factories(
            policyserver, "--allow=*:80", "--idle-timeout=3", "--max-message=30"
        )
        assert isinstance(policy, PolicyFileFactory)
        self.assertEqual((policy.timeout, policy.maxLength), (3, 30))


class HTTPTests(ServingTestCase):
    """
    HTTP requests on the port of a command.
    """

    def test_factory(self) -> None:
        """
        A command can set the factory for HTTP requests; the default is C{None}.
        """
        options = xmlserver.Options()
        options.parseOptions([])
        for http in (None, Factory()):
            options["http"] = http
            service = serveData(options, Factory())
            self.assertIs(service.factory.wrappedFactory.http, http)


class WebSocketLimitTests(ServingTestCase):
    """
    The limits of WebSocket messages are those of TCP.
    """

    def exchange(self, *arguments: str, sent: bytes) -> list[tuple[int, bytes]]:
        """
        Send frames to a command.

        @param sent: the frames.
        @return: the opcode and payload of each received frame.
        """
        service = self.service(xmlserver, "--echo", *arguments)
        door = cast("OnePortFactory", service.factory.wrappedFactory)
        door.clock = self.reactor
        with capturedLogs():
            protocol = service.factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 5))
            transport = TightTransport(protocol, 1 << 24, peerAddress=ADDRESS)
            transport.atOnce = False
            protocol.makeConnection(transport)
            transport.arrive(REQUEST.replace(b":9301", b":8080"))
            transport.arrive(sent)
            self.reactor.pump([0] * 50)
            answer = transport.drainAll()
        self.assertEqual(answer[: len(RESPONSE)], RESPONSE)
        return [(opcode, payload) for opcode, payload in framesIn(answer[len(RESPONSE) :])]

    def test_longest(self) -> None:
        """
        A message of exactly C{--max-message} bytes and its NUL byte is delivered, also
        compared with the default limit of a frame; a longer one is answered with 1009.
        """
        for length in (10, 1_500_000):
            for opcode in (TEXT, BINARY):
                message = b"x" * length + b"\0"
                answers = self.exchange("--max-message", str(length), sent=frame(opcode, message))
                self.assertEqual(b"".join(payload for _, payload in answers), message)
                [*_, (kind, close)] = self.exchange(
                    "--max-message", str(length), sent=frame(opcode, b"x" + message)
                )
                self.assertEqual((kind, close[:2]), (CLOSE, (1009).to_bytes(2)))


class RoomServiceTests(ServingTestCase):
    """
    C{openfl-xml} with rooms.
    """

    def test_rooms(self) -> None:
        """
        Rooms have the limits of the options.
        """
        for kind, protocol in (("path", PathRoomProtocol), ("xml", XMLRoomProtocol)):
            service = self.service(
                xmlserver, f"--rooms={kind}", "--max-rooms=2", "--max-members=3",
                "--message-rate=5", "--byte-rate=6K", *(["--resume=4"] if kind == "xml" else []),
                "--max-name=9", "--room-members=duel=2",
            )  # fmt: skip
            factory = cast("Any", service.factory.wrappedFactory).wrappedFactory
            assert isinstance(factory, RoomFactory)
            self.assertIs(factory.protocol, protocol)
            self.assertIs(service.lobby, factory.lobby)
            resume = 4.0 if kind == "xml" else 0.0
            limits = RoomLimits(maxRooms=2, maxMembers=3, maxName=9, resume=resume)
            self.assertEqual(factory.lobby.limits, limits)
            for room, members in [("duel", 2), ("chess", 3)]:
                member = factory.lobby.join(room, RecordingRecipient())
                assert member.room is not None
                self.assertEqual(member.room.limits, replace(limits, maxMembers=members))
            self.assertEqual(factory.given["messageRate"], 5.0)
            self.assertEqual(factory.given["byteRate"], 6144)
            self.assertEqual(len(factory.lobby.observers), kind == "xml")

    def test_restart(self) -> None:
        """
        A restarted service keeps the memberships of disconnected members again.
        """
        service = self.service(xmlserver, "--rooms=xml", "--resume=4")
        lobby = service.lobby
        assert lobby is not None
        service.startService()
        self.successResultOf(service.stopService())
        service.startService()
        member = lobby.join("chess", RecordingRecipient())
        lobby.suspend(member)
        self.assertIsNotNone(member.room)
        self.successResultOf(service.stopService())
        self.assertIsNone(member.room)

    def test_own(self) -> None:
        """
        A user's room protocol receives the rooms; with XML commands its clients are
        notified of members that join and leave.
        """
        for protocol, announces in ((Table, False), (Board, True)):
            name = f"--app={protocol.__module__}:{protocol.__name__}"
            service = self.service(xmlserver, name, "--max-rooms=2")
            factory = cast("Any", service.factory.wrappedFactory).wrappedFactory
            assert isinstance(factory, RoomFactory)
            self.assertIs(factory.protocol, protocol)
            self.assertEqual(factory.lobby.limits.maxRooms, 2)
            self.assertEqual(len(factory.lobby.observers), announces)

    def test_broker(self) -> None:
        """
        The connections to a broker are started and stopped with the service.
        """
        service: Any = self.service(xmlserver, "--rooms=xml", "--broker=memory:")
        self.assertEqual(len(service.brokers), 2)
        service.startService()
        self.assertIs(service.pubSub.state, PubSubState.UP)
        self.successResultOf(service.stopService())
        self.assertIs(service.pubSub.state, PubSubState.STOPPED)

    def test_brokerWithoutPresence(self) -> None:
        """
        With NATS there is no presence.
        """
        service = self.service(xmlserver, "--rooms=path", "--broker=nats://127.0.0.1:4222")
        self.assertEqual(service.brokers, [service.pubSub])

    def test_farewell(self) -> None:
        """
        At shutdown the farewell is sent to all clients, with and without rooms.
        """
        for rooms in ("none", "xml"):
            service = self.service(xmlserver, f"--rooms={rooms}", "--farewell=<bye/>", "--plain")
            service.startService()
            protocol = service.factory.buildProtocol(None)
            transport = TightTransport(protocol, 1000)
            transport.atOnce = False
            protocol.makeConnection(transport)
            stopping = service.stopService()
            self.assertEqual(transport.drainAll(), b"<bye/>\0")
            self.assertTrue(transport.closed)
            self.successResultOf(stopping)

    def test_faultyFarewell(self) -> None:
        """
        An exception while sending the farewell does not prevent the shutdown.
        """
        service: Any = self.service(xmlserver, "--rooms=xml", "--plain")
        service.startService()

        def fault() -> None:
            raise ValueError("a fault of the user's")

        service.farewell = fault
        self.successResultOf(service.stopService())
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
