"""
A server for policy files, on port 843 for all ports of a host, or on any other port.

L{openfl_twisted.protocols.oneport} answers policy requests on the port of another
protocol.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.addresses import describe, portOf
from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import packageLogger
from openfl_twisted.overrides import startMethod
from openfl_twisted.transports.acceptanswer import MAX_ANSWER, IAcceptAnswer
from openfl_twisted.types import AnyClock
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.request import MAX_REQUEST_LENGTH, isRequest, startsRequest

REQUEST_TIMEOUT = 5.0
"""
Default maximum time until a policy request is complete (seconds).
"""

_MISSING_END_TIMEOUT = 1.0
"""
Time without data after which a request without its NUL byte is answered (seconds). Some
clients never send the NUL byte.
"""

PolicySource: TypeAlias = PolicyFile | Callable[[int], PolicyFile] | None
"""
The answer to policy requests: a policy file; a function that returns the policy file for the
port of the connection, such as L{PolicyFile.forPort}; or C{None} for no answer.
"""


def checkPolicy(policy: object) -> None:
    """
    Check that an argument can be a L{PolicySource}.

    @raise TypeError: if it cannot.
    """
    if not (policy is None or isinstance(policy, PolicyFile) or callable(policy)):
        raise TypeError(
            "policy must be a PolicyFile, a function that returns one, or None for no answer, not"
            f" {policy!r}; PolicyFile.fromXML parses the text of a policy file"
        )


def policyFor(policy: PolicySource, host: IAddress) -> PolicyFile | None:
    """
    Return the policy file for a port.

    @param host: the address to which the client has connected.
    @return: the policy file; C{None} if C{policy} is C{None}, or if C{policy} is a function
        and the address has no port.
    """
    if policy is None or isinstance(policy, PolicyFile):
        return policy
    port = portOf(host)
    return None if port is None else policy(port)


@lru_cache(maxsize=64)
def _answerOf(policy: PolicyFile) -> bytes:
    """
    Return the encoded policy file and a NUL byte. The result is cached, because most servers
    use one policy file per port.
    """
    return policy.toXML() + b"\0"


def firstAnswer(
    data: bytes, policy: PolicySource, peer: IAddress, host: IAddress, log: Logger
) -> bytes | None:
    """
    Return the answer to a policy request that was received on accept, before the connection
    has a protocol.

    @param data: the data received on the connection.
    @param peer: the address of the client.
    @param host: the address to which the client has connected.
    @param log: the logger.
    @return: the answer; C{None} if the data is not exactly one policy request, or if the
        answer is too long to be sent on accept.
    """
    if not startsRequest(data) or startsRequest(data[:-1]) is not None:
        return None
    policyFile = policyFor(policy, host)
    if policyFile is None:
        return None
    answer = _answerOf(policyFile)
    if len(answer) > MAX_ANSWER:
        return None
    log.info("{peer} received the policy file", peer=peer)
    return answer


def answerRequest(transport: ITransport, policy: PolicySource, log: Logger) -> bool:
    """
    Answer a policy request, and close the connection.

    @param transport: the connection.
    @param log: the logger.
    @return: whether a policy file was sent.
    """
    policyFile = policyFor(policy, transport.getHost())
    if policyFile is None:
        log.warn(
            "{peer} requested the policy file, but none exists for {host}",
            peer=transport.getPeer(),
            host=transport.getHost(),
        )
    else:
        transport.write(_answerOf(policyFile))
        log.info("{peer} received the policy file", peer=transport.getPeer())
    transport.loseConnection()
    return policyFile is not None


@implementer(IHalfCloseableProtocol)
class PolicyFileProtocol(Protocol):
    """
    Answers one policy request. Any other data closes the connection.
    """

    transport: ITransport
    factory: "PolicyFileFactory"
    _received = b""
    # Whether the request is still incomplete.
    _waiting = False
    _deadline: IDelayedCall | None = None
    _missingEnd: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self._waiting = True
        if self.factory.timeout:
            self._deadline = self.factory.clock.callLater(self.factory.timeout, self._timedOut)

    def dataReceived(self, data: bytes) -> None:
        if not self._waiting:
            return
        self._received += data
        if self._missingEnd is not None:
            self._missingEnd.cancel()
            self._missingEnd = None
        limit = self.factory.maxLength
        match startsRequest(self._received, limit):
            case True:
                self._answer()
            case None if isRequest(self._received, limit):
                self._missingEnd = self.factory.clock.callLater(_MISSING_END_TIMEOUT, self._answer)
            case False:
                self._refuse("client did not send a policy request")

    def readConnectionLost(self) -> None:
        """
        Called at EOF: answer a request without its NUL byte.
        """
        if not self._waiting:
            return
        if isRequest(self._received, self.factory.maxLength):
            self._answer()
        else:
            self._refuse("client sent EOF before a complete policy request")

    def writeConnectionLost(self) -> None:
        pass

    def _answer(self) -> None:
        self._stopWaiting()
        if answerRequest(self.transport, self.factory.policy, self.factory.log):
            self.factory.answered += 1
        else:
            self.factory.unanswered += 1

    def _timedOut(self) -> None:
        self._refuse(f"no policy request within {self.factory.timeout:g} s")

    def _refuse(self, reason: str) -> None:
        self._stopWaiting()
        self.factory.refused += 1
        peer = describe(self.transport.getPeer())
        self.factory.log.info("{peer} refused: {reason}", peer=peer, reason=reason)
        self.transport.loseConnection()

    def _stopWaiting(self) -> None:
        """
        Stop waiting for the request: cancel the timers, and ignore further data.
        """
        self._waiting = False
        for call in (self._deadline, self._missingEnd):
            if call is not None and call.active():
                call.cancel()
        self._deadline = self._missingEnd = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stopWaiting()


@implementer(IAcceptAnswer)
class PolicyFileFactory(Factory[PolicyFileProtocol]):
    """
    Serves a policy file.

    @ivar policy: the policy source, see L{PolicySource}. The attribute can be changed at any
        time.
    @ivar timeout: maximum time until the request is complete (seconds); 0 for no limit.
    @ivar maxLength: maximum length of a request (bytes).
    @ivar answered: number of requests answered with the policy file.
    @ivar unanswered: number of requests without a policy file for the port.
    @ivar refused: number of connections without a policy request.
    """

    protocol = PolicyFileProtocol
    # On this port, clients send first.
    firstWait = 1
    log = packageLogger()
    noisy = False

    def __init__(
        self,
        policy: PolicySource,
        *,
        timeout: float = REQUEST_TIMEOUT,
        maxLength: int = MAX_REQUEST_LENGTH,
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param timeout: maximum time until the request is complete (seconds; default 5);
            0 for no limit.
        @param clock: the clock (default: the global reactor).
        """
        checkPolicy(policy)
        self.policy = policy
        self.timeout = timeout
        self.maxLength = maxLength
        self.clock = clockOrReactor(clock)
        self.answered = 0
        self.unanswered = 0
        self.refused = 0

    @startMethod
    def doStart(self) -> None:
        super().doStart()

    def firstAnswer(self, data: bytes, peer: IAddress, host: IAddress) -> bytes | None:
        answer = None
        if len(data) <= self.maxLength:
            answer = firstAnswer(data, self.policy, peer, host, self.log)
        self.answered += answer is not None
        return answer
