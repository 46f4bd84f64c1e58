"""
Tests for L{openfl_twisted.wire.websocket.frames}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame as ClientFrame
from websockets.uri import parse_uri

from openfl_twisted.wire.httprequest import HTTPAnswer, parseHead
from openfl_twisted.wire.websocket.frames import End, Pings, WebSocketFrames
from tests.frames import (
    BINARY,
    CLOSE,
    CONT,
    KEY,
    PING,
    PONG,
    REQUEST,
    RESPONSE,
    TEXT,
    closing,
    frame,
    framesIn,
    header,
)
from tests.segments import cuts, cutStreams

LIMIT = 70_000

EURO = "\N{EURO SIGN}".encode()

# What a stream brings: the name of the case, the stream, the payload, the pings, and the code with
# which it ends, if it does; all is answered by a Close with the same code.
GOOD: list[tuple[str, bytes, bytes, list[bytes], int | None]] = [
    ("a binary message", frame(BINARY, b"a\0"), b"a\0", [], None),
    ("a text message", frame(TEXT, EURO), EURO, [], None),
    ("an empty message", frame(BINARY), b"", [], None),
    ("a length of 125 bytes", frame(BINARY, b"x" * 125), b"x" * 125, [], None),
    ("a length in two bytes", frame(BINARY, b"x" * 126), b"x" * 126, [], None),
    ("a length in eight bytes", frame(BINARY, b"x" * 65536), b"x" * 65536, [], None),
    ("text as long as is allowed", frame(TEXT, b"x" * LIMIT), b"x" * LIMIT, [], None),
    ("binary of any length", frame(BINARY, b"xyz" * LIMIT), b"xyz" * LIMIT, [], None),
    (
        "fragments of any length in all",
        frame(BINARY, b"x" * LIMIT, fin=False) + frame(CONT, b"y" * LIMIT),
        b"x" * LIMIT + b"y" * LIMIT,
        [],
        None,
    ),
    (
        "fragments",
        frame(BINARY, b"a", fin=False) + frame(CONT, b"b", fin=False) + frame(CONT, b"c"),
        b"abc",
        [],
        None,
    ),
    (
        "empty fragments",
        frame(BINARY, fin=False) + frame(CONT, b"", fin=False) * 3 + frame(CONT, b"c"),
        b"c",
        [],
        None,
    ),
    (
        "UTF-8 across fragments",
        b"".join(
            (
                frame(TEXT, EURO[:1], fin=False),
                frame(CONT, EURO[1:2], fin=False),
                frame(CONT, EURO[2:] + b"!"),
            )
        ),
        EURO + b"!",
        [],
        None,
    ),
    (
        "binary after text is not text",
        frame(TEXT, b"a") + frame(BINARY, b"\xff", fin=False) + frame(CONT, b"\xff"),
        b"a\xff\xff",
        [],
        None,
    ),
    (
        "control frames inside fragments",
        b"".join(
            (
                frame(TEXT, EURO[:1], fin=False),
                frame(PING, b"1"),
                frame(PONG, b"2"),
                frame(CONT, EURO[1:]),
            )
        ),
        EURO,
        [b"1"],
        None,
    ),
    ("the longest ping", frame(PING, b"x" * 125), b"", [b"x" * 125], None),
    ("a pong that nobody asked for", frame(PONG, b"x") + frame(BINARY, b"a"), b"a", [], None),
    ("a Close without a code", frame(CLOSE), b"", [], 1005),
    ("a Close with a reason", closing(1000, EURO), b"", [], 1000),
    ("a Close inside fragments", frame(BINARY, b"a", fin=False) + closing(1001), b"a", [], 1001),
    ("data after a Close", closing(1000) + frame(BINARY, b"a"), b"", [], 1000),
    ("a fault after a Close", closing(1000) + b"\xff" * 20, b"", [], 1000),
    *(
        (f"a Close with the code {code}", closing(code), b"", [], code)
        for code in (1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999)
    ),
]

BAD: list[tuple[str, bytes, bytes, int]] = [
    ("a frame without a mask", frame(BINARY, b"a", mask=False), b"", 1002),
    *(
        (f"the reserved bit {4 >> rsv}", frame(BINARY, b"a", rsv=4 >> rsv), b"", 1002)
        for rsv in range(3)
    ),
    *(
        (f"the opcode {opcode}", frame(opcode, b"a"), b"", 1002)
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    ),
    ("a ping that is too long", frame(PING, b"x" * 126), b"", 1002),
    ("a Close that is too long", closing(1000, b"x" * 124), b"", 1002),
    ("a ping in fragments", frame(PING, b"x", fin=False), b"", 1002),
    ("a Close in fragments", frame(CLOSE, b"\3\xe8", fin=False), b"", 1002),
    ("a continuation of nothing", frame(CONT, b"a"), b"", 1002),
    (
        "a message inside another",
        frame(BINARY, b"a", fin=False) + frame(BINARY, b"b"),
        b"a",
        1002,
    ),
    ("a Close with one byte", frame(CLOSE, b"\3"), b"", 1002),
    *(
        (f"a Close with the code {code}", closing(code), b"", 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    ),
    ("a Close whose reason is not UTF-8", closing(1000, b"\xff"), b"", 1007),
    ("text that is not UTF-8", frame(TEXT, b"a\xff"), b"", 1007),
    ("text that ends in a character", frame(TEXT, EURO[:2]), b"", 1007),
    ("text with a surrogate", frame(TEXT, b"\xed\xa0\x80"), b"", 1007),
    (
        "text that is not UTF-8 across fragments",
        frame(TEXT, EURO[:1], fin=False) + frame(CONT, b"a", fin=False),
        EURO[:1],
        1007,
    ),
    (
        "text in fragments that ends in a character",
        frame(TEXT, b"a", fin=False) + frame(CONT, EURO[:1]),
        b"a",
        1007,
    ),
    ("the header of text that is too long", header(TEXT, LIMIT + 1), b"", 1009),
    ("the header of a terabyte of text", header(TEXT, 1 << 40), b"", 1009),
    ("a length whose highest bit is set", header(BINARY, 1 << 63), b"", 1009),
    (
        "a fragment that is too long",
        frame(BINARY, b"x" * LIMIT, fin=False) + header(CONT, LIMIT + 1),
        b"x" * LIMIT,
        1009,
    ),
    ("text that is complete and too long", frame(TEXT, b"x" * (LIMIT + 1)), b"", 1009),
    ("data before a fault", frame(BINARY, b"a") + frame(3), b"a", 1002),
]


class Received:
    """
    What a stream has brought in all.
    """

    def __init__(self, pieces: list[bytes]) -> None:
        frames = WebSocketFrames(LIMIT)
        self.payload = b""
        self.pings: list[bytes] = []
        self.end: End | None = None
        for piece in pieces:
            for arrival in frames.receive(piece):
                assert self.end is None
                match arrival:
                    case bytes(data):
                        self.payload += data
                    case Pings(payloads):
                        self.pings += payloads
                    case End():
                        self.end = arrival

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Received) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(self.payload)


def single(data: bytes) -> list[bytes]:
    """
    Cut a stream into bytes; a long one into pieces of some.
    """
    length = 1 if len(data) < 1000 else 997
    return [data[at : at + length] for at in range(0, len(data), length)]


class ConformanceTests(SynchronousTestCase):
    """
    The cases of RFC 6455 that matter.
    """

    def test_good(self) -> None:
        """
        What is allowed is taken, byte by byte too; a Close is answered with its
        own payload.
        """
        for name, stream, payload, pings, code in GOOD:
            for pieces in ([stream], single(stream)):
                received = Received(pieces)
                self.assertEqual((received.payload, received.pings), (payload, pings), name)
                if code is None:
                    self.assertIsNone(received.end, name)
                    continue
                assert received.end is not None
                self.assertEqual((received.end.code, received.end.fault), (code, False), name)
                [(opcode, answer)] = framesIn(received.end.answer)
                self.assertEqual(opcode, CLOSE)
                self.assertIn(answer[:2], (b"" if code == 1005 else code.to_bytes(2),), name)

    def test_bad(self) -> None:
        """
        What is not allowed ends the WebSocket with the right code, byte by byte
        too; what came before it counts.
        """
        for name, stream, payload, code in BAD:
            for pieces in ([stream], single(stream)):
                received = Received(pieces)
                self.assertEqual((received.payload, received.pings), (payload, []), name)
                assert received.end is not None, name
                self.assertEqual((received.end.code, received.end.fault), (code, True), name)
                [(opcode, answer)] = framesIn(received.end.answer)
                self.assertEqual((opcode, answer[:2]), (CLOSE, code.to_bytes(2)), name)
                self.assertEqual(answer[2:].decode(), received.end.reason)

    def test_faultAfterOurClose(self) -> None:
        """
        What is not allowed after our own Close gets no second one.
        """
        frames = WebSocketFrames()
        self.assertEqual(framesIn(frames.close()), [(CLOSE, b"\3\xe8")])
        [end] = frames.receive(frame(3))
        self.assertEqual(end, End(b"", 1006, "invalid opcode", True))

    def test_answerToOurClose(self) -> None:
        """
        The peer's answer to our Close ends the WebSocket; what comes before it is
        still taken.
        """
        frames = WebSocketFrames()
        frames.close()
        arrived = frames.receive(frame(BINARY, b"a") + closing(1000, b"bye"))
        self.assertEqual(arrived, [b"a", End(b"", 1000, "bye", False)])
        self.assertEqual(frames.close(), b"")

    def test_parts(self) -> None:
        """
        A long payload is given in parts.
        """
        data = bytes(range(250)) * 600
        arrived = WebSocketFrames().receive(frame(BINARY, data) + frame(PING))
        self.assertEqual(
            arrived,
            [
                data[:65536],
                data[65536:131072],
                data[131072:],
                Pings([b""]),
            ],
        )

    @given(
        cutStreams(
            st.lists(
                st.one_of(
                    st.binary(max_size=200).map(lambda data: frame(BINARY, data)),
                    st.text(st.characters(codec="utf-8")).map(
                        lambda text: frame(TEXT, text.encode())
                    ),
                    st.binary(max_size=20).map(
                        lambda data: frame(TEXT, data, fin=False) + frame(CONT, data)
                    ),
                    st.binary(max_size=125).map(lambda data: frame(PING, data)),
                    st.binary(max_size=20).map(lambda data: frame(CLOSE, data)),
                    st.binary(max_size=20),
                )
            ).map(b"".join)
        )
    )
    def test_anyPieces(self, case: tuple[bytes, list[bytes]]) -> None:
        """
        Any way to cut any stream gives the same.
        """
        stream, pieces = case
        self.assertEqual(Received(pieces), Received([stream]))


class HandshakeTests(SynchronousTestCase):
    """
    The answer to a request.
    """

    def refused(self, request: bytes) -> HTTPAnswer:
        """
        Get why a request is refused.
        """
        refusal: HTTPAnswer = self.assertRaises(
            HTTPAnswer, WebSocketFrames.accept, parseHead(request)
        )
        return refusal

    def test_answer(self) -> None:
        """
        It has the example of RFC 6455, with header names in the case in which
        the RFC has them, and agrees to nothing that is only offered.
        """
        frames, response = WebSocketFrames.accept(parseHead(REQUEST))
        self.assertEqual(response, RESPONSE)
        self.assertIsNone(frames.pieceLength)

    def test_keys(self) -> None:
        """
        A key is 16 bytes in base 64; that of OpenFL's draft of a client, which
        is shorter, is refused.
        """
        for key in (b"c2hvcnQ=", b"", KEY[:-2], b"\xe4" * 24, KEY[:-2] + b"YQ"):
            request = REQUEST.replace(KEY, key)
            self.assertEqual(self.refused(request).status, 400)
        lines = REQUEST.split(b"\r\n")
        without = b"\r\n".join(line for line in lines if b"-Key" not in line)
        self.assertEqual(self.refused(without).status, 400)

    def test_subprotocols(self) -> None:
        """
        The best of ours that is offered is agreed to; without one in common, and
        for the empty offer of OpenFL's draft of a client, none is.
        """
        for offered, agreed in [
            (b"b, a", b"a"),
            (b"B", None),
            (b"c", None),
            (b"", None),
            (b"b\r\nSec-WebSocket-Protocol: c", b"b"),
        ]:
            offer = b"\r\nSec-WebSocket-Protocol: " + offered + b"\r\n\r\n"
            head = parseHead(REQUEST.replace(b"\r\n\r\n", offer))
            _, answer = WebSocketFrames.accept(head, subprotocols=["a", "b"])
            line = b"" if agreed is None else b"Sec-WebSocket-Protocol: " + agreed + b"\r\n"
            self.assertEqual(answer, RESPONSE[:-2] + line + b"\r\n")
            self.assertEqual(WebSocketFrames.accept(head)[1], RESPONSE)
        self.assertEqual(
            self.refused(
                REQUEST.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: ()\r\n\r\n")
            ).status,
            400,
        )

    def test_extensions(self) -> None:
        """
        A malformed offer matters only to who takes any.
        """
        request = REQUEST.replace(b"permessage-deflate", b"()")
        head = parseHead(request)
        self.assertEqual(WebSocketFrames.accept(head)[1], RESPONSE)
        self.assertRaises(HTTPAnswer, WebSocketFrames.accept, head, compress=True)


class CompressionTests(SynchronousTestCase):
    """
    permessage-deflate, RFC 7692.
    """

    def setUp(self) -> None:
        self.client = ClientProtocol(
            parse_uri("ws://localhost/"), extensions=[ClientPerMessageDeflateFactory()]
        )
        self.client.send_request(self.client.connect())
        head = parseHead(b"".join(self.client.data_to_send()))
        self.frames, response = WebSocketFrames.accept(head, 100_000, compress=True)
        self.client.receive_data(response)
        self.client.events_received()

    def sent(self, data: bytes) -> bytes:
        """
        Have the client send a message.
        """
        self.client.send_binary(data)
        return b"".join(self.client.data_to_send())

    def test_bothWays(self) -> None:
        """
        Messages are compressed both ways; a peer that does not offer it gets
        them plain.
        """
        message = b"<hello/>" * 1000
        stream = self.sent(message)
        self.assertLess(len(stream), 200)
        self.assertEqual(self.frames.receive(stream), [message])
        parts = self.frames.receive(self.sent(message * 3))
        self.assertEqual(parts, [message * 2 + message[:384], message[384:]])
        answer = self.frames.messages([message])
        self.assertLess(len(answer), 200)
        self.client.receive_data(answer)
        [event] = self.client.events_received()
        assert isinstance(event, ClientFrame)
        self.assertEqual(event.data, message)
        request = REQUEST.replace(b"permessage-deflate", b"x-other")
        plain, _ = WebSocketFrames.accept(parseHead(request), compress=True)
        self.assertEqual(framesIn(plain.messages([message])), [(BINARY, message)])

    def test_bomb(self) -> None:
        """
        A message that is too long only when it is inflated is refused, and the
        pieces to be taken at once are small.
        """
        [end] = self.frames.receive(self.sent(b"\0" * 10_000_000))
        assert isinstance(end, End)
        self.assertEqual((end.code, end.fault), (1009, True))
        self.assertEqual(self.frames.pieceLength, 1024)

    def test_garbage(self) -> None:
        """
        What cannot be inflated ends the WebSocket.
        """
        [end] = self.frames.receive(frame(BINARY, b"\xff" * 10, rsv=4))
        assert isinstance(end, End)
        self.assertEqual((end.code, end.fault), (1002, True))


class OutTests(SynchronousTestCase):
    """
    What is sent.
    """

    def test_shared(self) -> None:
        """
        A message that goes to many is made once, unless it is a very long one or
        compressed.
        """
        one, two = WebSocketFrames(), WebSocketFrames()
        message = bytes(bytearray(b"to all"))
        self.assertIs(one.messages([message]), two.messages([message]))
        self.assertEqual(framesIn(two.messages([b"another"])), [(BINARY, b"another")])
        long = bytes(70_000)
        self.assertIsNot(one.messages([long]), two.messages([long]))

    def test_reason(self) -> None:
        """
        A Close has a code and a reason, cut where a character ends if it is too
        long.
        """
        [(opcode, payload)] = framesIn(WebSocketFrames().close(1008, "\u20ac" * 50))
        self.assertEqual((opcode, payload[:2]), (CLOSE, (1008).to_bytes(2)))
        self.assertEqual(payload[2:].decode(), "\u20ac" * 41)

    def test_messages(self) -> None:
        """
        Each payload is one binary message without a mask, of any length.
        """
        payloads = [b"a\0", b"x" * 125, b"x" * 126, b"x" * 65535, b"x" * 65536]
        sent = framesIn(WebSocketFrames().messages(payloads))
        self.assertEqual(sent, [(BINARY, payload) for payload in payloads])

    def test_control(self) -> None:
        """
        There are pings, and pongs with what they answer.
        """
        frames = WebSocketFrames()
        self.assertEqual(framesIn(frames.ping()), [(PING, b"")])
        self.assertEqual(framesIn(frames.pongs([b"1", b""])), [(PONG, b"1"), (PONG, b"")])

    @given(st.data(), st.lists(st.binary(max_size=300), max_size=10))
    def test_understood(self, data: st.DataObject, payloads: list[bytes]) -> None:
        """
        A client of the library gets what is sent, and the other way round.
        """
        client = ClientProtocol(parse_uri("ws://localhost/"))
        client.send_request(client.connect())
        head = parseHead(b"".join(client.data_to_send()))
        frames, response = WebSocketFrames.accept(head)
        client.receive_data(response)
        client.events_received()
        for piece in data.draw(cuts(frames.messages(payloads))):
            client.receive_data(piece)
        events = client.events_received()
        self.assertEqual(
            [event.data for event in events if isinstance(event, ClientFrame)],
            [payload for payload in payloads if payload],
        )
        for payload in payloads:
            client.send_binary(payload)
        client.send_close(1000)
        received = Received(data.draw(cuts(b"".join(client.data_to_send()))))
        self.assertEqual(received.payload, b"".join(payloads))
