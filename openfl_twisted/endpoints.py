"""
C{openfl:} in front of any endpoint makes its server reachable by every kind of
client: OpenFL native and AIR, browsers by WebSocket, players that ask for the
policy file first, and all of them in TLS.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import quoteStringArgument, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.policyfile import PolicySource
from openfl_twisted.protocols.proxyprotocol import ProxyProtocolEndpoint
from openfl_twisted.reactors.backlog import deepenBacklog
from openfl_twisted.tls.server import ServerCertificates, ServerConnectionCreator
from openfl_twisted.transports.acceptanswer import answerOnAccept
from openfl_twisted.transports.tcp import coalesceWrites
from openfl_twisted.wire.firstbytes import ALL_TYPES, FOREIGN, ClientType, Signature
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.rule import PolicyError


@implementer(IStreamServerEndpoint)
class _OpenFLEndpoint:
    """
    Listens with a L{OnePortFactory} in front of the factory.
    """

    def __init__(self, endpoint: IStreamServerEndpoint, settings: dict[str, Any]) -> None:
        self._endpoint = endpoint
        self._settings = settings

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        settings = dict(self._settings)
        if settings.get("passThrough") is None and _speaksHTTP(protocolFactory):
            settings["passThrough"] = {Signature.HTTP}
            # Otherwise any web page could send requests to the server through a WebSocket.
            settings.setdefault("accept", ALL_TYPES - {ClientType.WEBSOCKET})
        listening = self._endpoint.listen(OnePortFactory(protocolFactory, **settings))
        return listening.addCallback(prepared)


def prepared(port: IListeningPort) -> IListeningPort:
    """
    Prepare a port that listens: set its backlog, coalesce the writes of its
    connections, and answer policy requests as they are accepted.

    @param port: the port.
    @return: the port.
    """
    return answerOnAccept(coalesceWrites(deepenBacklog(port)))


class StartupError(SystemExit, Exception):
    """
    The server cannot start.

    As a C{SystemExit} it ends the process with its text and status 1, and
    without a traceback; as an C{Exception} it lets C{twistd} clean up first.
    """

    @classmethod
    def fromError(cls, error: BaseException | None) -> "StartupError":
        """
        Describe the failure to open a port.

        @param error: the exception, often a C{CannotListenError}.
        @return: the error with a text of one line.
        """
        if not isinstance(error, CannotListenError):
            return cls(f"cannot listen: {error}")
        cause = error.socketError
        reason = getattr(cause, "strerror", None) or str(cause)
        if isinstance(cause, PermissionError):
            reason += "; a port below 1024 needs the right to it, see twistd's --uid"
        return cls(f"cannot listen on {error.interface or '*'}:{error.port}: {reason}")


@implementer(IStreamServerEndpoint)
class ListeningEndpoint:
    """
    The endpoint of a port of a command: it reports the address when the port is
    open, and prepares the port; see L{prepared}.
    """

    def __init__(
        self, endpoint: IStreamServerEndpoint, opened: Callable[[IAddress], object]
    ) -> None:
        """
        @param endpoint: the endpoint to listen on.
        @param opened: called with the address when the port is open.
        """
        self._endpoint = endpoint
        self._opened = opened

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Open the port.

        @return: fires with the port, or fails with L{StartupError}.
        @raise StartupError: if opening the port fails immediately, as it does for
            sockets.
        """

        def announce(port: IListeningPort) -> IListeningPort:
            self._opened(port.getHost())
            return prepared(port)

        def failed(failure: Failure) -> NoReturn:
            raise StartupError.fromError(failure.value) from None

        listening = self._endpoint.listen(protocolFactory).addCallbacks(announce, failed)
        result = getattr(listening, "result", None)
        if isinstance(result, Failure):
            listening.addErrback(lambda _: None)
            result.raiseException()
        return listening


def serverEndpoint(reactor: Any, description: str) -> IStreamServerEndpoint:
    """
    Make the endpoint of a description as C{serverFromString} does, except that
    C{haproxy:} is a L{ProxyProtocolEndpoint}.

    @param reactor: the reactor of the endpoint.
    @param description: such as C{haproxy:tcp:8080}.
    @return: the endpoint.
    @raise ValueError: if the description is invalid. Other types of endpoints
        raise other exceptions.
    """
    wrapper, _, wrapped = description.partition(":")
    if description.startswith("haproxy:openfl:"):
        raise ValueError("the PROXY header precedes all other data: write openfl:haproxy:...")
    if wrapper == "haproxy":
        return ProxyProtocolEndpoint(serverEndpoint(reactor, wrapped), reactor)
    endpoint: IStreamServerEndpoint = serverFromString(reactor, description)
    return endpoint


def _speaksHTTP(factory: IProtocolFactory) -> bool:
    """
    Check whether a factory is one of Twisted's for HTTP, without importing them.
    """
    return any(
        (each.__module__, each.__name__) == ("twisted.web.http", "HTTPFactory")
        for each in type(factory).__mro__
    )


def openflEndpoint(endpoint: IStreamServerEndpoint, **settings: Any) -> IStreamServerEndpoint:
    """
    Make the server of an endpoint reachable by every kind of client.

    @param endpoint: where to listen.
    @param settings: those of L{OnePortFactory}. Without C{passThrough} it depends
        on the server: one of C{twisted.web} gets HTTP requests, and WebSockets
        only if C{accept} contains them.
    """
    return _OpenFLEndpoint(endpoint, settings)


def seconds(text: str) -> float:
    """
    Read a time in seconds.

    @param text: such as C{5} or C{0.5}.
    @return: the time; it can be 0.
    @raise ValueError: if it is none.
    """
    # Neither inf nor nan is a time that one could wait.
    if not re.fullmatch(r"[0-9]+(\.[0-9]*)?|\.[0-9]+", text):
        raise ValueError(f"{text!r} is not a number of seconds")
    return float(text)


def acceptOf(text: str) -> frozenset[ClientType]:
    """
    Parse a list of client types: C{plain}, C{websocket} and C{tls}, separated by commas.
    Whether policy requests are answered depends on the policy.

    @param text: such as C{plain,tls}.
    @raise ValueError: if there is something else.
    """
    known = {each.value: each for each in ALL_TYPES - {ClientType.POLICY}}
    accept = set()
    for name in text.split(","):
        if name.strip() not in known:
            raise ValueError(
                f"{name.strip()!r} is not a client type; the types are {', '.join(sorted(known))}"
            )
        accept.add(known[name.strip()])
    return frozenset(accept | {ClientType.POLICY})


def passThroughOf(text: str) -> frozenset[Signature]:
    """
    Parse a list of protocols to pass to the application unexamined: C{http},
    C{tls} and C{proxy}, separated by commas, or C{none}.

    @param text: such as C{http,tls}.
    @return: the protocols.
    @raise ValueError: if a name is unknown.
    """
    known = {signature.value: signature for signature in FOREIGN}
    names = [] if text == "none" else [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise ValueError(f"{name!r} must be one of none, {', '.join(sorted(known))}")
    return frozenset(known[name] for name in names)


def readPolicyFile(path: str) -> PolicyFile:
    """
    Read a policy file.

    @param path: where it is.
    @raise OSError: if it cannot be read.
    @raise ValueError: if it is no policy file, or grants nothing.
    """
    try:
        policy = PolicyFile.fromXML(Path(path).read_bytes())
    except PolicyError as problem:
        raise ValueError(f"this is no policy file: {problem}") from None
    if policy.grantsNothing:
        raise ValueError(f"this grants nothing: {'; '.join(policy.problems())}")
    return policy


def policyOf(text: str) -> PolicySource:
    """
    Read what is answered to policy requests: C{port} for all who want to
    connect to this port, C{none} for no answer, or the path of a file; see
    L{readPolicyFile}.

    @param text: C{port}, C{none} or a path.
    """
    match text:
        case "port":
            return PolicyFile.forPort
        case "none":
            return None
        case path:
            return readPolicyFile(path)


def parseServer(
    reactor: Any,
    *arguments: str,
    policy: str = "port",
    accept: str | None = None,
    greetingDelay: str | None = None,
    passThrough: str | None = None,
    tlsCertificate: str | None = None,
    tlsKey: str | None = None,
    **rest: str,
) -> IStreamServerEndpoint:
    """
    Make the endpoint of a description such as C{openfl:tcp:8080}. What is named
    here is for C{openfl:}, and all else is for the endpoint behind it.

    @param reactor: the reactor of the endpoint, and the clock of TLS.
    @param arguments: the description of the endpoint behind, part by part.
    @param policy: see L{policyOf}.
    @param accept: see L{acceptOf}; everybody if it is not given.
    @param greetingDelay: see L{OnePortFactory}, in seconds.
    @param passThrough: see L{passThroughOf}; if not given, see
        L{openflEndpoint}.
    @param tlsCertificate: see
        L{ServerCertificates<openfl_twisted.tls.server.ServerCertificates>}.
    @param tlsKey: see there.
    @param rest: the named settings of the endpoint behind.
    @return: an endpoint with the door in front; nothing listens yet.
    @raise ValueError: if one of these is wrong.
    """
    settings: dict[str, Any] = {"policy": policyOf(policy), "clock": reactor}
    if accept is not None:
        settings["accept"] = acceptOf(accept)
    if greetingDelay is not None:
        settings["greetingDelay"] = seconds(greetingDelay)
    if passThrough is not None:
        try:
            settings["passThrough"] = passThroughOf(passThrough)
        except ValueError as problem:
            raise ValueError(f"passThrough={passThrough}: {problem}") from None
    if tlsCertificate is not None:
        certificates = ServerCertificates(tlsCertificate, tlsKey)
        certificates.report()
        settings["tls"] = ServerConnectionCreator(certificates, clock=reactor)
    elif tlsKey is not None:
        raise ValueError(f"tlsKey={tlsKey}: tlsCertificate is missing")
    return openflEndpoint(serverEndpoint(reactor, _describe(arguments, rest)), **settings)


def _describe(arguments: tuple[str, ...], rest: dict[str, str]) -> str:
    return ":".join(
        [quoteStringArgument(each) for each in arguments]
        + [f"{name}={quoteStringArgument(value)}" for name, value in rest.items()]
    )
