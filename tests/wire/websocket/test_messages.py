"""
Tests for L{openfl_twisted.wire.websocket.messages}.
"""

import hashlib
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from websockets.client import ClientProtocol
from websockets.exceptions import ProtocolError
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame as ClientFrame

from openfl_twisted.wire.websocket.frames import WebSocketFrames
from openfl_twisted.wire.websocket.messages import (
    _MAX_CACHED,
    _MAX_COMPRESSED,
    _MIN_COMPRESSED,
    compression,
    makeClose,
    makePing,
    makePongs,
    timeOf,
)
from tests import frames
from tests.effort import callsOf
from tests.frames import BINARY, CLOSE, PONG, connect, framesIn
from tests.segments import cuts


def payloadsAt(client: ClientProtocol) -> list[bytes]:
    """
    Return the messages that a client has received.
    """
    events = client.events_received()
    return [bytes(event.data) for event in events if isinstance(event, ClientFrame)]


class MessageTests(SynchronousTestCase):
    """
    Messages and control frames.
    """

    def test_messages(self) -> None:
        """
        Each payload becomes one binary message without a mask; an empty payload
        becomes none.
        """
        payloads = [b"a\0", b"x" * 125, b"x" * 126, b"x" * 65535, b"x" * 65536]
        sent = framesIn(WebSocketFrames().messages([b"", *payloads]))
        self.assertEqual(sent, [(BINARY, payload) for payload in payloads])

    def test_shared(self) -> None:
        """
        A message for many connections is encoded once. Frames are forgotten when too
        many bytes are cached.
        """
        one, two = WebSocketFrames(), WebSocketFrames()
        message = bytes(bytearray(b"to all"))
        self.assertIs(one.messages([message]), two.messages([message]))
        self.assertEqual(framesIn(two.messages([b"another"])), [(BINARY, b"another")])
        long = bytes(70_000)
        first = one.messages([long])
        self.assertIs(two.messages([long]), first)
        for number in range(2 * _MAX_CACHED // 1_000_000):
            one.messages([bytes([number]) * 1_000_000])
        self.assertIsNot(one.messages([long]), first)
        self.assertEqual(one.messages([long]), first)
        huge = bytes(_MAX_CACHED)
        self.assertIsNot(one.messages([huge]), one.messages([huge]))

    def test_sharedCompressed(self) -> None:
        """
        A message for many connections is compressed once for each window size, also if
        other messages are compressed in the meantime.
        """
        offers: list[Any] = [{}, {}, {"server_max_window_bits": 9}]
        pairs = [connect(ClientPerMessageDeflateFactory(**offer)) for offer in offers]
        messages = [b"to all %d " % number * 20 for number in range(5)]
        before = compression.length
        for message in messages * 2:
            for client, server in pairs:
                client.receive_data(server.messages([message]))
        self.assertEqual(compression.length - before, 2 * sum(map(len, messages)))
        for client, _ in pairs:
            self.assertEqual(payloadsAt(client), messages * 2)

    def test_uncompressed(self) -> None:
        """
        A message is not compressed if it is very short or very long, or if it would not
        become shorter.
        """
        _, server = connect(ClientPerMessageDeflateFactory())
        before = compression.length
        for message in (b"a" * (_MIN_COMPRESSED - 1), b"a" * (_MAX_COMPRESSED + 1)):
            self.assertEqual(framesIn(server.messages([message])), [(BINARY, message)])
        self.assertEqual(compression.length, before)
        random = hashlib.shake_128(b"").digest(1000)
        self.assertEqual(framesIn(server.messages([random])), [(BINARY, random)])
        for length in (_MIN_COMPRESSED, _MAX_COMPRESSED):
            self.assertLess(len(server.messages([b"a" * length])), length // 4)

    def test_control(self) -> None:
        """
        A pong has the payload of its ping. The payload of a ping contains the time.
        """
        [(opcode, payload)] = framesIn(makePing(1.5))
        self.assertEqual((opcode, timeOf(payload)), (frames.PING, 1.5))
        self.assertIsNone(timeOf(payload + b"x"))
        self.assertEqual(framesIn(makePongs([b"1", b""])), [(PONG, b"1"), (PONG, b"")])

    def test_close(self) -> None:
        """
        A Close has a code and a reason. A reason that is too long is truncated
        between two characters, and a code that must not be sent is refused.
        """
        [(opcode, payload)] = framesIn(makeClose(1008, "\u20ac" * 50))
        self.assertEqual((opcode, payload[:2]), (CLOSE, (1008).to_bytes(2)))
        self.assertEqual(payload[2:].decode(), "\u20ac" * 41)
        self.assertRaises(ProtocolError, makeClose, 1005, "")

    @given(st.data(), st.booleans(), st.lists(st.binary(max_size=300), max_size=10))
    def test_understood(self, data: st.DataObject, compress: bool, payloads: list[bytes]) -> None:
        """
        The library's client reads the messages, compressed or not.
        """
        client, server = connect(*[ClientPerMessageDeflateFactory()] * compress)
        for chunk in data.draw(cuts(server.messages(payloads))):
            client.receive_data(chunk)
        self.assertEqual(payloadsAt(client), [payload for payload in payloads if payload])

    def test_calls(self) -> None:
        """
        A message takes at most three calls.
        """
        server, messages = WebSocketFrames(), [bytes(64)] * 200
        self.assertLess(callsOf(partial(server.messages, messages)), 3 * 200 + 20)
