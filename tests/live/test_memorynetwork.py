"""
The in-memory network behaves like real sockets: the same programs observe the same on
both.

A program is an C{async} function that receives a reactor and returns its observations.
These do not include details that depend on the system, such as port numbers and chunk
boundaries.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    TCP6ClientEndpoint,
    TCP6ServerEndpoint,
)
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import DatagramProtocol, Factory
from twisted.internet.task import deferLater
from zope.interface import implementer

from openfl_twisted import errors
from openfl_twisted.events import ProgressEvent, eventTypes
from openfl_twisted.net import DatagramSocket, SecureSocket, ServerSocket, Socket, XMLSocket
from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.testing import (
    STATUSES,
    CertificateMaker,
    MemoryNetwork,
    Peer,
    ScriptedPeer,
)
from openfl_twisted.utils import ByteArray
from tests.live import live
from tests.live.peers import HOST, theReactor

Seen = list[Any]
Program = Callable[[Any], Awaitable[Seen]]

MUCH = bytes(range(256)) * 16_384
"""
More than the buffers of any system: 4 MiB.
"""

MAKER = CertificateMaker()


def watch(dispatcher: Any, seen: Seen, name: str = "") -> None:
    """
    Record the events of a socket; consecutive data events are one.
    """

    def note(event: Any) -> None:
        if event.type == ProgressEvent.SOCKET_DATA:
            data = dispatcher.readUTFBytes(dispatcher.bytesAvailable)
            if seen and seen[-1][:2] == (name, event.type):
                data = seen.pop()[2] + data
            seen.append((name, event.type, data))
        elif event.type == "outputProgress":
            pass
        else:
            text = getattr(event, "data", getattr(event, "text", None))
            if event.type == "ioError":
                # The port is chosen by the system.
                text = re.sub(r":\d+\b", ":PORT", str(text))
            seen.append((name, event.type, text))

    for type in eventTypes(dispatcher):
        dispatcher.addEventListener(type, note)


def once(dispatcher: Any, type: str) -> Deferred[Any]:
    waiting: Deferred[Any] = Deferred()

    def onEvent(event: Any) -> None:
        dispatcher.removeEventListener(type, onEvent)
        waiting.callback(event)

    dispatcher.addEventListener(type, onEvent)
    return waiting


async def until(reactor: Any, condition: Callable[[], object]) -> None:
    """
    Wait until a condition is met.
    """
    while not condition():
        await deferLater(reactor, 0.005)


def refusal(call: Callable[..., object], *arguments: Any) -> tuple[str, str]:
    """
    Return the error of a call.
    """
    with pytest.raises(errors.Error) as caught:
        call(*arguments)
    return caught.value.name, str(caught.value)


class Lasting(Peer):
    """
    A peer that can wait until its connection is lost.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lost: Deferred[None] = Deferred()

    def connectionLost(self, reason: Any = None) -> None:
        super().connectionLost(reason)
        self.lost.callback(None)


@implementer(IHalfCloseableProtocol)
class HalfClosing(Lasting):
    """
    A peer that records EOF in each direction.
    """

    def __init__(self) -> None:
        super().__init__()
        self.notifications: list[str] = []

    def readConnectionLost(self) -> None:
        self.notifications.append("read side closed")

    def writeConnectionLost(self) -> None:
        self.notifications.append("write side closed")


async def connectPeers(reactor: Any, kind: type[Any]) -> tuple[Any, Any, Any]:
    """
    Connect two peers.

    @return: both peers, and the port.
    """
    made: list[Any] = []

    def build() -> Any:
        made.append(kind())
        return made[-1]

    server = Factory.forProtocol(build)
    port = await TCP4ServerEndpoint(reactor, 0, interface=HOST).listen(server)
    endpoint = TCP4ClientEndpoint(reactor, HOST, port.getHost().port)
    client: Any = await endpoint.connect(Factory.forProtocol(kind))
    await until(reactor, lambda: made)
    return client, made[0], port


async def accept(reactor: Any, client: Socket) -> tuple[ServerSocket, Socket]:
    """
    Connect a socket to a server.
    """
    server = ServerSocket(reactor=reactor)
    server.bind(0, HOST)
    server.listen()
    accepting = once(server, "connect")
    client.connect(HOST, server.localPort)
    accepted = (await accepting).socket
    await client.whenConnected()
    return server, accepted


# The programs


async def talking(reactor: Any) -> Seen:
    """
    A client and a server exchange data; the server closes.
    """
    seen: Seen = []
    client = Socket(reactor=reactor)
    watch(client, seen)
    server, accepted = await accept(reactor, client)
    seen.append((accepted.remotePort == client.localPort, client.remotePort == server.localPort))
    seen.append((accepted.localAddress, accepted.remoteAddress, client.remoteAddress))
    for text in ("hello ", "world"):
        accepted.writeUTFBytes(text)
        accepted.flush()
    closing = client.whenClosed()
    accepted.close()
    await closing
    await server.close()
    seen.append((client.connected, accepted.connected, client.localPort))
    return seen


async def refused(reactor: Any) -> Seen:
    seen: Seen = []
    server = ServerSocket(reactor=reactor)
    server.bind(0, HOST)
    client = Socket(reactor=reactor)
    watch(client, seen)
    client.connect(HOST, server.localPort)
    await once(client, "ioError")
    for endpoint in (
        TCP4ClientEndpoint(reactor, HOST, server.localPort),
        TCP4ClientEndpoint(reactor, "0.0.0.0", server.localPort),
        TCP4ClientEndpoint(reactor, HOST, server.localPort, bindAddress=("127.0.0.2", 0)),
        TCP6ClientEndpoint(reactor, "::1", server.localPort),
        HostnameEndpoint(reactor, b"localhost", server.localPort),
        HostnameEndpoint(reactor, b"127.0.0.1", server.localPort),
        HostnameEndpoint(reactor, b"::1", server.localPort),
    ):
        with pytest.raises(error.ConnectError) as caught:
            await endpoint.connect(Factory.forProtocol(Peer))
        seen.append((caught.type, str(caught.value), caught.value.osError))
    await server.close()
    return seen


async def writingMuch(reactor: Any) -> Seen:
    """
    A client writes much data to a slow server and closes; all data is delivered before
    EOF.
    """
    client = Socket(reactor=reactor)
    server, accepted = await accept(reactor, client)
    accepted.maxUnread = 1000
    client.writeBytes(MUCH)
    client.flush()
    await until(reactor, lambda: accepted.bytesAvailable >= accepted.maxUnread)
    seen: Seen = [(client.bytesPending > 0, accepted.bytesAvailable < len(MUCH))]
    received: list[int] = []

    def read(event: object) -> None:
        array = ByteArray()
        accepted.readBytes(array)
        received.append(len(array))

    closing = accepted.whenClosed()
    client.close()
    accepted.addEventListener(ProgressEvent.SOCKET_DATA, read)
    read(None)
    await closing
    await server.close()
    return [*seen, sum(received)]


async def messages(reactor: Any) -> Seen:
    """
    An echo server returns messages, and closes.
    """
    seen: Seen = []
    factory = XMLSocketFactory(EchoProtocol)
    port = await TCP4ServerEndpoint(reactor, 0, interface=HOST).listen(factory)
    client = XMLSocket(reactor=reactor)
    watch(client, seen)
    client.connect("localhost", port.getHost().port)
    await client.whenConnected()
    for text in ("<a/>", "", "grüße", "x" * 100_000):
        client.send(text)
    await until(reactor, lambda: len(seen) == 5)
    closing = client.whenClosed()
    for connection in factory.connections:
        connection.transport.loseConnection()
    await closing
    await port.stopListening()
    return seen


async def ending(reactor: Any) -> Seen:
    """
    Connections are closed in all ways.
    """

    def afterwards(call: Callable[[], object], turns: int = 3) -> None:
        # Wait for the delivery: iterations for a busy machine, time for the simulated latency.
        if turns:
            reactor.callLater(0.005, afterwards, call, turns - 1)
        else:
            call()

    def lose(client: Any, server: Any) -> None:
        client.transport.loseConnection()

    def abort(client: Any, server: Any) -> None:
        client.transport.abortConnection()

    def loseBoth(client: Any, server: Any) -> None:
        client.transport.loseConnection()
        server.transport.loseConnection()

    def loseUnread(client: Any, server: Any) -> None:
        client.transport.pauseProducing()
        server.transport.write(b"never read")
        afterwards(client.transport.loseConnection)

    def loseMuch(client: Any, server: Any) -> None:
        client.transport.write(MUCH)
        client.transport.loseConnection()

    def abortMuch(client: Any, server: Any) -> None:
        server.transport.pauseProducing()
        client.transport.write(MUCH)
        client.transport.abortConnection()
        afterwards(server.transport.resumeProducing)

    def writeToTheGone(client: Any, server: Any) -> None:
        server.transport.stopReading()
        client.transport.abortConnection()
        afterwards(lambda: server.transport.write(b"too late"))

    seen: Seen = []
    for end in (lose, abort, loseBoth, loseUnread, loseMuch, abortMuch, writeToTheGone):
        client, server, port = await connectPeers(reactor, Lasting)
        end(client, server)
        await client.lost
        await server.lost
        await port.stopListening()
        whole = server.received == MUCH or not server.received
        seen.append((end.__name__, type(client.reason), type(server.reason), whole))
    return seen


async def halfClosing(reactor: Any) -> Seen:
    """
    Each direction is closed separately.
    """
    client, server, port = await connectPeers(reactor, HalfClosing)
    client.send(b"question")
    client.transport.loseWriteConnection()
    await until(reactor, lambda: server.notifications)
    server.send(b"answer")
    await until(reactor, lambda: client.received)
    server.transport.loseWriteConnection()
    await until(reactor, lambda: len(client.notifications) + len(server.notifications) == 4)
    for each in (client, server):
        each.transport.loseConnection()
    await client.lost
    await server.lost
    await port.stopListening()
    return [
        (each.received, each.notifications, type(each.reason), str(each.reason))
        for each in (client, server)
    ]


async def listening(reactor: Any) -> Seen:
    """
    Ports are in use, free again, and closed.
    """
    seen: Seen = []
    factory = Factory.forProtocol(Peer)
    port = await TCP4ServerEndpoint(reactor, 0, interface=HOST).listen(factory)
    number = port.getHost().port
    for interface, wanted in ((HOST, number), ("", number), ("192.0.2.1", 0)):
        with pytest.raises(error.CannotListenError) as caught:
            await TCP4ServerEndpoint(reactor, wanted, interface=interface).listen(factory)
        seen.append((interface, str(caught.value.socketError)))
    other, server = ServerSocket(reactor=reactor), ServerSocket(reactor=reactor)
    for address, wanted in ((HOST, number), ("192.0.2.1", 0)):
        kind, text = refusal(server.bind, wanted, address)
        seen.append((kind, text.replace(str(number), "PORT")))
    await port.stopListening()
    for each in (other, server):
        each.bind(number, HOST)
    other.listen()
    seen.append(refusal(server.listen))
    await other.close()
    server.listen()
    await server.close()
    reserved, six = await listenOnlyOnSix(reactor, factory)
    with pytest.raises(error.ConnectionRefusedError):
        await TCP4ClientEndpoint(reactor, HOST, six.getHost().port).connect(factory)
    client: Any = await TCP6ClientEndpoint(reactor, "::1", six.getHost().port).connect(factory)
    peer = client.transport.getPeer()
    seen.append((peer == six.getHost(), type(peer), peer.host, client.transport.getHost().host))
    client.transport.loseConnection()
    await six.stopListening()
    await reserved.close()
    return seen


async def listenOnlyOnSix(reactor: Any, factory: Any) -> tuple[ServerSocket, Any]:
    """
    Listen on an IPv6 port that other programs cannot use on IPv4.

    @return: the socket that reserves the port on IPv4, and the port.
    """
    while True:
        reserved = ServerSocket(reactor=reactor)
        reserved.bind(0, HOST)
        endpoint = TCP6ServerEndpoint(reactor, reserved.localPort, interface="::1")
        try:
            return reserved, await endpoint.listen(factory)
        except error.CannotListenError:
            await reserved.close()


class Receiver(DatagramProtocol):
    """
    Records datagrams.
    """

    noisy = False

    def __init__(self) -> None:
        self.received: list[tuple[bytes, str]] = []

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.received.append((datagram, addr[0]))


async def datagrams(reactor: Any) -> Seen:
    """
    Datagrams of every size are sent.
    """
    seen: Seen = []
    sender, receiver = DatagramSocket(reactor=reactor), DatagramSocket(reactor=reactor)
    receiver.bind(0, HOST)
    receiver.receive()
    watch(receiver, seen)
    for size in (0, 1, 65507):
        arriving = once(receiver, "data")
        sender.send(bytes(size), 0, 0, HOST, receiver.localPort)
        event = await arriving
        seen.append((event.srcPort == sender.localPort, event.srcAddress, event.dstAddress))
    seen.append(refusal(sender.send, bytes(65508), 0, 0, HOST, receiver.localPort))
    seen.append((sender.localAddress, receiver.localAddress))
    small = Receiver()
    port = reactor.listenUDP(0, small, interface="::1", maxPacketSize=4)
    six = DatagramSocket(reactor=reactor)
    six.send(b"abcdef", 0, 0, "::1", port.getHost().port)
    await until(reactor, lambda: small.received)
    seen.append(small.received)
    for each in (sender, receiver, six):
        await each.close()
    await port.stopListening()
    return seen


async def backpressure(reactor: Any) -> Seen:
    """
    A producer is paused while the reader does not read.
    """
    client, server, port = await connectPeers(reactor, Lasting)
    notifications: list[str] = []

    class Producer:
        def pauseProducing(self) -> None:
            notifications.append("pause")

        def resumeProducing(self) -> None:
            notifications.append("resume")

        def stopProducing(self) -> None:
            notifications.append("stop")

    server.transport.pauseProducing()
    client.transport.registerProducer(Producer(), True)
    client.transport.write(MUCH)
    await until(reactor, lambda: notifications)
    seen: Seen = [list(notifications)]
    server.transport.resumeProducing()
    await until(reactor, lambda: len(server.received) == len(MUCH))
    await until(reactor, lambda: len(notifications) == 2)
    client.transport.abortConnection()
    await server.lost
    await port.stopListening()
    return [*seen, notifications]


async def scripts(reactor: Any) -> Seen:
    """
    Two scripts run against each other.
    """
    server = ScriptedPeer().expect(b"one").send(b"two").expect(MUCH).send(b"three").waitForClose()
    client = ScriptedPeer().send(b"one").expect(b"two").send(MUCH).expect(b"three").close()
    port = await TCP4ServerEndpoint(reactor, 0, interface=HOST).listen(server)
    await TCP4ClientEndpoint(reactor, HOST, port.getHost().port).connect(client)
    await until(reactor, lambda: server.done and client.done)
    await port.stopListening()
    return ["done"]


def handshake(status: str) -> Program:
    """
    Create a program that connects to a server with a certificate.
    """
    credentials = MAKER.make(status)

    async def program(reactor: Any) -> Seen:
        seen: Seen = []
        peer = ScriptedPeer().send(b"welcome").close()
        factory = credentials.serverFactory(peer, reactor)
        port = await TCP4ServerEndpoint(reactor, 0, interface=HOST).listen(factory)
        socket = SecureSocket(trust=credentials.trust, reactor=reactor)
        watch(socket, seen)
        ending = once(socket, "close" if status == "trusted" else "ioError")
        socket.connect("localhost", port.getHost().port)
        await ending
        await port.stopListening()
        return [*seen, socket.serverCertificateStatus, peer.done]

    return program


PROGRAMS: dict[str, Program] = {
    **{
        program.__name__: program
        for program in (
            talking, refused, writingMuch, messages, ending, halfClosing, listening, datagrams,
            backpressure, scripts,
        )
    },
    **{f"certificate {status}": handshake(status) for status in STATUSES},
}  # fmt: skip

CUTS: dict[str, Iterable[int]] = {
    "whole": (),
    "thousands": [1009] * 10_000,
    "headByByte": [1] * 3000,
}


async def run(program: Program, reactor: Any) -> Seen:
    """
    Run a program, and wait until its sockets are closed.
    """

    def opened() -> set[Any]:
        return {*reactor.getReaders(), *reactor.getWriters()}

    before = opened()
    seen = await program(reactor)
    await until(reactor, lambda: opened() <= before)
    return seen


@pytest.mark.parametrize("name", PROGRAMS)
@live
async def test_same(name: str) -> None:
    """
    A program behaves the same on the real network and in memory, with any latency
    and any split.
    """
    program = PROGRAMS[name]
    expected = await run(program, theReactor())
    assert expected
    for cut in CUTS.values():
        for latency in (0, 0.003):
            network = MemoryNetwork()
            network.segments, network.latency = cut, latency
            network.addHost("localhost", HOST)
            assert network.run(run(program, network.reactor)) == expected
            network.check()
