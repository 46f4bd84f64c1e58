"""
Telnet for a client without options: commands are removed from received data, and all
options that the server offers or requests are refused.

@see: RFC 854 (the protocol), RFC 855 (options), RFC 1143 (option negotiation).
"""

# IAC ("interpret as command") is the first byte of a command.
_IAC = b"\xff"

_SE, _SB, _WILL, _WONT, _DO, _DONT = 0xF0, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE
_REFUSALS = {_WILL: _DONT, _DO: _WONT}
_WITH_OPTION = frozenset((_WILL, _WONT, _DO, _DONT))


def escape(data: bytes) -> bytes:
    """
    Double each byte that would begin a command.

    @return: the escaped data.
    """
    return data.replace(_IAC, _IAC * 2)


class TelnetReader:
    """
    Removes the commands from a byte stream, and creates the answers to the commands.

    The result does not depend on chunk boundaries. The work is proportional to the number of
    bytes. Only the beginning of an incomplete command is buffered; bytes between C{SB} and
    C{SE} are skipped.

      - C{DO} is answered with C{WONT}, and C{WILL} with C{DONT}: B{once for each option}, so
        at most 1536 bytes. According to RFC 1143, each repetition is answered, so a peer could
        request any number of answers.
      - C{WONT} and C{DONT} are not answered, because all options are already off.
      - All other commands (C{NOP}, C{GA}, C{AYT} ...) are ignored.
      - C{IAC IAC} is the byte FF.
      - CR LF is returned as a newline (LF), and CR NUL as a CR. A CR before any other byte is
        invalid, and is returned as a CR, so that the program that displays the text can handle
        it. A CR is returned together with the next byte of data.
    """

    def __init__(self) -> None:
        # The one or two received bytes of an incomplete command.
        self._unfinished = b""
        # Whether SB was received, but the following SE was not.
        self._skipping = False
        # A CR at the end of the received data, which is returned with the next byte.
        self._return = b""
        self._answered: set[tuple[int, int]] = set()

    def receive(self, data: bytes) -> tuple[bytes, bytes]:
        """
        Parse the next chunk of the stream.

        @return: the data without commands, and the answers to send.
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
        Remove the commands from received data, and create the answers.

        @return: the data without commands, and the answers to send.
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
        Return the command that refuses an option; empty if the option was already refused.
        """
        if (command, option) in self._answered:
            return b""
        self._answered.add((command, option))
        return bytes((_IAC[0], _REFUSALS[command], option))
