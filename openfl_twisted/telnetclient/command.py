"""
The program C{openfl-telnet}.
"""

import contextlib
import math
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, NoReturn

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import react
from twisted.python import usage

from openfl_twisted.addresses import describe
from openfl_twisted.clocks import tookTooLong
from openfl_twisted.hostnames import hostEndpoint
from openfl_twisted.protocols.policychecker import PermittedEndpoint, PolicyChecker
from openfl_twisted.protocols.securesocket import SecureEndpoint
from openfl_twisted.protocols.telnet import TelnetFactory, checkEncoding
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.telnetclient.connection import CLOSE_TIMEOUT, TelnetCall, XMLCall, problemOf
from openfl_twisted.telnetclient.terminal import Terminal, chooseTerminal
from openfl_twisted.tls import Trust
from openfl_twisted.wire.policy import MASTER_PORT, Content, Decision

NO_CONNECTION = 1
"""
The status with which the program ends if it cannot connect.
"""

WRONG_USAGE = 2
"""
The status with which it ends if its options are wrong.
"""

_NEWLINES = {"crlf": b"\r\n", "lf": b"\n"}
_LONGEST = 86400


def seconds(text: str) -> float:
    """
    Read a time in seconds, of a day at most.

    @param text: a number as Python's C{float} reads it, from 0 to 86400.
    @raise ValueError: if it is no such number.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= _LONGEST:
        raise ValueError(f"{text!r} is not a number of seconds from 0 to {_LONGEST}")
    return number


class Options(usage.Options):
    """
    What the program can be told. After parsing, C{host}, C{port}, C{newline} as
    bytes, and C{trust}.
    """

    synopsis = "Usage: openfl-telnet [options] HOST [PORT]"
    longdesc = (
        "Connects to a server, sends each line that is typed, and shows what comes. At a "
        "terminal, Ctrl-D ends it; at the end of a file or a pipe it waits for the answers. "
        "PORT is 23 if it is not given, 992 with --tls, and 8080 with --xml. "
        "Ends with status 1 if it cannot connect."
    )

    optFlags = [
        ["xml", None, "Speak XMLSocket: each line is a message, each message a line."],
        ["tls", None, "Speak TLS; the server's certificate must be a good one."],
        ["older-rules", None, "With --as-flash: decide as Flash Player 6 to 8, by host and port."],
    ]
    optParameters: list[list[Any]] = [
        ["ca", None, None, "With --tls: trust the authorities in this PEM file, and no others."],
        ["as-flash", None, None, "Look for a policy file first, for a program from this URL."],
        ["master-port", None, None, "With --as-flash: a port that stands for port 843."],
        ["newline", None, None, "What ends a line that is sent: crlf or lf.  [default: crlf]"],
        ["encoding", None, None, "The character set of the text.  [default: utf-8]"],
        ["timeout", None, 20.0, "How many seconds connecting may take.", seconds],
        [
            "wait",
            None,
            3.0,
            "After the end of the input, how many seconds the server may be silent.",
            seconds,
        ],
    ]

    def opt_version(self) -> NoReturn:
        """
        Display the version of openfl-twisted and exit.
        """
        sys.stdout.write(f"openfl-twisted {version('openfl-twisted')}\n")
        sys.exit(0)

    def parseArgs(self, host: str = "", port: str | None = None, *rest: str) -> None:
        """
        Take the host and the port.

        @param host: a name or an IP address; IPv6 may stand in brackets.
        @param port: the port, not checked yet; C{None} for the usual one.
        @param rest: what stands behind it; there must be nothing.
        @raise usage.UsageError: if there is no host, or more than a port behind
            it.
        """
        if not host or rest:
            raise usage.UsageError("give a host, and a port if you like")
        self["host"] = host.removeprefix("[").removesuffix("]")
        self["port"] = port

    def postOptions(self) -> None:
        """
        Check what the parameters say.

        @raise usage.UsageError: if a value is wrong, or if two options do not go
            together.
        """
        self["port"] = self._port(self["port"])
        for option in ("newline", "encoding"):
            if self["xml"] and self[option] is not None:
                raise usage.UsageError(
                    f"--{option} goes without --xml: it always is the same there"
                )
        newline = self["newline"] or "crlf"
        if newline not in _NEWLINES:
            raise usage.UsageError(f"--newline={newline}: there are {', '.join(_NEWLINES)}")
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
                    raise usage.UsageError(f"--{option} goes with --as-flash")
            return None
        try:
            return Content.fromURL(url)
        except ValueError as problem:
            raise usage.UsageError(f"--as-flash: {problem}") from None

    def _port(self, port: str | None) -> int:
        if port is None:
            return 8080 if self["xml"] else 992 if self["tls"] else 23
        if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) <= 65535):
            raise usage.UsageError(f"{port!r} is not a port: a number from 1 to 65535")
        return int(port)

    def _trust(self, path: str | None) -> Trust:
        if path is None:
            return Trust()
        if not self["tls"]:
            raise usage.UsageError("--ca goes with --tls")
        try:
            return Trust.fromPEM(path)
        except OSError as problem:
            raise usage.UsageError(f"--ca={path}: {problem.strerror}") from None
        except ValueError as problem:
            raise usage.UsageError(f"--ca={problem}") from None


class NotPermitted(Exception):
    """
    No policy file permits what Flash Player would have to do.
    """


def makeEndpoint(
    reactor: Any, options: Options, tell: Callable[[str], object]
) -> IStreamClientEndpoint:
    """
    Get the way to the server.

    @param reactor: connects by TCP, looks up names and measures the time.
    @param options: C{host}, C{port} and C{timeout}; C{tls} and C{trust}; and
        C{as-flash}, with C{content}, C{master-port} and C{older-rules}.
    @param tell: takes a line for each step that Flash Player would take before,
        if this is to go as there.
    """
    endpoint: IStreamClientEndpoint = hostEndpoint(
        reactor, options["host"], options["port"], options["timeout"]
    )
    if options["tls"]:
        endpoint = SecureEndpoint(
            endpoint,
            options["host"],
            options["trust"],
            timeout=options["timeout"],
            clock=reactor,
        )
    if options["as-flash"] is not None:
        endpoint = PermittedEndpoint(endpoint, lambda: _permission(reactor, options, tell))
    return endpoint


def _permission(reactor: Any, options: Options, tell: Callable[[str], object]) -> Deferred[None]:
    """
    Walk through what Flash Player does before it connects.
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
            raise NotPermitted(f"refused: a program from {origin} gets a securityError, #2048")
        tell(f"permitted: a program from {origin} may connect")

    checking = checker.check(options["content"], options["host"], options["port"], tell=tell)
    return checking.addCallback(decided)


def makeFactory(reactor: Any, options: Options) -> Factory[Any]:
    """
    Make what makes the connection.

    @param reactor: provides C{IReactorTime}.
    @param options: C{xml} and C{wait}, and without C{xml} also C{encoding} and
        C{newline}.
    """
    wait = options["wait"]
    if options["xml"]:
        return XMLSocketFactory(lambda: XMLCall(reactor, wait=wait), policy=None)
    return TelnetFactory(
        lambda: TelnetCall(reactor, wait=wait),
        encoding=options["encoding"],
        newline=options["newline"],
    )


async def talk(
    reactor: Any,
    options: Options,
    endpoint: IStreamClientEndpoint,
    terminal: Terminal,
    tell: Callable[[str], object],
) -> int:
    """
    Connect, and let a terminal and a server talk until either ends.

    @param reactor: provides C{IReactorTime} and C{IReactorCore}.
    @param options: see L{makeFactory}; C{timeout} is for all that comes before
        the connection is there.
    @param endpoint: the way to the server, see L{makeEndpoint}.
    @param terminal: where lines come from and text goes to.
    @param tell: takes lines about the connection.
    @return: the status with which the program ends: 0, or L{NO_CONNECTION}.
    """
    factory = makeFactory(reactor, options)
    try:
        # One time for the policy files, the name, TCP and TLS together.
        connecting: Deferred[Any] = endpoint.connect(factory)
        call = await connecting.addTimeout(options["timeout"], reactor, tookTooLong)
    except NotPermitted as refusal:
        tell(str(refusal))
        return NO_CONNECTION
    except Exception as problem:
        tell(problemOf(problem, options["host"], options["port"], options["timeout"]))
        return NO_CONNECTION
    tell(f"connected to {describe(call.transport.getPeer())}")
    call.show = terminal.show
    terminal.start(call)

    def interrupted() -> Deferred[None]:
        stopped = terminal.stop().addTimeout(CLOSE_TIMEOUT, reactor)
        return stopped.addErrback(lambda failure: failure.trap(defer.TimeoutError))

    # If a signal ends the program, the terminal must become what it was before.
    reactor.addSystemEventTrigger("before", "shutdown", interrupted)
    farewell = await call.lost
    await terminal.stop()
    tell(farewell)
    return 0


def _tell(line: str) -> None:
    # There may be no standard error, and nobody who reads it.
    with contextlib.suppress(AttributeError, OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """
    Run the program, to its end.

    @param arguments: what it is told, without its name; C{None} for what stands
        on the command line.
    @raise SystemExit: always: with 0, L{NO_CONNECTION} or L{WRONG_USAGE}.
    """
    options = Options()
    try:
        options.parseOptions(sys.argv[1:] if arguments is None else list(arguments))
    except usage.UsageError as problem:
        _tell(f"openfl-telnet: {problem}\nSee openfl-telnet --help.")
        sys.exit(WRONG_USAGE)
    if sys.stdin is None or sys.stdout is None:
        _tell("openfl-telnet: there is no standard input, or no standard output")
        sys.exit(WRONG_USAGE)

    async def run(reactor: Any) -> None:
        endpoint = makeEndpoint(reactor, options, _tell)
        status = await talk(reactor, options, endpoint, chooseTerminal(reactor), _tell)
        if status:
            raise SystemExit(status)

    react(lambda reactor: Deferred.fromCoroutine(run(reactor)))
