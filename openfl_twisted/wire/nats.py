"""
The protocol of NATS, for a client that publishes and subscribes.

@see: U{https://docs.nats.io/reference/reference-protocols/nats-protocol}
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from openfl_twisted.wire.lineblocks import LineBlockParser, StreamError, numberIn

MAX_PAYLOAD = 1024 * 1024
"""
The largest payload that a server takes if nobody has told it otherwise: 1 MiB.
"""

PING = b"PING\r\n"
"""
Asks the other side whether it is alive.
"""

PONG = b"PONG\r\n"
"""
Answers that.
"""


@dataclass(frozen=True)
class ServerInfo:
    """
    What a server says of itself first.

    @ivar maxPayload: the largest payload that it takes, in bytes.
    @ivar tlsRequired: whether it goes on only in TLS.
    @ivar tlsAvailable: whether it can go on in TLS.
    """

    maxPayload: int = MAX_PAYLOAD
    tlsRequired: bool = False
    tlsAvailable: bool = False


class Delivery(NamedTuple):
    """
    Something that was published on a subject.

    @ivar subscription: the number under which the subject was subscribed to.
    @ivar payload: what was published.
    """

    subscription: int
    payload: bytes


class Word(NamedTuple):
    """
    One of the short things that a server says.

    @ivar name: C{PING}, C{PONG}, C{+OK} or C{-ERR}.
    @ivar text: what is behind an C{-ERR}.
    """

    name: str
    text: str = ""


class NATSReader:
    """
    Reads what a server sends.
    """

    def __init__(self, maxPayload: int = MAX_PAYLOAD) -> None:
        """
        @param maxPayload: the largest payload that is taken, in bytes.
        """
        self._blocks = LineBlockParser(_lengthOf, maxPayload)

    @property
    def pending(self) -> int:
        """
        The bytes of what has not come to its end.
        """
        return self._blocks.pending

    def receive(self, data: bytes) -> Iterator[ServerInfo | Delivery | Word]:
        """
        Take the next piece of the stream, and to its end what comes of it.

        @param data: the piece.
        @return: what the server says, in order. It is read as it is taken, so
            an error comes behind what came before it.
        @raise StreamError: if it is not as the protocol has it.
        """
        for line, block in self._blocks.receive(data):
            if block is not None:
                yield Delivery(numberIn(line.split()[2]), block)
            else:
                yield _read(line)


def _lengthOf(line: bytes) -> int | None:
    """
    Get the length of the payload behind a line.
    """
    if line[:4].upper() not in (b"MSG ", b"MSG\t"):
        return None
    fields = line.split()
    if len(fields) not in (4, 5):
        raise StreamError(f"{line[:40]!r} is no message of NATS")
    return numberIn(fields[-1])


def _read(line: bytes) -> ServerInfo | Word:
    """
    Read a line that has no payload behind it.
    """
    name, _, rest = line.partition(b" ")
    match name.upper():
        case b"INFO":
            return _readInfo(rest)
        case b"PING" | b"PONG" | b"+OK" as word:
            return Word(word.decode())
        case b"-ERR":
            return Word("-ERR", rest.decode(errors="replace").strip().strip("'"))
    raise StreamError(f"{line[:40]!r} is nothing that NATS says")


def _readInfo(text: bytes) -> ServerInfo:
    try:
        said: Any = json.loads(text)
    # JSON that is nested deeply is no ValueError.
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise StreamError("what the server says of itself is no JSON object")
    largest = said.get("max_payload", MAX_PAYLOAD)
    if not isinstance(largest, int) or largest < 0:
        raise StreamError("max_payload is no number")
    return ServerInfo(largest, said.get("tls_required") is True, said.get("tls_available") is True)


def subjectOf(prefix: str, topic: str) -> bytes:
    """
    Make a subject of any text: what has a meaning in subjects, and what is not
    ASCII, is written as C{%} and two digits.

    @param prefix: what stands before the dot.
    @param topic: the text.
    @return: the subject, in ASCII; a text that is empty is a C{%} alone.
    """
    return _quote(prefix) + b"." + _quote(topic)


def _quote(text: str) -> bytes:
    return (
        re.sub(rb"[^A-Za-z0-9_\-]", lambda found: b"%%%02X" % ord(found[0]), text.encode()) or b"%"
    )


def connect(options: dict[str, Any]) -> bytes:
    """
    Write the first command of a client.

    @param options: see NATS' own words.
    @return: C{CONNECT} and the options as JSON.
    """
    return b"CONNECT " + json.dumps(options, separators=(",", ":")).encode() + b"\r\n"


def publish(subject: bytes, payload: bytes) -> bytes:
    """
    Write the command that publishes something.

    @param subject: what L{subjectOf} makes; a space in it would end it.
    @param payload: any bytes, up to the server's C{max_payload}.
    @return: C{PUB}, the length, and the payload with its end.
    """
    return b"PUB %b %d\r\n%b\r\n" % (subject, len(payload), payload)


def subscribe(subject: bytes, number: int) -> bytes:
    """
    Write the command that subscribes to a subject, under a number.

    @param subject: what L{subjectOf} makes.
    @param number: what the server puts into each L{Delivery} of it; one that
        this connection has not given yet.
    @return: C{SUB}.
    """
    return b"SUB %b %d\r\n" % (subject, number)


def unsubscribe(number: int) -> bytes:
    """
    Write the command that ends what has that number.

    @param number: see L{subscribe}. What is under way with it may still come.
    @return: C{UNSUB}.
    """
    return b"UNSUB %d\r\n" % number
