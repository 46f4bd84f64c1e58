"""
C{XMLSocket}: text messages in UTF-8, each ended by one zero byte, over TCP.

For people who know C{twisted.protocols.basic.LineReceiver}: this is one whose
delimiter is the zero byte, so C{lineReceived}, C{sendLine}, C{lineLengthExceeded}
and C{MAX_LENGTH} are here too. Unlike it, it does work that is linear in the
bytes received.
"""

from collections.abc import Callable, Iterable

from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.protocols.policyfile import PolicySource, answerRequest
from openfl_twisted.protocols.sending import SendingFactory, SendingProtocol
from openfl_twisted.wire.messages import (
    END,
    MAX_LENGTH,
    MessageSplitter,
    MessageTooLong,
    receiveUpTo,
)
from openfl_twisted.wire.policy import PolicyFile, isRequest
from openfl_twisted.wire.text import decodeUTF8, encodeUTF8


class XMLSocketProtocol(SendingProtocol):
    """
    One end of an C{XMLSocket} connection, client or server. Subclasses override
    L{messageReceived}.

    A message need not be XML. Replies to all messages of one read leave in one
    write. After C{loseConnection} no further message is given, not even one
    that has been received already, as in Flash.

    @cvar delimiter: what ends a message.
    @cvar MAX_LENGTH: the longest message that is taken, in bytes without its
        end.
    @cvar policy: the answer to a policy request that comes as the first
        message; C{None} if such a message is like any other. A client that
        was slow with its request, or split it, is answered in this way; see
        L{openfl_twisted.protocols.oneport} for the others.
    """

    delimiter = END
    MAX_LENGTH = MAX_LENGTH
    policy: PolicySource = None
    _spoken = False
    _toldBroken = False

    def makeConnection(self, transport: ITransport) -> None:
        """
        Begin, and be counted among the factory's connections.
        """
        self._splitter = MessageSplitter(self.MAX_LENGTH)
        if isinstance(self.factory, XMLSocketFactory):
            self.factory.connections.add(self)
        super().makeConnection(transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Be counted out.

        A subclass that overrides this must call it.
        """
        self._dropUnfinished()
        if isinstance(self.factory, XMLSocketFactory):
            self.factory.connections.discard(self)
        super().connectionLost(reason)

    def readConnectionLost(self) -> None:
        """
        The peer has closed its side.
        """
        self._dropUnfinished()
        super().readConnectionLost()

    def _dropUnfinished(self) -> None:
        """
        Drop a message whose end has not come, as Flash does.
        """
        if self._splitter.pending and not self.transport.disconnecting:
            self.log.info(
                "{peer} closed within a message; its {count} bytes are dropped",
                peer=self.describePeer(),
                count=self._splitter.pending,
            )
        self._splitter.clear()

    # What comes

    def bytesReceived(self, data: bytes) -> None:
        """
        Cut the stream into messages.
        """
        messages, tooLong = receiveUpTo(self._splitter, data)
        if messages and not self._spoken:
            self._spoken = True
            if self.policy is not None and isRequest(messages[0]):
                answerRequest(self.transport, self.policy, self.log)
        self.deliver(messages, self.lineReceived)
        if tooLong is not None:
            self.deliver([tooLong], self._tooLong)

    def _tooLong(self, problem: MessageTooLong) -> None:
        self._splitter.clear()
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
            message = decodeUTF8(line)
            self._tellBroken()
        self.messageReceived(message)

    def _tellBroken(self) -> None:
        """
        Log that text is not UTF-8, once for each connection: who sends one such
        message sends many.
        """
        if not self._toldBroken:
            self._toldBroken = True
            self.log.warn(
                "{peer} sends text that is not UTF-8; it is read as Flash reads it",
                peer=self.describePeer(),
            )

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
        self.log.warn("{peer} closed: {problem}", peer=self.describePeer(), problem=line)

    # What goes

    def sendMessage(self, message: str) -> None:
        """
        Send a message.

        @param message: its text. A NUL in it splits it for the receiver: there
            is no escaping.
        """
        self.sendLine(encodeUTF8(message))

    def sendLine(self, line: bytes) -> None:
        """
        Send a message that is in bytes already.

        @param line: the message without its end.
        """
        self.transport.write(line + self.delimiter)


class XMLSocketFactory(SendingFactory[XMLSocketProtocol]):
    """
    Makes L{XMLSocketProtocol}s, and knows those that are connected.

    @ivar connections: the protocols that are connected.
    """

    def __init__(
        self,
        protocol: Callable[[], XMLSocketProtocol],
        *,
        maxLength: int | None = None,
        maxQueue: int | None = None,
        policy: PolicySource = PolicyFile.forPort,
    ) -> None:
        """
        @param protocol: makes a protocol: your subclass of
            L{XMLSocketProtocol}.
        @param maxLength: the longest message, in bytes; the protocol's
            C{MAX_LENGTH} if not given.
        @param maxQueue: how many bytes are held for a peer that does not read;
            the protocol's C{maxQueue} if not given.
        @param policy: the answer to a policy request that is the first message;
            the default lets everybody connect to the port on which it came.
            C{None} for no answer.
        """
        super().__init__(protocol, MAX_LENGTH=maxLength, maxQueue=maxQueue)
        # Here None is a setting too.
        self.settings["policy"] = policy
        self.connections: set[XMLSocketProtocol] = set()

    def broadcast(self, message: str, exclude: Iterable[XMLSocketProtocol] = ()) -> None:
        """
        Send a message to every connection; it is written out once.

        @param message: its text.
        @param exclude: who does not get it.
        """
        data = encodeUTF8(message) + END
        # A set of its own: who is cut off leaves while this goes on.
        for connection in self.connections.difference(exclude):
            connection.transport.write(data)
