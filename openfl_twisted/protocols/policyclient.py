"""
Asks a server for its policy file, as a player does.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from openfl_twisted.clocks import clockOrReactor, tookTooLong
from openfl_twisted.wire.policy.file import MAX_POLICY_LENGTH
from openfl_twisted.wire.policy.request import REQUEST
from openfl_twisted.wire.policy.rule import PolicyError

ANSWER_TIMEOUT = 10.0
"""
How long it may take to get a policy file, the connection included, in seconds.
Flash Player waits for ever.
"""

_END = b"\0"


class PolicyClientProtocol(Protocol):
    """
    Sends a policy request and collects the answer: up to its zero byte, or up
    to the end of the connection, since many servers send none.

    @ivar answer: fires with the answer, without the zero byte; fails with
        L{PolicyError} if there is none, or too much of it.
    """

    transport: ITCPTransport

    def __init__(self, maxLength: int = MAX_POLICY_LENGTH) -> None:
        """
        @param maxLength: the longest file that is taken, in bytes.
        """
        self.maxLength = maxLength
        self.answer: Deferred[bytes] = Deferred(self._cancelled)
        self._received = bytearray()

    def connectionMade(self) -> None:
        """
        Ask.
        """
        self.transport.write(REQUEST)

    def dataReceived(self, data: bytes) -> None:
        """
        Collect the answer.
        """
        if self.answer.called:
            return
        searched = len(self._received)
        # At most one piece is added to what is bounded by the length of a file.
        self._received += data
        end = self._received.find(_END, searched)
        if (len(self._received) if end < 0 else end) > self.maxLength:
            self.answer.errback(PolicyError(f"it is longer than {self.maxLength} bytes"))
            self.transport.abortConnection()
        elif end >= 0:
            self.answer.callback(bytes(self._received[:end]))
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Take the end of the connection for that of the file.
        """
        if self.answer.called:
            return
        if self._received:
            self.answer.callback(bytes(self._received))
        else:
            self.answer.errback(PolicyError("the connection is closed without a word"))

    def _cancelled(self, answer: Deferred[bytes]) -> None:
        self.transport.abortConnection()


class PolicyClientFactory(Factory[PolicyClientProtocol]):
    """
    Makes L{PolicyClientProtocol}s.
    """

    protocol = PolicyClientProtocol
    noisy = False


def askForPolicy(
    endpoint: IStreamClientEndpoint,
    *,
    timeout: float = ANSWER_TIMEOUT,
    clock: IReactorTime | None = None,
) -> Deferred[bytes]:
    """
    Get a policy file.

    @param endpoint: the way to the server.
    @param timeout: how long that may take, the connection included, in seconds.
    @param clock: for the time; the reactor if there is none.
    @return: fires with the file, which nobody has read yet; fails if the server
        cannot be reached, does not answer in time, or sends nothing or too
        much. Who cancels it closes the connection.
    """

    def connected(protocol: PolicyClientProtocol) -> Deferred[bytes]:
        return protocol.answer

    connecting: Deferred[Any] = endpoint.connect(PolicyClientFactory())
    asking: Deferred[bytes] = connecting.addCallback(connected)
    return asking.addTimeout(timeout, clockOrReactor(clock), tookTooLong)
