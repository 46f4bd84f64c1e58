"""
The C{openfl:} prefix for Twisted server endpoints, and the parsers of the prefix's arguments.

The prefix adds protocol detection to an endpoint, so that its port accepts plain TCP,
WebSocket and TLS clients, and answers Flash policy requests.
"""

import re
from collections.abc import Callable, Mapping
from errno import EADDRINUSE
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from twisted.internet.defer import Deferred, fail
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

from openfl_twisted.addresses import explainBind
from openfl_twisted.protocols.oneport import OnePortFactory, isHTTPFactory
from openfl_twisted.protocols.policyfile import PolicySource, checkPolicy
from openfl_twisted.protocols.proxyprotocol import ProxyProtocolEndpoint
from openfl_twisted.reactors.backlog import deepenBacklog
from openfl_twisted.reactors.inheriting import IInheritingReactor
from openfl_twisted.similar import similarTo
from openfl_twisted.transports.acceptanswer import answerOnAccept
from openfl_twisted.transports.tcp import coalesceWrites
from openfl_twisted.types import AnyFactory, AnyServerEndpoint
from openfl_twisted.wire.firstbytes import ALL_TYPES, FOREIGN, ClientType, Signature
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.rule import PolicyError

if TYPE_CHECKING:
    # Importing it takes long, and few endpoints record.
    from openfl_twisted.sessions import Recorder

# The named arguments of the openfl: prefix.
_ARGUMENTS = (
    "policy",
    "accept",
    "greetingDelay",
    "passThrough",
    "tlsCertificate",
    "tlsKey",
    "record",
    "recordDialect",
)


# The reasons for users, and the texts of Python and Twisted for invalid descriptions.
_REASONS = {
    r"the \1 is missing": re.compile(r"missing 1 required positional argument: '(\w+)'"),
    r"escape each colon of an IPv6 address, as in interface=\\:\\:1": re.compile(
        r"got multiple values for argument 'interface'"
    ),
    "systemd has passed no socket with this index": re.compile(r"list index out of range"),
    r"\1 is not a number": re.compile(r"invalid literal for int\(\) with base 10: (.*)"),
    r"\1= is not an argument": re.compile(r"got an unexpected keyword argument '(\w+)'"),
    "too many arguments": re.compile(r"takes (?:from \d to )?\d positional argument"),
    "the endpoint type is missing": re.compile(r"Unknown endpoint type: ''"),
    r"unknown endpoint type \1": re.compile(r"Unknown endpoint type: '(.*)'"),
}
_ENDPOINT_TYPES = ("haproxy", "openfl", "ssl", "systemd", "tcp", "tcp6", "unix")


@implementer(IStreamServerEndpoint)
class OpenFLEndpoint:
    """
    A server endpoint with protocol detection. It listens with a factory that is wrapped by
    L{OnePortFactory}.
    """

    def __init__(
        self,
        endpoint: AnyServerEndpoint,
        settings: Mapping[str, Any],
        recorder: "Recorder | None" = None,
    ) -> None:
        """
        @param endpoint: the wrapped endpoint.
        @param settings: arguments of L{OnePortFactory}.
        @param recorder: records all connections; it is started when the port is opened.
        """
        self._endpoint = endpoint
        self._settings = settings
        self._recorder = recorder

    def listen(self, protocolFactory: AnyFactory) -> Deferred[IListeningPort]:
        """
        Open the port.

        @return: fires with the port, or fails with C{ValueError} if the recording cannot start.
        """
        settings = dict(self._settings)
        isUnset = settings.get("passThrough") is None and settings.get("http") is None
        if isUnset and isHTTPFactory(protocolFactory):
            settings["passThrough"] = {Signature.HTTP}
            # If WebSockets were accepted here, any web page could send requests to the server
            # through a WebSocket.
            settings.setdefault("accept", ALL_TYPES - {ClientType.WEBSOCKET})
        if self._recorder is not None:
            from openfl_twisted.sessions import RecordingFactory

            if self._recorder.isStopped:
                try:
                    self._recorder.start()
                except ValueError:
                    return fail()
            protocolFactory = RecordingFactory(
                protocolFactory, self._recorder, clock=settings.get("clock")
            )
        listening: Deferred[IListeningPort] = self._endpoint.listen(
            OnePortFactory(protocolFactory, **settings)
        )
        return listening.addCallback(_preparePort)


def _preparePort(port: IListeningPort) -> IListeningPort:
    """
    Prepare a listening port: set its backlog, coalesce the writes of its connections,
    and answer policy requests as soon as connections are accepted.

    @return: the port.
    """
    return answerOnAccept(coalesceWrites(deepenBacklog(port)))


class StartupError(SystemExit, Exception):
    """
    The server cannot start.

    The exception is a C{SystemExit}, so it ends the process with an error text and status 1,
    without a traceback. It is also an C{Exception}, so that C{twistd} cleans up first.
    """

    @classmethod
    def fromError(cls, error: BaseException | None) -> "StartupError":
        """
        Convert the exception of a port that could not be opened.

        @param error: the exception, often a C{CannotListenError}.
        @return: the error, with a one-line text.
        """
        if not isinstance(error, CannotListenError):
            return cls(f"cannot listen: {error}")
        cause = error.socketError
        reason = explainBind(cause)
        if isinstance(cause, PermissionError):
            reason += ", or see twistd's --uid"
        elif getattr(cause, "errno", None) == EADDRINUSE and error.interface == "::":
            reason += "; the interface :: also accepts IPv4: do not listen with IPv4 as well"
        return cls(f"cannot listen on {error.interface or '*'}:{error.port}: {reason}")


@implementer(IStreamServerEndpoint)
class ListeningEndpoint:
    """
    A server endpoint that reports the address of its port, and prepares the port with
    L{_preparePort}.
    """

    def __init__(self, endpoint: AnyServerEndpoint, opened: Callable[[IAddress], object]) -> None:
        """
        @param opened: called with the address when the port is open.
        """
        self._endpoint = endpoint
        self._opened = opened

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Open the port.

        @return: fires with the port, or fails with L{StartupError}.
        @raise StartupError: if opening the port fails immediately, as for a TCP port or UNIX
            socket.
        """

        def announce(port: IListeningPort) -> IListeningPort:
            self._opened(port.getHost())
            return _preparePort(port)

        def failed(failure: Failure) -> NoReturn:
            raise StartupError.fromError(failure.value) from None

        opening: Deferred[IListeningPort] = self._endpoint.listen(protocolFactory)
        listening = opening.addCallbacks(announce, failed)
        result = getattr(listening, "result", None)
        if isinstance(result, Failure):
            listening.addErrback(lambda _: None)
            result.raiseException()
        return listening


def serverEndpoint(reactor: Any, description: str) -> IStreamServerEndpoint:
    """
    Create a server endpoint from a description, like C{serverFromString}; C{haproxy:}
    creates a L{ProxyProtocolEndpoint}.

    @param reactor: the reactor of the endpoint. The reactor of a worker is an
        L{IInheritingReactor}, whose endpoint replaces a C{systemd:} endpoint.
    @param description: the description, such as C{haproxy:tcp:8080}.
    @raise ValueError: if the description is invalid. Endpoints of other plugins may
        raise other exceptions.
    """
    wrapper, _, wrapped = description.partition(":")
    if description.startswith("haproxy:openfl:"):
        raise ValueError(
            "haproxy: must follow openfl:, because the PROXY header precedes all other data: "
            "write openfl:haproxy:..."
        )
    if wrapper == "systemd" and IInheritingReactor.providedBy(reactor):
        inherited: IStreamServerEndpoint = reactor.inheritedEndpoint()
        return inherited
    if wrapper == "haproxy":
        return ProxyProtocolEndpoint(serverEndpoint(reactor, wrapped), reactor)
    endpoint: IStreamServerEndpoint = serverFromString(reactor, description)
    _checkPort(endpoint)
    return endpoint


def describeEndpointError(description: str, problem: Exception) -> str:
    """
    Describe why the description of an endpoint is invalid. Twisted passes on the exceptions of
    the functions that parse the parts of the description.

    @param description: the description, such as C{tcp:8080}.
    @param problem: the exception of C{serverFromString}, C{clientFromString} or
        L{serverEndpoint}.
    @return: the reason.
    """
    text = str(problem) or type(problem).__name__
    if isinstance(problem, OSError) and problem.strerror:
        return f"{problem.strerror}: {problem.filename}" if problem.filename else problem.strerror
    for words, pattern in _REASONS.items():
        match = pattern.search(text)
        if match is not None:
            text = match.expand(words)
            break
    kind = description.rpartition("openfl:")[2].partition(":")[0]
    if text == f"unknown endpoint type {kind}":
        similar = similarTo(kind, _ENDPOINT_TYPES)
        text += f" (did you mean {similar}?)" if similar else ""
    return text


def _checkPort(endpoint: Any) -> None:
    """
    Check the port of Twisted's endpoints, which report an invalid one only when they listen.

    @raise ValueError: if the port is invalid.
    """
    port = getattr(endpoint, "_port", 0)
    if isinstance(port, int) and not 0 <= port <= 65535:
        raise ValueError(f"the port must be from 0 to 65535, not {port}")


def openflEndpoint(
    endpoint: AnyServerEndpoint, *, recorder: "Recorder | None" = None, **settings: Any
) -> OpenFLEndpoint:
    """
    Add protocol detection to an endpoint.

    @param recorder: records all connections (default: record nothing). The caller stops it.
    @param settings: arguments of L{OnePortFactory}, such as C{http=Site(root)} for web pages
        and a game on one port. Without C{http} and C{passThrough}, an C{HTTPFactory} receives
        the HTTP requests; WebSockets are accepted only if C{accept} contains them.
    @return: the endpoint with protocol detection.
    @raise TypeError: if the endpoint is text, or the policy is not a policy.
    """
    if isinstance(endpoint, str):
        raise TypeError(
            f"openflEndpoint needs an endpoint, not {endpoint!r}: pass"
            f" serverFromString(reactor, {endpoint!r})"
        )
    checkPolicy(settings.get("policy"))
    return OpenFLEndpoint(endpoint, settings, recorder)


def seconds(text: str) -> float:
    """
    Parse a duration.

    @param text: a decimal number, such as C{5} or C{0.5}.
    @return: the duration (seconds; 0 or more).
    @raise ValueError: if the text is not a finite decimal number.
    """
    # float() also accepts inf and nan.
    if not re.fullmatch(r"[0-9]+(\.[0-9]*)?|\.[0-9]+", text):
        raise ValueError(f"{text!r} must be a number of seconds")
    return float(text)


def parseClientTypes(text: str) -> frozenset[ClientType]:
    """
    Parse a list of client types: C{plain}, C{websocket} and C{tls}, separated by
    commas.

    @param text: the list, such as C{plain,tls}.
    @return: the client types. C{POLICY} is always included: the policy decides whether
        policy requests are answered.
    @raise ValueError: if a name is unknown.
    """
    known = {each.value: each for each in ALL_TYPES - {ClientType.POLICY}}
    accept = set()
    for name in text.split(","):
        if name.strip() not in known:
            raise ValueError(
                f"{name.strip()!r} is not a client type: must be one of {', '.join(sorted(known))}"
            )
        accept.add(known[name.strip()])
    return frozenset(accept | {ClientType.POLICY})


def parsePassThrough(text: str) -> frozenset[Signature]:
    """
    Parse a list of protocols whose data is passed to the application unexamined: C{http},
    C{tls} and C{proxy}, separated by commas, or C{none}.

    @param text: the list, such as C{http,tls}.
    @raise ValueError: if a name is unknown.
    """
    known = {signature.value: signature for signature in FOREIGN}
    names = [] if text == "none" else [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise ValueError(
                f"{name!r} is not a protocol: must be one of none, {', '.join(sorted(known))}"
            )
    return frozenset(known[name] for name in names)


def readPolicyFile(path: str) -> PolicyFile:
    """
    Read a policy file.

    @param path: path of the file.
    @raise OSError: if the file cannot be read.
    @raise ValueError: if the file is not a policy file, or grants nothing.
    """
    try:
        policy = PolicyFile.fromXML(Path(path).read_bytes())
    except PolicyError as problem:
        raise ValueError(f"not a policy file: {problem}") from None
    if policy.grantsNothing:
        raise ValueError(f"the policy file grants nothing: {'; '.join(policy.problems())}")
    return policy


def parsePolicy(text: str) -> PolicySource:
    """
    Parse the policy of a port: C{port} to grant all domains access to this port,
    C{none} to answer no policy requests, or the path of a policy file.

    @param text: C{port}, C{none} or a path.
    @raise OSError: if the policy file cannot be read.
    @raise ValueError: if the file is not a policy file, or grants nothing.
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
    record: str | None = None,
    recordDialect: str = "raw",
    **rest: str,
) -> IStreamServerEndpoint:
    """
    Create the endpoint for a description such as C{openfl:tcp:8080}. All other arguments are
    passed to the wrapped endpoint.

    @param reactor: the reactor of the endpoint, and the clock of TLS handshakes.
    @param arguments: the positional arguments: the wrapped endpoint's description.
    @param policy: see L{parsePolicy}.
    @param accept: see L{parseClientTypes} (default: all client types).
    @param greetingDelay: see L{OnePortFactory} (seconds).
    @param passThrough: see L{parsePassThrough} (default: see L{openflEndpoint}).
    @param tlsCertificate: see
        L{ServerCertificates<openfl_twisted.tls.server.ServerCertificates>}.
    @param tlsKey: see C{tlsCertificate}.
    @param record: the folder of recorded sessions, see
        L{Recorder<openfl_twisted.sessions.Recorder>}. They end when the reactor stops.
    @param recordDialect: the name of the dialect, see L{openfl_twisted.wire.dialects}.
    @param rest: the named arguments of the wrapped endpoint.
    @return: the endpoint, which does not listen yet.
    @raise ValueError: if an argument is invalid.
    """
    settings: dict[str, Any] = {"policy": parsePolicy(policy), "clock": reactor}
    if accept is not None:
        settings["accept"] = parseClientTypes(accept)
    if greetingDelay is not None:
        settings["greetingDelay"] = seconds(greetingDelay)
    if passThrough is not None:
        try:
            settings["passThrough"] = parsePassThrough(passThrough)
        except ValueError as problem:
            raise ValueError(f"passThrough={passThrough}: {problem}") from None
    if tlsCertificate is not None:
        # Importing it takes long, and a server without TLS does not need it.
        from openfl_twisted.tls.server import ServerCertificates

        certificates = ServerCertificates(tlsCertificate, tlsKey)
        certificates.report()
        settings["tls"] = certificates.connectionCreator(reactor)
    elif tlsKey is not None:
        raise ValueError(f"tlsKey={tlsKey} requires tlsCertificate")
    for name in rest:
        similar = similarTo(name, _ARGUMENTS, 0.8)
        if similar:
            raise ValueError(f"{name}= is not an argument of openfl: did you mean {similar}=?")
    wrapped = serverEndpoint(reactor, _describe(arguments, rest))
    if record is not None:
        settings["recorder"] = _makeRecorder(reactor, record, recordDialect)
    return openflEndpoint(wrapped, **settings)


def _makeRecorder(reactor: Any, folder: str, dialect: str) -> "Recorder":
    """
    Create a recorder that is stopped with the reactor.

    @raise ValueError: if there is no such dialect.
    """
    # Import the modules here: few endpoints record.
    from openfl_twisted.sessions import Recorder
    from openfl_twisted.wire.dialects import DIALECTS

    if dialect not in DIALECTS:
        raise ValueError(f"recordDialect={dialect}: must be one of {', '.join(DIALECTS)}")
    recorder = Recorder(folder, dialect, DIALECTS[dialect], clock=reactor)
    reactor.addSystemEventTrigger("before", "shutdown", recorder.stop)
    return recorder


def _describe(arguments: tuple[str, ...], rest: dict[str, str]) -> str:
    return ":".join(
        [quoteStringArgument(each) for each in arguments]
        + [f"{name}={quoteStringArgument(value)}" for name, value in rest.items()]
    )
