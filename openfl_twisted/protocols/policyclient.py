"""
Requests the policy file of a server, as Flash Player does.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from openfl_twisted.clocks import clockOrReactor, tookTooLong
from openfl_twisted.types import AnyClock, AnyEndpoint
from openfl_twisted.wire.policy.file import MAX_POLICY_LENGTH
from openfl_twisted.wire.policy.request import REQUEST
from openfl_twisted.wire.policy.rule import PolicyError

ANSWER_TIMEOUT = 10.0
"""
Maximum time to fetch a policy file, including the connection attempt (seconds). Flash
Player waits indefinitely.
"""

_END = b"\0"


class PolicyClientProtocol(Protocol):
    """
    Sends a policy request and collects the answer. The answer ends at a NUL byte or at EOF,
    because many servers send no NUL byte.

    @ivar answer: fires with the answer, without the NUL byte; fails with L{PolicyError} if the
        answer is empty or too long.
    """

    transport: ITCPTransport

    def __init__(self, maxLength: int = MAX_POLICY_LENGTH) -> None:
        """
        @param maxLength: maximum length of the policy file (bytes).
        """
        self.maxLength = maxLength
        self.answer: Deferred[bytes] = Deferred(self._cancelled)
        self._received = bytearray()

    def connectionMade(self) -> None:
        self.transport.write(REQUEST)

    def dataReceived(self, data: bytes) -> None:
        if self.answer.called:
            return
        searched = len(self._received)
        self._received += data
        end = self._received.find(_END, searched)
        if (len(self._received) if end < 0 else end) > self.maxLength:
            self.answer.errback(PolicyError(f"the file is longer than {self.maxLength} bytes"))
            self.transport.abortConnection()
        elif end >= 0:
            self.answer.callback(bytes(self._received[:end]))
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.answer.called:
            return
        if self._received:
            self.answer.callback(bytes(self._received))
        else:
            self.answer.errback(PolicyError("the server sent no data"))

    def _cancelled(self, answer: Deferred[bytes]) -> None:
        self.transport.abortConnection()


class _PolicyClientFactory(Factory[PolicyClientProtocol]):
    """
    The factory of L{PolicyClientProtocol}.
    """

    protocol = PolicyClientProtocol
    noisy = False


def askForPolicy(
    endpoint: AnyEndpoint,
    *,
    timeout: float = ANSWER_TIMEOUT,
    clock: AnyClock | None = None,
) -> Deferred[bytes]:
    """
    Fetch a policy file.

    @param timeout: maximum time, including the connection attempt (seconds).
    @param clock: the clock (default: the global reactor).
    @return: fires with the unparsed file; fails if the server cannot be reached, does not
        answer in time, or sends an answer that is empty or too long. Cancelling the Deferred
        closes the connection.
    """

    def connected(protocol: PolicyClientProtocol) -> Deferred[bytes]:
        return protocol.answer

    connecting: Deferred[Any] = endpoint.connect(_PolicyClientFactory())
    asking: Deferred[bytes] = connecting.addCallback(connected)
    return asking.addTimeout(timeout, clockOrReactor(clock), tookTooLong)
