"""
The guide's Telnet client: it connects, sends the lines that are typed, and
prints what comes. C{python telnet.py 127.0.0.1 8080}.
"""

import codecs
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react
from twisted.protocols.basic import LineOnlyReceiver

from openfl_twisted.events import Event, IOErrorEvent, ProgressEvent, SecurityErrorEvent
from openfl_twisted.net import Socket
from openfl_twisted.utils import ByteArray
from openfl_twisted.wire.telnet import TelnetReader


class Telnet:
    """
    A connection to a server, and where to print what comes from it.
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
        """
        Say that the connection is there.
        """
        self.msg("connected...\n")

    def closeHandler(self, event: Event) -> None:
        """
        Say that the server has closed it.
        """
        self.msg("closed...\n")

    def ioErrorHandler(self, event: IOErrorEvent) -> None:
        """
        Say that there is no connection.
        """
        self.msg("Unable to connect: socket error.\n")

    def securityErrorHandler(self, event: SecurityErrorEvent) -> None:
        """
        Say what is not allowed.
        """
        self.msg(f"{event.text}\n")

    def dataHandler(self, event: ProgressEvent) -> None:
        """
        Print what comes, and refuse the options that the server wants.
        """
        received = ByteArray()
        self.socket.readBytes(received)
        text, answers = self.reader.receive(bytes(received))
        if answers:
            self.writeBytesToSocket(ByteArray(answers))
        self.msg(self.decoder.decode(text))

    def msg(self, value: str) -> None:
        """
        Print text.
        """
        self.output(value)


class TelnetSocket(LineOnlyReceiver):
    """
    The program around it: a server, a port, and a field for commands, here the
    lines that are typed.
    """

    delimiter = b"\n"

    def __init__(self, server: str, port: str) -> None:
        self.telnet = self.connect(server, port)

    def connect(self, server: str, port: str) -> Telnet:
        """
        Connect to a server.
        """
        if not (port.isdecimal() and 0 < int(port) <= 65535):
            raise SystemExit(f"{port!r} is not a port: a number from 1 to 65535")
        return Telnet(server, int(port), self.output)

    def output(self, text: str) -> None:
        """
        Print text.
        """
        sys.stdout.write(text)
        sys.stdout.flush()

    def lineReceived(self, line: bytes) -> None:
        """
        Send a line that was typed.
        """
        self.sendCommand(line.decode(errors="replace"))

    def sendCommand(self, command: str) -> None:
        """
        Send a command, with the newline that Telnet wants. UTF-8 has no byte
        that Telnet would take for its own.
        """
        if not self.telnet.socket.connected:
            return
        bytes = ByteArray()
        bytes.writeMultiByte(command + "\r\n", "UTF-8")
        self.telnet.writeBytesToSocket(bytes)


async def main(reactor: Any, server: str, port: str) -> None:
    """
    Take lines once there is a connection, until the server closes it.
    """
    program = TelnetSocket(server, port)
    socket = program.telnet.socket
    socket.addEventListener(Event.CONNECT, lambda event: StandardIO(program))
    await socket.whenClosed()


if __name__ == "__main__":
    react(lambda *arguments: Deferred.fromCoroutine(main(*arguments)), sys.argv[1:])
