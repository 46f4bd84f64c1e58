"""
The text protocol of C{XMLSocket}: UTF-8 messages over TCP, each terminated by a NUL
byte.

L{XMLSocketProtocol} corresponds to C{twisted.protocols.basic.LineReceiver} with the delimiter
NUL, and also has C{lineReceived}, C{sendLine}, C{lineLengthExceeded} and C{MAX_LENGTH}. Unlike
in C{LineReceiver}, the processing time is proportional to the number of received bytes.
"""

from collections.abc import Callable, Collection, Iterable, KeysView, Sequence
from functools import lru_cache, partial
from inspect import isawaitable
from typing import Any, ClassVar, NoReturn, Self, cast

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from typing_extensions import TypeVar

from openfl_twisted.coroutines import HandlerResult
from openfl_twisted.overrides import warnCaller
from openfl_twisted.protocols.policyfile import PolicySource, answerRequest, checkPolicy
from openfl_twisted.protocols.ratelimit import RateLimiter
from openfl_twisted.protocols.streamprotocol import StreamFactory, StreamProtocol, missingHandler
from openfl_twisted.transports.connection import Connection
from openfl_twisted.transports.receivebuffer import MAX_WORK
from openfl_twisted.transports.websocket import MESSAGE_TOO_BIG
from openfl_twisted.transports.writebatch import currentBatch
from openfl_twisted.types import AnyClock
from openfl_twisted.wire.firstbytes import FOREIGN, Signature
from openfl_twisted.wire.framing import NUL, FrameSplitter, Framing, framingOf
from openfl_twisted.wire.messages import (
    END,
    MAX_LENGTH,
    MessageSplitter,
    MessageTooLong,
    receiveUpTo,
    splitWhole,
)
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.text import decodeUTF8, encodeUTF8

# Messages above this length (bytes or characters) are not copied to append the NUL byte.
_LONG = 64 * 1024


@lru_cache(maxsize=256)
def _withPolicy(refused: frozenset[Signature]) -> frozenset[Signature]:
    """
    Add policy requests to a set of refused signatures. The result is cached, so that all
    connections of a factory share one set.
    """
    return refused | {Signature.POLICY}


# The methods that handle text. The most derived class that defines one of these methods determines
# which method is called.
_HANDLERS = frozenset(("messageReceived", "messagesReceived"))


def _adviceFor(message: object) -> str:
    """
    Return how to send an object that is not text, for an error.
    """
    if isawaitable(message):
        return ": await it first"
    if isinstance(message, bytes | bytearray | memoryview):
        return ": send bytes with sendLine, or decode them"
    if isinstance(message, list | tuple) and all(isinstance(each, str) for each in message):
        return ": send several messages with sendMessages"
    return ": convert it, for example with json.dumps"


def _checkText(message: str) -> str:
    """
    Return a message.

    @raise TypeError: if the message is not text.
    """
    if not isinstance(message, str):
        raise TypeError(f"a message must be text, not {message!r:.80}{_adviceFor(message)}")
    return message


class _NotConnected:
    """
    Replaces an attribute of a protocol until it is connected.
    """

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError(
            "the protocol is not connected yet: send messages in connectionMade or later"
        )


_notConnected: Any = _NotConnected()


def _encodeAll(messages: Iterable[str], framing: Framing) -> list[bytes]:
    """
    Encode and frame messages.
    """
    if framing is not NUL:
        return [framing.frame(encodeUTF8(_checkText(message))) for message in messages]
    try:
        # encodeUTF8, inlined for speed.
        return [(message + "\0").encode() for message in messages]
    except (UnicodeEncodeError, TypeError):
        return [encodeUTF8(_checkText(message) + "\0") for message in messages]


class XMLSocketProtocol(StreamProtocol):
    """
    One side of an C{XMLSocket} connection, client or server. Subclasses override one of three
    methods: L{messageReceived}; L{messagesReceived}, which is faster for many messages per
    read; or L{lineReceived}, which receives bytes.

    A message need not be XML, nor end with a NUL byte, see C{framing}. All messages written
    during one read are sent in one write.
    After C{loseConnection}, no further message is delivered, not even a message that was
    already received, as in Flash.

    @cvar MAX_LENGTH: maximum length of a message without its NUL byte (bytes; default 1
        MiB; 0 for no limit).
    @cvar framing: how the stream is divided into messages: C{nul}, C{lines}, C{crlf}, C{u16},
        C{u32} or C{raw}, see L{openfl_twisted.wire.framing} (default: C{nul}, as in
        C{XMLSocket}). The descriptions of this class say NUL byte for the terminator or the length
        of any framing.
    @cvar policy: the answer to a policy request that is the first message; C{None} to deliver
        such a request like any other message. On a shared port,
        L{openfl_twisted.protocols.oneport} answers the requests before, except a request that
        arrives after the protocol detection has ended.
    @cvar messageRate: maximum average number of messages per second; 0 for no limit. A burst
        can contain five times as many messages. Above the limit, the connection is closed.
    @cvar byteRate: maximum average number of bytes per second; 0 for no limit. A burst can
        contain five times as many bytes. Above the limit, the connection is closed.
    @ivar messagesIn: number of messages received. With an L{XMLSocketFactory}, the factory has
        this attribute and the following counters instead.
    @ivar messagesOut: number of messages sent by L{sendMessage} and L{sendLine}.
    @ivar answered: number of policy requests answered with the policy file.
    @ivar unanswered: number of policy requests without a policy file for the port.
    """

    __slots__ = ("_counter", "_inspects", "_splitter")

    _handlerNames: ClassVar[tuple[str, ...]] = (
        "messageReceived",
        "messagesReceived",
        "lineReceived",
    )
    _settingNames: ClassVar[tuple[str, ...]] = ("framing", "policy")
    _factoryName = "XMLSocketFactory"
    MAX_LENGTH = MAX_LENGTH
    framing = NUL.name
    policy: PolicySource = None
    messageRate = 0.0
    byteRate = 0.0
    messagesIn = 0
    messagesOut = 0
    answered = 0
    unanswered = 0
    # The splitter exists only while a message is incomplete, or always with another framing.
    _splitter: MessageSplitter | FrameSplitter | None
    # The framing, if it is not NUL.
    _framing: Framing | None = None
    _rateLimiter: RateLimiter | None = None
    # The object that counts the messages: the factory or the protocol.
    factory: "XMLSocketFactory[Self]"
    _counter: "XMLSocketFactory[Any] | XMLSocketProtocol"
    _loggedInvalid = False
    # Whether a subclass overrides lineReceived, and whether messagesReceived is called instead of
    # messageReceived.
    _wantsLines = False
    _wantsLists = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if getattr(cls, "delimiter", END) != END:
            raise TypeError(
                f"{cls.__name__}.delimiter cannot be set: XMLSocket messages end with a NUL byte;"
                " use twisted.protocols.basic.LineReceiver for another delimiter"
            )
        framingOf(cls.framing)
        cls._wantsLines = cls.lineReceived is not XMLSocketProtocol.lineReceived
        definer = next(each for each in cls.__mro__ if _HANDLERS & vars(each).keys())
        isOverridden = definer is not XMLSocketProtocol
        cls._wantsLists = isOverridden and "messagesReceived" in vars(definer)

    def __new__(cls, *args: object, **named: object) -> Self:
        """
        Set the attributes, see L{StreamProtocol.__new__}.
        """
        self = super().__new__(cls)
        self._inspects = True
        self._splitter = None
        self._counter = _notConnected
        return self

    def prepare(self) -> None:
        limits = self.limits
        if limits.messageRate or limits.byteRate:
            self._rateLimiter = RateLimiter(limits.messageRate, limits.byteRate, self.getClock())
        self._counter = self
        factory: Any = self.factory
        if isinstance(factory, XMLSocketFactory):
            self._counter = factory
            factory.countIn(self)
        self._setFraming()
        if self._counter.policy is not None:
            self.refused = _withPolicy(frozenset(self.refused))
        self._updateInspects()

    def _setFraming(self) -> None:
        factory: Any = self.factory
        hasFactory = isinstance(factory, XMLSocketFactory)
        framing = (factory.framing if hasFactory else None) or framingOf(self.framing)
        if hasFactory:
            factory.framing = framing
        if framing is not NUL:
            self._framing = framing
            self._clearSplitter()
        if isinstance(self.transport, Connection):
            self.transport.frameTexts(framing)

    def _clearSplitter(self) -> None:
        """
        Discard an incomplete message.
        """
        self._splitter = None
        if self._framing is not None:
            self._splitter = FrameSplitter(self._framing, self.limits.maxLength)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Remove the protocol from the factory's connections.
        """
        try:
            self.finishReading(reason)
            self._dropUnfinished()
        finally:
            # Remove the protocol even after an error: otherwise, the factory would keep the
            # protocol indefinitely.
            factory: Any = self.factory
            if isinstance(factory, XMLSocketFactory):
                factory.countOut(self)
            super().connectionLost(reason)

    def readConnectionLost(self) -> None:
        self._dropUnfinished()
        super().readConnectionLost()

    @property
    def unprocessed(self) -> int:
        begun = 0 if self._splitter is None else self._splitter.pending
        return super().unprocessed + begun

    def _dropUnfinished(self) -> None:
        """
        Drop an incomplete message, as Flash does.
        """
        held = self.heldBytes()
        if held:
            self._inspectedReceived(held)
        begun = 0 if self._splitter is None else self._splitter.pending
        if begun and not self.transport.disconnecting:
            self.log.info(
                "{peer} closed the connection in the middle of a message; {count} bytes dropped",
                peer=self.describePeer(),
                count=begun,
            )
        self._clearSplitter()

    # Receiving

    def dataReceived(self, data: bytes) -> None:
        transport = self.transport
        if (
            self._inspects
            or not data
            or data[-1]
            or self._splitter is not None
            or len(data) > self.limits.maxLength
            or currentBatch.waiting is None
            or transport.receiveBuffer is not None
            or not transport.reading
            or not transport.hasReceived
        ):
            super().dataReceived(data)
            return
        # The usual case: all messages are complete, and need not be inspected.
        transport.work = 0
        try:
            line = data[:-1]
            if self._wantsLines:
                if END in line:
                    self._deliverInspected(line.split(END), len(data))
                else:
                    self._counter.messagesIn += 1
                    result = self.lineReceived(line)
                    if result is not None:
                        self.handlerReturned(result)
                return
            try:
                text = line.decode()
            except UnicodeDecodeError:
                text = self._decodeInvalid(line)
            if "\0" in text:
                self._deliverTexts(text.split("\0"))
            else:
                self._counter.messagesIn += 1
                if self._wantsLists:
                    result = self.messagesReceived([text])
                else:
                    result = self.messageReceived(text)
                if result is not None:
                    self.handlerReturned(result)
        except Exception:
            self.handlerFailed(Failure())

    def bytesReceived(self, data: bytes) -> None:
        if self._inspects or self._wantsLines:
            if self.refused:
                data = self.inspect(data)
                self._updateInspects()
            if data:
                self._inspectedReceived(data)
        elif (
            self._splitter is not None
            or not data.endswith(END)
            or len(data) > self.limits.maxLength
        ):
            self._partReceived(data)
        else:
            self._deliverJoined(data[:-1])

    def _inspectedReceived(self, data: bytes) -> None:
        """
        Split inspected data into messages, and deliver them.
        """
        if (
            self._splitter is not None
            or not data.endswith(END)
            or len(data) > self.limits.maxLength
        ):
            self._partReceived(data)
        else:
            self._deliverInspected(splitWhole(data), len(data))

    def _partReceived(self, data: bytes) -> None:
        """
        Split a chunk that contains an incomplete message, or has another framing, and deliver the
        complete messages.
        """
        splitter = self._splitter or MessageSplitter(self.limits.maxLength)
        if isinstance(splitter, FrameSplitter):
            self._framesReceived(splitter, data)
            return
        self._splitter = splitter
        joined: bytes | None = None
        messages: Sequence[bytes] = ()
        tooLong = None
        try:
            if self._inspects or self._wantsLines:
                messages = splitter.receive(data)
            else:
                joined = splitter.receiveTogether(data)
        except MessageTooLong as problem:
            tooLong, messages = problem, problem.before
        if tooLong is None and not splitter.pending:
            self._splitter = None
        if self._inspects or self._wantsLines:
            self._deliverInspected(messages, len(data))
        elif joined is not None or messages:
            self._deliverJoined(END.join(messages) if joined is None else joined)
        if tooLong is not None:
            self.deliverEach((tooLong,), self._tooLong)

    def _framesReceived(self, splitter: FrameSplitter, data: bytes) -> None:
        """
        Split a chunk with another framing, and deliver the complete messages.
        """
        frames, tooLong = receiveUpTo(splitter, data)
        # A request line is recognized by its end, which the content of a line does not have.
        if frames and self.refusesRequest(frames[0]):
            return
        contentOf = cast("Framing", self._framing).content
        self._deliverInspected([*map(contentOf, frames)], len(data))
        if tooLong is not None:
            self.deliverEach((tooLong,), self._tooLong)

    def _deliverJoined(self, joined: bytes) -> None:
        """
        Decode messages, and deliver them.

        @param joined: the messages, separated by NUL bytes. They can be decoded together,
            because no character extends beyond a message.
        """
        try:
            text = joined.decode()
        except UnicodeDecodeError:
            text = self._decodeInvalid(joined)
        # For a long message, searching for a NUL first is faster than calling split().
        self._deliverTexts(text.split("\0") if "\0" in text else [text])

    def _deliverTexts(self, messages: list[str]) -> None:
        self._counter.messagesIn += len(messages)
        if not self._wantsLists:
            self.deliverEach(messages, self.messageReceived)
        elif self.transport.reading and len(messages) <= MAX_WORK:
            transport = self.transport
            result = self.messagesReceived(messages)
            if result is not None:
                self.handlerReturned(result)
            # One read of a WebSocket can have many such lists, with pings in between.
            transport.work += len(messages)
        else:
            self.deliverEach(
                [messages[at : at + MAX_WORK] for at in range(0, len(messages), MAX_WORK)],
                self.messagesReceived,
            )

    def _deliverInspected(self, messages: Sequence[bytes], length: int) -> None:
        """
        Deliver messages that must be inspected as bytes: by a subclass or a rate limit,
        or because the first message can be an HTTP request.

        @param length: number of bytes received, including incomplete messages.
        """
        if self._rateLimiter is not None and not self._rateLimiter.allows(len(messages), length):
            self._rateExceeded()
            return
        if messages:
            if self._mayBeRequest:
                if self.refusesRequest(messages[0]):
                    return
                self._updateInspects()
            if self._wantsLines:
                self._counter.messagesIn += len(messages)
                self.deliverEach(messages, self.lineReceived)
            elif self._framing is None:
                self._deliverJoined(END.join(messages))
            else:
                self._deliverTexts([*map(self._decode, messages)])

    def _rateExceeded(self) -> None:
        limits = self.limits
        rates = ((limits.messageRate, "messages/s"), (limits.byteRate, "bytes/s"))
        exceeded = ", ".join(f"{rate:g} {unit}" for rate, unit in rates if rate)
        self.limitExceeded("rate")
        self.closeFor(f"rate limit exceeded ({exceeded})")

    def _updateInspects(self) -> None:
        """
        Determine whether messages must be inspected as bytes, and store the result.
        """
        self._inspects = bool(self.refused or self._mayBeRequest or self._rateLimiter is not None)

    def _refuse(self, signature: Signature) -> None:
        """
        Answer a policy request, or refuse a client that uses another protocol.
        """
        if signature is not Signature.POLICY:
            super()._refuse(signature)
            return
        found = answerRequest(self.transport, self._counter.policy, self.log)
        self._counter.answered += found
        self._counter.unanswered += not found

    def _tooLong(self, problem: MessageTooLong) -> None:
        self._clearSplitter()
        self.limitExceeded("message")
        self.lineLengthExceeded(problem)
        self.transport.loseConnection()

    def lineReceived(self, line: bytes) -> HandlerResult:
        """
        Called with each message as bytes. Subclasses override this method to receive bytes.

        @param line: the message without its NUL byte.
        """
        message = self._decode(line)
        # The result is returned, because an override can be a coroutine function.
        if self._wantsLists:
            return self.messagesReceived([message])
        return self.messageReceived(message)

    def _decode(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError:
            return self._decodeInvalid(data)

    def _decodeInvalid(self, data: bytes) -> str:
        """
        Decode invalid UTF-8 as Flash does, and log the problem once per connection.
        """
        if not self._loggedInvalid:
            self._loggedInvalid = True
            self.log.warn(
                "{peer} sent invalid UTF-8; decoding it like Flash Player"
                " (logged once per connection)",
                peer=self.describePeer(),
            )
        return decodeUTF8(data)

    def messagesReceived(self, messages: list[str]) -> HandlerResult:
        """
        Called with all messages completed by one read. The default implementation calls
        L{messageReceived} for each.

        Override this method to process many messages at a time. An override must itself stop
        processing messages after it has closed the connection or paused reading. If a further
        subclass overrides only L{messageReceived}, that method is called instead.

        @param messages: the decoded messages, in order; never empty.
        """
        self.deliverEach(messages, self.messageReceived)
        return None

    def messageReceived(self, message: str) -> HandlerResult:
        """
        Called with each message. Subclasses override this method.

        @param message: the message without its NUL byte, decoded by
            L{openfl_twisted.wire.text.decodeUTF8}; can be empty.
        """
        raise missingHandler(self)

    def lineLengthExceeded(self, line: MessageTooLong) -> None:
        """
        Called when a message exceeds C{MAX_LENGTH}. The default closes the connection with a
        reason. If an override does not close the connection, the connection is closed after
        the call.

        @param line: the error, which describes the message. LineReceiver has the same name for this
            parameter. The message itself was dropped.
        """
        self.closeFor(str(line), MESSAGE_TOO_BIG)

    # Sending

    def sendMessage(self, message: str) -> None:
        """
        Send a message.

        @param message: the message. The receiver splits it at NUL characters, which
            cannot be escaped.
        @raise ValueError: if the message is too long for the framing.
        """
        self._counter.messagesOut += 1
        # encodeUTF8, inlined for speed. With another framing, there is always a splitter.
        try:
            isSpecial = len(message) > _LONG or self._splitter is not None
            data = None if isSpecial else (message + "\0").encode()
        except (UnicodeEncodeError, TypeError):
            data = encodeUTF8(_checkText(message) + "\0")
        if data is None:
            self._sendSpecial(encodeUTF8(_checkText(message)))
        else:
            self.transport.write(data)

    def sendMessages(self, messages: Sequence[str]) -> None:
        """
        Send several messages. On a byte stream, all messages are sent in one write.

        @raise TypeError: if the messages are not a list of text.
        """
        if messages.__class__ is str:
            raise TypeError(f"messages must be a list, not {messages!r:.80}: use sendMessage")
        count = len(messages)
        transport = self.transport
        self._counter.messagesOut += count
        framing = self._framing
        if framing is not None or (transport.preservesMessages and count != 1):
            transport.writeMessages(_encodeAll(messages, framing or NUL))
            return
        if count == 1:
            text = messages[0]
        else:
            try:
                text = "\0".join(messages)
            except TypeError:
                text = "\0".join(map(_checkText, messages))
        if len(text) > _LONG:
            self._sendSpecial(encodeUTF8(_checkText(text)))
        elif count:
            # encodeUTF8, inlined for speed.
            try:
                data = (text + "\0").encode()
            except (UnicodeEncodeError, TypeError):
                data = encodeUTF8(_checkText(text) + "\0")
            transport.write(data)

    def sendLine(self, line: bytes) -> None:
        """
        Send a message given as bytes.

        @param line: the message without its NUL byte.
        @raise ValueError: if the message is too long for the framing.
        """
        self._counter.messagesOut += 1
        if len(line) > _LONG or self._framing is not None:
            self._sendSpecial(line)
        else:
            self.transport.write(line + END)

    def _sendSpecial(self, line: bytes) -> None:
        """
        Send a long message, without copying it to append the NUL byte, or a message with another
        framing.
        """
        if self._framing is None:
            self.transport.writeSequence((line, END))
        else:
            self.transport.write(self._framing.frame(line))


_P = TypeVar("_P", bound=XMLSocketProtocol, default=Any)


class XMLSocketFactory(StreamFactory[_P]):
    """
    The factory of L{XMLSocketProtocol}. The factory stores the connected protocols.

    @ivar connections: the connected protocols, oldest first; a read-only set.
    @ivar framing: the framing of all connections; C{None} if it is not known yet.
    @ivar policy: the answer to a policy request that is the first message. The attribute can
        be changed at any time.
    @ivar messagesIn: number of messages received.
    @ivar messagesOut: number of messages sent by L{broadcast} and by the protocols'
        C{sendMessage} and C{sendLine}.
    @ivar answered: number of policy requests answered with the policy file.
    @ivar unanswered: number of policy requests without a policy file for the port.
    """

    def __init__(
        self,
        protocol: Callable[[], _P],
        *,
        maxLength: int | None = None,
        maxQueue: int | None = None,
        messageRate: float | None = None,
        byteRate: float | None = None,
        framing: str | None = None,
        policy: PolicySource = PolicyFile.forPort,
        passThrough: Collection[Signature] = (),
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param protocol: creates a protocol: your subclass of L{XMLSocketProtocol}.
        @param maxLength: maximum length of a message (bytes; default: C{MAX_LENGTH} of
            the protocol).
        @param maxQueue: maximum length of the send queue for a slow peer (bytes;
            default: C{maxQueue} of the protocol).
        @param messageRate: maximum number of messages per second from one client
            (default: C{messageRate} of the protocol).
        @param byteRate: maximum number of bytes per second from one client (default:
            C{byteRate} of the protocol).
        @param framing: how the streams are divided into messages (default: C{framing} of the
            protocol).
        @param policy: the answer to a policy request that is the first message
            (default: allow all domains to connect to the port of the connection).
            C{None} for no answer.
        @param passThrough: members of
            L{FOREIGN<openfl_twisted.wire.firstbytes.FOREIGN>} whose clients are not
            refused (default: none). With C{Signature.HTTP}, web pages can send messages
            in HTTP requests.
        @param clock: the clock (default: the reactor of each connection).
        @raise ValueError: if the framing is unknown.
        """
        super().__init__(
            protocol,
            maxLength=maxLength,
            maxQueue=maxQueue,
            messageRate=messageRate,
            byteRate=byteRate,
        )
        self.refused = FOREIGN.difference(passThrough)
        if (
            framing is None
            and isinstance(protocol, type)
            and issubclass(protocol, XMLSocketProtocol)
        ):
            framing = protocol.framing
        self.framing = None if framing is None else framingOf(framing)
        self.clock = clock
        checkPolicy(policy)
        if isinstance(protocol, type) and getattr(protocol, "policy", None) is not None:
            warnCaller(
                f"{protocol.__name__}.policy is not used with a factory: pass policy= to the"
                " factory, or use --policy"
            )
        self.policy = policy
        # A dictionary instead of a set, which would use up to four times as much memory.
        self._connected: dict[_P, None] = {}
        self.connections: KeysView[_P] = self._connected.keys()
        self.messagesIn = 0
        self.messagesOut = 0
        self.answered = 0
        self.unanswered = 0

    def countIn(self, connection: _P) -> None:
        """
        Add a connected protocol to L{connections}.

        @param connection: the protocol.
        """
        self._connected[connection] = None

    def countOut(self, connection: _P) -> None:
        """
        Remove a protocol whose connection is lost from L{connections}.
        """
        self._connected.pop(connection, None)

    def broadcast(
        self,
        message: str,
        exclude: Iterable[XMLSocketProtocol] = (),
        sender: XMLSocketProtocol | None = None,
    ) -> None:
        """
        Send a message to all connections. The message is encoded once.

        @param exclude: connections to exclude.
        @param sender: see L{broadcastMessages}.
        """
        self._sendToAll((message,), exclude, sender, now=False)

    def broadcastMessages(
        self,
        messages: Sequence[str],
        exclude: Iterable[XMLSocketProtocol] = (),
        sender: XMLSocketProtocol | None = None,
    ) -> None:
        """
        Send several messages to all connections. The messages are encoded once. Pass all messages
        in one call: unlike those of L{broadcast}, the messages of several calls in one handler
        are not coalesced.

        @param exclude: connections to exclude.
        @param sender: the connection from which the messages were received; C{None} for
            messages of the server. If it takes long to send messages to all connections, the
            messages of a sender are sent in several reactor iterations, so that other clients
            are served in the meantime; see L{StreamProtocol.fanOut}. Messages of the server are
            always sent immediately.
        @raise TypeError: if C{exclude} is a protocol instead of a list.
        """
        self._sendToAll(messages, exclude, sender, now=True)

    def _sendToAll(
        self,
        messages: Sequence[str],
        exclude: Iterable[XMLSocketProtocol],
        sender: XMLSocketProtocol | None,
        *,
        now: bool,
    ) -> None:
        """
        Send messages to all connections.

        @param now: whether to send them immediately, instead of coalescing them with other
            messages.
        """
        if isinstance(exclude, XMLSocketProtocol):
            raise TypeError("exclude must be a list of protocols: pass exclude=[protocol]")
        # Iterate over a copy, because a slow client is removed during the loop.
        receivers = self.connections - exclude if exclude else [*self.connections]
        count = len(receivers)
        self.messagesOut += len(messages) * count
        lines = _encodeAll(messages, self.framing or NUL)
        block = b"".join(lines)
        if sender is not None and sender.countFanOut(count, len(block)):
            sender.fanOut(receivers, partial(_sendBlock, lines, block), len(block))
            return
        for connection in receivers:
            # _sendBlock, inlined for speed.
            transport = connection.transport
            if transport.preservesMessages:
                transport.writeMessages(lines)
            elif now:
                transport.writeNow(block)
            else:
                transport.write(block)


def _sendBlock(lines: list[bytes], block: bytes, connection: XMLSocketProtocol) -> None:
    """
    Send encoded messages.

    @param lines: the messages, each with its NUL byte.
    @param block: the same messages, joined.
    """
    transport = connection.transport
    if transport.preservesMessages:
        transport.writeMessages(lines)
    else:
        transport.write(block)
