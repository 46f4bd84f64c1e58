"""
C{openfl.net.XMLSocket}: text messages, with events.
"""

from collections import deque
from typing import Any, Self
from xml.etree.ElementTree import Element, tostring

from twisted.internet.defer import Deferred

from openfl_twisted import errors
from openfl_twisted.events import DataEvent, IOErrorEvent
from openfl_twisted.net.streamsocket import StreamSocket
from openfl_twisted.wire.messages import END, MAX_LENGTH, MessageSplitter, receiveUpTo
from openfl_twisted.wire.text import decodeUTF8, encodeUTF8

MAX_WAITING = 1000
"""
How many messages wait in L{XMLSocket.messages} before no more are taken from
the network.
"""


class XMLSocket(StreamSocket):
    """
    A connection that carries text messages, each ended by one zero byte. They
    need not be XML.

    It dispatches C{connect}, C{close}, C{data} and C{ioError}.

    @ivar maxLength: the longest message that is taken, in bytes; beyond it the
        connection is closed, with C{ioError} and C{close}. Flash has no limit.
    """

    def __init__(self, host: str | None = None, port: int = 0, *, reactor: Any = None) -> None:
        """
        @param host: where to connect at once; C{None} to connect later.
        @param port: the port for that.
        @param reactor: the reactor, or C{None} for the one that runs.
        """
        self.maxLength = MAX_LENGTH
        self._splitter = MessageSplitter()
        super().__init__(host, port, reactor)

    def send(self, object: Any) -> None:
        """
        Send a message.

        @param object: text, or anything with a text form; an element of
            C{xml.etree.ElementTree}; or bytes, which are sent as they are. A
            NUL inside splits it for the receiver: there is no escaping.
        @raise errors.IOError: #2002, if there is no connection.
        @raise errors.TypeError: #2007, if it is C{None}.
        """
        transport = self._link.transport()
        if object is None:
            raise errors.TypeError.numbered(2007, "object")
        match object:
            case bytes() | bytearray() | memoryview():
                data = bytes(object)
            case Element():
                data = encodeUTF8(tostring(object, "unicode"))
            case _:
                data = encodeUTF8(str(object))
        transport.write(data + END)

    def messages(self) -> "Messages":
        """
        Get the messages that come from now on, for C{async for}; it ends with
        the connection.
        """
        return Messages(self)

    def pauseReading(self) -> None:
        """
        Take nothing more from the network for now.
        """
        if self._link.connection is not None:
            self._link.connection.transport.pauseProducing()

    def resumeReading(self) -> None:
        """
        Take from the network again.
        """
        if self._link.connection is not None:
            self._link.connection.transport.resumeProducing()

    def _ended(self) -> None:
        self._splitter.clear()

    def _received(self, data: bytes) -> None:
        self._splitter.maxLength = self.maxLength
        connection = self._link.connection
        messages, tooLong = receiveUpTo(self._splitter, data)
        for message in messages:
            self.dispatchEvent(DataEvent(DataEvent.DATA, data=decodeUTF8(message)))
            if self._link.connection is not connection:
                # The listener has closed the connection, or turned to another one.
                return
        if tooLong and connection is not None:
            text = errors.messageOf(2031)
            self.dispatchEvent(IOErrorEvent(IOErrorEvent.IO_ERROR, text=text, id=2031))
            connection.transport.abortConnection()


class Messages:
    """
    The messages of an L{XMLSocket}, for C{async for}. While many wait, nothing
    more is taken from the network.
    """

    def __init__(self, socket: XMLSocket) -> None:
        """
        @param socket: whose messages they are.
        """
        self._socket = socket
        self._waiting: deque[str] = deque()
        self._wanted: Deferred[str] | None = None
        self._paused = False
        socket.addEventListener(DataEvent.DATA, self._onData)
        socket.whenClosed().addCallback(self._onClosed)
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Deferred[str]:
        result: Deferred[str] = Deferred()
        if self._waiting:
            result.callback(self._waiting.popleft())
            if self._paused and len(self._waiting) <= MAX_WAITING // 2:
                self._paused = False
                self._socket.resumeReading()
        elif self._closed:
            result.errback(StopAsyncIteration())
        else:
            self._wanted = result
        return result

    def _onData(self, event: DataEvent) -> None:
        if self._wanted is not None:
            wanted, self._wanted = self._wanted, None
            wanted.callback(event.data)
            return
        self._waiting.append(event.data)
        if len(self._waiting) >= MAX_WAITING and not self._paused:
            self._paused = True
            self._socket.pauseReading()

    def _onClosed(self, result: None) -> None:
        self._closed = True
        self._socket.removeEventListener(DataEvent.DATA, self._onData)
        if self._wanted is not None:
            wanted, self._wanted = self._wanted, None
            wanted.errback(StopAsyncIteration())
