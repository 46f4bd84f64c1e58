"""
The NATS protocol, for clients that publish and subscribe.

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
Default maximum length of a payload (bytes): 1 MiB.
"""

PING = b"PING\r\n"
"""
A liveness check. The peer answers with L{PONG}.
"""

PONG = b"PONG\r\n"
"""
The answer to L{PING}.
"""


@dataclass(frozen=True)
class ServerInfo:
    """
    The first message from a server: C{INFO}.

    @ivar maxPayload: maximum length of a payload (bytes).
    @ivar tlsRequired: whether the server requires TLS.
    @ivar tlsAvailable: whether the server supports TLS.
    """

    maxPayload: int = MAX_PAYLOAD
    tlsRequired: bool = False
    tlsAvailable: bool = False


class Delivery(NamedTuple):
    """
    A message that was published on a subject.

    @ivar subscription: number of the subscription.
    @ivar payload: the content.
    """

    subscription: int
    payload: bytes


class ControlMessage(NamedTuple):
    """
    A message from the server, without a payload.

    @ivar name: C{PING}, C{PONG}, C{+OK} or C{-ERR}.
    @ivar text: the error of C{-ERR} (default: empty).
    """

    name: str
    text: str = ""


class NATSReader:
    """
    Parses the messages from a server.
    """

    def __init__(self, maxPayload: int = MAX_PAYLOAD) -> None:
        """
        @param maxPayload: maximum length of a payload (bytes).
        """
        self._blocks = LineBlockParser(_lengthOf, maxPayload)

    @property
    def pending(self) -> int:
        """
        Number of buffered bytes of an incomplete message.
        """
        return self._blocks.pending

    def receive(self, data: bytes) -> Iterator[ServerInfo | Delivery | ControlMessage]:
        """
        Parse the next chunk of the stream.

        @return: the completed messages, in order. The messages are parsed while the iterator
            is consumed. The iterator must be consumed before the next chunk is passed.
        @raise StreamError: if the server violates the protocol.
        """
        for line, block in self._blocks.receive(data):
            if block is not None:
                yield Delivery(numberIn(line.split()[2]), block)
            else:
                yield _read(line)


def _lengthOf(line: bytes) -> int | None:
    """
    Return the length of the payload that follows a line.
    """
    if line[:4].upper() not in (b"MSG ", b"MSG\t"):
        return None
    fields = line.split()
    if len(fields) not in (4, 5):
        raise StreamError(f"{line[:40]!r} is not a valid NATS message")
    return numberIn(fields[-1])


def _read(line: bytes) -> ServerInfo | ControlMessage:
    """
    Parse a line that is not followed by a payload.
    """
    name, _, rest = line.partition(b" ")
    match name.upper():
        case b"INFO":
            return _readInfo(rest)
        case b"PING" | b"PONG" | b"+OK" as command:
            return ControlMessage(command.decode())
        case b"-ERR":
            return ControlMessage("-ERR", rest.decode(errors="replace").strip().strip("'"))
    raise StreamError(f"{line[:40]!r} is not a NATS message")


def _readInfo(text: bytes) -> ServerInfo:
    try:
        options: Any = json.loads(text)
    # Deeply nested JSON raises a RecursionError.
    except (ValueError, RecursionError):
        options = None
    if not isinstance(options, dict):
        raise StreamError("INFO must be a JSON object")
    largest = options.get("max_payload", MAX_PAYLOAD)
    if not isinstance(largest, int) or largest < 0:
        raise StreamError("max_payload must be a number, 0 or larger")
    required, available = options.get("tls_required"), options.get("tls_available")
    return ServerInfo(largest, required is True, available is True)


def subjectOf(prefix: str, topic: str) -> bytes:
    """
    Convert a topic to a subject. Characters with a special meaning in subjects, and characters
    outside ASCII, are percent-encoded.

    @param prefix: the text before the dot.
    @param topic: the text after the dot; any string.
    @return: the subject (ASCII). An empty topic becomes a C{%}.
    """
    return _quote(prefix) + b"." + _quote(topic)


def _quote(text: str) -> bytes:
    return (
        re.sub(rb"[^A-Za-z0-9_\-]", lambda found: b"%%%02X" % ord(found[0]), text.encode()) or b"%"
    )


def connect(options: dict[str, Any]) -> bytes:
    """
    Encode the first command of a client.

    @return: C{CONNECT} with the options as JSON.
    """
    return b"CONNECT " + json.dumps(options, separators=(",", ":")).encode() + b"\r\n"


def publish(subject: bytes, payload: bytes) -> bytes:
    """
    Encode a command that publishes a message.

    @param subject: the subject, see L{subjectOf}.
    @param payload: any bytes, at most the server's C{max_payload}.
    @return: C{PUB} with the payload.
    """
    return b"PUB %b %d\r\n%b\r\n" % (subject, len(payload), payload)


def subscribe(subject: bytes, number: int) -> bytes:
    """
    Encode a command that subscribes to a subject.

    @param subject: the subject, see L{subjectOf}.
    @param number: number of the subscription, unique on this connection. Each L{Delivery}
        contains the number of its subscription.
    """
    return b"SUB %b %d\r\n" % (subject, number)


def unsubscribe(number: int) -> bytes:
    """
    Encode a command that ends a subscription.

    @param number: see L{subscribe}. Messages that are in flight may still arrive.
    """
    return b"UNSUB %d\r\n" % number
