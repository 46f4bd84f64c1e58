"""
The client side of a WebSocket: encoded frames, valid and invalid, and the client of the
C{websockets} library.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from websockets.client import ClientProtocol
from websockets.extensions import ClientExtensionFactory
from websockets.uri import parse_uri

from openfl_twisted.wire.httprequest import parseHead
from openfl_twisted.wire.websocket.frames import End, Pings, Pong, WebSocketFrames
from openfl_twisted.wire.websocket.handshake import acceptUpgrade

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN = 0x80

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="

REQUEST = (
    b"GET /x/room?id=1 HTTP/1.1\r\n"
    b"Host: 127.0.0.1:9301\r\n"
    b"Connection: Upgrade\r\n"
    b"Pragma: no-cache\r\n"
    b"User-Agent: Mozilla/5.0\r\n"
    b"Upgrade: websocket\r\n"
    b"Origin: http://127.0.0.1:9301\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: " + KEY + b"\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
RESPONSE = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


def header(opcode: int, length: int, *, fin: bool = True, rsv: int = 0, mask: bool = True) -> bytes:
    """
    Encode the header of a frame.
    """
    first = (FIN if fin else 0) | rsv << 4 | opcode
    masked = 0x80 if mask else 0
    if length < 126:
        return bytes((first, masked | length))
    if length < 65536:
        return struct.pack("!BBH", first, masked | 126, length)
    return struct.pack("!BBQ", first, masked | 127, length)


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bool = True
) -> bytes:
    """
    Encode a frame, masked as a client's.
    """
    key = b"\x37\xfa\x21\x3d"
    if not mask:
        return header(opcode, len(payload), fin=fin, rsv=rsv, mask=False) + payload
    repeated = key * (len(payload) // 4 + 1)
    masked = bytes(a ^ b for a, b in zip(payload, repeated, strict=False))
    return header(opcode, len(payload), fin=fin, rsv=rsv) + key + masked


def closing(code: int, reason: bytes = b"", *, mask: bool = True) -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason, mask=mask)


def framesIn(data: bytes) -> list[tuple[int, bytes]]:
    """
    Parse frames sent by a server. All must be final and unmasked.

    @return: the opcode and payload of each frame.
    """
    found = []
    while data:
        length, start = data[1], 2
        if length == 126:
            (length,), start = struct.unpack("!H", data[2:4]), 4
        elif length == 127:
            (length,), start = struct.unpack("!Q", data[2:10]), 10
        assert data[0] & 0xF0 == FIN
        assert len(data) >= start + length
        found.append((data[0] & 0x0F, data[start : start + length]))
        data = data[start + length :]
    return found


def connect(*offered: ClientExtensionFactory) -> tuple[ClientProtocol, WebSocketFrames]:
    """
    Connect the library's client to our server.

    @param offered: the extensions that the client offers.
    """
    client = ClientProtocol(parse_uri("ws://localhost/"), extensions=offered, max_size=None)
    client.send_request(client.connect())
    head = parseHead(b"".join(client.data_to_send()))
    extension, response = acceptUpgrade(head, compress=bool(offered))
    client.receive_data(response)
    client.events_received()
    return client, WebSocketFrames(extension=extension)


Event: TypeAlias = bytes | tuple[int, bytes] | End
"""
An event of a reader: a control frame's opcode and payload.
"""


def read(frames: WebSocketFrames, pieces: Iterable[bytes]) -> list[Event]:
    """
    Read a stream.

    @return: the events in order; consecutive data is joined, as an application receives
        it.
    """
    events: list[Event] = []
    for piece in pieces:
        arrived = frames.receive(piece)
        while frames.unfinished:
            arrived += frames.receive(b"")
        for arrival in arrived:
            assert not (events and isinstance(events[-1], End))
            if isinstance(arrival, Pings):
                events += [(PING, payload) for payload in arrival.payloads]
            elif isinstance(arrival, Pong):
                # A pong can be read before the data that precedes it.
                continue
            elif isinstance(arrival, bytes) and events and isinstance(events[-1], bytes):
                events[-1] += arrival
            else:
                events.append(arrival)
    return events


def assertEvents(received: Sequence[object], expected: Sequence[object], name: str = "") -> None:
    """
    Compare events. C{assertEqual} takes minutes to format the difference of long
    payloads.

    @param name: the name of the case.
    @raise AssertionError: if they differ.
    """
    if [*received] != [*expected]:
        shown = [
            [(repr(each)[:80], len(repr(each))) for each in some] for some in (received, expected)
        ]
        raise AssertionError(f"{name}: {shown[0]} instead of {shown[1]}")
