"""
A POP3 client (RFC 1939) on a binary socket: prints the subject of each message of a mailbox. Run it
with `python popclient.py HOST PORT USER PASSWORD`.
"""

import sys
from collections.abc import AsyncIterator

from twisted.internet.defer import DeferredQueue

from openfl_twisted import run
from openfl_twisted.events import Event, ProgressEvent
from openfl_twisted.net import Socket

MAX_LINE = 10_000


class Mailbox:
    """
    A connection to a POP3 server.
    """

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self._lines: DeferredQueue[str | None] = DeferredQueue()
        self._rest = ""
        socket.addEventListener(ProgressEvent.SOCKET_DATA, self._onData)
        socket.addEventListener(Event.CLOSE, lambda event: self._lines.put(None))

    def _onData(self, event: ProgressEvent) -> None:
        received = self.socket.readMultiByte(self.socket.bytesAvailable, "iso-8859-1")
        *lines, self._rest = (self._rest + received).split("\r\n")
        for line in lines:
            self._lines.put(line)
        if len(self._rest) > MAX_LINE:
            self.socket.close()
            self._lines.put(None)

    async def line(self) -> str:
        """
        Return the next line of the server.
        """
        line = await self._lines.get()
        if line is None:
            raise ConnectionError("the server has closed the connection")
        return line

    async def command(self, text: str) -> str:
        """
        Send a command, and return the first line of the answer.
        """
        self.socket.writeUTFBytes(f"{text}\r\n")
        answer = await self.line()
        if not answer.startswith("+OK"):
            raise ConnectionError(answer)
        return answer

    async def lines(self, text: str) -> AsyncIterator[str]:
        """
        Send a command, and return the further lines of the answer, which ends with a dot.
        """
        await self.command(text)
        while (line := await self.line()) != ".":
            yield line.removeprefix(".")

    async def subjects(self, user: str, password: str) -> AsyncIterator[str]:
        """
        Log in, and return the subject of each message.
        """
        try:
            await self.socket.whenConnected()
            await self.line()
            await self.command(f"USER {user}")
            await self.command(f"PASS {password}")
            listed = [line.split()[0] async for line in self.lines("LIST")]
            for number in listed:
                async for line in self.lines(f"TOP {number} 0"):
                    if line.lower().startswith("subject:"):
                        yield line[len("subject:") :].strip()
            await self.command("QUIT")
        finally:
            if self.socket.connected:
                self.socket.close()


async def main(host: str, port: str, user: str, password: str) -> None:
    async for subject in Mailbox(Socket(host, int(port))).subjects(user, password):
        sys.stdout.write(subject + "\n")


if __name__ == "__main__":
    run(main, *sys.argv[1:])
