"""
The short path of L{openfl_twisted.wire.websocket.frames}: what it reads is what the
library reads, and with little work.
"""

from functools import partial
from typing import Any
from unittest.mock import patch

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Opcode
from websockets.protocol import SEND_EOF
from websockets.utils import apply_mask

from openfl_twisted.wire.websocket.frames import End, Pings, WebSocketFrames
from openfl_twisted.wire.websocket.parser import FrameParser
from tests.effort import CountedBytes, callsOf
from tests.frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame
from tests.segments import cuts

LIMIT = 500

MESSAGE = frame(BINARY, b"x" * 64)


class Both:
    """
    What a stream brings, in order: bytes, pings, and the end.
    """

    def __init__(self) -> None:
        self.events: list[Any] = []

    def add(self, event: Any) -> None:
        """
        Add something; bytes to those just before them, since that is how they
        come to the application.
        """
        if isinstance(event, bytes) and self.events and isinstance(self.events[-1], bytes):
            self.events[-1] += event
        elif event != b"":
            self.events.append(event)


def read(pieces: list[bytes], closeBefore: int) -> list[Any]:
    """
    Have a stream read here.

    @param closeBefore: the number of the piece before which this side closes.
    """
    frames, both = WebSocketFrames(LIMIT), Both()
    for number, piece in enumerate(pieces):
        if number == closeBefore:
            frames.close()
        for arrival in frames.receive(piece):
            if isinstance(arrival, Pings):
                for payload in arrival.payloads:
                    both.add((PING, payload))
            else:
                both.add(arrival)
    return both.events


class FragmentLimit(FrameParser):
    """
    The library with this side's limit, which does not apply to binary messages in
    one frame.
    """

    @property
    def max_fragment_size(self) -> int | None:
        """
        The limit of the next frame, whose first byte has arrived.
        """
        isStreamed = self.reader.buffer[:1] == bytes((0x80 | BINARY,)) and self.current_size is None
        return None if isStreamed else LIMIT

    @max_fragment_size.setter
    def max_fragment_size(self, value: int | None) -> None:
        """
        Ignore the limit of the library itself.
        """


def readByLibrary(pieces: list[bytes], closeBefore: int) -> list[Any]:
    """
    Have the library read all of a stream.
    """
    parser, both = FragmentLimit(LIMIT), Both()
    for number, piece in enumerate(pieces):
        if number == closeBefore and not parser.eof_sent:
            parser.send_close(1000)
            parser.data_to_send()
        for each in parser.frames(piece):
            if each.opcode is Opcode.PING:
                both.add((PING, bytes(each.data)))
            elif each.opcode is not Opcode.CLOSE:
                both.add(bytes(each.data))
        writes = parser.data_to_send()
        if SEND_EOF not in writes:
            continue
        fault, answer = parser.parser_exc, b"".join(writes)
        close = parser.close_sent if fault else parser.close_rcvd
        if close is None or (fault and not answer):
            both.add(End(answer, 1006, str(fault), True))
        else:
            both.add(End(answer, close.code, close.reason, fault is not None))
        break
    return both.events


def isStreaming(pieces: list[bytes]) -> bool:
    """
    Whether a stream ends inside a long frame, whose beginning is delivered here and
    not by the library.
    """
    frames = WebSocketFrames(LIMIT)
    for piece in pieces:
        frames.receive(piece)
    return frames._left > 0


def withLength(data: bytes, form: int) -> bytes:
    """
    Write the length of a short frame in another form, if C{form} is 126 or 127.
    """
    length = data[1] & 0x7F
    if form < 126 or length > 125:
        return data
    return (
        bytes((data[0], data[1] & 0x80 | form))
        + length.to_bytes(2 if form == 126 else 8)
        + data[2:]
    )


payloads = st.one_of(
    st.binary(max_size=10),
    st.text(max_size=10).map(lambda text: text.encode(errors="surrogatepass")),
    st.sampled_from([125, 126, LIMIT - 1, LIMIT, LIMIT + 1]).map(lambda length: b"x" * length),
    st.integers(999, 1012).map(lambda code: code.to_bytes(2) + b"bye"),
)

anyFrames = st.builds(
    withLength,
    st.builds(
        frame,
        st.sampled_from([BINARY, BINARY, TEXT, TEXT, CONT, PING, PONG, CLOSE, 3]),
        payloads,
        fin=st.sampled_from([True, True, True, False]),
        rsv=st.sampled_from([0] * 7 + [4]),
        mask=st.sampled_from([True] * 7 + [False]),
    ),
    st.sampled_from([0] * 8 + [126, 127]),
)

usualFrames = st.one_of(
    st.builds(frame, st.just(BINARY), st.binary(max_size=150)),
    st.builds(frame, st.just(TEXT), st.text(max_size=50).map(str.encode)),
    st.builds(frame, st.sampled_from([PING, PONG]), st.binary(max_size=125)),
    st.sampled_from([LIMIT, LIMIT + 1]).map(lambda length: frame(TEXT, b"x" * length)),
    st.lists(st.binary(max_size=20), min_size=1, max_size=4).map(
        lambda parts: b"".join(
            frame(CONT if at else BINARY, part, fin=at == len(parts) - 1)
            for at, part in enumerate(parts)
        )
    ),
)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """
    Frames that are right and wrong, some bytes changed, cut in any way.
    """
    either = st.booleans().flatmap({True: usualFrames, False: anyFrames}.__getitem__)
    data = bytearray(b"".join(draw(st.lists(either, max_size=8))))
    for _ in range(draw(st.sampled_from([0, 0, 1, 2])) if data else 0):
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
        if not data:
            break
    return draw(cuts(bytes(data)))


longMessages = st.sampled_from([0, 5, 125, 126, LIMIT, 65_535, 65_536, 65_537, 140_001]).map(
    lambda length: (bytes(range(251)) * (length // 251 + 1))[:length]
)


@st.composite
def longStreams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """
    The payload of some binary messages, and their frames, cut in any way.
    """
    messages = draw(st.lists(longMessages, max_size=4))
    forms = [withLength(frame(BINARY, each), draw(st.sampled_from([0, 127]))) for each in messages]
    return b"".join(messages), draw(cuts(b"".join(forms)))


class EquivalenceTests(SynchronousTestCase):
    """
    The short path and the library.
    """

    @settings(max_examples=500)
    @given(streams(), st.integers(0, 20))
    def test_same(self, pieces: list[bytes], closeBefore: int) -> None:
        """
        Any stream, right or wrong and cut in any way, brings the same as if the
        library alone had read it, also when this side has closed.
        """
        assume(not isStreaming(pieces))
        self.assertEqual(read(pieces, closeBefore), readByLibrary(pieces, closeBefore))

    @given(longStreams())
    def test_long(self, stream: tuple[bytes, list[bytes]]) -> None:
        """
        Long messages are delivered as they arrive, and the payload is the same for
        every segmentation.
        """
        payload, pieces = stream
        frames, received = WebSocketFrames(LIMIT), bytearray()
        for piece in pieces:
            for arrival in frames.receive(piece):
                assert isinstance(arrival, bytes)
                self.assertLessEqual(len(arrival), frames.maxPayload)
                received += arrival
        self.assertEqual(received, payload)

    def test_beginning(self) -> None:
        """
        A part of a long message is delivered before the rest has arrived, and none
        of it is held.
        """
        frames, payload = WebSocketFrames(LIMIT), bytes(range(250)) * 400
        stream = frame(BINARY, payload)
        self.assertEqual(frames.receive(stream[:15]), [payload[:1]])
        self.assertEqual(frames.receive(stream[15:30]), [payload[1:16]])
        self.assertEqual((len(frames._held), frames._left), (0, len(payload) - 16))
        self.assertEqual(b"".join(map(bytes, frames.receive(stream[30:]))), payload[16:])  # type: ignore[arg-type]

    @given(streams(), st.integers(0, 20))
    def test_withoutC(self, pieces: list[bytes], closeBefore: int) -> None:
        """
        So it is where the library has no part in C.
        """
        assume(not isStreaming(pieces))
        with patch("openfl_twisted.wire.websocket.frames.apply_mask", apply_mask):
            slowly = read(pieces, closeBefore)
        self.assertEqual(slowly, readByLibrary(pieces, closeBefore))


class EffortTests(SynchronousTestCase):
    """
    How much work the short path is.
    """

    def effort(self, pieces: list[bytes], maxFrame: int = 1 << 30) -> int:
        """
        Count the calls that a stream takes.
        """
        frames = WebSocketFrames(maxFrame)
        return callsOf(lambda: [frames.receive(piece) for piece in pieces])

    def test_calls(self) -> None:
        """
        A message takes its mask and a place in a list, text one look more; the
        library is not asked, and not even made.
        """
        frames = WebSocketFrames()
        for opcode, most in ((BINARY, 2), (TEXT, 3)):
            stream = frame(opcode, b"x" * 64) * 200
            self.assertLess(callsOf(partial(frames.receive, stream)), most * 200 + 20)
        self.assertIsNone(frames._parser)

    def test_controlCalls(self) -> None:
        """
        Pings and pongs that are right do not need the library either.
        """
        frames = WebSocketFrames()
        frames.receive(frame(PING, b"x" * 125) * 10 + frame(PONG))
        frames.pongs([b"x"])
        frames.ping()
        self.assertIsNone(frames._parser)

    def test_outCalls(self) -> None:
        """
        A message that is sent takes a header.
        """
        frames, messages = WebSocketFrames(), [bytes(64)] * 200
        self.assertLess(callsOf(partial(frames.messages, messages)), 3 * 200 + 20)

    def test_linear(self) -> None:
        """
        Twice as much of anything is at most twice the work.
        """
        fragments = frame(TEXT, b"\xe2\x82\xac", fin=False) + frame(CONT, fin=True)

        def cut(data: bytes, length: int) -> list[bytes]:
            return [data[at : at + length] for at in range(0, len(data), length)]

        for name, make in {
            "many messages in one read": lambda count: [MESSAGE * count],
            "one message in each read": lambda count: [MESSAGE] * count,
            "one byte in each read": lambda count: cut(MESSAGE * count, 1),
            "reads that end in a message": lambda count: cut(MESSAGE * count, 100),
            "fragments": lambda count: [fragments * count],
            "pings among messages": lambda count: [(frame(PING) + MESSAGE) * count],
            "a long message in pieces": lambda count: cut(
                frame(BINARY, bytes(10_000 * count)), 997
            ),
            "a long text in pieces": lambda count: cut(frame(TEXT, bytes(10_000 * count)), 997),
        }.items():
            self.assertLessEqual(self.effort(make(200)), 2 * self.effort(make(100)) + 20, name)

    def test_copies(self) -> None:
        """
        Nothing is copied for each message but the message: what stands behind it
        stays where it is.
        """
        for unit in (MESSAGE, frame(BINARY, bytes(5000)), frame(PING) + MESSAGE, frame(CLOSE)[:1]):
            stream = CountedBytes(unit * 300)
            WebSocketFrames().receive(stream)
            self.assertLessEqual(stream.copied, len(stream), unit[:10])
