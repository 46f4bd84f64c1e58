"""
Tests for Windows and macOS, simulated on any system.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from threading import Event
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.testing import MemoryReactorClock
from twisted.python import runtime
from twisted.python.usage import UsageError
from twisted.scripts import _twistw
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.net import ServerSocket
from openfl_twisted.reactors import socketLimit
from openfl_twisted.services import bridge, options, programs, xmlserver
from openfl_twisted.services.programs import twistdArguments
from openfl_twisted.telnetclient.terminal import PlainTerminal
from openfl_twisted.telnetclient.threadedio import ThreadedIO
from openfl_twisted.testing import MemoryNetwork
from openfl_twisted.transports import keepalive
from tests.support.transports import SocketTransport
from tests.telnetclient.doubles import connected

WINDOWS = runtime.Platform("nt", "win32")
MISSING = "openfl_twisted.reactors.epoll"
MACOS = runtime.Platform("posix", "darwin")


class ImportTests(SynchronousTestCase):
    """
    The package on Windows.
    """

    def test_windows(self) -> None:
        """
        All modules except the C{openfl} reactor can be imported without the modules, functions and
        constants of POSIX, and the programs use only options that C{twistd} has on Windows.
        """
        done = subprocess.run(
            [sys.executable, "-m", "tests.simulatedwindows"], capture_output=True, text=True
        )
        self.assertEqual(
            (done.stdout.splitlines(), done.stderr),
            (
                [
                    f"{MISSING}: --reactor=openfl requires epoll (Linux): omit the option",
                    "--nodaemon --reactor=iocp --logfile log openfl-xml --echo",
                ],
                "",
            ),
        )


class ProgramTests(SynchronousTestCase):
    """
    L{twistdArguments} creates the command line of C{twistd} for C{openfl-xml} and the others.
    """

    def split(self, *arguments: str) -> list[str]:
        """
        Return the arguments after those that the program adds.
        """
        added, *rest = twistdArguments("openfl-xml", arguments)
        self.assertEqual(added, "--nodaemon")
        if "pidfile" in programs._twistd.ServerOptions():
            self.assertEqual(rest.pop(0), "--pidfile=")
        return rest

    def test_options(self) -> None:
        """
        The options of C{twistd} precede the command; all other arguments follow it.
        """
        self.assertEqual(self.split(), ["openfl-xml"])
        self.assertEqual(
            self.split("--listen", "tcp:1", "--echo"), ["openfl-xml", "--listen", "tcp:1", "--echo"]
        )
        self.assertEqual(
            self.split("-n", "--logfile", "a b", "-r", "asyncio", "--no_save", "--listen=tcp:1"),
            [
                "-n",
                "--logfile",
                "a b",
                "-r",
                "asyncio",
                "--no_save",
                "openfl-xml",
                "--listen=tcp:1",
            ],
        )

    def test_ofCommand(self) -> None:
        """
        C{--help} and C{--version} are those of the command.
        """
        for option in ("--help", "--version"):
            self.assertEqual(self.split("--reactor=poll", option)[1:], ["openfl-xml", option])

    def test_incomplete(self) -> None:
        """
        An option of C{twistd} without its value is passed to C{twistd}, which reports it.
        """
        self.assertEqual(self.split("--logfile"), ["--logfile", "openfl-xml"])

    @given(st.lists(st.sampled_from(["-n", "--uid", "--reactor=x", "--echo", "--listen", "1", ""])))
    def test_order(self, arguments: list[str]) -> None:
        """
        No argument is lost or moved.
        """
        rest = self.split(*arguments)
        rest.remove("openfl-xml")
        self.assertEqual(rest, arguments)

    def test_windows(self) -> None:
        """
        On Windows, C{twistd} has no pid file.
        """
        self.patch(programs._twistd, "ServerOptions", _twistw.ServerOptions)
        self.assertEqual(
            self.split("--reactor=iocp", "--echo"), ["--reactor=iocp", "openfl-xml", "--echo"]
        )
        self.assertNotIn("--pidfile=", twistdArguments("openfl-xml", []))

    def test_late(self) -> None:
        """
        An option of C{twistd} after those of the command is a usage error that says where to write
        it.
        """
        parsed = xmlserver.Options()
        parsed.parent = programs._twistd.ServerOptions()
        with self.assertRaises(UsageError) as caught:
            parsed.parseArguments(["--echo", "--reactor=asyncio"])
        self.assertEqual(
            str(caught.exception),
            "option --reactor not recognized (an option of twistd: "
            "write --reactor before all options of the command)",
        )


class SocketLimitTests(SynchronousTestCase):
    """
    The select reactor limits C{--max-connections}.
    """

    def limits(self, platform: runtime.Platform) -> list[int | None]:
        """
        Return the limits of the select reactor, the asyncio reactor and another one.
        """
        self.patch(runtime, "platform", platform)
        reactors = [SelectReactor, AsyncioSelectorReactor, MemoryReactorClock]
        return [socketLimit(each.__new__(each)) for each in reactors]  # type: ignore[call-overload]

    def test_reactors(self) -> None:
        """
        On Windows, C{select} and asyncio watch at most 512 sockets; on macOS, C{select} watches
        descriptors up to 1024, and asyncio has no limit.
        """
        self.assertEqual(self.limits(WINDOWS), [512, 512, None])
        self.assertEqual(self.limits(MACOS), [1024, None, None])

    def parse(self, module: Any, limit: int | None, *arguments: str) -> int:
        """
        Return C{max-connections} with a reactor that has a limit.
        """
        self.patch(options, "socketLimit", lambda reactor: limit)
        parsed = module.Options()
        parsed.parseOptions(arguments)
        found: int = parsed["max-connections"]
        return found

    def test_default(self) -> None:
        """
        The default fits the reactor. The bridge uses two sockets for each client.
        """
        connect = "--connect=tcp:127.0.0.1:9"
        self.assertEqual(self.parse(xmlserver, None), 10_000)
        self.assertEqual(self.parse(xmlserver, 1024), 928)
        self.assertEqual(self.parse(xmlserver, 512), 416)
        self.assertEqual(self.parse(bridge, 512, connect), 208)

    def test_tooMany(self) -> None:
        """
        More connections than the reactor can watch are a usage error, with the maximum.
        """
        self.assertEqual(self.parse(xmlserver, 512, "--max-connections=416"), 416)
        for number in (0, 417):
            with self.assertRaisesRegex(
                UsageError, rf"^--max-connections={number}: must be 1 to 416, .* only 512 sockets$"
            ):
                self.parse(xmlserver, 512, f"--max-connections={number}")


class SocketOptionTests(SynchronousTestCase):
    """
    The options of sockets.
    """

    def test_keepAliveOnMacOS(self) -> None:
        """
        On macOS, C{TCP_KEEPALIVE} sets the time that C{TCP_KEEPIDLE} sets on other systems.
        """
        transport = SocketTransport(socket.AF_INET)
        self.addCleanup(transport.socket.close)
        idle = socket.TCP_KEEPIDLE
        names = ("TCP_KEEPIDLE", "TCP_USER_TIMEOUT")
        with patch.multiple(socket, TCP_KEEPALIVE=idle, create=True):
            for name in names:
                number = getattr(socket, name)
                self.addCleanup(setattr, socket, name, number)
                delattr(socket, name)
            keepalive.keepAlive(transport)
        self.assertEqual(transport.socket.getsockopt(socket.IPPROTO_TCP, idle), 60)

    def test_reuse(self) -> None:
        """
        A C{ServerSocket} sets C{SO_REUSEADDR} only on POSIX systems. On Windows, the option would
        let two programs listen on the same port.
        """
        for platformType, expected in (("posix", True), ("win32", False)):
            self.patch(runtime, "platformType", platformType)
            network = MemoryNetwork()
            made: list[Any] = []
            makeSocket = network.reactor.makeSocket

            def make(*arguments: Any, makeSocket: Any = makeSocket, made: Any = made) -> Any:
                made.append(makeSocket(*arguments))
                return made[-1]

            network.reactor.makeSocket = make
            server = ServerSocket(reactor=network.reactor)
            server.bind(8080, "127.0.0.1")
            reuse = made[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
            self.assertEqual(bool(reuse), expected)


class FakeReactor(MemoryReactorClock):
    """
    A reactor whose C{callFromThread} collects calls until L{take}.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []
        self.called = Event()

    def callFromThread(self, function: Any, *arguments: Any, **keywords: Any) -> None:
        self.calls.append((function, arguments))
        self.called.set()

    def take(self) -> None:
        """
        Wait for the next call, and make it.
        """
        self.called.wait(60)
        self.called.clear()
        function, arguments = self.calls.pop(0)
        function(*arguments)


class ThreadedIOTests(SynchronousTestCase):
    """
    L{ThreadedIO}, the standard input and output of C{openfl-telnet} on Windows.
    """

    def setUp(self) -> None:
        from openfl_twisted.telnetclient import terminal

        self.patch(terminal, "_StandardIO", ThreadedIO)
        self.reactor = FakeReactor()
        self.connection, self.network = connected()
        stdin, self.typing = os.pipe()
        self.reading, stdout = os.pipe()
        for each in (stdin, stdout, self.reading, self.typing):
            self.addCleanup(self.close, each)
        self.stdout = stdout
        self.terminal = PlainTerminal(self.reactor, safe=False, descriptors=(stdin, stdout))
        self.terminal.start(self.connection)

    def close(self, descriptor: int) -> None:
        """
        Close a descriptor that can be closed already.
        """
        with contextlib.suppress(OSError):
            os.close(descriptor)

    def tearDown(self) -> None:
        # The thread ends at the end of its input.
        self.close(self.typing)
        self.terminal.transport._mayRead.set()
        for thread in threading.enumerate():
            if thread.name == "standard input":
                # Otherwise, it could read from a descriptor of the next test with the same number.
                thread.join(60)

    def type(self, data: bytes) -> None:
        """
        Type input, and wait until it was received.
        """
        os.write(self.typing, data)
        self.reactor.take()

    def test_lines(self) -> None:
        """
        Each line is sent; at the end of the input, the last line is sent without a newline.
        """
        self.type(b"one\ntw")
        self.type(b"o\nthree")
        self.assertEqual(self.connection.sent, ["one", "two"])
        os.close(self.typing)
        self.reactor.take()
        self.assertEqual(self.connection.sent, ["one", "two", "three"])
        self.assertEqual(self.connection.ends, ["input ended"])

    def test_pause(self) -> None:
        """
        While the server does not read, at most one chunk is read, and it is not sent.
        """
        self.terminal.transport.pauseProducing()
        self.type(b"one\n")
        os.write(self.typing, b"two\n")
        self.assertEqual((self.connection.sent, self.reactor.calls), ([], []))
        self.terminal.transport.resumeProducing()
        self.assertEqual(self.connection.sent, ["one"])
        self.reactor.take()
        self.assertEqual(self.connection.sent, ["one", "two"])

    def test_output(self) -> None:
        """
        Text is written immediately.
        """
        self.terminal.show("<hello/>\n")
        self.assertEqual(os.read(self.reading, 100), b"<hello/>\n")
        self.terminal.transport.writeSequence([b"a", b"b"])
        self.assertEqual(os.read(self.reading, 100), b"ab")

    def test_closedOutput(self) -> None:
        """
        When the output is closed, the connection is closed; later text is dropped.
        """
        os.close(self.reading)
        self.terminal.show("a")
        self.terminal.show("b")
        self.assertEqual(self.connection.ends, ["closed"])

    def test_stop(self) -> None:
        """
        After the terminal was stopped, input is ignored.
        """
        stopped = self.terminal.stop()
        self.terminal.transport.stopProducing()
        self.assertNoResult(stopped)
        self.reactor.advance(0)
        self.successResultOf(stopped)
        self.type(b"late\n")
        self.assertEqual(self.connection.sent, [])
        self.assertIsNone(self.terminal.transport.getPeer())
        self.assertIsNone(self.terminal.transport.getHost())
