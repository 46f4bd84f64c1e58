"""
C{XMLSocket}: text messages in UTF-8, each ended by one zero byte, over TCP.

For people who know C{twisted.protocols.basic.LineReceiver}: this is one whose
delimiter is the NUL byte, so C{lineReceived}, C{sendLine}, C{lineLengthExceeded}
and C{MAX_LENGTH} are here too. Unlike it, it does work that is linear in the
bytes received.
"""

from collections.abc import Callable, Collection, Iterable, KeysView, Sequence
from functools import lru_cache
from typing import Any, Self, TypeAlias

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.protocols.policyfile import PolicySource, answerRequest
from openfl_twisted.protocols.ratelimit import RateLimiter
from openfl_twisted.protocols.streamprotocol import StreamFactory, StreamProtocol
from openfl_twisted.transports.receivebuffer import MAX_WORK
from openfl_twisted.transports.websocket import MESSAGE_TOO_BIG
from openfl_twisted.transports.writebatch import currentBatch
from openfl_twisted.wire.firstbytes import FOREIGN, Signature
from openfl_twisted.wire.messages import (
    END,
    MAX_LENGTH,
    MessageSplitter,
    MessageTooLong,
    splitWhole,
)
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.text import decodeUTF8, encodeUTF8

# The end of a message above this length, in bytes or characters, is a piece of its own.
_LONG = 64 * 1024

Tap: TypeAlias = Callable[[str, str], object]
"""
Hears messages: called with C{"in"} or C{"out"}, and with the text.
"""


@lru_cache(maxsize=256)
def _withPolicy(refused: frozenset[Signature]) -> frozenset[Signature]:
    """
    Add policy requests; all connections of a factory share the result.
    """
    return refused | {Signature.POLICY}


class XMLSocketProtocol(StreamProtocol):
    """
    One end of an C{XMLSocket} connection, client or server. Subclasses override
    one of L{messageReceived}; L{messagesReceived}, which is faster where many
    messages come together; and L{lineReceived}, for bytes.

    A message need not be XML. Replies to all messages of one read leave in one
    write. After C{loseConnection} no further message is given, not even one
    that has been received already, as in Flash.

    @cvar MAX_LENGTH: maximum length of a message without its NUL byte (bytes); 0
        for no limit. The default is 1 MiB.
    @cvar policy: the answer to a policy request that comes as the first
        message; C{None} if such a message is like any other. A client that
        was slow with its request, or split it, is answered in this way; see
        L{openfl_twisted.protocols.oneport} for the others.
    @cvar messageRate: how many messages may come in a second, for a long time;
        five times as many may come at once. Beyond it the connection is closed.
        0 means any number.
    @cvar byteRate: the same for bytes.
    @ivar messagesIn: how many messages have come, if no L{XMLSocketFactory}
        counts them.
    @ivar messagesOut: how many L{sendMessage} and L{sendLine} have sent, in the
        same way.
    @ivar answered: whether a policy request has been answered here, in the same
        way.
    @ivar unanswered: whether there was no file for one.
    """

    __slots__ = ("_counter", "_looks", "_splitter")

    MAX_LENGTH = MAX_LENGTH
    policy: PolicySource = None
    messageRate = 0.0
    byteRate = 0.0
    messagesIn = 0
    messagesOut = 0
    answered = 0
    unanswered = 0
    # Only there while a message has begun.
    _splitter: MessageSplitter | None
    _rateLimiter: RateLimiter | None = None
    _tap: Tap | None = None
    _toldBroken = False
    # Whether a subclass wants bytes, or the messages of a read together.
    _wantsLines = False
    _wantsLists = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if getattr(cls, "delimiter", END) != END:
            raise TypeError(
                f"{cls.__name__}.delimiter cannot be set: XMLSocket messages end with a NUL byte;"
                " use twisted.protocols.basic.LineReceiver for another delimiter"
            )
        cls._wantsLines = cls.lineReceived is not XMLSocketProtocol.lineReceived
        cls._wantsLists = cls.messagesReceived is not XMLSocketProtocol.messagesReceived

    def __new__(cls, *args: object, **named: object) -> Self:
        """
        Make one that has not spoken yet.
        """
        self = super().__new__(cls)
        self._looks = True
        self._splitter = None
        return self

    def prepare(self) -> None:
        """
        Begin to count, and be counted among the factory's connections.
        """
        limits = self.limits
        if limits.messageRate or limits.byteRate:
            self._rateLimiter = RateLimiter(limits.messageRate, limits.byteRate, self.getClock())
        self._counter: XMLSocketFactory | XMLSocketProtocol = self
        if isinstance(self.factory, XMLSocketFactory):
            self._counter = self.factory
            self.factory.countIn(self)
        if self._counter.policy is not None:
            self.refused = _withPolicy(frozenset(self.refused))
        self._lookOrNot()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Be counted out.

        A subclass that overrides this must call it.
        """
        try:
            self.finishReading(reason)
            self._dropUnfinished()
        finally:
            # Also if a message that was held raises: the factory would keep it forever.
            if isinstance(self.factory, XMLSocketFactory):
                self.factory.countOut(self)
            super().connectionLost(reason)

    def readConnectionLost(self) -> None:
        """
        The peer has closed its side.
        """
        self._dropUnfinished()
        super().readConnectionLost()

    @property
    def unprocessed(self) -> int:
        begun = 0 if self._splitter is None else self._splitter.pending
        return super().unprocessed + begun

    def _dropUnfinished(self) -> None:
        """
        Drop a message whose end has not come, as Flash does.
        """
        held = self.heldBytes()
        if held:
            self._inspectedReceived(held)
        begun = 0 if self._splitter is None else self._splitter.pending
        if begun and not self.transport.disconnecting:
            self.log.info(
                "{peer} closed within a message; its {count} bytes are dropped",
                peer=self.describePeer(),
                count=begun,
            )
        self._splitter = None

    # What comes

    def dataReceived(self, data: bytes) -> None:
        """
        Process a chunk, see L{StreamProtocol.dataReceived}.
        """
        transport = self.transport
        if (
            self._looks
            or data[-1:] != END
            or self._splitter is not None
            or len(data) > self.limits.maxLength
            or currentBatch.waiting is None
            or transport.receiveBuffer is not None
            or not transport.reading
            or not transport.hasReceived
        ):
            super().dataReceived(data)
            return
        # What nearly every read is: whole messages, which nobody inspects.
        transport.work = 0
        try:
            try:
                text = data[:-1].decode()
            except UnicodeDecodeError:
                text = self._decodeBroken(data[:-1])
            if self._wantsLists or "\0" in text:
                self._handOnTexts(text)
            else:
                self._counter.messagesIn += 1
                self.messageReceived(text)
        except BaseException:
            self._failed = True
            transport.dropReceived()
            raise

    def bytesReceived(self, data: bytes) -> None:
        """
        Split the stream into messages.
        """
        if self._looks:
            if self.refused:
                data = self.inspect(data)
                self._lookOrNot()
            if data:
                self._inspectedReceived(data)
        elif (
            self._splitter is not None
            or not data.endswith(END)
            or len(data) > self.limits.maxLength
        ):
            self._pieceReceived(data)
        else:
            self._handOn(data[:-1])

    def _inspectedReceived(self, data: bytes) -> None:
        """
        Split the stream into messages, which are inspected as bytes.
        """
        if (
            self._splitter is not None
            or not data.endswith(END)
            or len(data) > self.limits.maxLength
        ):
            self._pieceReceived(data)
        else:
            self._lookAt(splitWhole(data), len(data))

    def _pieceReceived(self, data: bytes) -> None:
        """
        Cut what is not only whole messages.
        """
        splitter = self._splitter = self._splitter or MessageSplitter(self.limits.maxLength)
        together: bytes | None = None
        messages: Sequence[bytes] = ()
        tooLong = None
        try:
            if self._looks:
                messages = splitter.receive(data)
            else:
                together = splitter.receiveTogether(data)
        except MessageTooLong as problem:
            tooLong, messages = problem, problem.before
        if tooLong is None and not splitter.pending:
            self._splitter = None
        if self._looks:
            self._lookAt(messages, len(data))
        elif together is not None or messages:
            self._handOn(END.join(messages) if together is None else together)
        if tooLong is not None:
            self.deliverEach((tooLong,), self._tooLong)

    def _handOn(self, together: bytes) -> None:
        """
        Hand on messages as text.

        @param together: the messages, with a NUL byte between two. They are decoded
            together: no character extends over the end of a message.
        """
        try:
            text = together.decode()
        except UnicodeDecodeError:
            text = self._decodeBroken(together)
        self._handOnTexts(text)

    def _handOnTexts(self, text: str) -> None:
        # To search first is faster: a split looks at each character, and so for long messages.
        messages = text.split("\0") if "\0" in text else [text]
        self._counter.messagesIn += len(messages)
        if not self._wantsLists:
            self.deliverEach(messages, self.messageReceived)
        elif self.transport.reading and len(messages) <= MAX_WORK:
            self.messagesReceived(messages)
        else:
            self.deliverEach(
                [messages[at : at + MAX_WORK] for at in range(0, len(messages), MAX_WORK)],
                self.messagesReceived,
            )

    def _lookAt(self, messages: Sequence[bytes], length: int) -> None:
        """
        Hand on messages where somebody looks at each as bytes: a subclass, a
        tap, a pace, or we, since the first can be an HTTP request.

        @param messages: the messages.
        @param length: how many bytes have come, of messages and of pieces.
        """
        if self._rateLimiter is not None and not self._rateLimiter.allows(len(messages), length):
            self.limitExceeded("rate")
            self.closeFor("it sends more than is allowed")
            return
        if messages:
            if self._mayBeRequest:
                if self.refusesRequest(messages[0]):
                    return
                self._lookOrNot()
            if self._tap is not None:
                for line in messages:
                    self._tap("in", decodeUTF8(line))
            if self._wantsLines:
                self._counter.messagesIn += len(messages)
                self.deliverEach(messages, self.lineReceived)
            else:
                self._handOn(END.join(messages))

    def _lookOrNot(self) -> None:
        """
        Find out whether anybody looks at each message.
        """
        self._looks = bool(
            self._wantsLines
            or self.refused
            or self._mayBeRequest
            or self._tap is not None
            or self._rateLimiter is not None
        )

    def _refuse(self, signature: Signature) -> None:
        """
        Answer a policy request, or refuse a client of another protocol.
        """
        if signature is not Signature.POLICY:
            super()._refuse(signature)
            return
        found = answerRequest(self.transport, self._counter.policy, self.log)
        self._counter.answered += found
        self._counter.unanswered += not found

    def _tooLong(self, problem: MessageTooLong) -> None:
        self._splitter = None
        self.limitExceeded("message")
        self.lineLengthExceeded(problem)
        self.transport.loseConnection()

    def lineReceived(self, line: bytes) -> None:
        """
        A message came, as bytes; override this if you want no text.

        @param line: the message without its end.
        """
        try:
            message = line.decode()
        except UnicodeDecodeError:
            message = self._decodeBroken(line)
        self.messagesReceived([message])

    def _decodeBroken(self, data: bytes) -> str:
        """
        Read as text what is not UTF-8. That is logged once for each connection:
        who sends one such message sends many.
        """
        if not self._toldBroken:
            self._toldBroken = True
            self.log.warn(
                "{peer} sends text that is not UTF-8; it is read as Flash reads it",
                peer=self.describePeer(),
            )
        return decodeUTF8(data)

    def messagesReceived(self, messages: list[str]) -> None:
        """
        One or more messages came at once. This gives each to
        L{messageReceived}; override it if you can deal with many for less. What
        you do with them is up to you then: also whether you go on after you have
        closed the connection, or stopped reading.

        @param messages: their texts, in order; at least one.
        """
        self.deliverEach(messages, self.messageReceived)

    def messageReceived(self, message: str) -> None:
        """
        A message came; override this.

        @param message: its text, read by
            L{openfl_twisted.wire.text.decodeUTF8}; empty if there was nothing
            before the end.
        """
        raise NotImplementedError

    def lineLengthExceeded(self, line: MessageTooLong) -> None:
        """
        A message is longer than C{MAX_LENGTH}; override this if the peer is to
        hear of it. The connection is closed after it in any case.

        @param line: what was noticed; the message itself is gone.
        """
        self.closeFor(str(line), MESSAGE_TOO_BIG)

    # What goes

    def sendMessage(self, message: str) -> None:
        """
        Send a message.

        @param message: its text. A NUL in it splits it for the receiver: there
            is no escaping.
        """
        self._counter.messagesOut += 1
        if len(message) > _LONG:
            self._sendLong(encodeUTF8(message))
            return
        # This is encodeUTF8, without the price of it.
        try:
            data = (message + "\0").encode()
        except UnicodeEncodeError:
            data = encodeUTF8(message + "\0")
        self.transport.write(data)

    def sendMessages(self, messages: Sequence[str]) -> None:
        """
        Send several messages, in one write where the transport knows only bytes.

        @param messages: their texts.
        """
        count = len(messages)
        if count > 1 and self.transport.preservesMessages:
            for message in messages:
                self.sendMessage(message)
            return
        self._counter.messagesOut += count
        text = messages[0] if count == 1 else "\0".join(messages)
        if len(text) > _LONG:
            self._sendLong(encodeUTF8(text))
        elif count:
            self.transport.write(encodeUTF8(text + "\0"))

    def sendLine(self, line: bytes) -> None:
        """
        Send a message that is in bytes already.

        @param line: the message without its end.
        """
        self._counter.messagesOut += 1
        if len(line) > _LONG:
            self._sendLong(line)
        else:
            self.transport.write(line + END)

    def _sendLong(self, line: bytes) -> None:
        """
        Send a message that is not worth a copy for the sake of its end.
        """
        self.transport.writeSequence((line, END))

    # Who listens

    @property
    def tap(self) -> Tap | None:
        """
        Who hears all messages of this connection: those that come when they
        have come, and those that go when they are written, by whomever.
        C{None} for nobody, which costs nothing.
        """
        return self._tap

    @tap.setter
    def tap(self, tap: Tap | None) -> None:
        self._tap = tap
        self._lookOrNot()
        # Whoever fans out writes to the queue itself, so it is the queue that is tapped.
        self.transport.tap = None if tap is None else self._tapWritten

    def _tapWritten(self, data: bytes) -> None:
        if self._tap is not None:
            for line in data.removesuffix(END).split(END):
                self._tap("out", decodeUTF8(line))


class XMLSocketFactory(StreamFactory[XMLSocketProtocol]):
    """
    Makes L{XMLSocketProtocol}s, and knows those that are connected.

    @ivar connections: the protocols that are connected, in the order in which
        they came; for reading, as one reads a set.
    @ivar policy: the answer to a policy request that is the first message. It can be
        changed at any time.
    @ivar messagesIn: how many messages have come.
    @ivar messagesOut: how many have been sent by L{broadcast}, and by the
        protocols' C{sendMessage} and C{sendLine}.
    @ivar answered: how many policy requests that came late have been answered
        with the file.
    @ivar unanswered: how many have not, since there was none for the port.
    """

    def __init__(
        self,
        protocol: Callable[[], XMLSocketProtocol],
        *,
        maxLength: int | None = None,
        maxQueue: int | None = None,
        messageRate: float | None = None,
        byteRate: float | None = None,
        policy: PolicySource = PolicyFile.forPort,
        passThrough: Collection[Signature] = (),
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param protocol: makes a protocol: your subclass of
            L{XMLSocketProtocol}.
        @param maxLength: the longest message, in bytes; the protocol's
            C{MAX_LENGTH} if not given.
        @param maxQueue: how many bytes are held for a peer that does not read;
            the protocol's C{maxQueue} if not given.
        @param messageRate: how many messages a second may come from one client;
            the protocol's C{messageRate} if not given.
        @param byteRate: the same for bytes.
        @param policy: the answer to a policy request that is the first message;
            the default lets everybody connect to the port on which it came.
            C{None} for no answer.
        @param passThrough: the protocols whose clients are not refused, of
            L{FOREIGN<openfl_twisted.wire.firstbytes.FOREIGN>} (default none): a
            web page could send messages in an HTTP request.
        @param clock: the clock (default: the reactor).
        """
        super().__init__(
            protocol,
            maxLength=maxLength,
            maxQueue=maxQueue,
            messageRate=messageRate,
            byteRate=byteRate,
        )
        self.refused = FOREIGN.difference(passThrough)
        self.clock = clock
        self.policy = policy
        # Not a set, which takes up to four times the memory.
        self._connected: dict[XMLSocketProtocol, None] = {}
        self.connections: KeysView[XMLSocketProtocol] = self._connected.keys()
        self.messagesIn = 0
        self.messagesOut = 0
        self.answered = 0
        self.unanswered = 0

    def countIn(self, connection: XMLSocketProtocol) -> None:
        """
        Know a protocol that is connected.

        @param connection: the protocol.
        """
        self._connected[connection] = None

    def countOut(self, connection: XMLSocketProtocol) -> None:
        """
        Forget a protocol whose connection is lost.

        @param connection: the protocol.
        """
        self._connected.pop(connection, None)

    def broadcast(self, message: str, exclude: Iterable[XMLSocketProtocol] = ()) -> None:
        """
        Send a message to every connection; it is written out once.

        @param message: its text.
        @param exclude: who does not get it.
        """
        self.broadcastMessages((message,), exclude)

    def broadcastMessages(
        self, messages: Sequence[str], exclude: Iterable[XMLSocketProtocol] = ()
    ) -> None:
        """
        Send several messages to every connection; they are written out once.

        @param messages: their texts.
        @param exclude: who does not get them.
        """
        # A collection of its own: who is cut off leaves while this goes on.
        hearers = self.connections - exclude if exclude else [*self.connections]
        self.messagesOut += len(messages) * len(hearers)
        lines = [encodeUTF8(message) + END for message in messages]
        block = b"".join(lines)
        for connection in hearers:
            transport = connection.transport
            if transport.preservesMessages:
                for line in lines:
                    transport.write(line)
            else:
                transport.write(block)
