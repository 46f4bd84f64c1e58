"""
Tests for L{openfl_twisted.telnetclient.command}.
"""

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import trustme
from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.securesocket import SecureEndpoint
from openfl_twisted.telnetclient import command
from openfl_twisted.telnetclient.command import (
    Options,
    main,
    makeEndpoint,
    makeFactory,
    seconds,
    talk,
)
from openfl_twisted.telnetclient.connection import CLOSE_TIMEOUT, TelnetCall, XMLCall
from openfl_twisted.tls import Trust
from openfl_twisted.wire.policy import REQUEST, Content, PolicyFile
from tests.net.network import Network
from tests.telnetclient.doubles import Person


def parse(*arguments: str) -> Options:
    """
    Parse the arguments of the program.
    """
    options = Options()
    options.parseOptions(list(arguments))
    return options


class OptionTests(SynchronousTestCase):
    """
    L{Options} checks what the program is told.
    """

    def file(self, content: bytes) -> str:
        """
        Make a file that is gone after the test.
        """
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "file.pem"
        path.write_bytes(content)
        return str(path)

    def assertUsage(self, arguments: list[str], words: str) -> None:
        """
        The arguments are refused in one line that has these words.
        """
        error = self.assertRaises(UsageError, parse, *arguments)
        self.assertNotIn("\n", str(error))
        self.assertIn(words, str(error))

    def test_address(self) -> None:
        """
        The port goes by what is spoken, if it is not given; an address of IPv6
        may have brackets.
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
        An address that is none is a usage error.
        """
        for arguments in ([], [""], ["h", "1", "2"]):
            self.assertUsage(arguments, "give a host, and a port if you like")
        for port in ("", "x", "-1", "0", "65536", "1.5", "\u0663", "9" * 5000):
            self.assertUsage(["--", "h", port], "is not a port: a number from 1 to 65535")

    def test_text(self) -> None:
        """
        Newline and character set can be chosen, and have defaults.
        """
        options = parse("h")
        self.assertEqual((options["newline"], options["encoding"]), (b"\r\n", "utf-8"))
        options = parse("--newline=lf", "--encoding=latin-1", "h")
        self.assertEqual((options["newline"], options["encoding"]), (b"\n", "latin-1"))

    def test_wrongText(self) -> None:
        """
        What nobody knows, and what C{XMLSocket} has fixed, is a usage error.
        """
        self.assertUsage(["--newline=cr", "h"], "there are crlf, lf")
        self.assertUsage(["--encoding=nope", "h"], "there is no character set 'nope'")
        self.assertUsage(["--encoding=utf-16", "h"], "does not have ASCII in it")
        for argument in ("--newline=lf", "--encoding=latin-1"):
            self.assertUsage(["--xml", argument, "h"], "goes without --xml")

    def test_times(self) -> None:
        """
        Times are in seconds, and never infinite.
        """
        options = parse("--timeout=2.5", "--wait=0", "h")
        self.assertEqual((options["timeout"], options["wait"]), (2.5, 0.0))
        for text in ("", "x", "-1", "inf", "nan", "86401"):
            self.assertRaises(ValueError, seconds, text)
            self.assertUsage([f"--wait={text}", "h"], "is not a number of seconds")

    def test_authorities(self) -> None:
        """
        Those of this machine are trusted, or those in a file.
        """
        self.assertEqual(parse("h")["trust"], Trust())
        path = self.file(trustme.CA().cert_pem.bytes())
        self.assertEqual(parse("--tls", f"--ca={path}", "h")["trust"], Trust.fromPEM(path))

    def test_wrongAuthorities(self) -> None:
        """
        A file that cannot be read or has no certificate, and one that would not
        be used, is a usage error.
        """
        self.assertUsage(["--ca=x", "h"], "--ca goes with --tls")
        self.assertUsage(["--tls", "--ca=/no/such/file", "h"], "No such file")
        path = self.file(b"nothing")
        self.assertUsage(["--tls", f"--ca={path}", "h"], f"--ca={path}: ")

    def test_asFlash(self) -> None:
        """
        A program of Flash comes from a URL; another port can stand for 843.
        """
        self.assertIsNone(parse("h")["content"])
        options = parse("--as-flash=https://games.example/a.swf", "h")
        self.assertEqual(options["content"], Content("games.example", True))
        self.assertEqual((options["master-port"], options["older-rules"]), (843, 0))
        options = parse("--as-flash=http://a/", "--master-port=9843", "--older-rules", "h")
        self.assertEqual((options["master-port"], options["older-rules"]), (9843, 1))

    def test_wrongFlash(self) -> None:
        """
        What is no such URL, and what would not be used, is a usage error.
        """
        for url in ("games.example", "file:///a.swf", "http://", ""):
            self.assertUsage([f"--as-flash={url}", "h"], "--as-flash: ")
        self.assertUsage(["--as-flash=http://a/", "--master-port=0", "h"], "'0' is not a port")
        for option in ("--master-port=9843", "--older-rules"):
            self.assertUsage([option, "h"], "goes with --as-flash")

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
    What is made goes by the options.
    """

    def test_endpoint(self) -> None:
        """
        With TLS there is something around the way to the server.
        """
        reactor = MemoryReactorClock()
        endpoint: Any = makeEndpoint(reactor, parse("--timeout=5", "a.example"), print)
        assert isinstance(endpoint, HostnameEndpoint)
        self.assertEqual((endpoint._hostText, endpoint._port), ("a.example", 23))
        endpoint = makeEndpoint(reactor, parse("--tls", "a.example"), print)
        assert isinstance(endpoint, SecureEndpoint)
        self.assertIsInstance(endpoint._endpoint, HostnameEndpoint)

    def test_telnet(self) -> None:
        """
        Telnet has its newline and its character set.
        """
        factory = makeFactory(None, parse("--newline=lf", "--encoding=koi8-r", "--wait=7", "h"))
        call = factory.buildProtocol(None)
        assert isinstance(call, TelnetCall)
        self.assertEqual((call.newline, call.encoding), (b"\n", "koi8-r"))
        self.assertEqual(call._wait, 7.0)

    def test_xml(self) -> None:
        """
        C{XMLSocket} has neither, and this side answers no policy requests.
        """
        call = makeFactory(None, parse("--xml", "--tls", "h")).buildProtocol(None)
        assert isinstance(call, XMLCall)
        self.assertIsNone(call.policy)


class TalkTests(SynchronousTestCase):
    """
    L{talk} brings a terminal and a server together.
    """

    def talk(self) -> Deferred[int]:
        """
        Begin.
        """
        self.network = Network()
        self.person = Person()
        self.told: list[str] = []
        reactor = self.network.reactor
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", 23, timeout=100)
        coroutine = talk(reactor, parse("h"), endpoint, self.person, self.told.append)
        return Deferred.fromCoroutine(coroutine)

    def test_talk(self) -> None:
        """
        Lines go to the server and text to the person; the end is told when all
        has been shown.
        """
        talking = self.talk()
        server = self.network.answer()
        self.assertEqual(self.told, ["connected to 127.0.0.1:23"])
        self.person.call.say("hello")
        self.assertEqual(server.received, b"hello\r\n")
        server.send(b"well\r\n")
        self.assertEqual(self.person.shown, ["well\n"])
        server.close()
        self.assertNoResult(talking)
        self.assertEqual(len(self.told), 1)
        self.person.stopped.callback(None)
        self.assertEqual(self.told[1:], ["closed"])
        self.assertEqual(self.successResultOf(talking), 0)

    def test_noConnection(self) -> None:
        """
        Without a connection no lines are asked for.
        """
        talking = self.talk()
        self.network.turnAway()
        self.assertEqual(self.successResultOf(talking), 1)
        self.assertEqual(self.told, ["h:23 refuses connections"])
        self.assertIsNone(self.person.call)

    def test_timeout(self) -> None:
        """
        One time is for all of it.
        """
        talking = self.talk()
        self.network.reactor.advance(20)
        self.assertEqual(self.successResultOf(talking), 1)
        self.assertEqual(self.told, ["h:23 has not answered within 20 seconds"])

    def test_interrupted(self) -> None:
        """
        When the reactor stops, the terminal is waited for, but not for ever.
        """
        talking = self.talk()
        self.network.answer()
        stopped: list[bool] = []
        self.network.reactor.addSystemEventTrigger("during", "shutdown", stopped.append, True)
        self.network.reactor.stop()
        self.assertEqual((self.person.stops, stopped), (1, []))
        self.network.reactor.advance(CLOSE_TIMEOUT)
        self.assertEqual(stopped, [True])
        self.assertNoResult(talking)


class FlashTests(SynchronousTestCase):
    """
    With C{--as-flash} what Flash Player would do comes first.
    """

    def talk(self, *arguments: str) -> Deferred[int]:
        """
        Begin.
        """
        self.network = Network()
        self.person = Person()
        self.told: list[str] = []
        options = parse("--as-flash=http://games.example/", *arguments)
        reactor = self.network.reactor
        endpoint = makeEndpoint(reactor, options, self.told.append)
        coroutine = talk(reactor, options, endpoint, self.person, self.told.append)
        return Deferred.fromCoroutine(coroutine)

    def assertAsked(self, *ports: int) -> None:
        """
        These ports have been connected to, and no others.
        """
        self.assertEqual([port for _, port in self.network.dialled], list(ports))

    def test_permitted(self) -> None:
        """
        Each step is told, and then it connects and talks.
        """
        talking = self.talk("127.0.0.1", "8080")
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
                "master policy file, port 843: nobody listens there",
                f"policy file of port 8080 itself: a policy file of {len(policy)} bytes",
                "rule 1 (domain '*' to-ports '8080') grants",
                "permitted: a program from http://games.example/ may connect",
                "connected to 127.0.0.1:8080",
            ],
        )
        self.person.call.say("hello")
        self.assertNoResult(talking)

    def test_refused(self) -> None:
        """
        Without permission it does not connect, and ends with status 1.
        """
        talking = self.talk("--master-port=9843", "127.0.0.1", "80")
        self.assertAsked(9843)
        self.network.answer().send(PolicyFile(siteControl="none").toXML() + b"\0")
        self.assertAsked(9843)
        self.assertEqual(self.successResultOf(talking), 1)
        self.assertEqual(
            self.told[-1],
            "refused: a program from http://games.example/ gets a securityError, #2048",
        )
        self.assertIsNone(self.person.call)

    def test_olderRules(self) -> None:
        """
        By the older rules host and port are looked at, and no file is asked
        for.
        """
        talking = self.talk("--older-rules", "127.0.0.1", "8080")
        self.assertEqual(self.successResultOf(talking), 1)
        self.assertAsked()
        self.assertEqual(
            self.told[:2],
            [
                "the content comes from 'games.example', not from '127.0.0.1'",
                "port 8080 is not below 1024",
            ],
        )

    def test_tls(self) -> None:
        """
        Policy files are asked for without TLS, whatever comes after.
        """
        self.talk("--tls", "127.0.0.1", "8443")
        self.assertEqual(self.network.answer().received, REQUEST)

    def test_timeout(self) -> None:
        """
        One time is for the files and the connection.
        """
        talking = self.talk("--timeout=5", "127.0.0.1", "8080")
        self.network.reactor.advance(3)
        self.assertAsked(843, 8080)
        self.network.reactor.advance(2)
        self.assertEqual(self.successResultOf(talking), 1)
        self.assertEqual(self.told[-1], "127.0.0.1:8080 has not answered within 5 seconds")


class MainTests(SynchronousTestCase):
    """
    L{main} runs the program.
    """

    def run_(self, *arguments: str) -> tuple[int, str]:
        """
        Run it in memory.

        @return: its status, and what it has told.
        """
        told = io.StringIO()
        self.patch(sys, "stderr", told)
        self.patch(sys, "argv", ["openfl-telnet", *arguments])
        error = self.assertRaises(SystemExit, main)
        return error.code or 0, told.getvalue()

    def test_usage(self) -> None:
        """
        Wrong usage is a line and a hint, with a status of its own.
        """
        status, told = self.run_("h", "x")
        self.assertEqual(status, 2)
        self.assertEqual(
            told.splitlines(),
            [
                "openfl-telnet: 'x' is not a port: a number from 1 to 65535",
                "See openfl-telnet --help.",
            ],
        )

    def test_noStandardInput(self) -> None:
        """
        Without standard input or output there is nothing to do.
        """
        for name in ("stdin", "stdout"):
            self.patch(sys, name, None)
            status, told = self.run_("h")
            self.assertEqual(status, 2)
            self.assertIn("there is no standard input", told)

    def test_noStandardError(self) -> None:
        """
        Without standard error there is only the status.
        """
        self.patch(sys, "argv", ["openfl-telnet"])
        self.patch(sys, "stderr", None)
        self.assertEqual(self.assertRaises(SystemExit, main).code, 2)

    def test_status(self) -> None:
        """
        It ends with the status of the talk.
        """
        for status in (0, 1):

            async def talkShortly(*arguments: Any, status: int = status) -> int:
                return status

            def react(run: Any) -> None:
                reactor: Any = MemoryReactorClock()
                reactor.callWhenRunning = lambda function, *arguments: function(*arguments)
                task.react(run, (), _reactor=reactor)

            self.patch(command, "react", react)
            self.patch(command, "talk", talkShortly)
            self.assertEqual(self.run_("h"), (status, ""))
