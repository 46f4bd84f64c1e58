"""
Tests for L{openfl_twisted.services.recording}, and for services that record.
"""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.logger import capturedLogs
from twisted.python.usage import UsageError

from openfl_twisted.endpoints import StartupError
from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.services import bridge, echoserver, policyserver, xmlserver
from openfl_twisted.services.options import ServerOptions
from openfl_twisted.services.serving import ServerService
from openfl_twisted.sessions._recorder import Recorder
from openfl_twisted.sessions._recording import RecordingFactory
from tests.doubles import linesOf
from tests.sessions.recordings import RecordingCase, told

CONNECT = "--connect=tcp:127.0.0.1:1"

DATA_SERVERS: list[tuple[Any, list[str]]] = [
    (xmlserver, []),
    (echoserver, []),
    (bridge, [CONNECT]),
]


class Lines(EchoProtocol):
    """
    An application with another framing.
    """

    framing = "lines"


class NoDialect:
    """
    An object without the members of a dialect.
    """


class OwnDialect:
    """
    A dialect whose messages are bytes, which fails at an exclamation mark.
    """

    hasMessages = isText = True
    pending = 0

    def cutter(self) -> Any:
        return self

    def feed(self, data: bytes) -> bytes:
        if b"!" in data:
            raise ValueError("an error of the user's")
        return data

    def rest(self) -> bytes:
        return b""

    def split(self, whole: bytes) -> list[bytes]:
        return [whole[at : at + 1] for at in range(len(whole))]

    def show(self, message: bytes) -> str:
        return repr(message)


class BrokenDialect(OwnDialect):
    """
    A dialect without cutters.
    """

    def cutter(self) -> Any:
        raise ValueError("an error of the user's")


class OptionTests(RecordingCase):
    """
    Tests of the options of each server.
    """

    def parse(self, module: Any, *arguments: str) -> Any:
        options = module.Options()
        options.parseOptions([*arguments])
        return options

    def test_wrong(self) -> None:
        """
        A wrong combination is refused with one sentence.
        """
        record = f"--record={self.folder}"
        here = f"{__name__}"
        cases = [
            (["--record-hide=a=(b)"], "--record-hide requires --record"),
            (["--dialect=morse"], "--dialect=morse: must be one of xml, "),
            (["--record-addresses"], "--record-addresses requires --record"),
            ([record, "--record-hide=a"], "--record-hide=a: must have the form NAME=REGEX"),
            ([record, "--record-hide==(a)"], "--record-hide==(a): must have the form NAME=REGEX"),
            (
                [record, "--dialect=xml", "--record-hide=a=("],
                "--record-hide: a: the pattern is not a regular expression: missing ), unterm",
            ),
            (
                [record, "--dialect=xml", "--record-hide=a=b"],
                "--record-hide: a: the pattern must have exactly one group, not 0",
            ),
            (
                [record, "--dialect=raw", "--record-hide=a=(b)"],
                "--record-hide: secrets cannot be removed from the dialect raw: use xml or lines",
            ),
            (
                [record, "--dialect=morse"],
                "--dialect=morse: must be one of xml, lines, u16, u16self, u32, u32sel",
            ),
            (
                [record, f"--dialect={here}:NoDialect"],
                f"--dialect={here}:NoDialect: must have the members of a dialect: cutter",
            ),
            ([record, f"--dialect={here}:Missing"], "Missing"),
            ([record, "--dialect=missing.module:X"], "missing"),
            ([record, "--record-limit=many"], "--record-limit"),
            ([record, "--record-session-limit=-1"], "--record-session-limit"),
        ]
        for module, needed in DATA_SERVERS:
            for arguments, text in cases:
                with self.subTest(module=module.__name__, arguments=arguments):
                    problem = self.assertRaises(UsageError, self.parse, module, *needed, *arguments)
                    self.assertIn(text, str(problem))
                    self.assertNotIn("\n", str(problem))
        problem = self.assertRaises(
            UsageError, self.parse, echoserver, "--udp", "--listen=udp:0", record
        )
        self.assertEqual(
            str(problem), "--udp and --record cannot be used together: UDP has no connections"
        )
        self.assertRaises(UsageError, self.parse, policyserver, record)
        self.assertFalse(self.folder.exists())

    def test_dialects(self) -> None:
        """
        Each server has a default dialect.
        """
        record = f"--record={self.folder}"
        cases: list[tuple[Any, list[str], str]] = [
            (xmlserver, [], "xml"),
            (bridge, [CONNECT], "xml"),
            (bridge, [CONNECT, "--framing=raw"], "raw"),
            (bridge, [CONNECT, "--framing=crlf"], "lines"),
            (xmlserver, ["--framing=u16"], "u16"),
            (xmlserver, ["--rooms=xml"], "xml"),
            (xmlserver, [f"--app={__name__}:Lines"], "lines"),
            (xmlserver, [f"--app={__name__}:Lines", "--framing=nul"], "xml"),
            (bridge, [CONNECT, "--dialect=u16"], "u16"),
            (echoserver, [], "raw"),
            (xmlserver, [f"--dialect={__name__}:OwnDialect"], f"{__name__}:OwnDialect"),
        ]
        for module, arguments, wanted in cases:
            recorder = self.parse(module, record, *arguments)["recorder"]
            self.assertEqual(recorder._dialectName, wanted)

    def test_values(self) -> None:
        """
        The options are passed to the recorder, which is created only with C{--record}.
        """
        for module, needed in DATA_SERVERS:
            self.assertIsNone(self.parse(module, *needed)["recorder"])
        recorder = self.parse(
            xmlserver,
            f"--record={self.folder}",
            "--record-hide=a=x(y)",
            "--record-hide=b=(=)",
            "--record-addresses",
            "--record-limit=2M",
            "--record-session-limit=3K",
        )["recorder"]
        self.assertEqual(recorder.hidden, {"a": "x(y)", "b": "(=)"})
        self.assertTrue(recorder._recordAddresses)
        self.assertEqual((recorder._limit, recorder._sessionLimit), (2 << 20, 3 << 10))

    def test_showConfig(self) -> None:
        """
        C{--show-config} prints the options.
        """
        printed = io.StringIO()
        self.patch(sys, "stdout", printed)
        for module, needed in DATA_SERVERS:
            self.assertRaises(
                SystemExit,
                self.parse,
                module,
                *needed,
                "--record=tapes",
                "--dialect=xml",
                "--record-hide=a=x(y)",
                "--record-hide=b=(z)",
                "--record-limit=5K",
                "--show-config",
            )
        for line in (
            'record = "tapes"',
            'dialect = "xml"',
            'record-hide = ["a=x(y)", "b=(z)"]',
            'record-limit = "5K"',
        ):
            self.assertEqual(printed.getvalue().count(line), 3, (line, printed.getvalue()))


class OwnDialectTests(RecordingCase):
    """
    Tests with a dialect of an application that has errors.
    """

    def use(self, dialect: Any, **options: Any) -> Any:
        """
        Record a connection.

        @return: the client.
        """
        recorder = Recorder(
            self.folder, "own:dialect", dialect, clock=self.network.reactor, **options
        )
        with capturedLogs():
            recorder.start()
        self.recorder = recorder
        return self.connect(self.serve())

    def talk(self, client: Any) -> Callable[[], object]:
        def do() -> None:
            client.send(b"a\0!\0")
            self.network.flush()
            client.send(b"b\0")
            self.network.flush()
            self.assertEqual(client.received, b"<a>\0<!>\0<b>\0")
            client.close()
            self.network.flush()

        return do

    def test_error(self) -> None:
        """
        An error of the dialect is logged once, and the data is recorded. The connection does not
        notice it.
        """
        for options in ({}, {"hide": {"x": "(secret)"}}):
            client = self.use(OwnDialect(), **options)
            [line] = self.warnings(self.talk(client))
            self.assertEqual(
                line,
                "recording: error in the dialect own:dialect; its messages are recorded as parts",
            )
            self.flushLoggedErrors(ValueError)
            [session] = self.finish()
            if options:
                self.assertEqual((told(session)[0][0], session.gaps[0].why), ("server", "hidden"))
                continue
            for side, wanted in (("client", b"a\0!\0b\0"), ("server", b"<a>\0<!>\0<b>\0")):
                data = b"".join(data for each, data in told(session) if each == side)
                self.assertEqual(data, wanted)

    def test_broken(self) -> None:
        """
        A connection for which the dialect has no cutter is not recorded.
        """
        client = self.use(BrokenDialect())
        self.assertEqual(len(self.warnings(self.talk(client))), 1)
        self.flushLoggedErrors(ValueError)
        self.assertEqual(self.finish(), [])


class ServiceTests(RecordingCase):
    """
    Tests of services that record.
    """

    def service(self, module: Any, *arguments: str) -> ServerService:
        """
        Create the service of a command on the in-memory network.
        """
        options = module.Options()
        options.parseOptions([f"--record={self.folder}", *arguments])
        options["listen"] = [TCP4ServerEndpoint(self.network.reactor, 8080)]
        options["recorder"]._clock = self.network.reactor
        service = module.makeService(options)
        assert isinstance(service, ServerService)
        service.factory.clock = self.network.reactor
        return service

    def test_records(self) -> None:
        """
        A service records from its start to its end, and warns at its start.
        """
        for arguments in (["--plain"], ["--plain", "--record-hide=x=y(z)"]):
            service = self.service(xmlserver, "--echo", *arguments)
            self.assertIsInstance(service.factory.wrappedFactory, RecordingFactory)
            [line] = self.warnings(service.startService)
            recorder = service.recorder
            assert recorder is not None
            self.recorder = recorder
            hidden = "; hidden: x" if len(arguments) > 1 else ""
            self.assertEqual(
                line,
                f"recording everything that clients and server say into {recorder.folder}{hidden}",
            )
            client = self.connect(8080)
            client.send(b"a\0")
            self.network.flush()
            stopped = service.stopService()
            self.network.flush()
            self.successResultOf(stopped)
            [session] = self.sessions()
            self.assertEqual(told(session), [("client", b"a\0"), ("server", b"a\0")])
            assert session.end is not None
            self.assertEqual(session.end.how, "server")

    def test_stopsAfterError(self) -> None:
        """
        The recorder is stopped if something else fails at the end of the service.
        """
        service = self.service(xmlserver)
        with capturedLogs():
            service.startService()
        self.patch(service.factory, "closeAll", lambda timeout: 1 / 0)
        stopped = service.stopService()
        self.network.flush()
        self.failureResultOf(stopped, ZeroDivisionError)
        assert service.recorder is not None
        self.assertTrue(service.recorder.isStopped)

    def test_refusedFolder(self) -> None:
        """
        A folder that others can read ends the start with one line.
        """
        self.folder.mkdir()
        self.folder.chmod(0o755)
        service = self.service(xmlserver)
        self.addCleanup(service.stopService)
        problem = self.assertRaises(StartupError, service.startService)
        self.assertEqual(
            str(problem),
            f"--record={self.folder}: others may read this folder: chmod 700 {self.folder}",
        )

    def test_worker(self) -> None:
        """
        A worker has a folder of its own.
        """

        class Worker:
            number = 2

            def portReactor(self, reactor: Any, index: int) -> Any:
                return reactor

        self.patch(ServerOptions, "worker", Worker())
        options = xmlserver.Options()
        options.parseOptions([f"--record={self.folder}"])
        recorder = options["recorder"]
        recorder._clock = self.network.reactor
        with capturedLogs() as logs:
            recorder.start()
        self.assertIn("-worker2", linesOf(logs)[0])
        self.assertEqual([path.name[-8:] for path in Path(self.folder).iterdir()], ["-worker2"])
