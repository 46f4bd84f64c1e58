"""
The envelope of what goes from one process to others through a broker: who has
published it, and as which one on its topic.

No broker tells what it has lost. With the numbers in the envelope the receiver
drops what it has published itself and what comes twice, and counts what is
missing.
"""

import struct
from typing import NamedTuple

VERSION = 1
"""
The version of the format, and its first byte.
"""

NODE_LENGTH = 16
"""
How many bytes name a node.
"""

MAX_TOPICS = 10_000
"""
For how many topics a sender knows its last number, if nobody says otherwise.
"""

MAX_NODES = 1000
"""
Of how many nodes a receiver knows the last number on a topic, if nobody says
otherwise.
"""

_FIRST = 1
_header = struct.Struct(f">BB{NODE_LENGTH}sQ")

OVERHEAD = _header.size
"""
How many bytes an envelope adds to what is in it.
"""


class EnvelopeError(ValueError):
    """
    Some bytes are no envelope, or one of another version.
    """


class Envelope(NamedTuple):
    """
    What one node has published on one topic.

    @ivar node: who has published it: 16 bytes.
    @ivar sequence: its number among all that this node has published on this
        topic, below 2^64.
    @ivar payload: what was published.
    @ivar first: whether the node knows of none before it, and so nothing is
        missing in front of it.
    """

    node: bytes
    sequence: int
    payload: bytes
    first: bool = False


def encode(envelope: Envelope) -> bytes:
    """
    Write an envelope: the version, flags, the node, the number and the payload.

    @param envelope: its node has 16 bytes, its number is from 0 to 2^64 - 1.
    @return: 26 bytes, big endian, and the payload.
    @raise EnvelopeError: if the node or the number is not what it must be.
    """
    node, sequence, payload, first = envelope
    if len(node) != NODE_LENGTH:
        raise EnvelopeError(f"a node has {NODE_LENGTH} bytes, and not {len(node)}")
    if not 0 <= sequence < 1 << 64:
        raise EnvelopeError("a number is too large")
    return _header.pack(VERSION, _FIRST if first else 0, node, sequence) + payload


def decode(data: bytes) -> Envelope:
    """
    Read an envelope. Flags that nobody knows yet are passed over.

    @param data: the whole message. What stands behind the first 26 bytes is the
        payload.
    @raise EnvelopeError: if it is none.
    """
    if len(data) < OVERHEAD:
        raise EnvelopeError(f"{len(data)} bytes are too few for an envelope")
    version, flags, node, sequence = _header.unpack_from(data)
    if version != VERSION:
        raise EnvelopeError(f"version {version} is not known")
    return Envelope(node, sequence, data[OVERHEAD:], bool(flags & _FIRST))


class Sequencer:
    """
    Puts what a node publishes into envelopes.

    Each topic has numbers of its own, since a receiver hears only the topics
    that it has subscribed to. When there are too many topics, the one that was
    silent for the longest time is forgotten; it begins anew with a higher
    number.
    """

    def __init__(self, node: bytes, maxTopics: int = MAX_TOPICS) -> None:
        """
        @param node: who publishes.
        @param maxTopics: how many topics are known at a time.
        """
        self._node = node
        self._maxTopics = maxTopics
        # The topic that was silent for the longest time is the first.
        self._numbers: dict[str, int] = {}
        # No number that was ever given on a topic that is forgotten is higher.
        self._floor = 0

    def seal(self, topic: str, payload: bytes) -> bytes:
        """
        Put something into the next envelope of a topic.

        @param topic: the topic. The first of its envelopes says that it is the
            first.
        @param payload: any bytes.
        @return: the envelope, see L{encode}.
        """
        last = self._numbers.pop(topic, None)
        number = (self._floor if last is None else last) + 1
        self._numbers[topic] = number
        if len(self._numbers) > self._maxTopics:
            self._floor = max(self._floor, self._numbers.pop(next(iter(self._numbers))))
        return encode(Envelope(self._node, number, payload, last is None))


class LossCounter:
    """
    Looks at the numbers of the envelopes on one topic.

    What is lost is noticed with the next envelope of the same node, and what is
    lost before the first one that ever comes of it is not noticed.
    """

    def __init__(self, maxNodes: int = MAX_NODES) -> None:
        """
        @param maxNodes: how many nodes are known at a time; the one that was
            silent for the longest time is forgotten.
        """
        self._maxNodes = maxNodes
        self._last: dict[bytes, int] = {}

    def note(self, envelope: Envelope) -> int | None:
        """
        Note that an envelope has come.

        @param envelope: one that was published on the topic of this counter.
        @return: how many are missing in front of it; C{None} if it has come
            before, or too late.
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
