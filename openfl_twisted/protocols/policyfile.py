"""
Answers policy requests, on a port of its own: 843 for a whole host, or any
other.

To answer them in front of another protocol, on its port, see
L{openfl_twisted.protocols.oneport}.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IReactorTime,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.addresses import describe, portOf
from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import packageLogger
from openfl_twisted.transports.acceptanswer import MAX_ANSWER, IAcceptAnswer
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.request import MAX_REQUEST_LENGTH, isRequest, startsRequest

REQUEST_TIMEOUT = 5.0
"""
How long a policy request may take to arrive, in seconds.
"""

MISSING_END_TIMEOUT = 1.0
"""
After how many seconds of silence a request that lacks only its zero byte is
answered all the same: some clients never send it.
"""

PolicySource: TypeAlias = PolicyFile | Callable[[int], PolicyFile] | None
"""
What to answer: a policy file; or a function that makes one for the port on
which the request came, as L{PolicyFile.forPort} does; or C{None} for no answer.
"""


def policyFor(policy: PolicySource, host: IAddress) -> PolicyFile | None:
    """
    Get the policy file for a port.

    @param policy: what to answer.
    @param host: the address at which it is asked for.
    @return: the file; C{None} if there is none: no policy at all, or one that
        depends on the port, and no port.
    """
    if policy is None or isinstance(policy, PolicyFile):
        return policy
    port = portOf(host)
    return None if port is None else policy(port)


@lru_cache(maxsize=64)
def _answerOf(policy: PolicyFile) -> bytes:
    """
    Write a policy file as it is answered; most servers have one, or one a port.
    """
    return policy.toXML() + b"\0"


def firstAnswer(
    data: bytes, policy: PolicySource, peer: IAddress, host: IAddress, log: Logger
) -> bytes | None:
    """
    Answer a policy request with which a connection begins, before there is a
    protocol for it.

    @param data: everything that has come on the connection.
    @param policy: what to answer.
    @param peer: who asks.
    @param host: the address at which it asks.
    @param log: where to tell it, in one line.
    @return: the answer; C{None} if the bytes are not exactly a request, or if the
        answer is too long to be sent at once.
    """
    if not startsRequest(data) or startsRequest(data[:-1]) is not None:
        return None
    policyFile = policyFor(policy, host)
    if policyFile is None:
        return None
    answer = _answerOf(policyFile)
    if len(answer) > MAX_ANSWER:
        return None
    log.info("{peer} got the policy file", peer=describe(peer))
    return answer


def answerRequest(transport: ITransport, policy: PolicySource, log: Logger) -> bool:
    """
    Answer a policy request and close the connection: nothing else can come on
    it.

    @param transport: the connection on which it came.
    @param policy: what to answer.
    @param log: where to tell it, in one line.
    @return: whether there was a file to answer with.
    """
    policyFile = policyFor(policy, transport.getHost())
    if policyFile is None:
        log.warn(
            "{peer} asked for the policy file; there is none for {host}",
            peer=describe(transport.getPeer()),
            host=describe(transport.getHost()),
        )
    else:
        transport.write(_answerOf(policyFile))
        log.info("{peer} got the policy file", peer=describe(transport.getPeer()))
    transport.loseConnection()
    return policyFile is not None


@implementer(IHalfCloseableProtocol)
class PolicyFileProtocol(Protocol):
    """
    Answers one policy request. Whatever else comes ends the connection.
    """

    transport: ITransport
    factory: "PolicyFileFactory"
    _received = b""
    # Whether the request is not complete.
    _waiting = False
    _deadline: IDelayedCall | None = None
    _missingEnd: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """
        Give the request its time.
        """
        self._waiting = True
        if self.factory.timeout:
            self._deadline = self.factory.clock.callLater(self.factory.timeout, self._timedOut)

    def dataReceived(self, data: bytes) -> None:
        """
        Collect the request.
        """
        if not self._waiting:
            return
        # At most one piece is added to what is bounded by the length of a request.
        self._received += data
        if self._missingEnd is not None:
            self._missingEnd.cancel()
            self._missingEnd = None
        limit = self.factory.maxLength
        match startsRequest(self._received, limit):
            case True:
                self._answer()
            case None if isRequest(self._received, limit):
                self._missingEnd = self.factory.clock.callLater(MISSING_END_TIMEOUT, self._answer)
            case False:
                self._refuse("sent something else than a policy request")

    def readConnectionLost(self) -> None:
        """
        The peer has nothing more to send: a request without its zero byte is
        answered now.
        """
        if not self._waiting:
            return
        if isRequest(self._received, self.factory.maxLength):
            self._answer()
        else:
            self._refuse("closed its side without a policy request")

    def writeConnectionLost(self) -> None:
        """
        Nothing is closed half from this side.
        """

    def _answer(self) -> None:
        self._stopWaiting()
        if answerRequest(self.transport, self.factory.policy, self.factory.log):
            self.factory.answered += 1
        else:
            self.factory.unanswered += 1

    def _timedOut(self) -> None:
        self._refuse(f"has not sent a policy request for {self.factory.timeout:g} seconds")

    def _refuse(self, what: str) -> None:
        self._stopWaiting()
        self.factory.refused += 1
        self.factory.log.info("{peer} {what}", peer=describe(self.transport.getPeer()), what=what)
        self.transport.loseConnection()

    def _stopWaiting(self) -> None:
        """
        Cancel what is scheduled; what comes from now on counts no more.
        """
        self._waiting = False
        for call in (self._deadline, self._missingEnd):
            if call is not None and call.active():
                call.cancel()
        self._deadline = self._missingEnd = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Wait no more.
        """
        self._stopWaiting()


@implementer(IAcceptAnswer)
class PolicyFileFactory(Factory[PolicyFileProtocol]):
    """
    Serves a policy file.

    @ivar policy: the policy file, see L{PolicySource}. It can be changed at any
        time.
    @ivar timeout: maximum time until the request is complete (seconds); 0 for no
        limit.
    @ivar maxLength: the most bytes that a request can have.
    @ivar answered: how many requests have been answered with the file.
    @ivar unanswered: how many have not, since there was none for the port.
    @ivar refused: how many connections have brought none.
    """

    protocol = PolicyFileProtocol
    # Nobody calls here but to ask.
    firstWait = 1
    log = packageLogger()
    noisy = False

    def __init__(
        self,
        policy: PolicySource,
        *,
        timeout: float = REQUEST_TIMEOUT,
        maxLength: int = MAX_REQUEST_LENGTH,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param policy: see L{PolicySource}.
        @param timeout: how long a request may take to arrive, in seconds.
        @param maxLength: the most bytes that a request can have.
        @param clock: for the times; the reactor if there is none.
        """
        self.policy = policy
        self.timeout = timeout
        self.maxLength = maxLength
        self.clock = clockOrReactor(clock)
        self.answered = 0
        self.unanswered = 0
        self.refused = 0

    def firstAnswer(self, data: bytes, peer: IAddress, host: IAddress) -> bytes | None:
        """
        Answer a request that is there when the connection is accepted, see
        L{IAcceptAnswer}.
        """
        answer = None
        if len(data) <= self.maxLength:
            answer = firstAnswer(data, self.policy, peer, host, self.log)
        self.answered += answer is not None
        return answer
