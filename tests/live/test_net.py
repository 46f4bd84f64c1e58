"""
The OpenFL-compatible classes on real sockets.
"""

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from openfl_twisted import errors
from openfl_twisted.events import (
    DataEvent,
    DatagramSocketDataEvent,
    IOErrorEvent,
    ProgressEvent,
    ServerSocketConnectEvent,
)
from openfl_twisted.net import DatagramSocket, ServerSocket, Socket, XMLSocket
from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.utils import ByteArray
from tests.live import live
from tests.live.peers import HOST, pause, serving, until


def once(dispatcher: Any, type: str) -> Deferred[Any]:
    waiting: Deferred[Any] = Deferred()

    def onEvent(event: Any) -> None:
        dispatcher.removeEventListener(type, onEvent)
        waiting.callback(event)

    dispatcher.addEventListener(type, onEvent)
    return waiting


@live
async def test_serverAndClient() -> None:
    """
    A L{Socket} exchanges data with a L{ServerSocket}, by host name and by address.
    """
    server = ServerSocket()
    server.bind(0, HOST)
    server.listen()
    for host in (HOST, "localhost"):
        accepting = once(server, ServerSocketConnectEvent.CONNECT)
        client = Socket(host, server.localPort)
        connected = client.whenConnected()
        accepted = (await accepting).socket
        await connected
        assert (client.remotePort, client.remoteAddress) == (server.localPort, HOST)
        assert (accepted.remotePort, accepted.localPort) == (client.localPort, server.localPort)
        arriving = once(accepted, ProgressEvent.SOCKET_DATA)
        client.writeUTF("grüße")
        await arriving
        assert accepted.readUTF() == "grüße"
        closing = accepted.whenClosed()
        client.close()
        await closing
        assert not accepted.connected
    await server.close()


@live
async def test_slowPeer() -> None:
    """
    Much data is delivered completely to a slow peer, and C{bytesPending} reports the
    rest.
    """
    server = ServerSocket()
    server.bind(0, HOST)
    server.listen()
    accepting = once(server, ServerSocketConnectEvent.CONNECT)
    client = Socket(HOST, server.localPort)
    accepted = (await accepting).socket
    await client.whenConnected()
    accepted.maxUnread = 1000
    data = bytes(range(256)) * 40_000
    client.writeBytes(data)
    client.flush()
    await until(lambda: accepted.bytesAvailable >= accepted.maxUnread)
    assert client.bytesPending > 0
    received = ByteArray()
    while len(received) < len(data):
        if accepted.bytesAvailable:
            accepted.readBytes(received, len(received))
        await pause(0)
    assert bytes(received) == data
    assert client.bytesPending == 0
    closing = accepted.whenClosed()
    client.close()
    await closing
    await server.close()


@live
async def test_refused() -> None:
    """
    Connecting to a port without a server is an C{ioError}.
    """
    server = ServerSocket()
    server.bind(0, HOST)
    client = Socket()
    failing = once(client, IOErrorEvent.IO_ERROR)
    client.connect(HOST, server.localPort)
    assert (await failing).errorID == 2031
    await server.close()


@live
async def test_messages() -> None:
    """
    An L{XMLSocket} can be iterated over.
    """
    async with serving(XMLSocketFactory(EchoProtocol)) as (port, _):
        client = XMLSocket(HOST, port)
        await client.whenConnected()
        messages = client.messages()
        for number in range(3):
            client.send(f"<message number='{number}'/>")
        found = []
        async for message in messages:
            found.append(message)
            if len(found) == 3:
                client.close()
        assert found == [f"<message number='{number}'/>" for number in range(3)]


@live
async def test_events() -> None:
    """
    An L{XMLSocket} dispatches the events described in the guide.
    """
    async with serving(XMLSocketFactory(EchoProtocol)) as (port, guard):
        client = XMLSocket()
        client.connect(HOST, port)
        await client.whenConnected()
        coming = once(client, DataEvent.DATA)
        client.send("<hello/>")
        assert (await coming).data == "<hello/>"
        closing = client.whenClosed()
        await guard.closeAll(1)
        await closing


@live
async def test_datagrams() -> None:
    """
    Datagrams of all sizes are delivered whole after C{receive}.
    """
    receiver, sender, witness = DatagramSocket(), DatagramSocket(), DatagramSocket()
    for each in (receiver, sender, witness):
        each.bind(0, HOST)
    witness.receive()
    assert receiver.bound
    for size in (0, 1, 5000, 60_000):
        data = bytes(size)
        arriving = once(receiver, DatagramSocketDataEvent.DATA)
        sender.send(ByteArray(data), 0, 0, HOST, receiver.localPort)
        if size == 0:
            later = once(witness, DatagramSocketDataEvent.DATA)
            sender.send(b"later", 0, 0, HOST, witness.localPort)
            await later
            assert not arriving.called
            receiver.receive()
        event = await arriving
        assert (event.data, event.data.position) == (data, 0)
        assert (event.srcAddress, event.srcPort) == (HOST, sender.localPort)
        assert (event.dstAddress, event.dstPort) == (HOST, receiver.localPort)
    for each in (receiver, sender, witness):
        await each.close()


@live
async def test_connectedDatagrams() -> None:
    """
    A connected socket ignores datagrams from others, and can send a part of an array.
    """
    one, two, other = (DatagramSocket() for _ in range(3))
    for each in (one, two, other):
        each.bind(0, HOST)
        each.receive()
    one.connect(HOST, two.localPort)
    assert (one.connected, one.remoteAddress, one.remotePort) == (True, HOST, two.localPort)
    received: list[bytes] = []
    one.addEventListener(DatagramSocketDataEvent.DATA, lambda event: received.append(event.data))
    arriving = once(two, DatagramSocketDataEvent.DATA)
    one.send(ByteArray(b"abcdef"), 2, 3)
    assert (await arriving).data == b"cde"
    other.send(b"other", 0, 0, HOST, one.localPort)
    two.send(b"peer", 0, 0, HOST, one.localPort)
    await until(lambda: received)
    assert received == [b"peer"]
    with pytest.raises(errors.IllegalOperationError):
        one.send(b"a", 0, 0, HOST, two.localPort)
    for each in (one, two, other):
        await each.close()


@live
async def test_multicast() -> None:
    """
    A socket receives datagrams of a group that it has joined, until it leaves the
    group.
    """
    receiver, sender = DatagramSocket(), DatagramSocket()
    received: list[bytes] = []
    receiver.addEventListener("data", lambda event: received.append(bytes(event.data)))
    receiver.bind(0, "0.0.0.0")
    receiver.joinGroup("239.1.2.3", HOST)
    receiver.receive()
    sender.multicastInterface = HOST
    sender.send(ByteArray(b"one"), 0, 0, "239.1.2.3", receiver.localPort)
    await until(lambda: received == [b"one"])
    receiver.leaveGroup("239.1.2.3", HOST)
    with pytest.raises(errors.IOError):
        receiver.leaveGroup("239.1.2.3", HOST)
    for socket in (receiver, sender):
        await socket.close()


@live
async def test_broadcast() -> None:
    """
    Datagrams can be sent to a broadcast address if C{broadcast} is set.
    """
    receiver, sender = DatagramSocket(), DatagramSocket()
    received: list[bytes] = []
    receiver.addEventListener("data", lambda event: received.append(bytes(event.data)))
    receiver.bind(0, "0.0.0.0")
    receiver.receive()
    sender.bind(0, HOST)
    to = ("127.255.255.255", receiver.localPort)
    with pytest.raises(errors.IOError):
        sender.send(ByteArray(b"one"), 0, 0, *to)
    sender.broadcast = True
    sender.send(ByteArray(b"two"), 0, 0, *to)
    await until(lambda: received == [b"two"])
    for socket in (receiver, sender):
        await socket.close()
