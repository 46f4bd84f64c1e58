"""
The frames of a WebSocket, for a server: bytes in, payloads and what is to be
done out. RFC 6455, on the C{websockets} library.
"""

import codecs
import itertools
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import enable_server_permessage_deflate
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from openfl_twisted.wire.websockethead import WEBSOCKET, Refusal, RequestHead

MAX_MESSAGE = 1024 * 1024
"""
The longest message that is taken if nobody says otherwise, in bytes: 1 MiB.
"""

# A longer payload is given in parts; smaller ones if it costs its sender little.
_MAX_PAYLOAD = 64 * 1024
_MAX_INFLATED = 16 * 1024

# A compressed piece of this size becomes about a thousand times as much at most.
_COMPRESSED_PIECE = 1024

# A longer message is not kept in case it goes to somebody else too.
_MAX_SHARED = 64 * 1024

# A control frame has 125 bytes at most, two of them for the code (RFC 6455, 5.5).
_MAX_REASON = 123

_makeDecoder = codecs.getincrementaldecoder("utf-8")


class Payload(NamedTuple):
    """
    Bytes for the application.
    """

    data: bytes


class Pings(NamedTuple):
    """
    Pings to be answered.
    """

    payloads: list[bytes]


class End(NamedTuple):
    """
    Nothing more comes: the peer has sent its Close, or something that is not
    allowed.

    @ivar answer: what to send before the connection is closed.
    @ivar code: the code of the peer's Close; if there is none, that of ours.
    @ivar reason: the reason in it.
    @ivar fault: whether it was something that is not allowed.
    """

    answer: bytes
    code: int
    reason: str
    fault: bool


Arrival: TypeAlias = Payload | Pings | End
"""
What a piece of the stream has brought.
"""


class _SharedFrame:
    """
    The message that was made last: one that goes to many is made once.
    """

    def __init__(self) -> None:
        self._payload = self._frame = b""

    def frame(self, payload: bytes) -> bytes:
        """
        Make a binary message, unless it is the last one again.
        """
        if payload is self._payload:
            return self._frame
        frame = Frame(Opcode.BINARY, payload).serialize(mask=False)
        if len(frame) <= _MAX_SHARED:
            self._payload, self._frame = payload, frame
        return frame


_shared = _SharedFrame()


class WebSocketFrames(ServerProtocol):
    """
    The server's side of one WebSocket, without its connection.

    Beyond what the library does, text is checked as it comes, a Close is taken
    within a message as well, and pings are left to be answered.
    """

    # Decodes the message under way, if that is text.
    _decoder: codecs.IncrementalDecoder | None = None

    def __init__(
        self,
        maxMessage: int = MAX_MESSAGE,
        *,
        compress: bool = False,
        subprotocols: Sequence[str] = (),
    ) -> None:
        """
        @param maxMessage: the longest message that is taken, in bytes, also
            after it has been inflated.
        @param compress: whether to compress messages for those who offer it.
        @param subprotocols: which to agree to, the best first.
        """
        super().__init__(
            extensions=enable_server_permessage_deflate(None) if compress else None,
            subprotocols=[Subprotocol(name) for name in subprotocols],
            state=State.OPEN,
            max_size=maxMessage,
        )

    def handshake(self, head: RequestHead) -> bytes:
        """
        Agree to be a WebSocket.

        @param head: a head that has been checked.
        @return: the answer.
        @raise Refusal: if its key or what it offers is malformed.
        """
        known = ("sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions")
        fields = [(name, head.headers[name]) for name in known if name in head.headers]
        offered = head.headers.get("sec-websocket-protocol")
        if offered:
            # An empty list, as OpenFL's draft of a client has it, is not one for the library.
            fields.append(("sec-websocket-protocol", offered))
        response = self.accept(Request(head.path, Headers([*WEBSOCKET, *fields])))
        if response.status_code != 101:
            raise Refusal(400, "The key, or what else is offered, is malformed.")
        del response.headers["Date"]
        return response.serialize()

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """
        Choose what the peer offers and we know; a peer that offers nothing is
        welcome too.
        """
        known = self.available_subprotocols or ()
        return next((name for name in known if name in subprotocols), None)

    # In

    @property
    def pieceLength(self) -> int | None:
        """
        How many bytes to give to L{receive} at once, so that what they bring is
        bounded; C{None} if it does not matter.
        """
        return _COMPRESSED_PIECE if self.extensions else None

    @property
    def maxPayload(self) -> int:
        """
        How many bytes a L{Payload} has at most.
        """
        return _MAX_INFLATED if self.extensions else _MAX_PAYLOAD

    def receive(self, data: bytes) -> list[Arrival]:
        """
        Take the next piece of the stream.

        Payloads are given as frames are complete, not as messages are. So any
        way to cut the stream gives the same bytes.

        @return: what it has brought, in order; nothing comes behind an L{End}.
        """
        self.receive_data(data)
        arrived: list[Arrival] = []
        events = (event for event in self.events_received() if isinstance(event, Frame))
        for pings, frames in itertools.groupby(events, lambda f: f.opcode is Opcode.PING):
            payloads = [bytes(frame.data) for frame in frames if frame.opcode is not Opcode.CLOSE]
            if pings:
                arrived.append(Pings(payloads))
            elif any(payloads):
                data, length = b"".join(payloads), self.maxPayload
                arrived += (Payload(data[at : at + length]) for at in range(0, len(data), length))
        writes = self.data_to_send()
        if SEND_EOF in writes:
            arrived.append(self._end(b"".join(writes)))
        return arrived

    def _end(self, answer: bytes) -> End:
        """
        Say why nothing more comes.
        """
        fault = self.parser_exc
        close = self.close_rcvd if fault is None else self.close_sent
        if close is None or (fault is not None and not answer):
            # What is not allowed has come behind our own Close.
            return End(answer, CloseCode.ABNORMAL_CLOSURE, str(fault), True)
        return End(answer, int(close.code), close.reason, fault is not None)

    def recv_frame(self, frame: Frame) -> None:
        """
        Take a frame, as the library has parsed it.

        @raise UnicodeDecodeError: if it is text and not UTF-8; the library
            closes the connection with the code for that.
        """
        if frame.opcode is Opcode.PING:
            self.events.append(frame)
            return
        if frame.opcode is Opcode.PONG:
            return
        if frame.opcode is Opcode.CLOSE:
            # It may come within a message (RFC 6455, 5.4); the library says no.
            self.current_size = None
        else:
            self._checkText(frame)
        super().recv_frame(frame)

    def _checkText(self, frame: Frame) -> None:
        """
        Check a frame that belongs to a text message.
        """
        if frame.opcode is Opcode.TEXT:
            self._decoder = _makeDecoder()
        if self._decoder is not None:
            self._decoder.decode(bytes(frame.data), frame.fin)
            if frame.fin:
                self._decoder = None

    # Out

    def messages(self, payloads: Sequence[bytes]) -> bytes:
        """
        Make a binary message of each of some payloads.
        """
        if len(payloads) == 1 and not self.extensions:
            return _shared.frame(payloads[0])
        return b"".join(self._frame(Opcode.BINARY, payload) for payload in payloads)

    def pongs(self, payloads: Sequence[bytes]) -> bytes:
        """
        Make the answers to some pings.
        """
        return b"".join(self._frame(Opcode.PONG, payload) for payload in payloads)

    def ping(self) -> bytes:
        """
        Make a ping.
        """
        return self._frame(Opcode.PING, b"")

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> bytes:
        """
        Make a Close.

        @param code: why; that all is well, if nothing else is said.
        @param reason: the same in words; what does not fit is cut off.
        @return: the frame; nothing if the peer has sent its own before, or has
            made a mistake: then the L{End} has it.
        """
        if self.state is not State.OPEN:
            return b""
        self.send_close(code, reason.encode()[:_MAX_REASON].decode(errors="ignore"))
        return b"".join(self.data_to_send())

    def _frame(self, opcode: Opcode, payload: bytes) -> bytes:
        """
        Make a frame. Whether it may be sent is known to the connection: the
        library may have seen a Close that comes behind what is answered.
        """
        return Frame(opcode, payload).serialize(mask=False, extensions=self.extensions)
