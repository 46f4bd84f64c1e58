"""
Tests for L{openfl_twisted.wire.telnet}.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.telnet import TelnetReader, escape
from tests.segments import cutStreams

IAC, DONT, DO, WONT, WILL, SB, SE = b"\xff", b"\xfe", b"\xfd", b"\xfc", b"\xfb", b"\xfa", b"\xf0"

# Few different bytes, so that complete and broken commands are frequent.
streams = st.lists(
    st.sampled_from(
        [
            IAC, IAC, IAC + IAC, IAC + DO, IAC + WILL, IAC + DONT + b"\1", IAC + WONT + b"\1",
            IAC + SB, IAC + SE, SB, SE, DO, WILL, b"\xf1", b"\0", b"\1", b"\r", b"\n", b"\r\n",
            b"ab",
        ]
    )
).map(b"".join)  # fmt: skip


class ByByte:
    """
    A reader that processes one byte at a time, as the RFCs describe it.
    """

    def __init__(self) -> None:
        self.state = "data"
        self.command = b""
        self.text = b""
        self.answers = b""
        self.seen: set[bytes] = set()

    def receive(self, stream: bytes) -> tuple[bytes, bytes]:
        for number in stream:
            getattr(self, self.state)(bytes([number]))
        return self.lines(), self.answers

    def data(self, byte: bytes) -> None:
        if byte == IAC:
            self.state = "interpret"
        else:
            self.text += byte

    def interpret(self, byte: bytes) -> None:
        self.state = "data"
        if byte == IAC:
            self.text += IAC
        elif byte == SB:
            self.state = "skip"
        elif byte in (WILL, WONT, DO, DONT):
            self.command = byte
            self.state = "option"

    def option(self, byte: bytes) -> None:
        self.state = "data"
        answer = {WILL: DONT, DO: WONT}.get(self.command)
        if answer is not None and self.command + byte not in self.seen:
            self.seen.add(self.command + byte)
            self.answers += IAC + answer + byte

    def skip(self, byte: bytes) -> None:
        if byte == IAC:
            self.state = "interpretSkipped"

    def interpretSkipped(self, byte: bytes) -> None:
        self.state = "data" if byte == SE else "skip"

    def lines(self) -> bytes:
        given = bytearray()
        previous = 0
        for byte in self.text:
            if previous == 13 and byte != 10:
                given.append(13)
            if byte != 13 and not (previous == 13 and byte == 0):
                given.append(byte)
            previous = byte
        return bytes(given)


def readAll(chunks: list[bytes]) -> tuple[bytes, bytes]:
    """
    Return the data and the answers of a stream.
    """
    reader = TelnetReader()
    results = [reader.receive(chunk) for chunk in chunks]
    return b"".join(text for text, _ in results), b"".join(answer for _, answer in results)


class TelnetReaderTests(SynchronousTestCase):
    """
    L{TelnetReader} separates data from commands.
    """

    @given(cutStreams(streams))
    def test_anySplit(self, cut: tuple[bytes, list[bytes]]) -> None:
        """
        The data and the answers do not depend on chunk boundaries.
        """
        stream, chunks = cut
        self.assertEqual(readAll(chunks), ByByte().receive(stream))

    @given(cutStreams(st.binary()))
    def test_anyBytes(self, cut: tuple[bytes, list[bytes]]) -> None:
        """
        Any bytes are accepted.
        """
        stream, chunks = cut
        self.assertEqual(readAll(chunks), ByByte().receive(stream))

    @given(st.binary().filter(lambda data: b"\r" not in data))
    def test_roundTrip(self, data: bytes) -> None:
        """
        Escaped data is read as the same data.
        """
        self.assertEqual(readAll([escape(data)]), (data, b""))

    def test_refusals(self) -> None:
        """
        Options that the peer requests or offers are refused. Its refusals are not
        answered.
        """
        for command, answer in [(DO, WONT), (WILL, DONT)]:
            self.assertEqual(
                readAll([b"a" + IAC + command + b"\1b"]), (b"ab", IAC + answer + b"\1")
            )
        for command in (DONT, WONT):
            self.assertEqual(readAll([b"a" + IAC + command + b"\1b"]), (b"ab", b""))

    def test_refusedOnce(self) -> None:
        """
        Repeated requests get one answer for each option and command.
        """
        reader = TelnetReader()
        every = b"".join(IAC + verb + bytes([n]) for verb in (DO, WILL) for n in range(256))
        text, answers = reader.receive(every)
        self.assertEqual((text, len(answers)), (b"", 1536))
        self.assertEqual(reader.receive(every), (b"", b""))

    def test_commandsWithoutOption(self) -> None:
        """
        All other commands are ignored, including unknown ones.
        """
        for number in [*range(0xF1, 0xFA), 0x00, 0x41]:
            self.assertEqual(readAll([b"a" + IAC + bytes([number]) + b"b"]), (b"ab", b""))

    def test_subnegotiation(self) -> None:
        """
        A subnegotiation is skipped, up to its C{IAC SE}.
        """
        for content in [
            b"",
            b"\x18\1",
            SE,
            IAC + IAC + SE,
            IAC + DO + b"\1",
            b"\r",
            b"x" * 100_000,
        ]:
            stream = b"a" + IAC + SB + content + IAC + SE + b"b"
            self.assertEqual(readAll([stream]), (b"ab", b""), content[:10])

    def test_endlessSubnegotiation(self) -> None:
        """
        A subnegotiation without an end takes no memory.
        """
        reader = TelnetReader()
        reader.receive(IAC + SB)
        for _ in range(10):
            self.assertEqual(reader.receive(b"x" * 10_000 + IAC), (b"", b""))
            self.assertEqual(reader._unfinished, IAC)

    def test_newlines(self) -> None:
        """
        CR LF is a newline, CR NUL is a CR, and a CR before any other byte is kept.
        """
        for wire, text in [
            (b"a\r\nb", b"a\nb"), (b"a\r\0b", b"a\rb"), (b"a\rb", b"a\rb"), (b"a\nb", b"a\nb"),
            (b"a\r\r\nb", b"a\r\nb"), (b"a\n\rb", b"a\n\rb"), (b"a\0b", b"a\0b"),
            (b"a\r" + IAC + DO + b"\n\nb", b"a\nb"), (b"a\r" + IAC + IAC, b"a\r\xff"),
        ]:  # fmt: skip
            self.assertEqual(readAll([wire])[0], text)

    def test_pendingCR(self) -> None:
        """
        A CR is returned together with the next byte of data.
        """
        reader = TelnetReader()
        self.assertEqual(reader.receive(b"a\r"), (b"a", b""))
        self.assertEqual(reader.receive(b""), (b"", b""))
        self.assertEqual(reader.receive(b"\r"), (b"\r", b""))
        self.assertEqual(reader.receive(b"\n"), (b"\n", b""))

    def test_ordinaryBytesInBulk(self) -> None:
        """
        Each byte is searched for a command once, in whole chunks.
        """
        searched: list[int] = []

        class Counted(bytes):
            def __radd__(self, other: bytes) -> "Counted":
                return Counted(bytes(other) + bytes(self))

            def find(self, sub: Any, start: Any = 0, end: Any = None) -> int:
                found = super().find(sub, start)
                searched.append((found if found >= 0 else len(self)) - start)
                return found

        reader = TelnetReader()
        for _ in range(3):
            reader.receive(Counted(b"x" * 1000 + IAC + IAC + b"x" * 500))
        self.assertEqual(searched, [1000, 500] * 3)
