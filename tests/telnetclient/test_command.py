"""
Tests for L{openfl_twisted.telnetclient.command}.
"""

import io
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import trustme
from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.commandline import seconds
from openfl_twisted.protocols.securesocket import SecureEndpoint
from openfl_twisted.telnetclient import command
from openfl_twisted.telnetclient.command import (
    Options,
    _chooseTerminal,
    _makeEndpoint,
    _talk,
    main,
    makeFactory,
)
from openfl_twisted.telnetclient.connection import (
    CLOSE_TIMEOUT,
    TelnetClientProtocol,
    XMLClientProtocol,
)
from openfl_twisted.telnetclient.prompt import PromptTerminal
from openfl_twisted.telnetclient.terminal import PlainTerminal
from openfl_twisted.tls import Trust
from openfl_twisted.wire.policy.address import Content
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.request import REQUEST
from tests.net.network import Network
from tests.telnetclient.doubles import FakeTerminal


def parse(*arguments: str) -> Options:
    """
    Parse the arguments of the program.
    """
    options = Options()
    options.parseOptions(list(arguments))
    return options


class OptionTests(SynchronousTestCase):
    """
    L{Options} validates the command line.
    """

    def file(self, content: bytes) -> str:
        """
        Make a temporary file.
        """
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "file.pem"
        path.write_bytes(content)
        return str(path)

    def assertUsage(self, arguments: list[str], words: str) -> None:
        """
        The arguments are refused in one line that contains these words.
        """
        error = self.assertRaises(UsageError, parse, *arguments)
        self.assertNotIn("\n", str(error))
        self.assertIn(words, str(error))

    def test_address(self) -> None:
        """
        The default port depends on the protocol; an IPv6 address may be in
        brackets.
        """
        for arguments, port in [
            (["h"], 23), (["--tls", "h"], 992), (["--xml", "h"], 8080), (["h", "65535"], 65535),
            (["--xml", "--tls", "h"], 8080),
        ]:  # fmt: skip
            options = parse(*arguments)
            self.assertEqual((options["host"], options["port"]), ("h", port))
        self.assertEqual(parse("[::1]")["host"], "::1")

    def test_wrongAddress(self) -> None:
        """
        An invalid address is a usage error.
        """
        for arguments in ([], [""], ["h", "1", "2"]):
            self.assertUsage(arguments, "the arguments must be HOST or HOST PORT")
        for port in ("", "x", "-1", "0", "65536", "1.5", "\u0663", "9" * 5000):
            self.assertUsage(["--", "h", port], "is not a port from 1 to 65535")
        for host in ("127.0.0.1:21081", "a.example:80", "[::1]:80"):
            self.assertUsage(["--xml", host], f"{host}: put a space between host and port")

    def test_text(self) -> None:
        """
        Newline and character encoding can be chosen, and have defaults.
        """
        options = parse("h")
        self.assertEqual((options["newline"], options["encoding"]), (b"\r\n", "utf-8"))
        options = parse("--newline=lf", "--encoding=latin-1", "h")
        self.assertEqual((options["newline"], options["encoding"]), (b"\n", "latin-1"))

    def test_wrongText(self) -> None:
        """
        Unknown values, and options that C{XMLSocket} does not have, are usage
        errors.
        """
        self.assertUsage(["--newline=cr", "h"], "must be one of crlf, lf")
        self.assertUsage(["--encoding=nope", "h"], "unknown character set 'nope'")
        self.assertUsage(["--encoding=utf-16", "h"], "must be a superset of ASCII")
        for argument in ("--newline=lf", "--encoding=latin-1"):
            self.assertUsage(["--xml", argument, "h"], "and --xml cannot be used together")

    def test_times(self) -> None:
        """
        Times are in seconds, and never infinite.
        """
        options = parse("--timeout=2.5", "--wait=0", "h")
        self.assertEqual((options["timeout"], options["wait"]), (2.5, 0.0))
        for text in ("", "x", "-1", "inf", "nan", "86401"):
            self.assertRaises(ValueError, seconds, text)
            self.assertUsage([f"--wait={text}", "h"], "must be a number of seconds")

    def test_authorities(self) -> None:
        """
        The platform's trust store is used, or the authorities in a file.
        """
        self.assertEqual(parse("h")["trust"], Trust())
        path = self.file(trustme.CA().cert_pem.bytes())
        self.assertEqual(parse("--tls", f"--ca={path}", "h")["trust"], Trust.fromPEM(path))

    def test_wrongAuthorities(self) -> None:
        """
        An unreadable file, a file without certificates, and an unused file are
        usage errors.
        """
        self.assertUsage(["--ca=x", "h"], "--ca requires --tls")
        self.assertUsage(["--tls", "--ca=/no/such/file", "h"], "No such file")
        path = self.file(b"nothing")
        self.assertUsage(["--tls", f"--ca={path}", "h"], f"--ca={path}: ")

    def test_asFlash(self) -> None:
        """
        A Flash program is identified by its URL; the master port can be changed.
        """
        self.assertIsNone(parse("h")["content"])
        options = parse("--as-flash=https://games.example/a.swf", "h")
        self.assertEqual(options["content"], Content("games.example", True))
        self.assertEqual((options["master-port"], options["older-rules"]), (843, 0))
        options = parse("--as-flash=http://a/", "--master-port=9843", "--older-rules", "h")
        self.assertEqual((options["master-port"], options["older-rules"]), (9843, 1))

    def test_wrongFlash(self) -> None:
        """
        Other URLs, and options that would have no effect, are usage errors.
        """
        for url in ("games.example", "file:///a.swf", "http://", ""):
            self.assertUsage([f"--as-flash={url}", "h"], "--as-flash: ")
        self.assertUsage(["--as-flash=http://a/", "--master-port=0", "h"], "'0' is not a port")
        for option in ("--master-port=9843", "--older-rules"):
            self.assertUsage([option, "h"], "requires --as-flash")

    def test_help(self) -> None:
        """
        The help says what the program does, in lines that fit a terminal.
        """
        text = str(Options())
        for words in ("HOST [PORT]", "XMLSocket", "23", "992", "8080", "Ctrl-D"):
            self.assertIn(words, text)
        self.assertTrue(all(len(line) <= 80 for line in text.splitlines()), text)

    def test_version(self) -> None:
        """
        The version is that of this package.
        """
        printed = io.StringIO()
        self.patch(sys, "stdout", printed)
        self.assertRaises(SystemExit, parse, "--version")
        self.assertTrue(printed.getvalue().startswith("openfl-twisted "))


class MakeTests(SynchronousTestCase):
    """
    Endpoint and factory depend on the options.
    """

    def test_endpoint(self) -> None:
        """
        With TLS the endpoint is wrapped.
        """
        reactor = MemoryReactorClock()
        endpoint: Any = _makeEndpoint(reactor, parse("--timeout=5", "a.example"), print)
        self.assertEqual((endpoint.name, endpoint.port, endpoint.timeout), ("a.example", 23, 5))
        endpoint = _makeEndpoint(reactor, parse("--tls", "a.example"), print)
        assert isinstance(endpoint, SecureEndpoint)
        inner: Any = endpoint._endpoint
        self.assertEqual((inner.name, inner.port), ("a.example", 992))

    def test_telnet(self) -> None:
        """
        Telnet uses the newline and the encoding of the options.
        """
        factory = makeFactory(None, parse("--newline=lf", "--encoding=koi8-r", "--wait=7", "h"))
        connection = factory.buildProtocol(None)
        assert isinstance(connection, TelnetClientProtocol)
        connection.makeConnection(StringTransport())
        self.assertEqual((connection.newline, connection.encoding), (b"\n", "koi8-r"))
        self.assertEqual(connection._wait, 7.0)

    def test_xml(self) -> None:
        """
        C{XMLSocket} has neither, and this side answers no policy requests.
        """
        connection = makeFactory(None, parse("--xml", "--tls", "h")).buildProtocol(None)
        assert isinstance(connection, XMLClientProtocol)
        self.assertIsNone(connection.policy)


class TalkTests(SynchronousTestCase):
    """
    L{_talk} connects a terminal and a server.
    """

    def _talk(self) -> Deferred[int]:
        """
        Start to connect to port 23 with a timeout of 20 seconds.
        """
        self.network = Network()
        self.terminal = FakeTerminal()
        self.told: list[str] = []
        reactor = self.network.reactor
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", 23, timeout=100)
        coroutine = _talk(reactor, parse("h"), endpoint, self.terminal, self.told.append)
        return Deferred.fromCoroutine(coroutine)

    def test_talk(self) -> None:
        """
        Input is sent to the server and its text is displayed; the end is reported
        after all text.
        """
        talking = self._talk()
        server = self.network.answer()
        self.assertEqual(self.told, ["connected to 127.0.0.1:23"])
        self.terminal.connection.sendInput("hello")
        self.assertEqual(server.received, b"hello\r\n")
        server.send(b"well\r\n")
        self.assertEqual(self.terminal.shown, ["well\n"])
        server.close()
        self.assertNoResult(talking)
        self.assertEqual(len(self.told), 1)
        self.terminal.stopped.callback(None)
        self.assertEqual(self.told[1:], ["closed"])
        self.assertEqual(self.successResultOf(talking), 0)

    def test_noConnection(self) -> None:
        """
        Without a connection the terminal is not started.
        """
        talking = self._talk()
        self.network.turnAway()
        self.assertEqual(self.successResultOf(talking), 1)
        self.assertEqual(self.told, ["h:23 refused the connection"])
        self.assertIsNone(self.terminal.connection)

    def test_timeout(self) -> None:
        """
        One timeout covers the whole connection attempt.
        """
        talking = self._talk()
        self.network.reactor.advance(20)
        self.assertEqual(self.successResultOf(talking), 1)
        self.assertEqual(self.told, ["h:23 has not answered within 20 seconds"])

    def test_interrupted(self) -> None:
        """
        The shutdown of the reactor waits for the terminal, but not indefinitely.
        """
        talking = self._talk()
        self.network.answer()
        stopped: list[bool] = []
        self.network.reactor.addSystemEventTrigger("during", "shutdown", stopped.append, True)
        self.network.reactor.stop()
        self.assertEqual((self.terminal.stops, stopped), (1, []))
        self.network.reactor.advance(CLOSE_TIMEOUT)
        self.assertEqual(stopped, [True])
        self.assertNoResult(talking)


class FlashTests(SynchronousTestCase):
    """
    With C{--as-flash}, policy files are checked before the connection.
    """

    def _talk(self, *arguments: str) -> Deferred[int]:
        """
        Start to connect as a Flash program from C{games.example}.
        """
        self.network = Network()
        self.terminal = FakeTerminal()
        self.told: list[str] = []
        options = parse("--as-flash=http://games.example/", *arguments)
        reactor = self.network.reactor
        endpoint = _makeEndpoint(reactor, options, self.told.append)
        coroutine = _talk(reactor, options, endpoint, self.terminal, self.told.append)
        return Deferred.fromCoroutine(coroutine)

    def assertAsked(self, *ports: int) -> None:
        """
        Connections to these ports were attempted, and to no others.
        """
        self.assertEqual([port for _, port in self.network.dialled], list(ports))

    def test_permitted(self) -> None:
        """
        Each step is reported, then the client connects.
        """
        talking = self._talk("127.0.0.1", "8080")
        self.assertAsked(843)
        self.network.turnAway()
        # For so long Twisted looks for other addresses of a host.
        self.network.reactor.advance(0.5)
        self.assertAsked(843, 8080)
        peer = self.network.answer()
        self.assertEqual(peer.received, REQUEST)
        policy = PolicyFile.forPort(8080).toXML()
        peer.send(policy + b"\0")
        self.assertAsked(843, 8080, 8080)
        self.network.answer()
        self.assertEqual(
            self.told,
            [
                "master policy file on port 843: connection refused",
                f"policy file on port 8080: a policy file of {len(policy)} bytes",
                "rule 1 (domain '*' to-ports '8080') grants access",
                "permitted: a program from http://games.example/ may connect",
                "connected to 127.0.0.1:8080",
            ],
        )
        self.terminal.connection.sendInput("hello")
        self.assertNoResult(talking)

    def test_refused(self) -> None:
        """
        Without permission the client does not connect, and exits with status 1.
        """
        talking = self._talk("--master-port=9843", "127.0.0.1", "80")
        self.assertAsked(9843)
        self.network.answer().send(PolicyFile(siteControl="none").toXML() + b"\0")
        self.assertAsked(9843)
        self.assertEqual(self.successResultOf(talking), 1)
        self.assertEqual(
            self.told[-1],
            "refused: a program from http://games.example/ gets a securityError, #2048",
        )
        self.assertIsNone(self.terminal.connection)

    def test_olderRules(self) -> None:
        """
        The older rules compare host and port, and request no file.
        """
        talking = self._talk("--older-rules", "127.0.0.1", "8080")
        self.assertEqual(self.successResultOf(talking), 1)
        self.assertAsked()
        self.assertEqual(
            self.told[:2],
            [
                "the content was loaded from 'games.example', not from '127.0.0.1'",
                "port 8080 is not below 1024",
            ],
        )

    def test_tls(self) -> None:
        """
        Policy files are requested without TLS.
        """
        self._talk("--tls", "127.0.0.1", "8443")
        self.assertEqual(self.network.answer().received, REQUEST)

    def test_timeout(self) -> None:
        """
        One timeout covers the files and the connection.
        """
        talking = self._talk("--timeout=5", "127.0.0.1", "8080")
        self.network.reactor.advance(3)
        self.assertAsked(843, 8080)
        self.network.reactor.advance(2)
        self.assertEqual(self.successResultOf(talking), 1)
        self.assertEqual(self.told[-1], "127.0.0.1:8080 has not answered within 5 seconds")


class TerminalFile(io.StringIO):
    """
    A file that may be a terminal.
    """

    encoding = "koi8-r"

    def __init__(self, isTerminal: bool) -> None:
        super().__init__()
        self.isTerminal = isTerminal

    def isatty(self) -> bool:
        return self.isTerminal


class ChoiceTests(SynchronousTestCase):
    """
    L{_chooseTerminal} inspects standard input and output.
    """

    def choose(self, stdin: bool, stdout: bool) -> Any:
        """
        Choose a terminal.
        """
        self.patch(sys, "stdin", TerminalFile(stdin))
        self.patch(sys, "stdout", TerminalFile(stdout))
        return _chooseTerminal(MemoryReactorClock())

    def test_interactive(self) -> None:
        """
        An interactive session gets a prompt.
        """
        self.assertIsInstance(self.choose(True, True), PromptTerminal)

    def test_script(self) -> None:
        """
        With a pipe at either end there is no prompt; control characters are made
        visible only on a terminal.
        """
        for stdin, stdout in [(False, False), (True, False), (False, True)]:
            chosen = self.choose(stdin, stdout)
            assert isinstance(chosen, PlainTerminal)
            self.assertEqual(chosen._safe, stdout)
            self.assertEqual(chosen._inputEncoding, "koi8-r")
            self.assertEqual(chosen._outputEncoding, "koi8-r")

    def test_notInstalled(self) -> None:
        """
        Without C{prompt_toolkit} an interactive session uses plain lines.
        """
        with patch.dict(sys.modules, {"openfl_twisted.telnetclient.prompt": None}):
            chosen = self.choose(True, True)
        assert isinstance(chosen, PlainTerminal)
        self.assertTrue(chosen._safe)


class MainTests(SynchronousTestCase):
    """
    L{main} runs the program.
    """

    def run_(self, *arguments: str) -> tuple[int, str]:
        """
        Run the program in memory.
        @return: the exit status, and the text on standard error.
        """
        told = io.StringIO()
        self.patch(sys, "stderr", told)
        self.patch(sys, "argv", ["openfl-telnet", *arguments])
        error = self.assertRaises(SystemExit, main)
        return error.code or 0, told.getvalue()

    def test_usage(self) -> None:
        """
        A usage error is one line, and has its own exit status.
        """
        status, told = self.run_("h", "x")
        self.assertEqual(status, 2)
        self.assertEqual(
            told.splitlines(),
            ["openfl-telnet: 'x' is not a port from 1 to 65535; see --help"],
        )

    def test_noStandardInput(self) -> None:
        """
        Without standard input or output the program exits with an error.
        """
        for name in ("stdin", "stdout"):
            self.patch(sys, name, None)
            status, told = self.run_("h")
            self.assertEqual(status, 2)
            self.assertIn("standard input or standard output is missing", told)

    def test_noStandardError(self) -> None:
        """
        Without standard error only the exit status reports an error.
        """
        self.patch(sys, "argv", ["openfl-telnet"])
        self.patch(sys, "stderr", None)
        self.assertEqual(self.assertRaises(SystemExit, main).code, 2)

    def test_status(self) -> None:
        """
        The program exits with the status of L{_talk}.
        """
        for status in (0, 1):

            async def talkShortly(*arguments: Any, status: int = status) -> int:
                return status

            def react(run: Any) -> None:
                reactor: Any = MemoryReactorClock()
                reactor.callWhenRunning = lambda function, *arguments: function(*arguments)
                task.react(run, (), _reactor=reactor)

            self.patch(command, "react", react)
            self.patch(command, "_talk", talkShortly)
            self.assertEqual(self.run_("h"), (status, ""))
