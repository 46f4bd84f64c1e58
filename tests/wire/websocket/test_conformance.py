"""
RFC 6455 and RFC 7692: the cases of Autobahn's test suite that concern a server of this
package, with their numbers. Unlike Autobahn's, each runs in two segmentations.
"""

from typing import Any, NamedTuple

from twisted.trial.unittest import SynchronousTestCase
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame as ClientFrame

from openfl_twisted.wire.websocket.frames import End, WebSocketFrames
from tests.frames import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Event,
    assertEvents,
    closing,
    connect,
    frame,
    framesIn,
    header,
    read,
)

LIMIT = 70_000

EURO = "\N{EURO SIGN}".encode()

A = frame(TEXT, b"a")


def fragments(opcode: int, *payloads: bytes, between: bytes = b"", fin: bool = True) -> bytes:
    """
    Make the fragments of a message.

    @param between: frames to insert between two fragments.
    @param fin: whether the message is complete.
    """
    last = len(payloads) - 1
    return between.join(
        frame(CONT if at else opcode, payload, fin=fin and at == last)
        for at, payload in enumerate(payloads)
    )


def every(length: int, data: bytes) -> list[bytes]:
    """
    Split data into parts of a length.
    """
    return [data[at : at + length] for at in range(0, len(data), length)]


class Case(NamedTuple):
    """
    A test case.

    @ivar name: the subject, with the numbers of Autobahn.
    @ivar stream: the bytes from the client.
    @ivar events: the events before the end.
    @ivar code: the code at the end; C{None} if the WebSocket stays open.
    """

    name: str
    stream: bytes
    events: list[Event]
    code: int | None = None


GOOD: list[Case] = [
    *(
        Case(f"1.*: {length} bytes", frame(opcode, b"*" * length), [b"*" * length])
        for opcode in (TEXT, BINARY)
        for length in (0, 125, 126, 127, 128, 65535, 65536, LIMIT)
    ),
    *(
        Case(
            f"2.*: a ping of {length} bytes",
            frame(PING, b"\xff" * length),
            [(PING, b"\xff" * length)],
        )
        for length in (0, 5, 125)
    ),
    Case("2.7, 2.8: unsolicited pongs", frame(PONG) + frame(PONG, b"x") + A, [b"a"]),
    Case("2.9: pong, then ping", frame(PONG, b"x") + frame(PING, b"1"), [(PING, b"1")]),
    Case(
        "2.10, 2.11: ten pings",
        b"".join(frame(PING, b"%d" % number) for number in range(10)),
        [(PING, b"%d" % number) for number in range(10)],
    ),
    Case("5.3 to 5.5: two fragments", fragments(TEXT, b"a", b"b"), [b"ab"]),
    Case(
        "5.6 to 5.8, 5.19, 5.20: pings between fragments",
        fragments(TEXT, EURO[:1], EURO[1:2], EURO[2:], between=frame(PING, b"1") + frame(PONG)),
        [EURO[:1], (PING, b"1"), EURO[1:2], (PING, b"1"), EURO[2:]],
    ),
    Case("6.1: empty fragments", fragments(TEXT, b"", b"", b"a", b"") + frame(TEXT), [b"a"]),
    Case(
        "binary after text is not text",
        A + fragments(BINARY, b"\xff", b"\xff") + frame(BINARY, b"\xff"),
        [b"a\xff\xff\xff"],
    ),
    Case("7.1.1: a message, then Close", A + closing(1000), [b"a"], 1000),
    Case("7.1.2: two Closes", closing(1000) + closing(1001), [], 1000),
    Case("7.1.3: a ping after a Close", closing(1000) + frame(PING), [], 1000),
    Case("7.1.4: a message after a Close", closing(1000) + A, [], 1000),
    Case("a violation after a Close", closing(1000) + b"\xff" * 20, [], 1000),
    Case(
        "7.1.5: a Close between fragments",
        fragments(TEXT, b"a", b"b", between=closing(1001)),
        [b"a"],
        1001,
    ),
    Case("7.3.1: a Close without a code", frame(CLOSE), [], 1005),
    Case("7.3.4: a reason", closing(1000, EURO), [], 1000),
    Case("7.3.5: the longest reason", closing(1000, b"x" * 123), [], 1000),
    *(
        Case(f"7.7.*: the code {code}", closing(code), [], code)
        for code in (1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999)
    ),
    Case("9.2.*: binary of any length", frame(BINARY, b"xyz" * LIMIT), [b"xyz" * LIMIT]),
    *(
        Case(
            f"9.3.*, 9.4.*, 10.1.1: fragments of {length} bytes",
            fragments(opcode, *every(length, b"*" * 200_000)),
            [b"*" * 200_000],
        )
        for opcode, length in ((TEXT, 64), (BINARY, 1300), (BINARY, 65536))
    ),
    *(
        Case(
            f"a length of 5 in {size} bytes, which is not minimal",
            frame(opcode)[:1] + header + (5).to_bytes(size) + b"\0\0\0\0hello",
            [(PING, b"hello") if opcode == PING else b"hello"],
        )
        for opcode in (BINARY, TEXT, PING)
        for size, header in ((2, b"\xfe"), (8, b"\xff"))
    ),
]

BAD: list[Case] = [
    Case("2.5: a ping of 126 bytes", frame(PING, b"x" * 126), [], 1002),
    *(
        Case(f"3.*: reserved bits {rsv}", A + frame(opcode, b"\3\xe8", rsv=rsv), [b"a"], 1002)
        for rsv in range(1, 8)
        for opcode in (TEXT, BINARY, PING, CLOSE)
    ),
    *(
        Case(f"4.*: the opcode {opcode}", A + frame(opcode, payload), [b"a"], 1002)
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
        for payload in (b"", b"a")
    ),
    Case("5.1: a ping in fragments", fragments(PING, b"x", b""), [], 1002),
    Case("5.2: a pong in fragments", fragments(PONG, b"x", b""), [], 1002),
    Case("a Close in fragments", frame(CLOSE, b"\3\xe8", fin=False), [], 1002),
    *(
        Case(
            f"5.9 to 5.17: a continuation of nothing, fin={fin}",
            start + frame(CONT, b"b", fin=fin) + A,
            [b"a"] if start else [],
            1002,
        )
        for fin in (True, False)
        for start in (b"", A, fragments(TEXT, b"", b"a"))
    ),
    *(
        Case(
            "5.18: a message between fragments", frame(TEXT, b"a", fin=False) + second, [b"a"], 1002
        )
        for opcode in (TEXT, BINARY)
        for second in (frame(opcode, b"b"), frame(opcode, b"b", fin=False))
    ),
    Case("6.4.1, 6.4.2: before the end", fragments(TEXT, b"a", b"\xff", fin=False), [b"a"], 1007),
    Case("a character ends the fragments", fragments(TEXT, b"a", EURO[:1]), [b"a"], 1007),
    Case("7.3.2: a Close of one byte", frame(CLOSE, b"\3"), [], 1002),
    Case("7.3.6: a Close that is too long", closing(1000, b"x" * 124), [], 1002),
    Case("7.5.1: a reason that is not UTF-8", closing(1000, b"\xff"), [], 1007),
    *(
        Case(f"7.9.*, 7.13.*: the code {code}", closing(code), [], 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    ),
    Case("a frame without a mask", frame(BINARY, b"a", mask=False), [], 1002),
    Case("a frame without a mask, longer", frame(BINARY, b"a" * 200, mask=False), [], 1002),
    Case("text that is complete and too long", frame(TEXT, b"x" * (LIMIT + 1)), [], 1009),
    Case("the header of text that is too long", header(TEXT, LIMIT + 1), [], 1009),
    Case("the header of a terabyte of text", header(TEXT, 1 << 40), [], 1009),
    Case("a length whose highest bit is set", header(BINARY, 1 << 63), [], 1009),
    Case(
        "a fragment that is too long",
        frame(BINARY, b"a", fin=False) + header(CONT, LIMIT + 1),
        [b"a"],
        1009,
    ),
]

# 6.*: the first and last characters of each length, non-characters, and a text.
UTF8 = [
    *("\0\x7f\x80\u07ff\u0800\ud7ff\ue000\ufffd\uffff\U00010000\U0001fffe\U0010ffff"),
    "Hello-\xb5@\xdf\xf6\xe4\xfc\xe0\xe1-UTF-8!!",
    "\u03ba\u1f79\u03c3\u03bc\u03b5",
]

# 6.*: bytes that are not UTF-8.
NOT_UTF8 = {
    "five and six bytes, and more": "f888808080 fc8480808080 fe ff feff",
    "beyond U+10FFFF": "f4908080 f5808080",
    "misplaced continuation bytes": "80 bf 8080",
    "missing continuation bytes": "c3 c320 e182 e28220 f09f98 f09f9820 c3c3a9",
    "overlong forms": "c0 c0af c1bf e080af e09fbf f08080af f08fbfbf f8808080af",
    "surrogates": "eda080 edadbf edb080 edbfbf eda080edb080",
}


class ConformanceTests(SynchronousTestCase):
    """
    Frames without an extension.
    """

    def segmentations(self, stream: bytes) -> list[list[bytes]]:
        """
        Split a stream in two ways: not at all, and into bytes or short parts.
        """
        return [[stream], every(1 if len(stream) < 1000 else 997, stream)]

    def test_good(self) -> None:
        """
        Valid frames are read. The answer to a Close has the same payload.
        """
        for name, stream, events, code in GOOD:
            for chunks in self.segmentations(stream):
                received = read(WebSocketFrames(LIMIT), chunks)
                if code is not None:
                    end = received.pop()
                    assert isinstance(end, End), name
                    self.assertEqual((end.code, end.fault), (code, False), name)
                    [(opcode, answer)] = framesIn(end.answer)
                    payload = b"" if code == 1005 else code.to_bytes(2) + end.reason.encode()
                    self.assertEqual((opcode, answer), (CLOSE, payload), name)
                assertEvents(received, [each for each in events if each], name)

    def assertViolation(self, end: Event, code: int | None, name: object) -> None:
        """
        Check that a stream has ended with a violation, and the Close that answers it.
        """
        assert code is not None and isinstance(end, End), name
        self.assertEqual((end.code, end.fault), (code, True), name)
        [(opcode, answer)] = framesIn(end.answer)
        self.assertEqual((opcode, answer[:2]), (CLOSE, code.to_bytes(2)), name)
        self.assertEqual(answer[2:].decode(), end.reason, name)

    def test_bad(self) -> None:
        """
        A violation ends the WebSocket with the right code, after the events before it.
        """
        for name, stream, events, code in BAD:
            for chunks in self.segmentations(stream):
                *received, end = read(WebSocketFrames(LIMIT), chunks)
                assertEvents(received, events, name)
                self.assertViolation(end, code, name)

    def test_utf8(self) -> None:
        """
        6.*: text is checked in one frame, and in fragments that split characters.
        """
        for good in map(str.encode, UTF8):
            text = b"a" + good + b"b"
            for stream in (frame(TEXT, text), fragments(TEXT, *every(1, text))):
                for chunks in self.segmentations(stream):
                    assertEvents(read(WebSocketFrames(), chunks), [text])
        for bad in map(bytes.fromhex, " ".join(NOT_UTF8.values()).split()):
            for text in (bad, EURO + bad + EURO):
                for stream in (frame(TEXT, text), fragments(TEXT, *every(1, text))):
                    for chunks in self.segmentations(stream):
                        self.assertViolation(read(WebSocketFrames(), chunks)[-1], 1007, text)

    def test_large(self) -> None:
        """
        9.*: text of 1 MiB, and binary messages of any length, are read with the
        default limit.
        """
        for opcode, length in ((TEXT, 1 << 20), (BINARY, 4 << 20)):
            stream, expected = frame(opcode, b"*" * length), [b"*" * length]
            for size in (512, 65536, len(stream)):
                assertEvents(read(WebSocketFrames(), every(size, stream)), expected)

    def test_violationAfterOurClose(self) -> None:
        """
        A violation after our own Close is not answered by a second one.
        """
        frames = WebSocketFrames()
        self.assertEqual(framesIn(frames.close()), [(CLOSE, b"\3\xe8")])
        self.assertEqual(frames.receive(frame(3)), [End(b"", 1006, "invalid opcode", True)])
        self.assertEqual(frames.receive(A), [])

    def test_answerToOurClose(self) -> None:
        """
        The peer's answer to our Close ends the WebSocket; messages before it are
        still read.
        """
        frames = WebSocketFrames()
        frames.close()
        arrived = frames.receive(A + closing(1000, b"bye"))
        self.assertEqual(arrived, [b"a", End(b"", 1000, "bye", False)])
        self.assertEqual(frames.close(), b"")


OFFERS: list[dict[str, Any]] = [
    {},
    {"server_no_context_takeover": True},
    {"client_no_context_takeover": True},
    {"server_max_window_bits": 9, "client_max_window_bits": 9},
    {"server_max_window_bits": 15, "client_max_window_bits": 15},
    {
        "server_no_context_takeover": True,
        "client_no_context_takeover": True,
        "server_max_window_bits": 9,
        "client_max_window_bits": 9,
    },
]


class CompressionTests(SynchronousTestCase):
    """
    C{permessage-deflate} (RFC 7692).
    """

    def test_bothWays(self) -> None:
        """
        12.*, 13.*: messages of many lengths are compressed in both directions with every
        type of offer. Uncompressed messages and fragments are read too.
        """
        for offer in OFFERS:
            client, frames = connect(ClientPerMessageDeflateFactory(**offer))
            for length in (0, 1, 16, 126, 1024, 16384, 70_000):
                message = (b'{"x": 1, "y": "\xe2\x82\xac"}' * (length // 20 + 1))[:length]
                client.send_binary(message)
                client.send_text(b"<", fin=False)
                client.send_ping(b"1")
                client.send_continuation(EURO * 100, fin=True)
                stream = b"".join(client.data_to_send()) + A
                events = [
                    each for each in (message + b"<", (PING, b"1"), EURO * 100 + b"a") if each
                ]
                assertEvents(read(frames, every(frames.maxChunk or 1, stream)), events)
                answer = frames.messages([message, b"b"])
                self.assertLess(len(answer), length // 4 + 50)
                client.receive_data(answer)
                received = [
                    bytes(each.data)
                    for each in client.events_received()
                    if isinstance(each, ClientFrame)
                ]
                assertEvents(received, [each for each in (message, b"b") if each])

    def test_notOffered(self) -> None:
        """
        A client that does not offer it gets uncompressed messages.
        """
        _, frames = connect()
        self.assertFalse(frames.compressed)
        self.assertIsNone(frames.maxChunk)
        self.assertEqual(framesIn(frames.messages([b"x" * 1000])), [(BINARY, b"x" * 1000)])

    def test_parts(self) -> None:
        """
        An inflated message is delivered in parts of 16 KiB.
        """
        client, frames = connect(ClientPerMessageDeflateFactory())
        client.send_binary(b"*" * 40_000)
        arrived = frames.receive(b"".join(client.data_to_send()))
        assertEvents(arrived, every(16384, b"*" * 40_000))

    def test_violations(self) -> None:
        """
        A frame that exceeds the limit when it is inflated, one that cannot be inflated,
        compressed text that is not UTF-8 and misplaced reserved bits end the WebSocket.
        """

        def compressed(opcode: int, payload: bytes) -> bytes:
            client, _ = connect(ClientPerMessageDeflateFactory())
            {TEXT: client.send_text, BINARY: client.send_binary}[opcode](payload)
            return b"".join(client.data_to_send())

        for stream, code in [
            (compressed(BINARY, b"\0" * 10_000_000), 1009),
            (frame(BINARY, b"\xff" * 10, rsv=4), 1002),
            (compressed(TEXT, b"\xff"), 1007),
            (frame(BINARY, b"a", rsv=6), 1002),
            (frame(PING, rsv=4), 1002),
            (frame(TEXT, b"a", fin=False) + frame(CONT, b"a", rsv=4), 1002),
        ]:
            _, frames = connect(ClientPerMessageDeflateFactory())
            end = read(frames, every(1024, stream))[-1]
            assert isinstance(end, End)
            self.assertEqual((end.code, end.fault), (code, True))
