"""
Conversations recorded by Ruffle's tests with Flash's sockets: the actions of the peer,
and what the client observes.
"""

import json
import warnings
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import errors
from openfl_twisted.events import DataEvent, Event, IOErrorEvent, ProgressEvent
from openfl_twisted.net import Socket, XMLSocket
from openfl_twisted.testing import EVERY_BYTE, MemoryNetwork, ScriptedPeer
from openfl_twisted.utils import ByteArray
from tests.support.byteorders import ORDERS

# Actions of a peer, in Ruffle's format.
Script = list[dict[str, Any]]
Seen = list[Any]
PORT = 8001
ENDED = {"type": "Disconnect"}
CLOSED = {"type": "WaitForDisconnect"}

EMPTY_OBJECTS = bytes.fromhex("0A0B0101 03000009")
SEGMENTS = (
    b"\0First\0", b"Hello", b"World!", b"\0", b"This", b" is", b" a ", b"test\0",
    b"One\0Two\0Three\0", b"\0\0\0", b"AA\0BB\0CC", b"DD\0",
)  # fmt: skip
TEXTS = (
    "", "First", "HelloWorld!", "This is a test", "One", "Two", "Three", "", "", "", "AA", "BB",
    "CCDD",
)  # fmt: skip
# All calls, with arguments that would be invalid for a connected socket.
CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("readBoolean", ()), ("readByte", ()), ("readBytes", (None,)), ("readDouble", ()),
    ("readFloat", ()), ("readInt", ()), ("readMultiByte", (1, None)), ("readObject", ()),
    ("readShort", ()), ("readUnsignedByte", ()), ("readUnsignedInt", ()),
    ("readUnsignedShort", ()), ("readUTF", ()), ("readUTFBytes", (1,)), ("writeBoolean", (True,)),
    ("writeByte", (1,)), ("writeBytes", (None,)), ("writeDouble", (1,)), ("writeFloat", (1,)),
    ("writeInt", (1,)), ("writeMultiByte", (None, None)), ("writeObject", (1,)),
    ("writeShort", (1,)), ("writeUnsignedInt", (1,)), ("writeUTF", (None,)),
    ("writeUTFBytes", (None,)), ("flush", ()), ("close", ()),
]  # fmt: skip
VALUES = [
    True, 67, 255, bytes([10, 20, 65]), 8090.76, 76.6500015258789, -2076553554, "Hello!", 65535,
    -30562, 4000565000, "Hello from Ruffle Socket!", "Raw UTF is cool",
]  # fmt: skip


def sent(data: bytes) -> dict[str, Any]:
    return {"type": "Send", "payload": list(data)}


def received(data: bytes) -> dict[str, Any]:
    """
    The peer has received exactly this data.
    """
    return {"type": "Receive", "expected": list(data)}


# The clients, each with a list of observations other than events.


def onlyConnect(socket: Socket | XMLSocket, seen: Seen) -> None:
    """
    Connect, and do nothing else.
    """
    socket.connect("127.0.0.1", PORT)


def greetAndClose(socket: Socket, seen: Seen) -> None:
    """
    Write a text when connected, and close.
    """

    def connected(event: Event) -> None:
        socket.writeUTF("Hello!")
        socket.flush()
        socket.close()
        seen.append(socket.connected)

    socket.addEventListener(Event.CONNECT, connected)
    seen.append(socket.connected)
    socket.connect("127.0.0.1", PORT)
    seen.append(socket.connected)


def lookAtTheEnd(socket: Socket, seen: Seen) -> None:
    """
    Record the state of the socket in C{close}.
    """

    def closed(event: Event) -> None:
        seen.append(socket.bytesAvailable)
        seen.append(refusal(socket.readByte))

    socket.addEventListener(Event.CLOSE, closed)
    socket.connect("127.0.0.1", PORT)


def readValues(order: str) -> Callable[[Socket, Seen], None]:
    """
    Read a value of each type when all are available, and close.
    """

    def client(socket: Socket, seen: Seen) -> None:
        def arrived(event: ProgressEvent) -> None:
            if socket.bytesAvailable < 78:
                return
            array = ByteArray()
            seen.extend([socket.readBoolean(), socket.readByte(), socket.readUnsignedByte()])
            socket.readBytes(array, 0, 3)
            seen.extend([bytes(array), socket.readDouble(), socket.readFloat(), socket.readInt()])
            seen.extend([socket.readMultiByte(6, "utf-8"), socket.readUnsignedShort()])
            seen.extend([socket.readShort(), socket.readUnsignedInt(), socket.readUTF()])
            seen.extend([socket.readUTFBytes(15), socket.bytesAvailable])
            socket.close()

        socket.endian = order
        socket.addEventListener(ProgressEvent.SOCKET_DATA, arrived)
        socket.connect("127.0.0.1", PORT)

    return client


def writeValues(order: str) -> Callable[[Socket, Seen], None]:
    """
    Write a value of each type, and a text that is too long.
    """

    def client(socket: Socket, seen: Seen) -> None:
        def connected(event: Event) -> None:
            socket.writeBoolean(True)
            socket.writeByte(67)
            socket.writeByte(255)
            socket.writeBytes(ByteArray(bytes([10, 20, 65])))
            socket.writeDouble(8090.76)
            socket.writeFloat(76.65)
            socket.writeInt(-2076553554)
            socket.writeMultiByte("Hello!", "utf-8")
            socket.writeShort(65535)
            socket.writeShort(-30562)
            socket.writeUnsignedInt(4000565000)
            socket.writeUTF("Hello from Ruffle Socket!")
            seen.append(refusal(socket.writeUTF, "x" * 65537))
            socket.writeUTFBytes("Raw UTF is cool")
            socket.flush()

        socket.endian = order
        socket.addEventListener(Event.CONNECT, connected)
        socket.connect("127.0.0.1", PORT)

    return client


def exchangeObjects(socket: Socket, seen: Seen) -> None:
    """
    Write an object in each encoding, and read the answer.
    """

    def connected(event: Event) -> None:
        for encoding in (3, 0):
            socket.objectEncoding = encoding
            socket.writeObject({})
        socket.flush()

    def arrived(event: ProgressEvent) -> None:
        if socket.bytesAvailable == len(EMPTY_OBJECTS):
            for encoding in (3, 0):
                socket.objectEncoding = encoding
                seen.append(socket.readObject())

    socket.addEventListener(Event.CONNECT, connected)
    socket.addEventListener(ProgressEvent.SOCKET_DATA, arrived)
    socket.connect("127.0.0.1", PORT)


def callEverything(socket: Socket, seen: Seen) -> None:
    """
    Call each method without a connection.
    """
    for name, arguments in CALLS:
        seen.append((name, refusal(getattr(socket, name), *arguments)))


def sendMessages(socket: XMLSocket, seen: Seen) -> None:
    """
    Send three messages when connected.
    """

    def connected(event: Event) -> None:
        for number in range(3):
            socket.send(f"out {number}")

    seen.append(socket.timeout)
    socket.timeout = 0
    seen.append(socket.timeout)
    socket.addEventListener(Event.CONNECT, connected)
    socket.connect("127.0.0.1", PORT)


def refusal(call: Any, *arguments: Any) -> tuple[str, int] | None:
    """
    Return the error of a call.
    """
    try:
        call(*arguments)
    except errors.Error as error:
        return error.name, error.errorID
    return None


class Trace(NamedTuple):
    """
    A conversation.

    @ivar name: Ruffle's name.
    @ivar cls: the class of the client.
    @ivar client: the client.
    @ivar peer: the actions of the peer.
    @ivar seen: the observations of the client.
    """

    name: str
    cls: type[Any]
    client: Callable[[Any, Seen], None]
    peer: Script
    seen: Seen


TRACES = [
    Trace(
        "socket_connect",
        Socket,
        greetAndClose,
        [received(b"\0\6Hello!"), CLOSED],
        [False, False, "connect True", False],
    ),
    Trace("socket_close", Socket, onlyConnect, [ENDED], ["connect True", "close False"]),
    Trace(
        "socket_after_disconnect",
        Socket,
        lookAtTheEnd,
        [ENDED],
        ["connect True", "close False", 0, ("IOError", 2002)],
    ),
    *[
        Trace(
            f"socket_read, {order}",
            Socket,
            readValues(order),
            [sent(data), CLOSED],
            ["connect True", (78, 0), *VALUES, 0],
        )
        for order, data in ORDERS
    ],
    *[
        Trace(
            f"socket_write, {order}",
            Socket,
            writeValues(order),
            [received(data), ENDED],
            ["connect True", ("RangeError", 2006), "close False"],
        )
        for order, data in ORDERS
    ],
    Trace(
        "socket_read_write_object",
        Socket,
        exchangeObjects,
        [received(EMPTY_OBJECTS), sent(EMPTY_OBJECTS)],
        ["connect True", (8, 0), {}, {}],
    ),
    Trace(
        "socket_errors",
        Socket,
        callEverything,
        [],
        [(name, ("IOError", 2002)) for name, _ in CALLS],
    ),
    Trace(
        "xml_socket",
        XMLSocket,
        sendMessages,
        [
            received(b"out 0\0out 1\0out 2\0"),
            *[sent(f"in {number}\0".encode()) for number in range(3)],
            ENDED,
        ],
        [20000, 250, "connect True", "data: in 0", "data: in 1", "data: in 2", "close False"],
    ),
    Trace(
        "xml_socket_segmented",
        XMLSocket,
        onlyConnect,
        [*[sent(segment) for segment in SEGMENTS], ENDED],
        ["connect True", *[f"data: {text}" for text in TEXTS], "close False"],
    ),
]
WITH_DATA = [trace for trace in TRACES if any(step["type"] == "Send" for step in trace.peer)]


class TraceTests(SynchronousTestCase):
    """
    Clients observe the same as in Flash, however the data is split.
    """

    def assertSeen(self, trace: Trace, sizes: Iterable[int]) -> None:
        """
        Check the observations of the client.

        @param sizes: the sizes of the chunks of the peer's data.
        """
        network = MemoryNetwork()
        network.segments = sizes
        peer = ScriptedPeer.fromRuffle(json.dumps(trace.peer))
        peer.listen(network, PORT)
        socket = trace.cls(reactor=network.reactor)
        seen: Seen = []

        def onData(event: ProgressEvent) -> None:
            # Join the data of consecutive events.
            before = seen.pop() if isinstance(seen[-1], tuple) else (0, 0)
            seen.append((before[0] + event.bytesLoaded, event.bytesTotal))

        for type in (Event.CONNECT, Event.CLOSE, IOErrorEvent.IO_ERROR):
            socket.addEventListener(
                type, lambda event: seen.append(f"{event.type} {socket.connected}")
            )
        with warnings.catch_warnings():
            # A Socket dispatches only the first event, an XMLSocket only the second one.
            warnings.simplefilter("ignore")
            socket.addEventListener(ProgressEvent.SOCKET_DATA, onData)
            socket.addEventListener(
                DataEvent.DATA, lambda event: seen.append(f"data: {event.data}")
            )
        trace.client(socket, seen)
        network.flush()
        self.assertEqual(seen, trace.seen, trace.name)
        peer.verify()

    def test_asRecorded(self) -> None:
        """
        The data is split as it was recorded.
        """
        for trace in TRACES:
            self.assertSeen(trace, [len(step.get("payload", ())) for step in trace.peer])

    def test_asOneChunk(self) -> None:
        """
        The data of consecutive sends is one chunk.
        """
        for trace in WITH_DATA:
            self.assertSeen(trace, ())

    def test_byteByByte(self) -> None:
        """
        Each byte is a separate chunk.
        """
        for trace in WITH_DATA:
            self.assertSeen(trace, EVERY_BYTE)

    @given(st.sampled_from(WITH_DATA), st.lists(st.integers(1, 20)))
    def test_anySplit(self, trace: Trace, sizes: list[int]) -> None:
        """
        The data is split arbitrarily.
        """
        self.assertSeen(trace, sizes)
