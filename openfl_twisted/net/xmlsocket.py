"""
C{openfl.net.XMLSocket}: NUL-terminated text messages, with events.
"""

import sys
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Self
from xml.etree.ElementTree import Element, tostring

from twisted.internet.defer import Deferred

from openfl_twisted import errors
from openfl_twisted.events import DataEvent, IOErrorEvent
from openfl_twisted.net._handlers import refuseHandlers
from openfl_twisted.net._reasons import socketError
from openfl_twisted.net._streamsocket import StreamSocket
from openfl_twisted.wire.messages import (
    END,
    MAX_LENGTH,
    MessageSplitter,
    MessageTooLong,
    receiveUpTo,
)
from openfl_twisted.wire.text import decodeUTF8, describeValue, encodeUTF8

MAX_WAITING = 1000
"""
Maximum number of unread messages in an iterator of L{XMLSocket.messages}. Above this limit,
reading from the network is paused.
"""


def _isUnformatted(container: Any) -> bool:
    """
    Return whether the class of a container does not define C{__str__}.
    """
    cls: Any = type(container)
    return cls.__str__ is object.__str__


@refuseHandlers(
    onData="DataEvent.DATA",
    onXML="DataEvent.DATA",
    onMessage="DataEvent.DATA",
)
class XMLSocket(StreamSocket):
    """
    A connection for NUL-terminated text messages, which need not be XML.

    The socket dispatches C{connect}, C{close}, C{data} and C{ioError}.
    """

    _eventTypes = StreamSocket._eventTypes | {DataEvent.DATA}  # noqa: SLF001 - of the base class

    def __init__(self, host: str | None = None, port: int = 0, *, reactor: Any = None) -> None:
        """
        @param host: the host to connect to immediately; C{None} to connect later.
        @param port: the port to connect to.
        @param reactor: the reactor (default: the global reactor).
        """
        self._maxLength = MAX_LENGTH
        self._splitter = MessageSplitter(self.maxLength)
        # The iterators that have paused reading, by the id() of the iterator.
        self._full: set[int] = set()
        # Whether the program has paused reading.
        self._paused = False
        super().__init__(host, port, reactor)

    @property
    def maxLength(self) -> int:
        """
        Maximum length of a received message (bytes; default 1 MiB; 0 for no limit). A longer
        message aborts the connection, and C{ioError} and C{close} are dispatched. Flash has no
        limit.
        """
        return self._maxLength

    @maxLength.setter
    def maxLength(self, value: int) -> None:
        if not isinstance(value, int):
            raise errors.TypeError(f"maxLength must be an integer, not {describeValue(value)}")
        self._maxLength = value
        self._splitter.maxLength = value or sys.maxsize

    def send(self, object: Any) -> None:
        """
        Send a message.

        @param object: text, or an object that is converted with C{str}; an element of
            C{xml.etree.ElementTree}; or bytes, which are sent unchanged. A NUL character
            cannot be escaped: a NUL inside a message splits the message for the receiver.
        @raise errors.IOError: #2002, if the socket is not connected.
        @raise errors.TypeError: #2007, if the object is C{None}; without a number, if it is a
            C{dict}, a list, a tuple or a set, whose C{str} is Python source code.
        """
        transport = self._link.transport()
        if object is None:
            raise errors.TypeError.numbered(2007, "object")
        match object:
            case str():
                data = encodeUTF8(str(object))
            case bytes() | bytearray() | memoryview():
                data = bytes(object)
            case Element():
                data = encodeUTF8(tostring(object, "unicode"))
            case dict() | list() | tuple() | set() | frozenset() if _isUnformatted(object):
                raise errors.TypeError(
                    f"send text, for example json.dumps(...), not {describeValue(object)}"
                )
            case _:
                data = encodeUTF8(str(object))
        transport.write(data + END)

    def messages(self) -> "Messages":
        """
        Iterate over the messages received after this call, with C{async for}. The
        iteration ends when the connection is closed.

        @return: the iterator.
        """
        return Messages(self)

    def pauseReading(self) -> None:
        """
        Pause reading from the network.
        """
        if self._link.connection is not None:
            self._paused = True
            self._link.connection.transport.pauseProducing()

    def resumeReading(self) -> None:
        """
        Resume reading from the network. If an iterator of L{messages} has too many unread messages,
        reading stays paused until the program has read some of them.
        """
        self._paused = False
        self._readAgain()

    def _readAgain(self) -> None:
        if self._link.connection is not None and not (self._paused or self._full):
            self._link.connection.transport.resumeProducing()

    def _setFull(self, iterator: "Messages", *, full: bool) -> None:
        """
        Pause reading while an iterator is full. When no iterator is full, reading is resumed
        if the program has not paused it.
        """
        known = id(iterator) in self._full
        if full and not known:
            self._full.add(id(iterator))
            if self._link.connection is not None:
                self._link.connection.transport.pauseProducing()
        elif known and not full:
            self._full.remove(id(iterator))
            self._readAgain()

    def _ended(self) -> None:
        self._splitter.clear()
        # An iterator ends when its connection ends: the iterator receives no messages from the next
        # connection.
        self._full.clear()
        self._paused = False

    def _received(self, data: bytes) -> None:
        connection = self._link.connection
        messages, tooLong = receiveUpTo(self._splitter, data)
        if connection is None:
            return
        connection.deliverEach(messages, self._messageReceived)
        if tooLong:
            connection.deliverEach((tooLong,), self._tooLong)

    def _messageReceived(self, message: bytes) -> None:
        self.dispatchEvent(DataEvent(DataEvent.DATA, data=decodeUTF8(message)))

    def _tooLong(self, problem: MessageTooLong) -> None:
        connection = self._link.connection
        text = str(socketError(str(problem)))
        self.dispatchEvent(IOErrorEvent(IOErrorEvent.IO_ERROR, text=text, id=2031))
        if connection is not None:
            connection.transport.abortConnection()


class Messages:
    """
    The messages of an L{XMLSocket} as an asynchronous iterator. While L{MAX_WAITING} messages
    are unread, the socket does not read from the network, so other listeners receive no
    messages either.

    Reading is resumed when the iterator is closed, or when it is discarded, for example by a
    C{break} in C{async for}.
    """

    def __init__(self, socket: XMLSocket) -> None:
        self._socket = socket
        self._unread: deque[str] = deque()
        self._next: Deferred[str] | None = None
        self._closed = False
        # The socket references the iterator weakly, so that it can be discarded.
        socket.addEventListener(DataEvent.DATA, self._onData, useWeakReference=True)
        self._ending = socket.whenClosed()
        self._ending.addCallbacks(_endWhenClosed(weakref.ref(self)), lambda _: None)

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Deferred[str]:
        if self._next is not None:
            raise RuntimeError("the previous message has not been received yet: await it first")
        result: Deferred[str] = Deferred(self._cancelled)
        if self._unread:
            result.callback(self._unread.popleft())
            if len(self._unread) <= MAX_WAITING // 2:
                self._setFull(full=False)
        elif self._closed:
            result.errback(StopAsyncIteration())
        else:
            self._next = result
            _iterating.add(self)
        return result

    def __del__(self) -> None:
        self._release()

    def close(self) -> None:
        """
        Stop receiving messages, and drop the unread messages. A running C{async for} ends.
        """
        self._unread.clear()
        self._release()
        self._end()

    def _release(self) -> None:
        self._socket.removeEventListener(DataEvent.DATA, self._onData)
        self._ending.cancel()
        self._setFull(full=False)

    def _setFull(self, *, full: bool) -> None:
        self._socket._setFull(self, full=full)  # noqa: SLF001 - of the same module

    def _cancelled(self, pending: Deferred[str]) -> None:
        self._next = None
        _iterating.discard(self)

    def _onData(self, event: DataEvent) -> None:
        if self._closed:
            # Another listener for the same event has closed the iterator.
            return
        if self._next is not None:
            pending = self._next
            self._cancelled(pending)
            pending.callback(event.data)
            return
        self._unread.append(event.data)
        if len(self._unread) >= MAX_WAITING:
            self._setFull(full=True)

    def _end(self) -> None:
        """
        End the iteration after the messages already received. Messages of a later
        connection are not included.
        """
        self._closed = True
        self._socket.removeEventListener(DataEvent.DATA, self._onData)
        pending = self._next
        if pending is not None:
            self._cancelled(pending)
            pending.errback(StopAsyncIteration())


# Iterators with a pending __anext__(). This set keeps them alive, because nothing else references
# the waiting coroutine.
_iterating: set[Messages] = set()


def _endWhenClosed(messages: "weakref.ref[Messages]") -> Callable[[None], None]:
    """
    Create a callback that ends an iterator, if that iterator still exists.
    """

    def closed(result: None) -> None:
        found = messages()
        if found is not None:
            found._end()  # noqa: SLF001 - of the same module

    return closed
