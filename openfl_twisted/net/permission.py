"""
The permission that a socket needs, by what C{Security} says of the program.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint

from openfl_twisted import errors
from openfl_twisted.hostnames import hostEndpoint
from openfl_twisted.protocols.policychecker import NAMED_TIMEOUT, PermittedEndpoint, PolicyChecker
from openfl_twisted.system import Security
from openfl_twisted.wire.policy.address import Content
from openfl_twisted.wire.policy.decision import Decision
from openfl_twisted.wire.policy.file import MASTER_PORT

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def _content() -> Content:
    """
    Say what program this is.

    @raise errors.ArgumentError: if C{Security.swfURL} is no URL of http or
        https.
    """
    if Security.sandboxType != Security.REMOTE or Security.swfURL is None:
        return Content()
    try:
        return Content.fromURL(Security.swfURL)
    except ValueError as problem:
        raise errors.ArgumentError(f"Security.swfURL: {problem}") from None


class Permissions:
    """
    The permissions of a process, with the policy files that it has got.

    @ivar masterPort: where the master policy file is asked for, from the next
        L{forget} on; it is for tests, which have no right to port 843.
    """

    def __init__(self) -> None:
        self.masterPort = MASTER_PORT
        self._reactor: Any = None
        self._checker: PolicyChecker | None = None

    def home(self) -> str:
        """
        Say which host is meant if none is named: the one from which the program
        came.

        @return: a host name or an address; C{localhost} if nobody says where the
            program is from.
        """
        return _content().domain or "localhost"

    def forget(self) -> None:
        """
        Forget all policy files, got or named.
        """
        self._checker = None
        Security.policyFiles.clear()

    def inFrontOf(
        self, endpoint: IStreamClientEndpoint, host: str, port: int, reactor: Any
    ) -> IStreamClientEndpoint:
        """
        Put the permission in front of the way to a server, if there must be
        one.

        @param endpoint: the way to the server.
        @param host: the server, by its name or its address.
        @param port: its port.
        @param reactor: for the way to the policy files.
        @return: the same way if no permission is needed, or one that fails with a
            C{SecurityError} #2048 if there is none.
        @raise errors.SecurityError: #2010, if this program may not use sockets.
        @raise errors.ArgumentError: if C{Security.swfURL} is no URL of http or
            https.
        """
        sandbox = Security.sandboxType
        host = host.removeprefix("[").removesuffix("]")
        if sandbox == Security.LOCAL_WITH_FILE:
            raise errors.SecurityError.numbered(2010)
        if sandbox == Security.APPLICATION:
            return endpoint
        if sandbox == Security.LOCAL_TRUSTED and host.lower() in _THIS_MACHINE:
            return endpoint
        content, named = _content(), tuple(Security.policyFiles)
        server = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        violation = errors.messageOf(2048, Security.swfURL or sandbox, server)

        def decided(decision: Decision) -> None:
            if not decision.permitted:
                raise errors.SecurityError(f"{violation} {decision}", 2048)

        def permit() -> Deferred[None]:
            checking = self._checkerOn(reactor).check(content, host, port, named=named)
            return checking.addCallback(decided)

        return PermittedEndpoint(endpoint, permit)

    def _checkerOn(self, reactor: Any) -> PolicyChecker:
        """
        Get what knows the files of this process. What came over another reactor
        came from another network.
        """
        if self._checker is None or self._reactor is not reactor:
            self._reactor = reactor
            self._checker = PolicyChecker(
                # The checker has its own time for each file, which is less.
                lambda host, port: hostEndpoint(reactor, host, port, NAMED_TIMEOUT),
                masterPort=self.masterPort,
                clock=reactor,
            )
        return self._checker


permissions = Permissions()
"""
Those of this process: the sockets of one Flash Player share what it has got.
"""


def forgetPolicyFiles() -> None:
    """
    Forget the policy files of this process: those that have been got for its
    sockets, and those that C{Security.loadPolicyFile} has named.
    """
    permissions.forget()
