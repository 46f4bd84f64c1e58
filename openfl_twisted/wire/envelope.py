"""
Envelopes for messages that nodes exchange through a broker. An envelope contains the
identifier of the sending node, and the sequence number of the message on its topic.

Brokers do not report lost messages. With the envelopes, a receiver can drop duplicates and the
messages that it has sent itself, and count missing messages.
"""

import struct
from typing import NamedTuple

# The version of the format, which is the first byte.
_VERSION = 1

NODE_LENGTH = 16
"""
Length of a node's identifier (bytes).
"""

_MAX_TOPICS = 10_000
"""
Default maximum number of topics for which a sender stores the last sequence number.
"""

MAX_NODES = 1000
"""
Default maximum number of nodes for which a receiver stores the last sequence number
on a topic.
"""

_FIRST = 1
_header = struct.Struct(f">BB{NODE_LENGTH}sQ")

OVERHEAD = _header.size
"""
Length of an envelope without its payload (bytes).
"""


class EnvelopeError(ValueError):
    """
    The bytes are not an envelope of this version, or a field is out of range.
    """


class Envelope(NamedTuple):
    """
    A message that a node has published on a topic.

    @ivar node: identifier of the node (16 bytes).
    @ivar sequence: the message's number on this topic (0 to 2^64 - 1).
    @ivar payload: the content.
    @ivar first: whether the node has no record of an earlier message on this topic. If so, no
        messages before this message are counted as missing.
    """

    node: bytes
    sequence: int
    payload: bytes
    first: bool = False


def encode(envelope: Envelope) -> bytes:
    """
    Serialize an envelope: version, flags, node, sequence number and payload.

    @return: a header of 26 bytes (big-endian), and the payload.
    @raise EnvelopeError: if the node's identifier does not have 16 bytes, or the sequence
        number is out of range.
    """
    node, sequence, payload, first = envelope
    if len(node) != NODE_LENGTH:
        raise EnvelopeError(f"a node must have {NODE_LENGTH} bytes, not {len(node)}")
    if not 0 <= sequence < 1 << 64:
        raise EnvelopeError(f"sequence number {sequence} is not between 0 and 2^64 - 1")
    return _header.pack(_VERSION, _FIRST if first else 0, node, sequence) + payload


def decode(data: bytes) -> Envelope:
    """
    Parse an envelope. Unknown flags are ignored.

    @param data: the message. The bytes after the first 26 are the payload.
    @raise EnvelopeError: if the bytes are not an envelope.
    """
    if len(data) < OVERHEAD:
        raise EnvelopeError(f"{len(data)} bytes are too few for an envelope")
    version, flags, node, sequence = _header.unpack_from(data)
    if version != _VERSION:
        raise EnvelopeError(f"unknown envelope version {version}")
    return Envelope(node, sequence, data[OVERHEAD:], bool(flags & _FIRST))


class Sequencer:
    """
    Puts the messages of a node into envelopes.

    Each topic has separate sequence numbers, because a receiver only receives messages on the
    topics that it has subscribed to. When there are too many topics, the sequence number of the
    least recently used topic is discarded. If this topic is used again, its sequence numbers
    continue above all discarded numbers.
    """

    def __init__(self, node: bytes, maxTopics: int = _MAX_TOPICS) -> None:
        """
        @param maxTopics: maximum number of topics whose last sequence number is stored.
        """
        self._node = node
        self._maxTopics = maxTopics
        # The last sequence number of each topic; the least recently used topic is first.
        self._numbers: dict[str, int] = {}
        # The highest discarded sequence number of all topics.
        self._floor = 0

    def seal(self, topic: str, payload: bytes) -> bytes:
        """
        Put a payload into the next envelope of a topic.

        @param topic: the topic. The first envelope of a topic is marked, see
            L{Envelope.first}.
        @param payload: any bytes.
        @return: the serialized envelope, see L{encode}.
        """
        last = self._numbers.pop(topic, None)
        number = (self._floor if last is None else last) + 1
        self._numbers[topic] = number
        if len(self._numbers) > self._maxTopics:
            self._floor = max(self._floor, self._numbers.pop(next(iter(self._numbers))))
        return encode(Envelope(self._node, number, payload, last is None))


class LossCounter:
    """
    Counts missing messages on one topic by their sequence numbers.

    A loss is detected when the next message from the same node is received. Losses before the
    first message that is received from a node are not counted.
    """

    def __init__(self, maxNodes: int = MAX_NODES) -> None:
        """
        @param maxNodes: maximum number of nodes whose last sequence number is stored. Above
            this number, the node whose last message is the oldest is removed.
        """
        self._maxNodes = maxNodes
        self._last: dict[bytes, int] = {}

    def note(self, envelope: Envelope) -> int | None:
        """
        Record a received envelope.

        @param envelope: an envelope of this counter's topic.
        @return: the number of missing messages before this message; C{None} for a duplicate,
            or for a message that is out of order.
        """
        node, sequence, _, first = envelope
        last = self._last.pop(node, None)
        if last is not None and (sequence == last or (sequence < last and not first)):
            self._last[node] = last
            return None
        self._last[node] = sequence
        if len(self._last) > self._maxNodes:
            del self._last[next(iter(self._last))]
        return 0 if last is None or first else sequence - last - 1
