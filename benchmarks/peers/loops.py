"""
C{asyncio} server, with its own loop or uvloop: echo with or without TLS, broadcast, rooms,
policy and datagrams.

As in the other servers, a callback is called for each received message, and a method for
each sent one. All replies to one read are sent in one write.
"""

import asyncio
import importlib
import ssl
import sys
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

REQUEST = b"<policy-file-request/>"
FILE = (
    b'<?xml version="1.0"?><cross-domain-policy>'
    b'<allow-access-from domain="*" to-ports="*"/></cross-domain-policy>\0'
)


class Messages(asyncio.Protocol):
    """
    Splits the stream into messages. Subclasses override C{message_received}.
    """

    __slots__ = ("_begun", "_replies", "transport")

    transport: Any

    def __init__(self) -> None:
        self._begun: list[bytes] = []
        self._replies: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
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
            # The empty element adds the last delimiter.
            self._replies.append(b"")
            replies, self._replies = b"\0".join(self._replies), []
            self.flush(replies)

    def message_received(self, message: bytes) -> None:
        """
        Called with each message, without its NUL byte.
        """
        raise NotImplementedError

    def send_message(self, message: bytes) -> None:
        """
        Queue a message until the end of the current read.
        """
        self._replies.append(message)

    def flush(self, replies: bytes) -> None:
        """
        Write all replies to one read.
        """
        self.transport.write(replies)


class Echo(Messages):
    """
    Sends each message back.
    """

    __slots__ = ()

    def message_received(self, message: bytes) -> None:
        self.send_message(message)


connections: set["Broadcast"] = set()


class Broadcast(Echo):
    """
    Sends each message to all clients.
    """

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        connections.discard(self)

    def flush(self, replies: bytes) -> None:
        for each in connections:
            each.transport.write(replies)


rooms: dict[str, set["Member"]] = {}


class Member(Messages):
    """
    Joins a room with C{<join>}, and sends each C{<say>} to the other members.
    """

    __slots__ = ("_name", "_room")

    def __init__(self) -> None:
        super().__init__()
        self._room: set[Member] = set()
        self._name = ""

    def message_received(self, message: bytes) -> None:
        element = ET.fromstring(message)  # noqa: S314 The expat module limits expansion.
        name = quoteattr(self._name)
        if element.tag == "say":
            self.send_to_others(f"<say from={name}>{escape(element.text or '')}</say>")
        elif element.tag == "join":
            self._name, room = element.attrib["name"], element.attrib["room"]
            name, title = quoteattr(self._name), quoteattr(room)
            self._room = rooms.setdefault(room, set())
            self._room.add(self)
            self.send_message(f"<welcome room={title} name={name}/>".encode())
            self.send_to_others(f"<joined name={name}/>")

    def send_to_others(self, message: str) -> None:
        """
        Send a message to all other members.
        """
        data = f"{message}\0".encode()
        for each in self._room:
            if each is not self:
                each.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._room.discard(self)


class Policy(Messages):
    """
    Answers a policy request and closes the connection.
    """

    __slots__ = ()

    def message_received(self, message: bytes) -> None:
        if message == REQUEST:
            self.transport.write(FILE)
        self.transport.close()


class Datagrams(asyncio.DatagramProtocol):
    """
    Sends each datagram back.
    """

    transport: Any

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


async def serve(mode: str, certificate: str | None = None) -> None:
    """
    Run the server of a mode until the process is terminated.

    @param certificate: a PEM file, for TLS.
    """
    loop = asyncio.get_running_loop()
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    if mode == "datagrams":
        await loop.create_datagram_endpoint(Datagrams, ("127.0.0.1", 0))
    else:
        protocols: dict[str, type[Messages]]
        protocols = {"echo": Echo, "broadcast": Broadcast, "say": Member, "policy": Policy}
        server = await loop.create_server(
            protocols[mode], "127.0.0.1", 0, backlog=1024, ssl=context
        )
        await server.serve_forever()
    await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1] == "uvloop":
        # Optional dependency: the server is skipped without it.
        importlib.import_module("uvloop").run(serve(*sys.argv[2:]))
    else:
        asyncio.run(serve(*sys.argv[2:]))
