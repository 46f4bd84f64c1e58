"""
The options and the main function of C{openfl-telnet}.
"""

import contextlib
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NoReturn

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import react
from twisted.python import usage

from openfl_twisted.addresses import describe
from openfl_twisted.clocks import tookTooLong
from openfl_twisted.commandline import Group, GroupedOptions, Option, seconds
from openfl_twisted.hostnames import hostEndpoint
from openfl_twisted.protocols.clientendpoints import clientEndpoint, problemOf, readTrust
from openfl_twisted.protocols.policychecker import PermittedEndpoint, PolicyChecker
from openfl_twisted.protocols.telnet import TelnetFactory, checkEncoding
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.telnetclient.connection import (
    CLOSE_TIMEOUT,
    TelnetClientProtocol,
    XMLClientProtocol,
)
from openfl_twisted.telnetclient.terminal import PlainTerminal, Terminal
from openfl_twisted.tls import Trust
from openfl_twisted.wire.policy.address import Content
from openfl_twisted.wire.policy.decision import Decision
from openfl_twisted.wire.policy.file import MASTER_PORT

# Exit status after a failed connection attempt.
_NO_CONNECTION = 1

# Exit status after a usage error.
_WRONG_USAGE = 2

_hostAndPort = re.compile(r"(?:[^:\[\]]+|\[[^\]]*\]):[0-9]+")

_NEWLINES = {"crlf": b"\r\n", "lf": b"\n"}


class Options(GroupedOptions):
    """
    The options of C{openfl-telnet}. After parsing, C{host} and C{port} are set,
    C{newline} is bytes, and C{trust} a L{Trust}.
    """

    synopsis = "Usage: openfl-telnet [options] HOST [PORT]"
    longdesc = (
        "Connect to a server, send each line of the input, and print the received text. Ctrl-D "
        "ends an interactive session. If the input is a file or a pipe, the program waits for "
        "answers before it exits. PORT defaults to 23, to 992 with --tls, and to 8080 with --xml "
        "(with or without --tls). "
        "The exit status is 1 if the connection attempt fails."
    )

    options: ClassVar[list[Option]] = [
        Option(
            Group.APPLICATION, "xml", "", "Speak XMLSocket: one NUL-terminated message per line."
        ),
        Option(
            Group.APPLICATION,
            "newline",
            "NEWLINE",
            "Line ending to send: crlf or lf.",
            shown="crlf",
        ),
        Option(Group.APPLICATION, "encoding", "NAME", "Character set of the text.", shown="utf-8"),
        Option(Group.TLS, "tls", "", "Connect with TLS and verify the server's certificate."),
        Option(Group.TLS, "ca", "FILE", "Trust only the CA certificates in this PEM file."),
        Option(
            Group.ACCESS,
            "as-flash",
            "URL",
            "Request a policy file first, as a Flash program loaded from this URL does.",
        ),
        Option(
            Group.ACCESS,
            "older-rules",
            "",
            (
                "With --as-flash: apply the rules of Flash Player 6 to 8, which check only the "
                "host and the port, and need no policy file."
            ),
        ),
        Option(
            Group.ACCESS,
            "master-port",
            "N",
            "With --as-flash: port of the master policy file.",
            shown=str(MASTER_PORT),
        ),
        Option(
            Group.TIMEOUTS,
            "timeout",
            "SECONDS",
            "Maximum time to connect, including the policy file and the TLS handshake.",
            20.0,
            seconds,
        ),
        Option(
            Group.TIMEOUTS,
            "wait",
            "SECONDS",
            (
                "Time to wait for more data from the server after the end of the input, before "
                "the program exits."
            ),
            3.0,
            seconds,
        ),
    ]

    def parseArgs(self, host: str = "", port: str | None = None, *rest: str) -> None:
        """
        Store the host and the port.

        @param host: a name or an IP address; IPv6 may be in brackets.
        @param port: the port, not validated yet; C{None} for the default.
        @param rest: further arguments, which are not allowed.
        @raise usage.UsageError: if the host is missing or there are more than
            two arguments.
        """
        if not host or rest:
            raise usage.UsageError("the arguments must be HOST or HOST PORT")
        if _hostAndPort.fullmatch(host):
            raise usage.UsageError(f"{host}: put a space between host and port")
        self["host"] = host.removeprefix("[").removesuffix("]")
        self["port"] = port

    def postOptions(self) -> None:
        """
        Validate the options.

        @raise usage.UsageError: if a value is invalid, or if two options cannot
            be used together.
        """
        self["port"] = self._port(self["port"])
        for option in ("newline", "encoding"):
            if self["xml"] and self[option] is not None:
                raise usage.UsageError(f"--{option} and --xml cannot be used together")
        newline = self["newline"] or "crlf"
        if newline not in _NEWLINES:
            raise usage.UsageError(f"--newline={newline}: must be one of {', '.join(_NEWLINES)}")
        self["newline"] = _NEWLINES[newline]
        try:
            self["encoding"] = checkEncoding(self["encoding"] or "utf-8")
        except ValueError as problem:
            raise usage.UsageError(f"--encoding: {problem}") from None
        self["trust"] = self._trust(self["ca"])
        self["content"] = self._content(self["as-flash"])
        master = self["master-port"]
        self["master-port"] = MASTER_PORT if master is None else self._port(master)

    def _content(self, url: str | None) -> Content | None:
        if url is None:
            for option in ("older-rules", "master-port"):
                if self[option]:
                    raise usage.UsageError(f"--{option} requires --as-flash")
            return None
        try:
            return Content.fromURL(url)
        except ValueError as problem:
            raise usage.UsageError(f"--as-flash: {problem}") from None

    def _port(self, port: str | None) -> int:
        if port is None:
            return 8080 if self["xml"] else 992 if self["tls"] else 23
        if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) <= 65535):
            raise usage.UsageError(f"{port!r} is not a port from 1 to 65535")
        return int(port)

    def _trust(self, path: str | None) -> Trust:
        if path is None:
            return Trust()
        if not self["tls"]:
            raise usage.UsageError("--ca requires --tls")
        try:
            return readTrust(path)
        except ValueError as problem:
            raise usage.UsageError(f"--ca={problem}") from None


class _NotPermitted(Exception):
    """
    No policy file permits the connection.
    """


def _makeEndpoint(
    reactor: Any, options: Options, tell: Callable[[str], object]
) -> IStreamClientEndpoint:
    """
    Create the endpoint of the server.

    @param reactor: an C{IReactorTCP}, C{IReactorPluggableNameResolver} and C{IReactorTime}
        provider.
    @param options: C{host}, C{port} and C{timeout}; C{tls} and C{trust}; and
        C{as-flash}, with C{content}, C{master-port} and C{older-rules}.
    @param tell: called with a line of text for each step of the policy check; only with
        C{as-flash}.
    """
    endpoint = clientEndpoint(
        reactor,
        options["host"],
        options["port"],
        options["timeout"],
        options["trust"] if options["tls"] else None,
    )
    if options["as-flash"] is not None:
        endpoint = PermittedEndpoint(endpoint, lambda: _permission(reactor, options, tell))
    return endpoint


def _permission(reactor: Any, options: Options, tell: Callable[[str], object]) -> Deferred[None]:
    """
    Check the policy files as Flash Player does before a connection.
    """
    checker = PolicyChecker(
        lambda host, port: hostEndpoint(reactor, host, port, options["timeout"]),
        masterPort=options["master-port"],
        olderRules=bool(options["older-rules"]),
        clock=reactor,
    )

    def decided(decision: Decision) -> None:
        origin = options["as-flash"]
        if not decision.permitted:
            raise _NotPermitted(f"refused: a program from {origin} gets a securityError, #2048")
        tell(f"permitted: a program from {origin} may connect")

    checking = checker.check(options["content"], options["host"], options["port"], tell=tell)
    return checking.addCallback(decided)


def makeFactory(reactor: Any, options: Options) -> Factory[Any]:
    """
    Create the factory for the connection.

    @param reactor: an C{IReactorTime} provider.
    @param options: C{xml} and C{wait}, and without C{xml} also C{encoding} and
        C{newline}.
    """
    wait = options["wait"]
    if options["xml"]:
        return XMLSocketFactory(lambda: XMLClientProtocol(reactor, wait=wait), policy=None)
    return TelnetFactory(
        lambda: TelnetClientProtocol(reactor, wait=wait),
        encoding=options["encoding"],
        newline=options["newline"],
    )


def _chooseTerminal(reactor: Any) -> Terminal:
    """
    Create the terminal. It is interactive if standard input and output are a terminal and
    C{prompt_toolkit} is installed.

    @param reactor: an C{IReactorFDSet} and C{IReactorFromThreads} provider.
    @return: a L{PromptTerminal<openfl_twisted.telnetclient.prompt.PromptTerminal>} or a
        L{PlainTerminal}. If standard output is a terminal, the L{PlainTerminal} makes control
        characters visible.
    """
    toTerminal = sys.stdout.isatty()
    if toTerminal and sys.stdin.isatty():
        with contextlib.suppress(ImportError):
            from openfl_twisted.telnetclient.prompt import PromptTerminal

            return PromptTerminal(reactor)
    return PlainTerminal(
        reactor,
        safe=toTerminal,
        inputEncoding=sys.stdin.encoding,
        outputEncoding=sys.stdout.encoding,
    )


async def _talk(
    reactor: Any,
    options: Options,
    endpoint: IStreamClientEndpoint,
    terminal: Terminal,
    tell: Callable[[str], object],
) -> int:
    """
    Connect a terminal to a server until the terminal's input ends or the connection is lost.

    @param reactor: an C{IReactorTime} and C{IReactorCore} provider.
    @param options: see L{makeFactory}. C{timeout} includes the policy check and
        the TLS handshake.
    @param endpoint: the endpoint of the server; see L{_makeEndpoint}.
    @param tell: called with lines about the connection.
    @return: the exit status: 0, or 1 if no connection could be established.
    """
    factory = makeFactory(reactor, options)
    try:
        # One timeout for the policy check, name resolution, TCP and TLS together.
        connecting: Deferred[Any] = endpoint.connect(factory)
        connection = await connecting.addTimeout(options["timeout"], reactor, tookTooLong)
    except _NotPermitted as refusal:
        tell(str(refusal))
        return _NO_CONNECTION
    except Exception as problem:
        tell(problemOf(problem, options["host"], options["port"], options["timeout"]))
        return _NO_CONNECTION
    tell(f"connected to {describe(connection.transport.getPeer())}")
    connection.show = terminal.show
    terminal.start(connection)

    def interrupted() -> Deferred[None]:
        stopped = terminal.stop().addTimeout(CLOSE_TIMEOUT, reactor)
        return stopped.addErrback(lambda failure: failure.trap(defer.TimeoutError))

    # When a signal ends the program, restore the state of the terminal first.
    reactor.addSystemEventTrigger("before", "shutdown", interrupted)
    farewell = await connection.lost
    await terminal.stop()
    tell(farewell)
    return 0


def _tell(line: str) -> None:
    # Standard error may be missing or closed.
    with contextlib.suppress(AttributeError, OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """
    Run the program.

    @param arguments: the arguments, without the program's name (default: the arguments of the
        process).
    @raise SystemExit: always; with status 0, with 1 if no connection could be established, or
        with 2 after a usage error.
    """
    options = Options()
    try:
        options.parseOptions(sys.argv[1:] if arguments is None else list(arguments))
    except usage.UsageError as problem:
        _tell(f"openfl-telnet: {problem}; see --help")
        sys.exit(_WRONG_USAGE)
    if sys.stdin is None or sys.stdout is None:
        _tell("openfl-telnet: standard input or standard output is missing")
        sys.exit(_WRONG_USAGE)

    async def run(reactor: Any) -> None:
        endpoint = _makeEndpoint(reactor, options, _tell)
        status = await _talk(reactor, options, endpoint, _chooseTerminal(reactor), _tell)
        if status:
            raise SystemExit(status)

    react(lambda reactor: Deferred.fromCoroutine(run(reactor)))
