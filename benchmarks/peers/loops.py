"""
C{asyncio}'s protocols, on its own loop or on uvloop's: echo, broadcast, policy
and datagrams.

One callback for each message that comes, one call for each that goes, as the
other receivers have it; what a read makes it write leaves in one write.
"""

import asyncio
import importlib
import sys
from typing import Any

REQUEST = b"<policy-file-request/>"
FILE = (
    b'<?xml version="1.0"?><cross-domain-policy>'
    b'<allow-access-from domain="*" to-ports="*"/></cross-domain-policy>\0'
)


class Messages(asyncio.Protocol):
    """
    Cuts the stream into messages. Subclasses override C{message_received}.
    """

    __slots__ = ("_begun", "_replies", "transport")

    transport: Any

    def __init__(self) -> None:
        self._begun: list[bytes] = []
        self._replies: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        Keep the transport.
        """
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """
        Cut the stream into messages.
        """
        messages = data.split(b"\0")
        rest = messages.pop()
        if messages and self._begun:
            self._begun.append(messages[0])
            messages[0] = b"".join(self._begun)
            self._begun = []
        if rest:
            self._begun.append(rest)
        for message in messages:
            self.message_received(message)
        if self._replies:
            # So the last one has its end too.
            self._replies.append(b"")
            replies, self._replies = b"\0".join(self._replies), []
            self.flush(replies)

    def message_received(self, message: bytes) -> None:
        """
        A message came.
        """
        raise NotImplementedError

    def send_message(self, message: bytes) -> None:
        """
        Send a message.
        """
        self._replies.append(message)

    def flush(self, replies: bytes) -> None:
        """
        Write what a read has made it send.
        """
        self.transport.write(replies)


class Echo(Messages):
    """
    Sends each message back.
    """

    __slots__ = ()

    def message_received(self, message: bytes) -> None:
        """
        Send it back.
        """
        self.send_message(message)


everybody: set["Broadcast"] = set()


class Broadcast(Echo):
    """
    Sends each message to all.
    """

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        Join.
        """
        super().connection_made(transport)
        everybody.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """
        Leave.
        """
        everybody.discard(self)

    def flush(self, replies: bytes) -> None:
        """
        Write it to all.
        """
        for each in everybody:
            each.transport.write(replies)


class Policy(Messages):
    """
    Answers a policy request and closes.
    """

    __slots__ = ()

    def message_received(self, message: bytes) -> None:
        """
        Answer.
        """
        if message == REQUEST:
            self.transport.write(FILE)
        self.transport.close()


class Datagrams(asyncio.DatagramProtocol):
    """
    Sends each datagram back.
    """

    transport: Any

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        Keep the transport.
        """
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """
        Send it back.
        """
        self.transport.sendto(data, addr)


async def serve(what: str) -> None:
    """
    Serve until somebody ends the process.
    """
    loop = asyncio.get_running_loop()
    if what == "datagrams":
        await loop.create_datagram_endpoint(Datagrams, ("127.0.0.1", 0))
    else:
        protocol = {"echo": Echo, "broadcast": Broadcast, "policy": Policy}[what]
        server = await loop.create_server(protocol, "127.0.0.1", 0, backlog=1024)
        await server.serve_forever()
    await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1] == "uvloop":
        # Without it the peer is left out.
        importlib.import_module("uvloop").run(serve(sys.argv[2]))
    else:
        asyncio.run(serve(sys.argv[2]))
