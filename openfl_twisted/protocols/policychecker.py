"""
Decides as Flash Player does whether a program may connect: it gets the policy
files in the player's order, and reads them by the player's rules.

  1. The files that C{Security.loadPolicyFile} has named, if they are of this
     host.
  2. The master of the host, on port 843. If it does not come within 3 seconds
     there is none.
  3. The file of the port itself, unless the master forbids that.
"""

from collections.abc import Callable, Iterable

from twisted.internet import error
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.protocols.policyclient import ANSWER_TIMEOUT, askForPolicy
from openfl_twisted.wire.policy.address import Content, policyAddress
from openfl_twisted.wire.policy.decision import Decision, decide, decideByOlderRules
from openfl_twisted.wire.policy.file import MASTER_PORT, PolicyFile
from openfl_twisted.wire.policy.rule import PolicyError, shown

MASTER_TIMEOUT = 3.0
"""
How long the master may take, in seconds; then there is none.
"""

NAMED_TIMEOUT = 600.0
"""
How long a file may take that C{loadPolicyFile} has named, in seconds. Flash
Player waits for ever; whoever wants to connect has less time than this.
"""

MAX_FILES = 1000
"""
How many policy files are known at once; beyond it the oldest is forgotten.
"""


class _Answer:
    """
    What came of asking for a file.
    """

    def __init__(self, told: str, policy: PolicyFile | None = None) -> None:
        self.told = told
        self.policy = policy


def _answerOf(data: bytes) -> _Answer:
    """
    Read what has come.
    """
    return _Answer(f"a policy file of {len(data)} bytes", PolicyFile.fromXML(data))


def _noAnswer(failure: Failure) -> _Answer:
    """
    Say in words why no file has come.
    """
    match failure.value:
        case PolicyError() as problem:
            told = f"the answer is not a policy file: {problem}"
        case error.ConnectionRefusedError():
            told = "no server listens there"
        case error.DNSLookupError():
            told = "there is no address for that name"
        case error.TimeoutError():
            told = "no answer in time"
        case error.ConnectError(args=(str(reason), *_)) if reason:
            told = f"it cannot be reached: {reason}"
        case problem:
            told = f"it cannot be reached: {problem}"
    return _Answer(told)


class _Retrieval:
    """
    One file that is being got, or has been got, for all who want it.
    """

    def __init__(
        self, asking: Deferred[bytes], abandoned: Callable[["_Retrieval"], object]
    ) -> None:
        """
        @param asking: fires with the file.
        @param abandoned: called when nobody wants it any more.
        """
        self.answer: _Answer | None = None
        self._abandoned = abandoned
        self._waiting: list[Deferred[_Answer]] = []
        self._asking = asking.addCallback(_answerOf).addErrback(_noAnswer).addCallback(self._came)

    def wait(self) -> Deferred[_Answer]:
        """
        Wait for what comes of it. If all who wait are cancelled, so is this.
        """
        if self.answer is not None:
            return succeed(self.answer)
        waiting: Deferred[_Answer] = Deferred(self._left)
        self._waiting.append(waiting)
        return waiting

    def _came(self, answer: _Answer) -> None:
        self.answer = answer
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            # One may have been cancelled by what another one has led to.
            if not each.called:
                each.callback(answer)

    def _left(self, waiting: Deferred[_Answer]) -> None:
        if waiting not in self._waiting:
            return
        self._waiting.remove(waiting)
        if not self._waiting:
            self._abandoned(self)
            self._asking.cancel()


class PolicyChecker:
    """
    Gets policy files, keeps them, and decides by them.

    @ivar masterPort: where the master is asked for. Another port than 843
        stands for it, with all its rights, in a test.
    @ivar masterTimeout: how long the master may take, in seconds.
    @ivar answerTimeout: how long the file of the port itself may take, in
        seconds.
    @ivar olderRules: whether to decide by the guide's older rules, without any
        policy file: see L{decideByOlderRules}.
    """

    def __init__(
        self,
        endpointFor: Callable[[str, int], IStreamClientEndpoint],
        *,
        masterPort: int = MASTER_PORT,
        masterTimeout: float = MASTER_TIMEOUT,
        answerTimeout: float = ANSWER_TIMEOUT,
        olderRules: bool = False,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param endpointFor: given a host and a port, makes the way to them.
        @param masterPort: see the attribute.
        @param masterTimeout: see the attribute.
        @param answerTimeout: see the attribute.
        @param olderRules: see the attribute.
        @param clock: for the times; the reactor if there is none.
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
        Forget all files that have been got. Who waits for one still gets it.
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

        @param content: the program.
        @param host: where it wants to connect, IPv6 without brackets.
        @param port: the port there.
        @param named: the URLs that were given to C{loadPolicyFile}.
        @param tell: takes each reason as it is found.
        @return: fires with the decision. Who cancels it ends what is under way
            for nobody else.
        """
        walk = _Walk(self, content, host, port, tell or (lambda line: None))
        return Deferred.fromCoroutine(walk.decide(tuple(named)))

    def get(self, host: str, port: int, timeout: float) -> Deferred[_Answer]:
        """
        Get a file, or remember it; all who want it at once share it.

        @param host: whom to ask, IPv6 without brackets; capital letters do not
            count.
        @param port: the port there.
        @param timeout: how many seconds it may take to get it. Who asks for one
            that is on its way waits as long as the first who has asked.
        @return: fires with what came of it; it never fails.
        """
        key = host.lower(), port
        if key not in self._files:
            if len(self._files) >= MAX_FILES:
                del self._files[next(iter(self._files))]
            asking = askForPolicy(self._endpointFor(host, port), timeout=timeout, clock=self._clock)
            self._files[key] = _Retrieval(asking, lambda retrieval: self._abandon(key, retrieval))
        return self._files[key].wait()

    def _abandon(self, key: tuple[str, int], retrieval: _Retrieval) -> None:
        # Another one may be in its place since somebody said forget().
        if self._files.get(key) is retrieval:
            del self._files[key]


class _Walk:
    """
    One decision, step by step.
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
        self._tellOutside = tell
        self._reasons: list[str] = []

    def _tell(self, line: str) -> None:
        self._reasons.append(line)
        self._tellOutside(line)

    async def decide(self, named: tuple[str, ...]) -> Decision:
        """
        Take the steps.
        """
        return Decision(await self._permitted(named), tuple(self._reasons))

    async def _permitted(self, named: tuple[str, ...]) -> bool:
        checker = self._checker
        if checker.olderRules:
            decision = decideByOlderRules(self._content, self._host, self._port)
            for reason in decision.reasons:
                self._tell(reason)
            return decision.permitted
        for url in named:
            if await self._namedPermits(url):
                return True
        name = f"master policy file, port {checker.masterPort}"
        master = await self._get(name, checker.masterPort, checker.masterTimeout)
        if master is not None:
            if self._decide(master, MASTER_PORT):
                return True
            if master.metaPolicy() != "all":
                control = shown(master.siteControl or "")
                self._tell(
                    f"the master policy file has site-control {control}: "
                    "no other policy file is valid"
                )
                return False
        if self._port == checker.masterPort:
            return False
        name = f"policy file of port {self._port} itself"
        own = await self._get(name, self._port, checker.answerTimeout)
        return own is not None and self._decide(own, self._port)

    async def _namedPermits(self, url: str) -> bool:
        """
        Look at a file that C{loadPolicyFile} has named.
        """
        try:
            host, port = policyAddress(url)
        except ValueError as problem:
            self._tell(f"loadPolicyFile: {problem}")
            return False
        if host.lower() != self._host.lower():
            # It can only speak for its own host.
            return False
        policy = await self._get(f"policy file that was named, port {port}", port, NAMED_TIMEOUT)
        return policy is not None and self._decide(policy, port)

    async def _get(self, name: str, port: int, timeout: float) -> PolicyFile | None:
        answer = await self._checker.get(self._host, port, timeout)
        self._tell(f"{name}: {answer.told}")
        return answer.policy

    def _decide(self, policy: PolicyFile, servedFrom: int) -> bool:
        decision = decide(policy, self._content, self._port, servedFrom)
        for reason in decision.reasons:
            self._tell(reason)
        return decision.permitted


@implementer(IStreamClientEndpoint)
class PermittedEndpoint:
    """
    A way to a server that is taken only with permission.
    """

    def __init__(
        self, endpoint: IStreamClientEndpoint, permit: Callable[[], Deferred[None]]
    ) -> None:
        """
        @param endpoint: the way.
        @param permit: asks for the permission; it fails if there is none.
        """
        self._endpoint = endpoint
        self._permit = permit

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Ask, and then connect.

        @return: fires with the protocol; fails as the permission or the endpoint
            has failed.
        """
        return self._permit().addCallback(lambda _: self._endpoint.connect(protocolFactory))
