"""
Decides whether a program may connect, like Flash Player: fetches the policy files in the
player's order, and applies the player's rules.

  1. The policy files passed to C{Security.loadPolicyFile}, if they are on the host to connect
     to.
  2. The master policy file of the host, on port 843. If the file is not received within 3
     seconds, it is treated as missing.
  3. The policy file of the port to connect to. It is not requested if the master policy file
     forbids policy files on other ports.
"""

from collections.abc import Callable, Iterable

from twisted.internet import error
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.protocols.policyclient import ANSWER_TIMEOUT, askForPolicy
from openfl_twisted.types import AnyClock, AnyEndpoint
from openfl_twisted.wire.policy.address import Content, policyAddress
from openfl_twisted.wire.policy.decision import Decision, decide, decideByOlderRules
from openfl_twisted.wire.policy.file import MASTER_PORT, PolicyFile
from openfl_twisted.wire.policy.rule import PolicyError, shown

_MASTER_TIMEOUT = 3.0
"""
Maximum time to fetch the master policy file (seconds). After this time, the file is treated as
missing.
"""

NAMED_TIMEOUT = 600.0
"""
Maximum time to fetch a policy file passed to C{loadPolicyFile} (seconds). Flash Player waits
indefinitely, but connection attempts have shorter timeouts.
"""

_MAX_FILES = 1000
"""
Maximum number of cached policy files. Beyond this number, the oldest file is removed.
"""


class _Answer:
    """
    The result of fetching a policy file.
    """

    def __init__(self, description: str, policy: PolicyFile | None = None) -> None:
        self.description = description
        self.policy = policy


def _parseAnswer(data: bytes) -> _Answer:
    return _Answer(f"a policy file of {len(data)} bytes", PolicyFile.fromXML(data))


def _explainFailure(failure: Failure) -> _Answer:
    """
    Return the reason why a policy file could not be fetched.
    """
    match failure.value:
        case PolicyError() as problem:
            description = f"invalid policy file: {problem}"
        case error.ConnectionRefusedError():
            description = "connection refused"
        case error.DNSLookupError():
            description = "unknown host name"
        case error.TimeoutError():
            description = "no answer in time"
        case error.ConnectError(args=(str(reason), *_)) if reason:
            description = f"connection failed: {reason}"
        case problem:
            description = f"connection failed: {problem}"
    return _Answer(description)


class _Retrieval:
    """
    A policy file that is being fetched or has been fetched, shared by all callers that need
    this file.
    """

    def __init__(
        self, fetching: Deferred[bytes], abandoned: Callable[["_Retrieval"], object]
    ) -> None:
        """
        @param abandoned: called when all callers have cancelled.
        """
        self.answer: _Answer | None = None
        self._abandoned = abandoned
        self._waiting: list[Deferred[_Answer]] = []
        self._fetching = (
            fetching.addCallback(_parseAnswer)
            .addErrback(_explainFailure)
            .addCallback(self._answered)
        )

    def wait(self) -> Deferred[_Answer]:
        """
        Wait for the result. If all callers cancel, fetching is cancelled.
        """
        if self.answer is not None:
            return succeed(self.answer)
        waiting: Deferred[_Answer] = Deferred(self._cancelled)
        self._waiting.append(waiting)
        return waiting

    def _answered(self, answer: _Answer) -> None:
        self.answer = answer
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            # A callback may have cancelled another caller's Deferred.
            if not each.called:
                each.callback(answer)

    def _cancelled(self, waiting: Deferred[_Answer]) -> None:
        if waiting not in self._waiting:
            return
        self._waiting.remove(waiting)
        if not self._waiting:
            self._abandoned(self)
            self._fetching.cancel()


class PolicyChecker:
    """
    Fetches policy files, caches them, and applies them.

    @ivar masterPort: port of the master policy file (default 843). Tests can use another port.
    @ivar masterTimeout: maximum time to fetch the master policy file (seconds).
    @ivar answerTimeout: maximum time to fetch the policy file of the port to connect to
        (seconds).
    @ivar olderRules: whether to apply the rules of Flash Player 6 to 8, which need no
        policy files; see L{decideByOlderRules}.
    """

    def __init__(
        self,
        endpointFor: Callable[[str, int], AnyEndpoint],
        *,
        masterPort: int = MASTER_PORT,
        masterTimeout: float = _MASTER_TIMEOUT,
        answerTimeout: float = ANSWER_TIMEOUT,
        olderRules: bool = False,
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param endpointFor: called with a host and a port; returns the endpoint to fetch the
            policy file from.
        @param clock: the clock (default: the global reactor).
        """
        self.masterPort = masterPort
        self.masterTimeout = masterTimeout
        self.answerTimeout = answerTimeout
        self.olderRules = olderRules
        self._endpointFor = endpointFor
        self._clock = clock
        self._files: dict[tuple[str, int], _Retrieval] = {}

    def forget(self) -> None:
        """
        Clear the cache. Pending requests still receive their files.
        """
        self._files.clear()

    def check(
        self,
        content: Content,
        host: str,
        port: int,
        *,
        named: Iterable[str] = (),
        tell: Callable[[str], object] | None = None,
    ) -> Deferred[Decision]:
        """
        Decide whether a program may connect.

        @param host: the host of the server, IPv6 without brackets.
        @param port: the port of the server.
        @param named: the URLs passed to C{loadPolicyFile}.
        @param tell: called with each reason for the decision as soon as the reason is known.
        @return: fires with the decision. Cancelling the Deferred cancels the requests for
            policy files that no other check needs.
        """
        check = _Check(self, content, host, port, tell or (lambda line: None))
        return Deferred.fromCoroutine(check.decide(tuple(named)))

    def get(self, host: str, port: int, timeout: float) -> Deferred[_Answer]:
        """
        Return a policy file from the cache, or fetch it. Concurrent requests share one
        connection.

        @param host: the host of the server, IPv6 without brackets; case-insensitive.
        @param port: the port of the server.
        @param timeout: maximum time to fetch the file (seconds). Ignored if the file is
            already being fetched: the first caller's timeout then applies.
        @return: fires with the result; never fails.
        """
        key = host.lower(), port
        if key not in self._files:
            if len(self._files) >= _MAX_FILES:
                del self._files[next(iter(self._files))]
            fetching = askForPolicy(
                self._endpointFor(host, port), timeout=timeout, clock=self._clock
            )
            self._files[key] = _Retrieval(fetching, lambda retrieval: self._abandon(key, retrieval))
        return self._files[key].wait()

    def _abandon(self, key: tuple[str, int], retrieval: _Retrieval) -> None:
        # After forget(), the cache may contain another retrieval of the same file.
        if self._files.get(key) is retrieval:
            del self._files[key]


class _Check:
    """
    Decides whether one connection is permitted, and collects the reasons. Each instance is
    used once.
    """

    def __init__(
        self,
        checker: PolicyChecker,
        content: Content,
        host: str,
        port: int,
        tell: Callable[[str], object],
    ) -> None:
        self._checker = checker
        self._content = content
        self._host = host
        self._port = port
        self._reasonFound = tell
        self._reasons: list[str] = []

    def _report(self, line: str) -> None:
        self._reasons.append(line)
        self._reasonFound(line)

    async def decide(self, named: tuple[str, ...]) -> Decision:
        return Decision(await self._permitted(named), tuple(self._reasons))

    async def _permitted(self, named: tuple[str, ...]) -> bool:
        checker = self._checker
        if checker.olderRules:
            decision = decideByOlderRules(self._content, self._host, self._port)
            for reason in decision.reasons:
                self._report(reason)
            return decision.permitted
        for url in named:
            if await self._namedPermits(url):
                return True
        name = f"master policy file on port {checker.masterPort}"
        master = await self._get(name, checker.masterPort, checker.masterTimeout)
        if master is not None:
            if self._decide(master, MASTER_PORT):
                return True
            if master.metaPolicy() != "all":
                control = shown(master.siteControl or "")
                self._report(
                    f"the master policy file has site-control {control}: "
                    "no other policy file is valid"
                )
                return False
        if self._port == checker.masterPort:
            return False
        name = f"policy file on port {self._port}"
        own = await self._get(name, self._port, checker.answerTimeout)
        return own is not None and self._decide(own, self._port)

    async def _namedPermits(self, url: str) -> bool:
        """
        Check whether a policy file passed to C{loadPolicyFile} permits the connection.
        """
        try:
            host, port = policyAddress(url)
        except ValueError as problem:
            self._report(f"loadPolicyFile: {problem}")
            return False
        if host.lower() != self._host.lower():
            # A policy file applies only to the host from which it was fetched.
            return False
        policy = await self._get(
            f"policy file from loadPolicyFile on port {port}", port, NAMED_TIMEOUT
        )
        return policy is not None and self._decide(policy, port)

    async def _get(self, name: str, port: int, timeout: float) -> PolicyFile | None:
        answer = await self._checker.get(self._host, port, timeout)
        self._report(f"{name}: {answer.description}")
        return answer.policy

    def _decide(self, policy: PolicyFile, servedFrom: int) -> bool:
        decision = decide(policy, self._content, self._port, servedFrom)
        for reason in decision.reasons:
            self._report(reason)
        return decision.permitted


@implementer(IStreamClientEndpoint)
class PermittedEndpoint:
    """
    An endpoint that connects only with permission.
    """

    def __init__(
        self, endpoint: IStreamClientEndpoint, permit: Callable[[], Deferred[None]]
    ) -> None:
        """
        @param permit: requests the permission; returns a Deferred that fails if the permission
            is denied.
        """
        self._endpoint = endpoint
        self._permit = permit

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Request the permission, then connect.

        @return: fires with the protocol; fails with the error from C{permit} or from the
            wrapped endpoint.
        """
        return self._permit().addCallback(lambda _: self._endpoint.connect(protocolFactory))
