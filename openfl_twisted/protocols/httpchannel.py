"""
HTTP requests of C{twisted.web} on a port that also accepts other clients.

A proxy can use one connection for web pages, and later for a WebSocket. Therefore, each request
has a separate channel, and the head of the next request is inspected before a channel is
created for it.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, HTTPFactory, Request

from openfl_twisted.addresses import describe
from openfl_twisted.logs import packageLogger
from openfl_twisted.transports.connection import Connection
from openfl_twisted.transports.lowest import transportsBelow
from openfl_twisted.wire.httprequest import HTTPAnswer

STALL_TIMEOUT = 60.0
"""
Time without sent data after which an HTTP client that does not read a response is
disconnected: 60 seconds. The actual time can be up to twice as long.
"""

# The attributes that HTTPFactory and Site set on a channel.
_ATTRIBUTES = ("factory", "site", "requestFactory", "timeOut", "callLater")


class SingleRequestChannel(HTTPChannel):
    """
    An HTTP/1.1 channel for one request on a persistent connection.

    The data after the request is not parsed. When the response is complete, and the transport
    has accepted it, the channel waits for the next request. It passes the first data of this
    request to C{nextRequest}, and ignores the connection from then on.

    C{HTTPFactory(timeout=...)} is the maximum time until the request is complete, and the
    maximum time until the next request (default 60 seconds). A client that does not read the
    response is disconnected after L{STALL_TIMEOUT}.
    """

    log = packageLogger()
    transport: Any

    def __init__(self, nextRequest: Callable[[bytes], object], maxBody: int) -> None:
        """
        @param nextRequest: called with the first data after the request.
        @param maxBody: maximum length of the request body (bytes); 0 for no limit.
        """
        super().__init__()
        self._maxBody = maxBody
        self._nextRequest = nextRequest
        # Whether the request is complete.
        self._isReceived = False
        # Whether the response is complete. While it is being completed, resuming the transport
        # can deliver data.
        self._isDone = self._isFinishing = False
        # Whether the channel is no longer the producer of the transport.
        self._isIdle = False
        self._rest = b""
        self._isFull = False
        self._sent = 0
        self._idleTimeout: float | None = None
        self._stalled: IDelayedCall | None = None

    def dataReceived(self, data: bytes) -> None:
        if self._isDone:
            self._rest += data
            self._pass()
        else:
            super().dataReceived(data)

    def resetTimeout(self) -> None:
        """
        Do not extend the timeout when data is received, so that a slow request cannot last
        indefinitely.
        """

    def loseConnection(self) -> None:
        if self._isIdle:
            self.transport.loseConnection()
        else:
            super().loseConnection()

    def timeoutConnection(self) -> None:
        """
        Close the connection, unless the client is still reading the end of the response.
        """
        lowest = self._lowest
        if lowest.pending and lowest.bytesOut != self._sent:
            self._sent = lowest.bytesOut
            self.setTimeout(self.timeOut)
        else:
            super().timeoutConnection()

    def allHeadersReceived(self) -> None:
        """
        Refuse a body that is too long by its C{Content-Length}.
        """
        if self._exceeds(self.length or 0):
            self._refuseBody()
        else:
            super().allHeadersReceived()

    def rawDataReceived(self, data: bytes) -> None:
        super().rawDataReceived(data)
        if not self._isReceived and self._bodyExceeds() and not self.transport.disconnecting:
            self._refuseBody()

    def allContentReceived(self) -> None:
        """
        Handle the request, unless the body is too long. L{rawDataReceived} then refuses it.
        """
        if not self._bodyExceeds():
            self._isReceived = True
            super().allContentReceived()

    def _exceeds(self, length: int) -> bool:
        return 0 < self._maxBody < length

    def _bodyExceeds(self) -> bool:
        """
        Check whether the received part of a body, which can be chunked, exceeds the limit.
        """
        content: Any = self.requests[0].content if self.requests else None
        return content is not None and self._exceeds(content.tell())

    def _refuseBody(self) -> None:
        """
        Answer with 413, and close the connection. Twisted would store the body in memory, or
        in a temporary file.
        """
        self.log.info(
            "{peer} refused: HTTP request body exceeds {limit} bytes",
            peer=describe(self.transport.getPeer()),
            limit=self._maxBody,
        )
        text = f"The request body must have at most {self._maxBody} bytes."
        self.transport.write(HTTPAnswer(413, text).encode())
        self.loseConnection()

    def requestDone(self, request: Request) -> None:
        self._isDone = self._isFinishing = True
        super().requestDone(request)
        self._isFinishing = False
        if self.persistent and self._isFull:
            # Without this, a client could request many responses without reading them.
            self.transport.pauseProducing()
            self._idleTimeout = self.setTimeout(None)
        self._pass()

    def setLineMode(self, extra: bytes = b"") -> None:
        """
        Hold the data after the request. Called by C{requestDone}.

        @param extra: the data that was received while the request was handled.
        """
        self._rest = extra + self.clearLineBuffer() + self._rest

    def _pass(self) -> None:
        """
        Pass on the connection when the first data of the next request is received. One empty
        line before the request is ignored (RFC 9112, 2.2).
        """
        isOpen = self.persistent and not self.transport.disconnecting
        if self._isFinishing or self._isFull or not isOpen:
            return
        if not self._isIdle:
            # While a producer is registered, TLS does not close the connection.
            self._isIdle = True
            self.transport.unregisterProducer()
        if b"\r\n".startswith(self._rest):
            return
        # Cancel the timeouts.
        super().connectionLost(Failure(ConnectionDone()))
        rest, self._rest = self._rest.removeprefix(b"\r\n"), b""
        self._nextRequest(rest)

    # Called by the transport, whose producer is the channel

    def pauseProducing(self) -> None:
        self._isFull = True
        super().pauseProducing()
        if self._stalled is None:
            self._watch()

    def resumeProducing(self) -> None:
        self._isFull = False
        self._stopWatching()
        if self._isDone:
            self.setTimeout(self._idleTimeout)
        super().resumeProducing()
        if self._isDone:
            self._pass()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stopWatching()
        super().connectionLost(reason)

    def _watch(self) -> None:
        self._sent = self._lowest.bytesOut
        self._stalled = self.callLater(STALL_TIMEOUT, self._checkProgress)

    def _stopWatching(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _checkProgress(self) -> None:
        self._stalled = None
        if self._lowest.bytesOut != self._sent:
            self._watch()
            return
        self.log.info(
            "{peer} disconnected: no part of an HTTP response was read for {seconds:g} s",
            peer=describe(self.transport.getPeer()),
            seconds=STALL_TIMEOUT,
        )
        self.transport.abortConnection()

    @property
    def _lowest(self) -> Connection:
        """
        The lowest connection. TLS above it accepts data that it cannot send.
        """
        below = transportsBelow(self.transport)
        return [each for each in below if isinstance(each, Connection)][-1]


def singleRequest(
    factory: Any, protocol: Any, nextRequest: Callable[[bytes], object], maxBody: int
) -> Any:
    """
    Replace a protocol that an C{HTTPFactory} has created by a channel for one request.

    @param factory: the C{HTTPFactory}.
    @param protocol: the protocol, which is not connected yet.
    @param nextRequest: see L{SingleRequestChannel}.
    @param maxBody: see L{SingleRequestChannel}.
    @return: the channel; C{protocol} if the factory uses a channel class of its own.
    """
    made = factory.protocol
    if made is not HTTPChannel and getattr(made, "__func__", None) is not HTTPFactory.protocol:
        return protocol
    channel = SingleRequestChannel(nextRequest, maxBody)
    for name in _ATTRIBUTES:
        if hasattr(protocol, name):
            setattr(channel, name, getattr(protocol, name))
    return channel
