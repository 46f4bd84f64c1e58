"""
The Telnet client of Adobe's guide: it connects, sends each typed line, and prints the
received text. Run it with `python telnet.py 127.0.0.1 8080`.
"""

import codecs
import sys
from collections.abc import Callable

from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineOnlyReceiver

from openfl_twisted import run
from openfl_twisted.events import Event, IOErrorEvent, ProgressEvent, SecurityErrorEvent
from openfl_twisted.net import Socket
from openfl_twisted.utils import ByteArray
from openfl_twisted.wire.telnet import TelnetReader


class Telnet:
    """
    A connection to a server that prints the received text.
    """

    def __init__(self, server: str, port: int, output: Callable[[str], object]) -> None:
        self.serverURL = server
        self.portNumber = port
        self.output = output
        self.reader = TelnetReader()
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.socket = Socket()
        self.socket.addEventListener(Event.CONNECT, self.connectHandler)
        self.socket.addEventListener(Event.CLOSE, self.closeHandler)
        self.socket.addEventListener(IOErrorEvent.IO_ERROR, self.ioErrorHandler)
        self.socket.addEventListener(SecurityErrorEvent.SECURITY_ERROR, self.securityErrorHandler)
        self.socket.addEventListener(ProgressEvent.SOCKET_DATA, self.dataHandler)
        self.msg(f"Trying to connect to {self.serverURL}:{self.portNumber}\n")
        self.socket.connect(self.serverURL, self.portNumber)

    def writeBytesToSocket(self, bytes: ByteArray) -> None:
        """
        Send bytes to the server.
        """
        self.socket.writeBytes(bytes)
        self.socket.flush()

    def connectHandler(self, event: Event) -> None:
        self.msg("connected...\n")

    def closeHandler(self, event: Event) -> None:
        self.msg("closed...\n")

    def ioErrorHandler(self, event: IOErrorEvent) -> None:
        self.msg("Unable to connect: socket error.\n")

    def securityErrorHandler(self, event: SecurityErrorEvent) -> None:
        self.msg(f"{event.text}\n")

    def dataHandler(self, event: ProgressEvent) -> None:
        """
        Print the received text, and refuse the options that the server requests.
        """
        received = ByteArray()
        self.socket.readBytes(received)
        text, answers = self.reader.receive(bytes(received))
        if answers:
            self.writeBytesToSocket(ByteArray(answers))
        self.msg(self.decoder.decode(text))

    def msg(self, value: str) -> None:
        self.output(value)


class TelnetSocket(LineOnlyReceiver):
    """
    The user interface of the client: standard input and output.
    """

    delimiter = b"\n"

    def __init__(self, server: str, port: str) -> None:
        self.telnet = self.connect(server, port)

    def connect(self, server: str, port: str) -> Telnet:
        if not (port.isdecimal() and 0 < int(port) <= 65535):
            raise SystemExit(f"{port!r} is not a port from 1 to 65535")
        return Telnet(server, int(port), self.output)

    def output(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def lineReceived(self, line: bytes) -> None:
        self.sendCommand(line.decode(errors="replace"))

    def sendCommand(self, command: str) -> None:
        """
        Send a command with Telnet's newline. No byte of UTF-8 is a Telnet command.
        """
        if not self.telnet.socket.connected:
            return
        bytes = ByteArray()
        bytes.writeMultiByte(command + "\r\n", "UTF-8")
        self.telnet.writeBytesToSocket(bytes)


async def main(server: str, port: str) -> None:
    """
    Send typed lines while the connection is open, and return when the server closes it.
    """
    program = TelnetSocket(server, port)
    socket = program.telnet.socket
    socket.addEventListener(Event.CONNECT, lambda event: StandardIO(program))
    await socket.whenClosed()


if __name__ == "__main__":
    run(main, *sys.argv[1:])
