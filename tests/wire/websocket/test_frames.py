"""
Properties and costs of the reader in L{openfl_twisted.wire.websocket.frames}; the
cases of the RFC are in C{test_conformance}.
"""

from functools import partial
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    PerMessageDeflate,
)
from websockets.utils import apply_mask

from openfl_twisted.wire.websocket.frames import End, WebSocketFrames
from tests.effort import CountedBytes, callsOf
from tests.frames import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Event,
    assertEvents,
    connect,
    frame,
    framesIn,
    read,
)
from tests.segments import cuts

LIMIT = 500

# More than a buffered frame can have: its limit, or a length in two bytes, and its header.
MOST_HELD = 65536 + 14

MESSAGE = frame(BINARY, b"x" * 64)


def deflate() -> PerMessageDeflate:
    """
    Make the extension of a server.
    """
    return PerMessageDeflate(False, False, 15, 15)


def withLength(data: bytes, form: int) -> bytes:
    """
    Encode the length of a short frame in another form, if C{form} is 126 or 127.
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
    st.just(frame(BINARY, b"x" * 66_000)),
    st.lists(st.binary(max_size=20), min_size=1, max_size=4).map(
        lambda parts: b"".join(
            frame(CONT if at else BINARY, part, fin=at == len(parts) - 1)
            for at, part in enumerate(parts)
        )
    ),
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """
    Generate valid and invalid frames, with some bytes changed.
    """
    either = st.booleans().flatmap({True: usualFrames, False: anyFrames}.__getitem__)
    data = bytearray(b"".join(draw(st.lists(either, max_size=8))))
    for _ in range(draw(st.sampled_from([0, 0, 1, 2])) if data else 0):
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
        if not data:
            break
    return bytes(data)


# Messages of a client: whether it is text, and its fragments.
messages = st.tuples(
    st.booleans(),
    st.one_of(
        st.lists(st.text(max_size=100), min_size=1, max_size=4),
        st.integers(1, 2).map(lambda count: ["*\0" * 40_000] * count),
    ),
)
controls = st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125))


class PropertyTests(SynchronousTestCase):
    """
    Any stream.
    """

    @settings(max_examples=300)
    @given(st.data(), st.booleans(), streams())
    def test_anySegmentation(self, data: st.DataObject, compress: bool, stream: bytes) -> None:
        """
        However a stream is split, its events are the same; also where the library
        was built without its C extension.
        """
        extension = deflate if compress else lambda: None
        expected = read(WebSocketFrames(LIMIT, extension()), [stream])
        chunks = data.draw(cuts(stream))
        assertEvents(read(WebSocketFrames(LIMIT, extension()), chunks), expected)
        with patch("openfl_twisted.wire.websocket.frames.apply_mask", apply_mask):
            assertEvents(read(WebSocketFrames(LIMIT, extension()), chunks), expected)

    @settings(max_examples=300)
    @given(st.booleans(), st.lists(st.one_of(usualFrames, anyFrames, streams()), max_size=5))
    def test_short(self, compress: bool, chunks: list[bytes]) -> None:
        """
        A chunk that C{receiveShort} reads has the same payload in C{receive}; it reads
        no other chunk. At least each short binary message alone is read.
        """
        extension = deflate if compress else lambda: None
        one, other = (WebSocketFrames(LIMIT, extension()) for _ in range(2))
        for chunk in chunks:
            payload = one.receiveShort(chunk)
            arrived = other.receive(chunk)
            if payload is None:
                self.assertEqual(one.receive(chunk), arrived)
            else:
                self.assertEqual([payload], arrived)
        message = frame(BINARY, b"*\0")
        self.assertEqual(WebSocketFrames().receiveShort(message), b"*\0")

    @settings(max_examples=300)
    @given(st.booleans(), st.booleans(), st.lists(st.binary(max_size=50) | streams(), max_size=5))
    def test_anyBytes(self, compress: bool, closed: bool, chunks: list[bytes]) -> None:
        """
        No stream raises an exception, parts have the promised length, and little
        is buffered. The library's client understands the answer at the end.
        """
        frames = WebSocketFrames(LIMIT, deflate() if compress else None)
        if closed:
            frames.close()
        for chunk in chunks:
            arrived = frames.receive(chunk)
            for arrival in arrived:
                if isinstance(arrival, bytes):
                    self.assertLessEqual(len(arrival), frames.maxPayload)
            self.assertLess(len(frames._held or b""), MOST_HELD + len(chunk))
            if arrived and isinstance(arrived[-1], End):
                self.assertEqual(frames.receive(chunk), [])
                self.assertEqual(not arrived[-1].answer, closed)
                client, _ = connect()
                client.receive_data(arrived[-1].answer)
                if client.close_rcvd is not None:
                    self.assertEqual(client.close_rcvd.code, arrived[-1].code)
                    self.assertEqual(client.close_rcvd.reason, arrived[-1].reason)
                break

    @given(st.data(), st.booleans(), st.lists(messages | controls, max_size=8), st.booleans())
    def test_client(
        self,
        data: st.DataObject,
        compress: bool,
        sent: list[tuple[bool, list[str]] | tuple[int, bytes]],
        close: bool,
    ) -> None:
        """
        Frames from the library's client are read, compressed or not.
        """
        client, frames = connect(*[ClientPerMessageDeflateFactory()] * compress)
        expected: list[Event] = []
        for kind, content in sent:
            if isinstance(content, bytes):
                {PING: client.send_ping, PONG: client.send_pong}[kind](content)
                if kind == PING:
                    expected.append((PING, content))
                continue
            send = client.send_text if kind else client.send_binary
            for at, part in enumerate(content):
                isLast = at == len(content) - 1
                (partial(send) if at == 0 else client.send_continuation)(part.encode(), fin=isLast)
            payload = "".join(content).encode()
            if expected and isinstance(expected[-1], bytes):
                expected[-1] += payload
            elif payload:
                expected.append(payload)
        if close:
            client.send_close(1001, "bye")
        stream = b"".join(client.data_to_send())
        received = read(frames, data.draw(cuts(stream)))
        if close:
            end = received.pop()
            assert isinstance(end, End)
            self.assertEqual(end[1:], (1001, "bye", False))
            self.assertEqual(framesIn(end.answer), [(CLOSE, b"\3\xe9bye")])
        assertEvents(received, expected)


class LongTests(SynchronousTestCase):
    """
    Long binary messages.
    """

    def test_beginning(self) -> None:
        """
        A part of a long message is delivered before the rest has arrived, and is
        not buffered.
        """
        frames, payload = WebSocketFrames(LIMIT), bytes(range(250)) * 400
        stream = frame(BINARY, payload)
        assertEvents(frames.receive(stream[:15]), [payload[:1]])
        assertEvents(frames.receive(stream[15:30]), [payload[1:16]])
        self.assertIsNone(frames._held)
        assertEvents(read(frames, [stream[30:] + MESSAGE]), [payload[16:] + b"x" * 64])

    def test_parts(self) -> None:
        """
        A long payload is delivered in parts.
        """
        data = bytes(range(250)) * 600
        arrived = WebSocketFrames().receive(frame(BINARY, data))
        assertEvents(arrived, [data[:65536], data[65536:131072], data[131072:]])


class EffortTests(SynchronousTestCase):
    """
    The work of the reader.
    """

    def effort(self, chunks: list[bytes], maxFrame: int = 1 << 30) -> int:
        """
        Count the calls that a stream takes.
        """
        frames = WebSocketFrames(maxFrame)

        def receive() -> None:
            for chunk in chunks:
                frames.receive(chunk)
                while frames.unfinished:
                    frames.receive(b"")

        return callsOf(receive)

    def test_calls(self) -> None:
        """
        A message takes one call to unmask it and one for a list, text one more.
        Other frames take few.
        """
        for unit, most in (
            (MESSAGE, 2),
            (frame(TEXT, b"x" * 64), 3),
            (frame(PONG), 4),
            (frame(PING, b"x" * 125), 12),
            (frame(BINARY, b"x", fin=False) + frame(CONT, b"x"), 12),
        ):
            self.assertLess(self.effort([unit * 200]), most * 200 + 40, unit)

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
            "a long message in chunks": lambda count: cut(
                frame(BINARY, bytes(10_000 * count)), 997
            ),
            "a long text in chunks": lambda count: cut(frame(TEXT, bytes(10_000 * count)), 997),
        }.items():
            self.assertLessEqual(self.effort(make(200)), 2 * self.effort(make(100)) + 20, name)

    def test_copies(self) -> None:
        """
        Of each message only the payload is copied, not the following bytes.
        """
        for unit in (MESSAGE, frame(BINARY, bytes(5000)), frame(PING) + MESSAGE, frame(CLOSE)[:1]):
            stream = CountedBytes(unit * 300)
            WebSocketFrames().receive(stream)
            self.assertLessEqual(stream.copied, len(stream), unit[:10])
