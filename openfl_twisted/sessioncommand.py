"""
The options and the main function of C{openfl-session}.
"""

import contextlib
import getopt
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NoReturn, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import LogLevel, globalLogBeginner
from twisted.python import usage

from openfl_twisted.clocks import tookTooLong
from openfl_twisted.commandline import (
    Group,
    GroupedOptions,
    Option,
    discardOutput,
    loadObject,
    seconds,
)
from openfl_twisted.sessions._dialects import dialectOf, pairOf
from openfl_twisted.sessions._masks import MaskError, Masks
from openfl_twisted.sessions._ruffle import fromRuffle, toRuffle
from openfl_twisted.sessions._session import (
    CLIENT,
    SERVER,
    SUFFIX,
    End,
    Gap,
    Message,
    Session,
    SessionError,
    SessionReader,
    sessionFiles,
)
from openfl_twisted.sessions._wireshark import fromWireshark
from openfl_twisted.wire.dialects import DIALECTS, Dialect, printable
from openfl_twisted.wire.text import escapeControls

_PROGRAM = "openfl-session"

# The exit status if a replay differs, and after an error.
_DIFFERENT = 1
_FAILED = 2

# The arrows of shown messages.
_ARROWS = {CLIENT: "->", SERVER: "<-"}

# The time between two looks at a file that is being recorded (seconds).
_FOLLOW_INTERVAL = 0.25

# Maximum number of bytes of hexadecimal digits in a line.
_HEX_WIDTH = 16

_SOURCES = ("session", "ruffle", "wireshark")
_DESTINATIONS = ("session", "ruffle", "text")

_T = TypeVar("_T")


def _speed(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1000:
        raise ValueError(f"{text!r} must be a number from 0 to 1000")
    return value


def _speedOption(default: float) -> Option:
    return Option(
        Group.APPLICATION,
        "speed",
        "N",
        "1 to wait between messages as recorded, 2 for half of the time, 0 to wait never.",
        default,
        _speed,
    )


class _FileOptions(GroupedOptions):
    """
    The options that several subcommands have.
    """

    options: ClassVar[list[Option]] = [
        Option(
            Group.APPLICATION,
            "dialect",
            "NAME",
            (
                "Dialect of the sessions, instead of the recorded one: "
                f"{', '.join(DIALECTS)}, or module:object."
            ),
        ),
        Option(
            Group.APPLICATION,
            "masks",
            "FILE",
            (
                "TOML file with the parts of messages that may differ, such as: [[variable]] name ="
                " 'key' pattern = '<k>(.*?)</k>', each on its own line."
            ),
        ),
    ]

    # The number of files that the command needs.
    least, most = 1, sys.maxsize

    def parseArgs(self, *files: str) -> None:
        """
        Take the names of the files.

        @raise usage.UsageError: if there are too few or too many.
        """
        if not self.least <= len(files) <= self.most:
            raise usage.UsageError(f"the arguments must be {self.arguments}")
        self["files"] = list(files)

    arguments = "session files or folders"

    def parseArguments(self, options: Sequence[str] | None) -> None:
        """
        Parse the options, which can also follow the files.
        """
        given = list(options or ())
        try:
            pairs, files = getopt.gnu_getopt(given, self.shortOpt, self.longOpt)
        except getopt.GetoptError as problem:
            raise usage.UsageError(str(problem)) from None
        names: list[str] = []
        for name, value in pairs:
            names.append(f"{name}={value}" if f"{name[2:]}=" in self.longOpt else name)
        super().parseArguments([*names, "--", *files])

    def postOptions(self) -> None:
        """
        Load the dialect and the masks.

        @raise usage.UsageError: if they are invalid.
        """
        name = self["dialect"]
        self["dialectName"] = name
        self["dialect"] = None if name is None else dialectOf("dialect", name)
        self["masks"] = self._loadMasks(self["masks"])

    def _loadMasks(self, path: str | None) -> Masks | None:
        if path is None:
            return None
        try:
            # A module beside the masks can also be imported from another directory.
            folder = str(Path(path).resolve().parent)
            if folder not in sys.path:
                sys.path.insert(0, folder)
            return Masks.load(path, lambda name: loadObject(f"masks={path}: compute", name))
        except OSError as problem:
            raise usage.UsageError(f"--masks={path}: {problem.strerror}") from None
        except MaskError as problem:
            raise usage.UsageError(str(problem)) from None

    def dialectFor(self, name: str) -> Dialect:
        """
        Return the dialect for a session whose header contains a name.
        """
        chosen: Dialect | None = self["dialect"]
        if chosen is not None:
            return chosen
        if name not in DIALECTS:
            # Importing a module because a file names it would run code of the file's author.
            _tell(f"{_unknownDialect(name)}; showing bytes\n")
            return DIALECTS["raw"]
        return DIALECTS[name]


class ShowOptions(_FileOptions):
    """
    The options of C{openfl-session show}.
    """

    synopsis = "Usage: openfl-session show [options] FILE..."
    longdesc = (
        "Print the messages of sessions, decoded. -> is a message of the client, and <- one of the "
        "server. The columns are the position in the run, the time, the side and the message."
    )
    options: ClassVar[list[Option]] = [
        Option(Group.APPLICATION, "from", "SIDE", "Print only the messages of client or server."),
        Option(Group.APPLICATION, "hex", "", "Print messages as hexadecimal bytes and text."),
        Option(Group.APPLICATION, "json", "", "Print one JSON object for each message."),
        Option(
            Group.APPLICATION,
            "follow",
            "",
            "Print further messages of the last file while they are recorded.",
        ),
    ]

    def postOptions(self) -> None:
        super().postOptions()
        if self["from"] not in (None, CLIENT, SERVER):
            raise usage.UsageError(f"--from={self['from']}: must be client or server")
        if self["hex"] and self["json"]:
            raise usage.UsageError("--hex and --json cannot be used together")


class _PlayOptions(_FileOptions):
    """
    The options of the subcommands that play sessions.
    """

    options: ClassVar[list[Option]] = [
        Option(
            Group.APPLICATION,
            "set",
            "NAME=VALUE",
            "Value of a variable of the masks, such as a password; can be repeated.",
        ),
        Option(
            Group.APPLICATION,
            "ignore-gaps",
            "",
            "Play sessions of which some bytes were not recorded.",
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self["given"] = {}

    def opt_set(self, text: str) -> None:
        """
        Set a variable; can be repeated.
        """
        name, value = pairOf("set", text)
        self["given"][name] = value

    def load(self) -> list[Session]:
        """
        Load the sessions.

        @raise usage.UsageError: if a file cannot be read.
        """
        sessions = [self._loadOne(path) for path in _files(self["files"])]
        unused = (
            []
            if self["masks"] is None
            else self["masks"].unused(
                message for session in sessions for message in session.messages
            )
        )
        hidden = {name for session in sessions for name in session.header.hidden}
        for text in unused:
            if not any(text.startswith(f"variable {name} ") for name in hidden):
                _tell(f"{self['masks'].name}: {text} matches nothing in these sessions\n")
        self._checkGiven(sessions, hidden)
        return sessions

    def _checkGiven(self, sessions: Iterable[Session], names: set[str]) -> None:
        """
        Check the names of the given values.

        @param names: the names of the hidden values.
        @raise usage.UsageError: if a name is unknown.
        """
        names = set(names)
        for masks in (self["masks"], *self.masksOf(sessions).values()):
            if masks is not None:
                names |= {variable.name for variable in masks.variables}
        for name in self["given"]:
            if name not in names:
                known = f": {', '.join(sorted(names))}" if names else ""
                raise usage.UsageError(
                    f"--set={name}: must be a variable of the masks or a hidden value{known}"
                )

    def masksOf(self, sessions: Iterable[Session]) -> dict[str, Masks]:
        """
        Return the masks of single sessions, by the names of the sessions.
        """
        return {}

    def _loadOne(self, path: Path) -> Session:
        session = _read(path, lambda: Session.load(path, self["dialect"]))
        if self["dialect"] is None and session.header.dialect not in DIALECTS:
            raise usage.UsageError(f"{path}: {_unknownDialect(session.header.dialect)}")
        for warning in session.warnings:
            _tell(f"{warning}\n")
        return replace(session, gaps=[]) if self["ignore-gaps"] else session


class ServeOptions(_PlayOptions):
    """
    The options of C{openfl-session serve}.
    """

    synopsis = "Usage: openfl-session serve [options] FILE..."
    longdesc = (
        "Play the server of sessions for real clients. The messages of a client select the "
        "session; a client that differs from all sessions is disconnected, and the difference is "
        "printed."
    )
    options: ClassVar[list[Option]] = [
        Option(
            Group.LISTENING,
            "listen",
            "ENDPOINT",
            "Endpoint to listen on, such as tcp:9339. All client types are accepted.",
            "tcp:9339:interface=127.0.0.1",
        ),
        _speedOption(1.0),
        Option(
            Group.APPLICATION,
            "loose",
            "",
            "Answer the messages of clients in any order, as in the first session.",
        ),
        Option(
            Group.TLS,
            "tls-certificate",
            "PATH",
            "PEM file with the certificate and its chain. Enables TLS.",
        ),
        Option(
            Group.TLS,
            "tls-key",
            "FILE",
            "PEM file with the private key, if it is not in the certificate file.",
        ),
    ]

    def postOptions(self) -> None:
        """
        Read the certificate.

        @raise usage.UsageError: if an option is invalid.
        """
        super().postOptions()
        certificate, key = self["tls-certificate"], self["tls-key"]
        self["tls"] = None
        if certificate is None:
            if key is not None:
                raise usage.UsageError("--tls-key requires --tls-certificate")
            return
        from openfl_twisted.tls.identities import CertificateError
        from openfl_twisted.tls.server import ServerCertificates

        try:
            self["tls"] = ServerCertificates(certificate, key).connectionCreator()
        except CertificateError as problem:
            raise usage.UsageError(f"--tls-certificate: {problem}") from None


class CallOptions(_PlayOptions):
    """
    The options of C{openfl-session call}.
    """

    synopsis = "Usage: openfl-session call [options] FILE... TARGET"
    longdesc = (
        "Play the clients of sessions against a server, and compare what the server says. TARGET "
        "is tcp:HOST:PORT, tls:HOST:PORT, or a ws:// or wss:// URL. The exit status is 1 if a "
        "session differs, and 2 if the server cannot be reached."
    )
    least = 2
    arguments = "session files or folders, then TARGET, such as tcp:127.0.0.1:9339"
    options: ClassVar[list[Option]] = [
        _speedOption(0.0),
        Option(
            Group.TIMEOUTS,
            "timeout",
            "SECONDS",
            "Maximum time to connect, and to wait for a message of the server.",
            5.0,
            seconds,
        ),
        Option(Group.TLS, "ca", "FILE", "Trust only the CA certificates in this PEM file."),
        Option(
            Group.RECORDING,
            "record",
            "FOLDER",
            "Record the sessions of today as a new run in this folder.",
        ),
    ]

    def parseArgs(self, *files: str) -> None:
        from openfl_twisted.protocols.target import Target

        super().parseArgs(*files)
        *self["files"], target = files
        try:
            self["target"] = Target.parse(target)
        except ValueError as problem:
            raise usage.UsageError(f"TARGET: {problem}") from None

    def postOptions(self) -> None:
        from openfl_twisted.protocols.clientendpoints import readTrust
        from openfl_twisted.tls import Trust

        super().postOptions()
        if not self["timeout"]:
            raise usage.UsageError("--timeout: must be more than 0")
        self["trust"] = Trust()
        if self["ca"] is not None:
            if not self["target"].secure:
                raise usage.UsageError("--ca requires a target tls:HOST:PORT or wss://...")
            try:
                self["trust"] = readTrust(self["ca"])
            except ValueError as problem:
                raise usage.UsageError(f"--ca={problem}") from None

    def masksOf(self, sessions: Iterable[Session]) -> dict[str, Masks]:
        """
        Return the masks of single sessions: C{cp.000005.toml} beside C{cp.toml} is for
        C{000005.session}.
        """
        if self["masks"] is None:
            return {}
        path = Path(self["masksPath"])
        found = {}
        for session in sessions:
            own = path.with_suffix(f".{Path(session.name).stem}{path.suffix}")
            if own.exists():
                masks = self._loadMasks(str(own))
                assert masks is not None  # noqa: S101 - for the type checker
                found[session.name] = masks
        return found

    def _loadMasks(self, path: str | None) -> Masks | None:
        self["masksPath"] = self.get("masksPath") or path
        return super()._loadMasks(path)


class ConvertOptions(_FileOptions):
    """
    The options of C{openfl-session convert}.
    """

    synopsis = "Usage: openfl-session convert [options] FILE"
    longdesc = (
        "Convert a session, Ruffle's socket.json, or the output of tshark -z follow,tcp,yaml,0. "
        "FILE can be - for the standard input. The result is printed."
    )
    most = 1
    arguments = "one FILE, or -"
    options: ClassVar[list[Option]] = [
        Option(
            Group.APPLICATION,
            "from",
            "FORMAT",
            "Format of the file: session, ruffle or wireshark.",
            "session",
        ),
        Option(Group.APPLICATION, "to", "FORMAT", "Result: session, ruffle or text.", "session"),
        Option(
            Group.APPLICATION,
            "hide",
            "NAME=REGEX",
            "Replace the group of this pattern by {NAME}; can be repeated.",
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self["hidden"] = {}

    def opt_hide(self, text: str) -> None:
        """
        Hide a secret; can be repeated.
        """
        name, pattern = pairOf("hide", text, "NAME=REGEX")
        self["hidden"][name] = pattern

    def postOptions(self) -> None:
        super().postOptions()
        for option, allowed in (("from", _SOURCES), ("to", _DESTINATIONS)):
            if self[option] not in allowed:
                raise usage.UsageError(
                    f"--{option}={self[option]}: must be one of {', '.join(allowed)}"
                )
        if self["masks"] is not None and self["to"] != "text":
            raise usage.UsageError("--masks requires --to=text")


def _unknownDialect(name: str) -> str:
    """
    Describe the dialect of a session that is not one of this package.
    """
    shown = printable(name)
    advice = f"add --dialect={shown} if you trust this module" if ":" in name else "use --dialect"
    return f"the dialect {shown} is not part of openfl-twisted: {advice}"


def _files(names: Sequence[str]) -> list[Path]:
    try:
        files = sessionFiles(names)
    except OSError as problem:
        raise usage.UsageError(f"{problem.filename}: {problem.strerror}") from None
    except SessionError as problem:
        raise usage.UsageError(str(problem)) from None
    chosen = {str(path.parent) for path in files} - {str(Path(name)) for name in names}
    for folder in sorted(chosen - {str(Path(name).parent) for name in names}):
        _tell(f"using the run {printable(folder)}\n")
    return files


def _read(path: object, read: Callable[[], _T]) -> _T:
    """
    Call a function that reads a file, and convert its exceptions.
    """
    try:
        return read()
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise usage.UsageError(f"{path}: {problem.strerror}") from None
    except ValueError as problem:
        text = str(problem)
        raise usage.UsageError(
            text if isinstance(problem, SessionError) else f"{path}: {text}"
        ) from None


def _tell(text: str) -> None:
    """
    Write lines to the standard error stream, which may be missing or closed.
    """
    with contextlib.suppress(AttributeError, OSError):
        sys.stderr.write(_safe(text))
        sys.stderr.flush()


def _print(text: str) -> None:
    """
    Write lines to the standard output.
    """
    sys.stdout.write(_safe(f"{text}\n"))


def _safe(text: str) -> str:
    """
    Escape the control characters of lines: texts from files and peers must not control the
    terminal.
    """
    return "\n".join(map(escapeControls, text.split("\n")))


def _report(text: str) -> None:
    """
    Write lines to the standard output immediately. A server continues without a reader of its
    output.
    """
    with contextlib.suppress(BrokenPipeError):
        _print(text)
        sys.stdout.flush()


# show


class _Shower:
    """
    Prints the entries of a session.
    """

    def __init__(self, options: ShowOptions, reader: SessionReader) -> None:
        self._options = options
        self._dialect = options.dialectFor(reader.header.dialect)
        self._masks = (options["masks"] or Masks()).withHidden(reader.header.hidden)
        self.messages = 0
        self.last = 0.0
        self.end = ""

    def show(self, entry: Message | Gap | End) -> None:
        """
        Print an entry.
        """
        self.last = entry.t
        if isinstance(entry, End):
            self.end = f"ended by the {entry.how}" if entry.how in _ARROWS else entry.how
        elif isinstance(entry, Gap):
            _print(f"{entry.n:6} {entry.t:9.3f}  ..  {entry.length} bytes were not recorded")
        else:
            for data in self._dialect.split(entry.data):
                self.messages += 1
                if self._options["from"] in (None, entry.side):
                    self._showMessage(entry, data)

    def _showMessage(self, entry: Message, data: bytes) -> None:
        marked = self._masks.mark(data)
        if self._options["json"]:
            text = self._dialect.show(marked)
            value = {"t": entry.t, "n": entry.n, "from": entry.side, "text": text}
            _print(json.dumps(value, ensure_ascii=False))
            return
        head = f"{entry.n:6} {entry.t:9.3f}  {_ARROWS[entry.side]}  "
        if not self._options["hex"]:
            note = "  (incomplete)" if entry.isPartial else ""
            _print(f"{head}{self._dialect.show(marked)}{note}")
            return
        for at in range(0, len(data), _HEX_WIDTH):
            part = data[at : at + _HEX_WIDTH]
            text = "".join(chr(each) if 32 <= each < 127 else "." for each in part)
            _print(f"{head if not at else ' ' * len(head)}{part.hex(' '):47}  {text}")


def show(options: ShowOptions) -> int:
    """
    Print sessions.

    @return: the exit status.
    @raise usage.UsageError: if a file cannot be read.
    """
    files = _files(options["files"])
    for path in files:
        isLast = path == files[-1]
        _read(path, lambda: _showFile(options, path, isLast))  # noqa: B023 - called immediately
    return 0


def _showFile(options: ShowOptions, path: Path, isLast: bool) -> None:
    with open(path, "rb") as stream:
        reader = SessionReader(stream, path.name)
        shower = _Shower(options, reader)
        header = reader.header
        if not options["json"]:
            _print(
                f"{path.name}: {printable(header.kind)}{_after(' ', header.path)}, dialect"
                f" {printable(header.dialect)}{_after(', started ', header.started)}"
            )
        if options["follow"] and isLast:
            _follow(shower, reader, path)
        else:
            for entry in reader:
                shower.show(entry)
        for warning in reader.warnings:
            _tell(f"{warning}\n")
    if not options["json"]:
        _print(
            f"{path.name}: {shower.messages} messages, {shower.last:.1f} s"
            f"{_after(', ', shower.end)}"
        )


def _after(before: str, text: str) -> str:
    return f"{before}{printable(text)}" if text else ""


def _follow(shower: _Shower, reader: SessionReader, path: Path) -> None:
    """
    Print a file while it grows, until the end of the session.
    """
    shown = 0
    while not shower.end:
        with open(path, "rb") as stream:
            reader = SessionReader(stream, path.name)
            for number, entry in enumerate(reader):
                if number >= shown:
                    shower.show(entry)
                    shown += 1
        sys.stdout.flush()
        if not shower.end:
            time.sleep(_FOLLOW_INTERVAL)


# convert


def convert(options: ConvertOptions) -> int:
    """
    Convert a file, and print the result.

    @return: the exit status.
    @raise usage.UsageError: if the file cannot be read.
    """
    [name] = options["files"]
    if name != "-":
        files = _files([name])
        if len(files) > 1:
            raise usage.UsageError(f"{name}: contains {len(files)} sessions; name one file")
        name = str(files[0])
    try:
        session = _read(name, lambda: _convertFrom(options, name))
    except usage.UsageError as problem:
        hint = "; use --from for another format" if "not a session file" in str(problem) else ""
        raise usage.UsageError(f"{problem}{hint}") from None
    for warning in session.warnings:
        _tell(f"{warning}\n")
    if options["hidden"]:
        if not options.dialectFor(session.header.dialect).isText:
            raise usage.UsageError(
                f"--hide: secrets cannot be removed from the dialect {session.header.dialect}"
            )
        session = _hide(session, options["hidden"])
    out = sys.stdout.buffer
    if options["to"] == "session":
        out.writelines(session.lines())
    elif options["to"] == "ruffle":
        out.write(toRuffle(session).encode())
    else:
        dialect = options.dialectFor(session.header.dialect)
        masks = options["masks"] or Masks()
        for message in session.messages:
            text = dialect.show(masks.mark(message.data))
            out.write(f"{_ARROWS[message.side]} {text}\n".encode())
    out.flush()
    return 0


def _hide(session: Session, patterns: dict[str, str]) -> Session:
    """
    Remove secrets from a session. Tell which patterns match nothing.
    """
    for name, pattern in patterns.items():
        hidden = _read("--hide", lambda: session.hide({name: pattern}))  # noqa: B023
        if hidden.messages == session.messages:
            _tell(f"--hide: {name} matches nothing in this session\n")
        session = hidden
    return session


def _convertFrom(options: ConvertOptions, name: str) -> Session:
    dialectName = options["dialectName"]
    with contextlib.ExitStack() as stack:
        stream: Any = sys.stdin.buffer if name == "-" else stack.enter_context(open(name, "rb"))
        if options["from"] == "session":
            session = Session.read(stream, name, options["dialect"])
            if dialectName is not None:
                session = replace(session, header=replace(session.header, dialect=dialectName))
            return session
        dialect = options["dialect"] or DIALECTS["raw"]
        if options["from"] == "ruffle":
            return fromRuffle(stream.read(), dialectName or "raw", dialect)
        lines = (line.decode("utf-8", "replace") for line in stream)
        return fromWireshark(lines, dialectName or "raw", dialect)


# serve and call


def _create(create: Callable[[], _T]) -> _T:
    """
    Call a function that creates a player, and convert its exceptions.
    """
    try:
        return create()
    except ValueError as problem:
        raise usage.UsageError(str(problem)) from None


async def serve(reactor: Any, options: ServeOptions) -> int:
    """
    Play the server of sessions until the process is interrupted.

    @return: the exit status.
    @raise usage.UsageError: if a file or an option is invalid.
    """
    from openfl_twisted.addresses import describe
    from openfl_twisted.endpoints import (
        StartupError,
        describeEndpointError,
        openflEndpoint,
        serverEndpoint,
    )
    from openfl_twisted.sessions._player import PlayerFactory, Result

    sessions = options.load()

    def report(result: Result) -> None:
        name = result.session.removesuffix(SUFFIX)
        count = f"{result.done} of {result.total} messages"
        problem = "" if result.problem is None else f"\n{result.problem}"
        _report(f"{result.peer} played {name}: {count}{problem}")

    factory = _create(
        lambda: PlayerFactory(
            sessions,
            options["masks"],
            given=options["given"],
            speed=options["speed"],
            loose=bool(options["loose"]),
            dialect=options["dialect"],
            report=report,
            note=lambda peer, text: _report(f"{peer} unknown: {text}"),
            clock=reactor,
        ),
    )
    description = options["listen"]
    try:
        endpoint = openflEndpoint(
            serverEndpoint(reactor, description), tls=options["tls"], clock=reactor
        )
    except Exception as problem:
        reason = describeEndpointError(description, problem)
        raise usage.UsageError(f"--listen={description}: {reason}") from None
    try:
        port = await endpoint.listen(factory)
    except Exception as problem:
        raise usage.UsageError(str(StartupError.fromError(problem))) from None
    plural = "" if len(sessions) == 1 else "s"
    _report(f"playing {len(sessions)} session{plural}, listening on {describe(port.getHost())}")
    never: Deferred[int] = Deferred()
    return await never


async def call(reactor: Any, options: CallOptions) -> int:
    """
    Play the clients of sessions, and print the results.

    @return: the exit status.
    @raise usage.UsageError: if a file or an option is invalid, or the server cannot be reached.
    """
    from openfl_twisted.protocols.clientendpoints import problemOf
    from openfl_twisted.protocols.websocketclient import HandshakeRefused
    from openfl_twisted.sessions._recording import RecordingFactory
    from openfl_twisted.sessions._runplayer import RunPlayer

    sessions = options.load()
    target, timeout = options["target"], options["timeout"]

    recorder = _makeRecorder(reactor, options, sessions)

    def connect(session: Session, factory: Any) -> Any:
        if recorder is not None:
            factory = RecordingFactory(factory, recorder, clock=reactor)
        own = target.withPath(session.header.path)
        connecting = own.endpoint(reactor, timeout, options["trust"]).connect(factory)
        # The timeout of the endpoint does not include the WebSocket handshake.
        return connecting.addTimeout(timeout, reactor, tookTooLong)

    run = _create(
        lambda: RunPlayer(
            sessions,
            connect,
            options["masks"],
            given=options["given"],
            masksOf=options.masksOf(sessions),
            speed=options["speed"],
            timeout=timeout,
            dialect=options["dialect"],
            clock=reactor,
        ),
    )
    try:
        results = await run.start()
    except HandshakeRefused as problem:
        raise usage.UsageError(f"{target.text}: {problem}") from None
    except Exception as problem:
        raise usage.UsageError(problemOf(problem, target.host, target.port, timeout)) from None
    finally:
        if recorder is not None:
            await recorder.stop()
    for result in results:
        _print(f"{result.session.removesuffix(SUFFIX)}  {result.done} of {result.total}")
    for text in run.problems:
        _print(text)
    if len(run.problems) > 1:
        _print("The first difference can be the cause of the others.")
    return _DIFFERENT if any(result.problem is not None for result in results) else 0


def _makeRecorder(reactor: Any, options: CallOptions, sessions: Sequence[Session]) -> Any:
    """
    Create and start the recorder of C{--record}.

    @return: the recorder; C{None} without C{--record}.
    @raise usage.UsageError: if the recording cannot start.
    """
    if options["record"] is None:
        return None
    from openfl_twisted.sessions._recorder import Recorder

    header = sessions[0].header
    try:
        recorder = Recorder(
            options["record"],
            options["dialectName"] or header.dialect,
            options["dialect"] or sessions[0].dialect,
            hide=header.hidden,
            receivesFrom=SERVER,
            clock=reactor,
        )
        recorder.start()
    except ValueError as problem:
        raise usage.UsageError(f"--record={problem}") from None
    return recorder


_COMMANDS: dict[str, tuple[type[Any], Callable[..., Any], str]] = {
    "show": (ShowOptions, show, "print messages, decoded"),
    "serve": (ServeOptions, serve, "play the server of sessions for real clients"),
    "call": (CallOptions, call, "play the clients of sessions against a server"),
    "convert": (ConvertOptions, convert, "convert sessions from and to other formats"),
}


class Options(GroupedOptions):
    """
    The options of C{openfl-session} before the subcommand.
    """

    synopsis = "Usage: openfl-session COMMAND [options] FILE..."
    longdesc = (
        "Show, play and convert recorded sessions. The commands: "
        + "; ".join(f"{name}: {meaning}" for name, (_, _, meaning) in _COMMANDS.items())
        + ". For the options of a command: openfl-session COMMAND --help."
    )


def _parse(arguments: Sequence[str]) -> tuple[Any, Callable[..., Any]]:
    """
    Parse the arguments.

    @return: the options, and the function of the command.
    @raise usage.UsageError: if they are invalid.
    """
    name = arguments[0] if arguments else ""
    if name not in _COMMANDS:
        if name.startswith("-"):
            Options().parseOptions(arguments)
        commands = ", ".join(_COMMANDS)
        wrong = f"unknown command {name!r}: " if name and not name.startswith("-") else ""
        raise usage.UsageError(f"{wrong}the first argument must be one of {commands}")
    kind, run, _ = _COMMANDS[name]
    options = kind()
    options.parseOptions(arguments[1:])
    return options, run


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """
    Run the program.

    @param arguments: the arguments, without the program's name (default: the arguments of the
        process).
    @raise SystemExit: always; with status 0, with 1 if a session differs, or with 2 after an
        error.
    """
    with contextlib.suppress(AttributeError):
        # A terminal need not have all characters of the messages.
        cast("Any", sys.stdout).reconfigure(errors="backslashreplace")
    try:
        options, run = _parse(sys.argv[1:] if arguments is None else list(arguments))
        if run in (show, convert):
            status = run(options)
            sys.stdout.flush()
            sys.exit(status)
    except usage.UsageError as problem:
        _tell(f"{_PROGRAM}: {problem}; see --help\n")
        sys.exit(_FAILED)
    except BrokenPipeError:
        discardOutput()
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(0)
    globalLogBeginner.beginLoggingTo([cast("Any", _tellEvent)], redirectStandardIO=False)

    async def runInReactor(reactor: Any) -> None:
        status = 0
        try:
            status = await run(reactor, options)
            sys.stdout.flush()
        except usage.UsageError as problem:
            _tell(f"{_PROGRAM}: {problem}\n")
            status = _FAILED
        except BrokenPipeError:
            discardOutput()
        if status:
            raise SystemExit(status)

    react(lambda reactor: Deferred.fromCoroutine(runInReactor(reactor)))


def _tellEvent(event: Any) -> None:
    """
    Print warnings and errors of the log.
    """
    from twisted.logger import formatEvent

    if event.get("log_level", LogLevel.info) >= LogLevel.warn:
        _tell(f"{_PROGRAM}: {printable(formatEvent(event))}\n")
