"""
Telnet for a client that wants none of its options: commands are taken out of
what comes, and everything that the other side offers or asks for is refused.

@see: RFC 854 (the protocol), RFC 855 (options), RFC 1143 (how often to answer).
"""

_IAC = b"\xff"
"""
"Interpret as command": the byte that begins each command.
"""

_SE, _SB, _WILL, _WONT, _DO, _DONT = 0xF0, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE
_REFUSALS = {_WILL: _DONT, _DO: _WONT}
_WITH_OPTION = frozenset((_WILL, _WONT, _DO, _DONT))


def escape(data: bytes) -> bytes:
    """
    Double each byte that would begin a command.

    @param data: what the other side is to get.
    @return: the bytes for the wire.
    """
    return data.replace(_IAC, _IAC * 2)


class TelnetReader:
    """
    Takes the commands out of a stream of bytes.

    Any way to cut the stream into pieces gives the same. The work is linear in
    the bytes received, and but for the end of a command that is cut, nothing is
    kept: what stands between C{SB} and C{SE} is skipped, however long it is.

      - C{DO} is refused by C{WONT}, and C{WILL} by C{DONT}: B{once for each
        option}. A client that has refused stays in the state it was in, and
        RFC 1143 has it answer again and again; a peer could make any number of
        answers in that way, and here it makes 1536 bytes at most.
      - C{WONT} and C{DONT} are what is the case already, and get no answer.
      - All other commands (C{NOP}, C{GA}, C{AYT} ...) do nothing.
      - C{IAC IAC} is the byte FF.
      - CR LF is a newline, LF; CR NUL is a CR. A CR before anything else is
        against the rules, and is a CR too. So what draws over its own line does
        that, and who shows the text decides about it. A CR is given when the
        byte behind it has come. Commands in between make no difference.
    """

    def __init__(self) -> None:
        # The beginning of a command: one byte or two.
        self._unfinished = b""
        # Whether SB has come, and SE has not.
        self._skipping = False
        # A CR that is the last that has come.
        self._return = b""
        self._answered: set[tuple[int, int]] = set()

    def receive(self, data: bytes) -> tuple[bytes, bytes]:
        """
        Take the next piece of the stream.

        @param data: the piece.
        @return: the data in it, and the answers to be sent.
        """
        text, answers = self._withoutCommands(data)
        if self._return and text:
            text = self._return + text
            self._return = b""
        if text.endswith(b"\r"):
            text = text[:-1]
            self._return = b"\r"
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r\0", b"\r")
        return text, answers

    def _withoutCommands(self, data: bytes) -> tuple[bytes, bytes]:
        """
        Separate data from commands.

        @return: the data, and the answers to the commands.
        """
        data = self._unfinished + data
        self._unfinished = b""
        texts: list[bytes] = []
        answers: list[bytes] = []
        start = 0
        while (place := data.find(_IAC, start)) >= 0:
            if not self._skipping:
                texts.append(data[start:place])
            command = data[place + 1] if place + 1 < len(data) else None
            length = 3 if command in _WITH_OPTION and not self._skipping else 2
            start = place + length
            if command is None or start > len(data):
                self._unfinished = data[place:]
                return b"".join(texts), b"".join(answers)
            if self._skipping:
                self._skipping = command != _SE
            elif command == _IAC[0]:
                texts.append(_IAC)
            elif command == _SB:
                self._skipping = True
            elif command in _REFUSALS:
                answers.append(self._refuse(command, data[place + 2]))
        if not self._skipping:
            texts.append(data[start:])
        return b"".join(texts), b"".join(answers)

    def _refuse(self, command: int, option: int) -> bytes:
        """
        Answer what the peer offers or asks for, unless it has been answered.
        """
        if (command, option) in self._answered:
            return b""
        self._answered.add((command, option))
        return bytes((_IAC[0], _REFUSALS[command], option))
