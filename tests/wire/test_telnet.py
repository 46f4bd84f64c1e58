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

# Few different bytes, so that commands are frequent, whole and broken ones.
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
    The same, one byte at a time, as the RFCs put it.
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


def readAll(pieces: list[bytes]) -> tuple[bytes, bytes]:
    """
    Give pieces to a reader, and join what comes of them.
    """
    reader = TelnetReader()
    results = [reader.receive(piece) for piece in pieces]
    return b"".join(text for text, _ in results), b"".join(answer for _, answer in results)


class TelnetReaderTests(SynchronousTestCase):
    """
    L{TelnetReader} separates data from commands.
    """

    @given(cutStreams(streams))
    def test_anyCut(self, cut: tuple[bytes, list[bytes]]) -> None:
        """
        Any cut gives the same data and answers as going byte by byte does.
        """
        stream, pieces = cut
        self.assertEqual(readAll(pieces), ByByte().receive(stream))

    @given(cutStreams(st.binary()))
    def test_anyBytes(self, cut: tuple[bytes, list[bytes]]) -> None:
        """
        No bytes whatever are an error.
        """
        stream, pieces = cut
        self.assertEqual(readAll(pieces), ByByte().receive(stream))

    @given(st.binary().filter(lambda data: b"\r" not in data))
    def test_roundTrip(self, data: bytes) -> None:
        """
        What L{escape} writes, a reader reads.
        """
        self.assertEqual(readAll([escape(data)]), (data, b""))

    def test_refusals(self) -> None:
        """
        What the peer asks for and offers is refused; what it refuses itself
        gets no answer.
        """
        for command, answer in [(DO, WONT), (WILL, DONT)]:
            self.assertEqual(
                readAll([b"a" + IAC + command + b"\1b"]), (b"ab", IAC + answer + b"\1")
            )
        for command in (DONT, WONT):
            self.assertEqual(readAll([b"a" + IAC + command + b"\1b"]), (b"ab", b""))

    def test_refusedOnce(self) -> None:
        """
        However often a peer asks, it gets one answer for each option and verb.
        """
        reader = TelnetReader()
        every = b"".join(IAC + verb + bytes([n]) for verb in (DO, WILL) for n in range(256))
        text, answers = reader.receive(every)
        self.assertEqual((text, len(answers)), (b"", 1536))
        self.assertEqual(reader.receive(every), (b"", b""))

    def test_commandsWithoutOption(self) -> None:
        """
        The other commands leave no trace; one that nobody knows does not
        either.
        """
        for number in [*range(0xF1, 0xFA), 0x00, 0x41]:
            self.assertEqual(readAll([b"a" + IAC + bytes([number]) + b"b"]), (b"ab", b""))

    def test_subnegotiation(self) -> None:
        """
        What is said about an option is skipped, to its real end.
        """
        for said in [b"", b"\x18\1", SE, IAC + IAC + SE, IAC + DO + b"\1", b"\r", b"x" * 100_000]:
            stream = b"a" + IAC + SB + said + IAC + SE + b"b"
            self.assertEqual(readAll([stream]), (b"ab", b""), said[:10])

    def test_nothingIsKept(self) -> None:
        """
        What is said about an option without end takes no memory.
        """
        reader = TelnetReader()
        reader.receive(IAC + SB)
        for _ in range(10):
            self.assertEqual(reader.receive(b"x" * 10_000 + IAC), (b"", b""))
            self.assertEqual(reader._unfinished, IAC)

    def test_newlines(self) -> None:
        """
        CR LF is a newline, CR NUL a CR, and a CR alone stays one.
        """
        for wire, text in [
            (b"a\r\nb", b"a\nb"), (b"a\r\0b", b"a\rb"), (b"a\rb", b"a\rb"), (b"a\nb", b"a\nb"),
            (b"a\r\r\nb", b"a\r\nb"), (b"a\n\rb", b"a\n\rb"), (b"a\0b", b"a\0b"),
            (b"a\r" + IAC + DO + b"\n\nb", b"a\nb"), (b"a\r" + IAC + IAC, b"a\r\xff"),
        ]:  # fmt: skip
            self.assertEqual(readAll([wire])[0], text)

    def test_aCRWaits(self) -> None:
        """
        A CR is given when the byte behind it has come.
        """
        reader = TelnetReader()
        self.assertEqual(reader.receive(b"a\r"), (b"a", b""))
        self.assertEqual(reader.receive(b""), (b"", b""))
        self.assertEqual(reader.receive(b"\r"), (b"\r", b""))
        self.assertEqual(reader.receive(b"\n"), (b"\n", b""))

    def test_ordinaryBytesInBulk(self) -> None:
        """
        Each byte is searched once for a command, in whole pieces.
        """
        looked: list[int] = []

        class Counted(bytes):
            def __radd__(self, other: bytes) -> "Counted":
                return Counted(bytes(other) + bytes(self))

            def find(self, sub: Any, start: Any = 0, end: Any = None) -> int:
                found = super().find(sub, start)
                looked.append((found if found >= 0 else len(self)) - start)
                return found

        reader = TelnetReader()
        for _ in range(3):
            reader.receive(Counted(b"x" * 1000 + IAC + IAC + b"x" * 500))
        self.assertEqual(looked, [1000, 500] * 3)
