"""
Checks whether a socket may connect, as defined by C{Security} and the policy files.
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

_LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")


def _content() -> Content:
    """
    Return the origin of this program, to which policy rules apply.

    @raise errors.ArgumentError: if C{Security.swfURL} is not an HTTP or HTTPS URL.
    """
    if Security.sandboxType != Security.REMOTE or Security.swfURL is None:
        return Content()
    try:
        return Content.fromURL(Security.swfURL)
    except ValueError as problem:
        raise errors.ArgumentError(f"Security.swfURL: {problem}") from None


class _Permissions:
    """
    The permissions of a process, with a cache of policy files.

    @ivar masterPort: the port of the master policy file. A change takes effect after
        L{forget}. Tests change the port, because they cannot listen on port 843.
    """

    def __init__(self) -> None:
        self.masterPort = MASTER_PORT
        self._reactor: Any = None
        self._checker: PolicyChecker | None = None

    def defaultHost(self) -> str:
        """
        Return the default host: the host from which the program was loaded.

        @return: a host name or an address; C{localhost} if the origin is unknown.
        """
        return _content().domain or "localhost"

    def forget(self) -> None:
        """
        Drop all policy files: the cached files, and the files named by
        C{Security.loadPolicyFile}.
        """
        self._checker = None
        Security.policyFiles.clear()

    def permittedEndpoint(
        self, endpoint: IStreamClientEndpoint, host: str, port: int, reactor: Any
    ) -> IStreamClientEndpoint:
        """
        Wrap an endpoint so that it checks the permission before it connects.

        @param host: the server's host name or address.
        @param port: the server's port.
        @param reactor: the reactor that is used to request policy files.
        @return: the same endpoint if no permission is needed; otherwise an endpoint that fails
            with a C{SecurityError} #2048 if the permission is denied.
        @raise errors.SecurityError: #2010, if this program must not use sockets.
        @raise errors.ArgumentError: if C{Security.swfURL} is not an HTTP or HTTPS URL.
        """
        sandbox = Security.sandboxType
        host = host.removeprefix("[").removesuffix("]")
        if sandbox == Security.LOCAL_WITH_FILE:
            raise errors.SecurityError.numbered(2010)
        if sandbox == Security.APPLICATION:
            return endpoint
        if sandbox == Security.LOCAL_TRUSTED and host.lower() in _LOOPBACK_HOSTS:
            return endpoint
        content, named = _content(), tuple(Security.policyFiles)
        server = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        violation = errors.messageOf(2048, Security.swfURL or sandbox, server)

        def denyIfRefused(decision: Decision) -> None:
            if not decision.permitted:
                raise errors.SecurityError(f"{violation} {decision}", 2048)

        def permit() -> Deferred[None]:
            checking = self._checkerFor(reactor).check(content, host, port, named=named)
            return checking.addCallback(denyIfRefused)

        return PermittedEndpoint(endpoint, permit)

    def _checkerFor(self, reactor: Any) -> PolicyChecker:
        """
        Return the policy checker of a reactor. Policy files are not shared between reactors,
        because an in-memory reactor has its own network.
        """
        if self._checker is None or self._reactor is not reactor:
            self._reactor = reactor
            self._checker = PolicyChecker(
                # The policy checker has a shorter timeout for each policy file.
                lambda host, port: hostEndpoint(reactor, host, port, NAMED_TIMEOUT),
                masterPort=self.masterPort,
                clock=reactor,
            )
        return self._checker


permissions = _Permissions()
"""
The permissions of this process. All sockets of the process share the policy files, as the
sockets of one Flash Player do.
"""


def forgetPolicyFiles() -> None:
    """
    Drop the policy files of this process: the files requested for sockets, and the files named
    by C{Security.loadPolicyFile}.
    """
    permissions.forget()
