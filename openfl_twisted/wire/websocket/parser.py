"""
What the C{websockets} library does for the frames of a server: the handshake,
and every frame that L{openfl_twisted.wire.websocket.frames} does not read itself.
"""

import codecs
from collections.abc import Sequence

from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import enable_server_permessage_deflate
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from openfl_twisted.wire.httprequest import UPGRADE, HTTPAnswer, RequestHead

_makeDecoder = codecs.getincrementaldecoder("utf-8")


class FrameParser(ServerProtocol):
    """
    The library's side of one WebSocket.

    Beyond what the library does, text is checked as it comes, a Close is taken
    within a message as well, and pings are left to be answered.

    @ivar current_size: the library's: how many bytes of a message in pieces have
        come; C{None} between messages.
    """

    # Decodes the message under way, if that is text.
    _decoder: codecs.IncrementalDecoder | None = None

    def __init__(
        self, maxFrame: int, *, compress: bool = False, subprotocols: Sequence[str] = ()
    ) -> None:
        """
        @param maxFrame: maximum length of a frame, also after it has been
            inflated (bytes).
        @param compress: whether to compress messages for those who offer it.
        @param subprotocols: which to agree to, the best first.
        """
        super().__init__(
            extensions=enable_server_permessage_deflate(None) if compress else None,
            subprotocols=[Subprotocol(name) for name in subprotocols],
            state=State.OPEN,
            max_size=(None, maxFrame),
        )

    def handshake(self, head: RequestHead) -> bytes:
        """
        Agree to be a WebSocket.

        @param head: a head that has been checked.
        @return: the answer.
        @raise HTTPAnswer: if its key or its offers are malformed.
        """
        known = ("sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions")
        fields = [(name, head.headers[name]) for name in known if name in head.headers]
        offered = head.headers.get("sec-websocket-protocol")
        if offered:
            # An empty list, as OpenFL's draft of a client has it, is not one for the library.
            fields.append(("sec-websocket-protocol", offered))
        response = self.accept(Request(head.path, Headers([*UPGRADE, *fields])))
        if response.status_code != 101:
            raise HTTPAnswer(400, "The key, a subprotocol or an extension is malformed.")
        del response.headers["Date"]
        return response.serialize()

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """
        Choose what the peer offers and we know; a peer that offers nothing is
        welcome too.
        """
        known = self.available_subprotocols or ()
        return next((name for name in known if name in subprotocols), None)

    def frames(self, data: bytes) -> list[Frame]:
        """
        Take the next piece of the stream.

        @param data: the piece; it may end within a frame.
        @return: the frames that it completes, but for pongs.
        """
        self.receive_data(data)
        return [event for event in self.events_received() if isinstance(event, Frame)]

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
