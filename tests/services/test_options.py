"""
Tests for the options of the commands.
"""

import io
import os
import sys
import tempfile
import tomllib
from pathlib import Path

import trustme
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import capturedLogs
from twisted.python.usage import Options, UsageError
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.addresses import describe
from openfl_twisted.dispatch import handler
from openfl_twisted.endpoints import seconds
from openfl_twisted.logs import packageLogger
from openfl_twisted.protocols.allowing import WebSocketRequest
from openfl_twisted.protocols.broadcast import BroadcastProtocol, EchoProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol
from openfl_twisted.rooms.roomprotocol import RoomProtocol, XMLRoomProtocol
from openfl_twisted.services import echoserver, options, policyserver, xmlserver
from openfl_twisted.services.options import ServerOptions, count, describePort, rate, size
from openfl_twisted.tls.server import ServerCertificates
from openfl_twisted.wire.firstbytes import ALL_TYPES, ClientType
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.rule import AccessRule
from openfl_twisted.workers.worker import WorkerSide
from tests.brokers.doubles import withoutHiredis
from tests.laboratory import PAST, authority, server
from tests.services.optionscase import App, Board, OptionsTestCase, Table

INTERMEDIATE = authority("Intermediate", authority("Root"))


class Limited(App):
    """
    A protocol with limits.
    """

    MAX_LENGTH = 100
    maxQueue = 0
    messageRate = 5


class Choosy(App):
    """
    A protocol that decides about WebSockets.
    """

    @classmethod
    def allow(cls, request: WebSocketRequest) -> bool:
        return False


class WronglyChoosy(App):
    """
    A protocol whose hook is not a class method.
    """

    def allow(self, request: WebSocketRequest) -> bool:
        return False


class Silent(XMLSocketProtocol):
    """
    A protocol without a handler.
    """


class Misspelt(XMLSocketProtocol):
    """
    A protocol with a misspelt handler.
    """

    def messageRecieved(self, message: str) -> None: ...


class SilentTable(RoomProtocol):
    """
    A room protocol without a handler.
    """


class Undispatched(XMLSocketProtocol):
    """
    A protocol that does not call its handlers.
    """

    @handler
    def move(self) -> None: ...


class Demanding(App):
    """
    A protocol that cannot be created without arguments.
    """

    def __init__(self, game: object) -> None: ...


class Raw(XMLSocketProtocol):
    """
    A protocol that splits the messages itself.
    """

    def __init__(self, game: object = None) -> None: ...

    def dataReceived(self, data: bytes) -> None: ...


AN_APP = App()


class ValueTests(SynchronousTestCase):
    """
    Values of options.
    """

    def test_size(self) -> None:
        """
        Sizes can have the suffixes K and M; 0 means unlimited.
        """
        self.assertEqual([size("5000"), size("64K"), size("1m")], [5000, 65536, 1048576])
        self.assertEqual([size("0"), size("0M"), rate("0"), rate("0K")], [sys.maxsize] * 2 + [0, 0])
        for text in ["", "-5", "1.5K", "5G", "K", "1" * 16]:
            self.assertRaises(ValueError, size, text)

    def test_count(self) -> None:
        """
        Counts begin at 0.
        """
        self.assertEqual([count("0"), count("12")], [0, 12])
        for text in ["", "-5", "1.5", "\u0663"]:
            self.assertRaises(ValueError, count, text)

    def test_seconds(self) -> None:
        """
        Durations can have fractions, and are finite.
        """
        self.assertEqual([seconds("0"), seconds("1.5"), seconds(".5")], [0.0, 1.5, 0.5])
        for text in ["", "-5", "inf", "nan", "1e3", "."]:
            self.assertRaises(ValueError, seconds, text)


class SharedTests(OptionsTestCase):
    """
    Options of all commands.
    """

    def test_defaultEndpoints(self) -> None:
        """
        Each command listens on loopback, on the port of the guide.
        """
        for module, arguments, port in [
            (xmlserver, [], 8080),
            (echoserver, [], 8087),
            (echoserver, ["--style=simple-server"], 8080),
            (policyserver, ["--allow=*:80"], 843),
        ]:
            [endpoint] = self.parse(module, *arguments)["listen"]
            assert isinstance(endpoint, TCP4ServerEndpoint)
            self.assertEqual((endpoint._interface, endpoint._port), ("127.0.0.1", port))

    def test_listen(self) -> None:
        """
        C{--listen} can be repeated, and replaces the default.
        """
        options = self.parse(xmlserver, "--listen=tcp:1", "-l", "tcp6:2", "-l", "unix:/a")
        self.assertEqual(len(options["listen"]), 3)
        for endpoint in options["listen"]:
            self.assertTrue(IStreamServerEndpoint.providedBy(endpoint))

    def test_wrongListen(self) -> None:
        """
        An invalid endpoint is a usage error.
        """
        for description in ["", "nope:1", "tcp", "tcp:x", "tcp:1:nope=2", "ssl:1", "unix"]:
            self.assertUsage(xmlserver, [f"--listen={description}"], f"--listen={description}:")
        self.assertUsage(xmlserver, ["--listen=systemd:domain=INET:name=x"], "unknown socket 'x'")

    def test_listenReasons(self) -> None:
        """
        The error says what is wrong, and not what a function of Twisted has raised.
        """
        for description, reason in (
            ("", "the endpoint type is missing"),
            ("openfl", "the endpoint type is missing"),
            ("tcp", "the port is missing"),
            ("openfl:tcp", "the port is missing"),
            ("tcp:x", "'x' is not a number"),
            ("tcp:99999", "the port must be from 0 to 65535, not 99999"),
            ("haproxy:tcp:-1", "the port must be from 0 to 65535, not -1"),
            ("tcp:1:interface=::1", r"escape each colon of an IPv6 address, as in interface=\:\:1"),
            ("systemd:domain=INET:index=0", "systemd has passed no socket with this index"),
            ("tcp:1:nope=2", "nope= is not an argument"),
            ("openfl:tcp:1:nope=2", "nope= is not an argument"),
            ("openfl:tcp:1:plicy=port", "plicy= is not an argument of openfl: did you mean policy"),
            ("tcp:1:2:3:4", "too many arguments"),
            ("tpc:80", "unknown endpoint type tpc (did you mean tcp?)"),
            ("openfl:tpc:80", "unknown endpoint type tpc (did you mean tcp?)"),
            ("nope:80", "unknown endpoint type nope"),
            ("openfl:tcp:1:policy=/missing", "No such file or directory: /missing"),
        ):
            self.assertUsage(xmlserver, [f"--listen={description}"], f"={description}: {reason}")

    def test_wrongNumbers(self) -> None:
        """
        An invalid number is a usage error.
        """
        for argument in [
            "--max-connections=x", "--shutdown-timeout=x", "--idle-timeout=-1",
            "--greeting-delay=inf",
        ]:  # fmt: skip
            self.assertUsage(xmlserver, [argument], "must be a")
        for argument in ["--max-message=x", "--max-queue="]:
            self.assertUsage(xmlserver, [argument], "must be a size in bytes")

    def test_logLevel(self) -> None:
        """
        Events below the log level are not logged.
        """
        log = packageLogger()
        self.parse(xmlserver, "--log-level=warn")
        with capturedLogs() as logs:
            log.info("left out")
            log.warn("logged")
        self.assertEqual([event["log_format"] for event in logs], ["logged"])
        self.assertUsage(xmlserver, ["--log-level=loud"], "debug, info, warn, error")

    def test_logFormat(self) -> None:
        """
        The log format is set in C{twistd}, except in a worker, whose supervisor writes the log.
        """
        self.assertUsage(xmlserver, ["--log-format=xml"], "must be one of text, json")
        used: list[object] = []
        self.patch(options, "logAsJSON", used.append)
        for name, worker, calls in (("json", None, 1), ("text", None, 0), ("json", object(), 0)):
            used.clear()
            parsed = self.parse(xmlserver, f"--log-format={name}")
            parsed.parent, parsed.worker = Options(), worker
            parsed._setLogFormat()
            self.assertEqual(used, [parsed.parent] * calls)

    def test_logFormatConflict(self) -> None:
        """
        A log of C{twistd} that cannot be JSON is a usage error.
        """
        parsed = self.parse(xmlserver, "--log-format=json")
        parsed.parent = Options()
        parsed.parent["logger"] = "module.observer"
        with self.assertRaisesRegex(UsageError, "--log-format=json: cannot be used .* --logger"):
            parsed._setLogFormat()

    def test_help(self) -> None:
        """
        The help contains each option, and describes the command.
        """
        for module in (xmlserver, echoserver, policyserver):
            text = str(module.Options())
            for option in [
                "--listen", "--max-connections", "--shutdown-timeout", "--policy", "--max-message",
                "--idle-timeout",
            ]:  # fmt: skip
                self.assertIn(option, text)
            self.assertIn("listen", text.replace("--listen", "").lower())
            self.assertTrue(all(len(line) <= 80 for line in text.splitlines()), text)

    def test_version(self) -> None:
        """
        The version is that of this package.
        """
        printed = io.StringIO()
        self.patch(sys, "stdout", printed)
        self.assertRaises(SystemExit, self.parse, xmlserver, "--version")
        self.assertTrue(printed.getvalue().startswith("openfl-twisted "))

    def test_default(self) -> None:
        """
        A command without a default endpoint requires C{--listen}.
        """
        self.assertRaises(UsageError, ServerOptions().parseOptions, [])


class CertificateOptionTests(OptionsTestCase):
    """
    The TLS options.
    """

    def setUp(self) -> None:
        """
        Write a certificate and its key.
        """
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.certificate = str(Path(folder.name, "certificate.pem"))
        self.key = str(Path(folder.name, "key.pem"))
        issued = trustme.CA().issue_cert("localhost")
        issued.cert_chain_pems[0].write_to_path(self.certificate)
        issued.private_key_pem.write_to_path(self.key)

    def test_plain(self) -> None:
        """
        By default TLS is off.
        """
        for module in (xmlserver, echoserver, policyserver):
            arguments = ["--allow=*:843"] if module is policyserver else []
            self.assertIsNone(self.parse(module, *arguments)["tls"])

    def test_certificate(self) -> None:
        """
        Each command accepts a certificate and its key.
        """
        tls = [f"--tls-certificate={self.certificate}", f"--tls-key={self.key}"]
        for module in (xmlserver, echoserver, policyserver):
            arguments = ["--allow=*:843"] if module is policyserver else []
            options = self.parse(module, *arguments, *tls)
            self.assertIsInstance(options["tls"], ServerCertificates)

    def test_wrong(self) -> None:
        """
        Unusable files are a usage error of one line.
        """
        certificate = f"--tls-certificate={self.certificate}"
        self.assertUsage(xmlserver, [f"--tls-key={self.key}"], "requires --tls-certificate")
        self.assertUsage(xmlserver, [certificate], self.certificate, "no PEM private key")
        self.assertUsage(
            echoserver, ["--udp", certificate, f"--tls-key={self.key}"], "TLS requires TCP"
        )


class PolicyOptionTests(OptionsTestCase):
    """
    C{--policy} of the data servers.
    """

    def test_values(self) -> None:
        """
        The policy is that of the port, none, or a file.
        """
        policy = PolicyFile((AccessRule("a.example", "80"),))
        self.assertEqual(self.parse(xmlserver)["policy"], PolicyFile.forPort)
        self.assertIsNone(self.parse(xmlserver, "--policy=none")["policy"])
        path = self.path(policy.toXML())
        self.assertEqual(self.parse(xmlserver, f"--policy={path}")["policy"], policy)

    def test_wrongFile(self) -> None:
        """
        A file that is unreadable, invalid or grants nothing is a usage error.
        """
        self.assertUsage(xmlserver, ["--policy=/no/such/file"], "No such file")
        self.assertUsage(xmlserver, [f"--policy={self.path(b'<a')}"], "not well-formed")
        self.assertUsage(xmlserver, [f"--policy={self.path(b'<a/>')}"], "the root element is <a>")
        useless = PolicyFile((AccessRule("*", None),)).toXML()
        self.assertUsage(
            xmlserver, [f"--policy={self.path(useless)}"], "grants nothing", "it has no to-ports"
        )


class CallerOptionTests(OptionsTestCase):
    """
    Client types and trusted proxies.
    """

    def test_default(self) -> None:
        """
        By default all client types are accepted, and no proxy is trusted.
        """
        options = self.parse(xmlserver)
        self.assertEqual(options["accept"], ALL_TYPES)
        self.assertEqual(options["trusted-proxies"], [])

    def test_accept(self) -> None:
        """
        Client types are separated by commas; unknown types are refused.
        """
        options = self.parse(echoserver, "--accept=websocket,tls")
        self.assertEqual(options["accept"], ALL_TYPES - {ClientType.PLAIN})
        self.assertUsage(echoserver, ["--accept=tls"], "requires --tls-certificate")
        self.assertUsage(echoserver, ["--plain", "--accept=websocket"], "--plain and --accept")
        self.assertUsage(echoserver, ["--max-message=1Q"], "--max-message: ")
        self.assertUsage(echoserver, ["--accept=telnet"], "--accept: 'telnet' is not a client type")

    def test_trustedProxies(self) -> None:
        """
        Trusted proxies are addresses and networks; the option can be repeated.
        """
        options = self.parse(xmlserver, "--trusted-proxy=127.0.0.1", "--trusted-proxy=10.0.0.0/8")
        self.assertEqual(
            [str(each) for each in options["trusted-proxies"]], ["127.0.0.1/32", "10.0.0.0/8"]
        )
        self.assertUsage(
            xmlserver, ["--trusted-proxy=proxy.example"], "--trusted-proxy=proxy.example: "
        )

    def test_forwardedHeader(self) -> None:
        """
        C{--forwarded-header} must be the name of a header, and requires a trusted proxy.
        """
        self.assertIsNone(self.parse(xmlserver)["forwarded-header"])
        options = self.parse(xmlserver, "--trusted-proxy=::1", "--forwarded-header=X-Real-IP")
        self.assertEqual(options["forwarded-header"], "X-Real-IP")
        self.assertUsage(xmlserver, ["--forwarded-header=X-Real-IP"], "requires --trusted-proxy")
        self.assertUsage(
            xmlserver, ["--forwarded-header=a, b"], "--forwarded-header=a, b: must be the name"
        )

    def test_blockFile(self) -> None:
        """
        With a dashboard, addresses can be blocked; with C{--block-file}, the blocks of the file are
        read. A broken file is an error. A worker begins with the blocks of the file, and ignores a
        broken one: the supervisor has the valid blocks.
        """
        self.assertIsNone(self.parse(xmlserver)["block-list"])
        blocks = self.parse(xmlserver, "--dashboard=tcp:0")["block-list"]
        self.assertEqual(blocks.blocks(), [])
        entry = b'{"address": "192.0.2.1", "until": 200000000000, "reason": "spam"}'
        path = self.path(b'{"blocks": [%s]}' % entry)
        for module in (xmlserver, policyserver):
            extra = ["--policy=port"] if module is xmlserver else ["--allow=*:80"]
            blocks = self.parse(module, f"--block-file={path}", *extra)["block-list"]
            self.assertTrue(blocks.isBlocked("192.0.2.1"))
        for file, words in [
            (self.path(b"[]"), "must have the form"),
            ("/nowhere/blocks.json", "files cannot be created in the directory /nowhere"),
            (str(self.folder()), "Is a directory"),
        ]:
            self.assertUsage(xmlserver, [f"--block-file={file}"], f"--block-file={file}: ", words)
        self.patch(ServerOptions, "worker", WorkerSide(1, 1))
        blocks = self.parse(xmlserver, f"--block-file={path}")["block-list"]
        self.assertTrue(blocks.isBlocked("192.0.2.1"))
        blocks.unblock("192.0.2.1")
        self.assertIn(entry, Path(path).read_bytes())
        for option in ("--dashboard=tcp:0", "--block-file=/nowhere/blocks.json"):
            blocks = self.parse(xmlserver, option)["block-list"]
            self.assertEqual(blocks.blocks(), [])

    def test_connectionRate(self) -> None:
        """
        C{--connection-rate} is a number of connections per second.
        """
        self.assertEqual(self.parse(xmlserver)["connection-rate"], 0)
        self.assertEqual(self.parse(xmlserver, "--connection-rate=0.5")["connection-rate"], 0.5)
        self.assertUsage(
            xmlserver,
            ["--connection-rate=1/s"],
            "--connection-rate: '1/s' must be a number of connections per second, such as 2 or 0.5",
        )

    def test_clientCA(self) -> None:
        """
        C{--tls-client-ca} requires a certificate, and the client type C{tls}.
        """
        authority = trustme.CA()
        folder = self.folder()
        certificate, ca = folder / "server.pem", folder / "ca.pem"
        authority.cert_pem.write_to_path(str(ca))
        issued = authority.issue_cert("localhost")
        issued.private_key_and_cert_chain_pem.write_to_path(str(certificate))
        arguments = [f"--tls-certificate={certificate}", f"--tls-client-ca={ca}"]
        for module, extra in ((xmlserver, []), (policyserver, ["--allow=*:80"])):
            options = self.parse(module, *arguments, *extra)
            self.assertTrue(options["tls"].requiresClients)
            options = self.parse(module, arguments[0], *extra)
            self.assertFalse(options["tls"].requiresClients)
        self.assertUsage(xmlserver, arguments[1:], "--tls-client-ca requires --tls-certificate")
        self.assertUsage(
            xmlserver,
            [*arguments, "--accept=websocket"],
            "--tls-client-ca requires tls in --accept",
        )
        self.assertUsage(
            xmlserver,
            [arguments[0], f"--tls-client-ca={self.path(b'')}"],
            "contains no PEM certificate",
        )

    def test_public(self) -> None:
        """
        C{--public} opens the default port on all interfaces. The log says so, for every endpoint
        without an interface.
        """
        for module, arguments, port in (
            (xmlserver, [], 8080),
            (policyserver, ["--allow=*:843"], 843),
            (echoserver, ["--style=simple-server"], 8080),
        ):
            [endpoint] = self.parse(module, *arguments, "--public")["listen"]
            self.assertEqual((endpoint._port, endpoint._interface), (port, ""))
        self.assertEqual(self.parse(echoserver, "--udp", "--public")["listen"], [(8087, "0.0.0.0")])
        self.assertUsage(
            xmlserver,
            ["--public", "--listen=tcp:1"],
            "cannot be used together",
            "--listen=tcp:8080",
        )
        for host, text in (
            (IPv4Address("TCP", "0.0.0.0", 8080), "0.0.0.0:8080 (all interfaces)"),
            (IPv6Address("TCP", "::", 8080), "[::]:8080 (all interfaces)"),
            (IPv4Address("TCP", "127.0.0.1", 8080), "127.0.0.1:8080"),
            (UNIXAddress("game.sock"), describe(UNIXAddress("game.sock"))),
        ):
            self.assertEqual(describePort(host), text)


class EnvironmentTests(OptionsTestCase):
    """
    Options in environment variables.
    """

    def set(self, **variables: str) -> None:
        """
        Set environment variables for the test.
        """
        self.patch(os, "environ", {**os.environ, **variables})

    def printed(self, *arguments: str) -> str:
        """
        Return the text that C{--show-config} prints.
        """
        printed = io.StringIO()
        self.patch(sys, "stdout", printed)
        self.assertRaises(SystemExit, self.parse, xmlserver, *arguments, "--show-config")
        return printed.getvalue()

    def test_values(self) -> None:
        """
        Each option has a variable. Spaces separate the values of an option that can be repeated.
        """
        self.set(
            OPENFL_LISTEN=" tcp:1  tcp:2 ",
            OPENFL_MAX_MESSAGE="2K",
            OPENFL_FAREWELL="Good bye, all",
            OPENFL_ECHO="Yes",
            OPENFL_COMPRESS="false",
            OPENFL_MAX_QUEUE="",
        )
        options = self.parse(xmlserver)
        self.assertEqual([each._port for each in options["listen"]], [1, 2])
        self.assertEqual(options["max-message"], 2048)
        self.assertEqual(options["farewell"], "Good bye, all")
        self.assertEqual((options["echo"], options["compress"]), (1, 0))
        self.assertEqual(options["max-queue"], XMLSocketProtocol.maxQueue)

    def test_order(self) -> None:
        """
        The command line takes precedence over variables, and variables over the file, which a
        variable can name. C{--show-config} prints the result.
        """
        path = self.path(b'listen = ["tcp:1", "tcp:2"]\nmax-queue = 5\nmax-message = 6\n')
        self.set(OPENFL_CONFIG=path, OPENFL_MAX_QUEUE="7", OPENFL_LISTEN="tcp:3 tcp:4")
        options = tomllib.loads(self.printed("-l", "tcp:5"))
        self.assertEqual(options["listen"], "tcp:5")
        self.assertEqual((options["max-queue"], options["max-message"]), ("7", "6"))
        self.assertEqual(tomllib.loads(self.printed())["listen"], ["tcp:3", "tcp:4"])

    def test_wrong(self) -> None:
        """
        The error for a wrong value names the variable.
        """
        self.set(OPENFL_ECHO="perhaps")
        self.assertUsage(xmlserver, [], "OPENFL_ECHO=perhaps: must be true or false")
        self.set(OPENFL_ECHO="", OPENFL_MAX_MESSAGE="many")
        self.assertUsage(xmlserver, [], "OPENFL_MAX_MESSAGE: 'many' must be a size")
        self.set(OPENFL_MAX_MESSAGE="")
        self.assertUsage(xmlserver, ["--max-queue=some"], "--max-queue: 'some' must be a size")

    def test_misspelt(self) -> None:
        """
        A variable that is similar to that of an option gets one warning. Other variables, such as
        those of Kubernetes for a service named openfl, are ignored.
        """
        self.set(
            OPENFL_MAX_MESAGE="1", OPENFL_PORT="tcp://10.0.0.1:8080", OPENFL_SERVICE_HOST="h",
            OPENFL_HELP="1", OPENFL_VERSION="1", OPENFL_FOR="1", OPENFLMAX_MESSAGE="1",
        )  # fmt: skip
        warning = (
            "OPENFL_MAX_MESAGE is not an environment variable of this command"
            " (did you mean OPENFL_MAX_MESSAGE?)"
        )
        with capturedLogs() as events:
            self.parse(xmlserver)
            self.parse(policyserver, "--allow=*:843")
            self.patch(ServerOptions, "worker", WorkerSide(1, 1))
            self.parse(policyserver, "--allow=*:843")
        self.assertEqual([each["text"] for each in events], [warning, warning])
        self.patch(ServerOptions, "worker", None)
        self.assertEqual(
            [line for line in self.printed().splitlines() if line.startswith("# warning")],
            [f"# warning: {warning}"],
        )


class XMLOptionTests(OptionsTestCase):
    """
    The options of C{twistd openfl-xml}.
    """

    def test_app(self) -> None:
        """
        The application is a broadcast, an echo, or the user's protocol.
        """
        self.assertIs(self.parse(xmlserver)["app"], BroadcastProtocol)
        self.assertIs(self.parse(xmlserver, "--echo")["app"], EchoProtocol)
        name = f"{App.__module__}:{App.__name__}"
        self.assertIs(self.parse(xmlserver, f"--app={name}")["app"], App)

    def test_wrongApp(self) -> None:
        """
        An invalid name is a usage error that names the reason.
        """
        module = __name__
        for name, words in [
            ("", "package.module:Class"),
            ("module", "package.module:Class"),
            (":Class", "package.module:Class"),
            ("module:", "package.module:Class"),
            ("no.such.module:Class", "ModuleNotFoundError"),
            ("..:Class", "Error"),
            (f"{module}:NoSuchClass", "AttributeError"),
            (f"{module}:xmlserver", "XMLSocketProtocol, but is an object of the class module"),
            (f"{module}:AN_APP", "is an object of the class App; use the class App"),
            ("builtins:int", "must be a subclass of openfl_twisted.protocols.XMLSocketProtocol"),
        ]:
            self.assertUsage(xmlserver, [f"--app={name}"], f"--app={name}", words)
        self.assertUsage(xmlserver, ["--echo", f"--app={module}:App"], "cannot be used together")

    def test_allow(self) -> None:
        """
        The log says that the method C{allow} is called for WebSockets only, if other clients are
        accepted. A method that is not a class method is an error.
        """
        app = f"--app={Choosy.__module__}:Choosy"
        line = (
            "Choosy.allow is called for WebSockets only; to refuse other clients, use"
            " --accept=websocket,tls"
        )
        for arguments, lines in [
            ([app], [line]),
            ([app, "--plain"], [line]),
            ([app, "--accept=websocket,tls"], []),
            ([f"--app={App.__module__}:App"], []),
        ]:
            self.assertEqual(self.parse(xmlserver, *arguments).describePorts([]), lines)
        self.assertUsage(
            xmlserver,
            [f"--app={__name__}:WronglyChoosy"],
            "WronglyChoosy.allow is called before a protocol is created",
        )

    def test_incompleteApp(self) -> None:
        """
        A class that cannot work is a usage error of one line.
        """
        module = __name__
        must = "must override messageReceived or messagesReceived or lineReceived"
        for cls, problem in [
            (Silent, must),
            (
                Misspelt,
                f"{must}; it defines messageRecieved, did you mean messageReceived?",
            ),
            (SilentTable, "must override handleLine"),
            (
                Demanding,
                (
                    "is created without arguments, but its __init__ requires arguments: missing a"
                    " required argument: 'game'"
                ),
            ),
        ]:
            option = f"--app={module}:{cls.__name__}"
            with self.assertRaises(UsageError) as raised:
                self.parse(xmlserver, option)
            self.assertEqual(str(raised.exception), f"{option}: {cls.__name__} {problem}")
        self.assertUsage(
            xmlserver, [f"--app={module}:Undispatched"], "Undispatched.move is a handler, but"
        )
        self.assertIs(self.parse(xmlserver, f"--app={module}:Raw")["app"], Raw)

    def test_appInTheCurrentFolder(self) -> None:
        """
        A module in the current directory is found. An exception during its import is a
        usage error of one line.
        """
        folder = self.folder()
        (folder / "a_users_game.py").write_text(
            "from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol\n"
            "class Game(XMLSocketProtocol):\n"
            "    def messageReceived(self, message): pass\n"
        )
        (folder / "a_broken_game.py").write_text("def (")
        self.patch(sys, "path", list(sys.path))
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder)
        found = self.parse(xmlserver, "--app=a_users_game:Game")["app"]
        self.assertEqual(found.__name__, "Game")
        self.assertUsage(xmlserver, ["--app=a_broken_game:Game"], "SyntaxError")

    def test_limits(self) -> None:
        """
        The limits of the class apply, unless an option is given on the command line.
        """
        names = ("max-message", "max-queue", "message-rate", "byte-rate")
        app = f"--app={Limited.__module__}:Limited"
        options = self.parse(xmlserver, app)
        self.assertEqual([options[name] for name in names], [100, 0, 5, 0])
        options = self.parse(
            xmlserver, app, "--max-message=1M", "--max-queue=2M", "--message-rate=0"
        )
        self.assertEqual([options[name] for name in names], [1 << 20, 2 << 20, 0, 0])
        options = self.parse(xmlserver)
        self.assertEqual([options[name] for name in names], [1 << 20, 2 << 20, 0, 0])


class RoomOptionTests(OptionsTestCase):
    """
    Rooms and brokers.
    """

    def test_default(self) -> None:
        """
        By default all clients are in one room, without rate limits.
        """
        options = self.parse(xmlserver)
        self.assertEqual(options["rooms"], "none")
        self.assertEqual((options["message-rate"], options["byte-rate"]), (0, 0))
        self.assertEqual(self.parse(xmlserver, "--byte-rate=0")["byte-rate"], 0)

    def test_own(self) -> None:
        """
        With a user's room protocol the options of rooms are available; C{--resume}
        requires XML commands.
        """
        for protocol in (Table, Board):
            app = f"--app={protocol.__module__}:{protocol.__name__}"
            self.assertIs(self.parse(xmlserver, app, "--broker=memory:")["app"], protocol)
        self.assertEqual(self.parse(xmlserver, app, "--resume=5")["resume"], 5)
        app = f"--app={Table.__module__}:{Table.__name__}"
        self.assertUsage(xmlserver, [app, "--resume=5"], "--resume requires")
        self.assertUsage(xmlserver, [app, "--rooms=path"], "--rooms cannot be used")

    def test_roomMembers(self) -> None:
        """
        Rooms can have their own limits, also from a configuration file.
        """
        self.assertEqual(self.parse(xmlserver)["room-members"], {})
        given = ["--room-members=chess=2", "--room-members=a=b=3"]
        self.assertEqual(self.parse(xmlserver, *given)["room-members"], {"chess": 2, "a=b": 3})

    def test_noRedis(self) -> None:
        """
        Without the library, a Redis URL is an error that names the package to install.
        Other options are unaffected.
        """
        arguments = ["--rooms=xml", "--broker=redis://127.0.0.1"]
        with withoutHiredis():
            self.assertUsage(xmlserver, arguments, "pip install 'openfl-twisted[redis]'")
            self.parse(xmlserver, "--rooms=xml", "--broker=nats://127.0.0.1")

    def test_wrong(self) -> None:
        """
        Options that cannot be used together are refused. Errors do not contain the
        broker URL.
        """
        self.assertUsage(xmlserver, ["--rooms=many"], "--rooms=many", "none, path, xml")
        self.assertUsage(xmlserver, ["--rooms=xml", "--echo"], "--rooms cannot be used")
        self.assertUsage(xmlserver, ["--rooms=path", "--resume=5"], "--resume requires")
        self.assertUsage(xmlserver, ["--broker=memory:"], "--broker requires --rooms")
        for limit in ("5", "=5", "chess=", "chess=x", "chess=-1"):
            self.assertUsage(xmlserver, [f"--room-members={limit}"], "must be NAME=N")
        error = self.assertRaises(
            UsageError, self.parse, xmlserver, "--rooms=xml", "--broker=ftp://a:secret@h"
        )
        self.assertNotIn("secret", str(error))


class FileOptionTests(OptionsTestCase):
    """
    Options from a configuration file.
    """

    def write(self, text: str) -> str:
        """
        Write the configuration file.

        @return: its path.
        """
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name, "server.toml")
        path.write_text(text)
        return str(path)

    def test_file(self) -> None:
        """
        Options of the command line take precedence over the file.
        """
        path = self.write(
            'max-message = "2K"\necho = true\ncompress = false\nmax-queue = 5\n'
            'listen = ["tcp:1", "tcp:2"]\n'
        )
        for arguments in ([f"--config={path}"], ["--config", path]):
            options = self.parse(xmlserver, *arguments, "--max-queue=6")
            self.assertEqual((options["max-message"], options["max-queue"]), (2048, 6))
            self.assertTrue(options["echo"])
            self.assertFalse(options["compress"])
            self.assertEqual(len(options["listen"]), 2)

    def test_wrong(self) -> None:
        """
        Errors in a file are reported like those of the command line.
        """
        self.assertUsage(xmlserver, ["--config=/missing"], "--config=/missing: No such file")
        self.assertUsage(xmlserver, ["--config"], "--config")
        for text, words in (
            ("echo", "--config="),
            ("colour = 1", "colour is not an option"),
            ("show-config = true", "show-config is not an option"),
            ('config = "other.toml"', "config is not an option"),
            ("listen = []", "listen must have at least one value"),
            ("max-memebrs = 5", "max-memebrs is not an option (did you mean --max-members?)"),
            ("max-queue = true", "max-queue must have a value"),
            ('echo = "yes"', "echo must be true or false"),
            ("[listen]\na = 1", "listen cannot be a table"),
            ('max-queue = "many"', "must be a size in bytes"),
        ):
            self.assertUsage(xmlserver, [f"--config={self.write(text)}"], words)

    def test_shortened(self) -> None:
        """
        Abbreviated options take precedence too.
        """
        path = self.write('listen = ["tcp:1", "tcp:2"]\n')
        options = self.parse(xmlserver, "--conf", path, "-l", "tcp:3")
        self.assertEqual(len(options["listen"]), 1)
        self.assertUsage(xmlserver, ["extra"], "unexpected argument 'extra'")

    def test_check(self) -> None:
        """
        C{--show-config} prints the resolved options without secrets, as a configuration file
        with the same result.
        """
        arguments = [
            "--rooms=xml", "--max-members=9", "--broker=memory:", "--listen=tcp:1",
            "--listen=tcp:2", "--farewell=a \"b\" \\\n\x7f", "--compress",
        ]  # fmt: skip
        texts = []
        for _ in range(2):
            printed = io.StringIO()
            self.patch(sys, "stdout", printed)
            with self.assertRaises(SystemExit) as ended:
                self.parse(xmlserver, *arguments, "--show-config")
            self.assertEqual(ended.exception.code, 0)
            texts.append(printed.getvalue())
            arguments = [f"--config={self.write(texts[-1])}"]
        self.assertEqual(texts[0], texts[1])
        for line in ('listen = ["tcp:1", "tcp:2"]', "max-members = 9", "compress = true"):
            self.assertIn(f"{line}\n", texts[0])
        self.assertIn("# app is not set\n", texts[0])

    def test_checkCertificates(self) -> None:
        """
        C{--show-config} prints the names, dates and problems of the certificates as comments.
        """
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        server(INTERMEDIATE).save(folder / "a.pem")
        server(INTERMEDIATE, names=["b.example"], ends=PAST).save(folder / "b.pem")
        printed = io.StringIO()
        self.patch(sys, "stdout", printed)
        with self.assertRaises(SystemExit) as ended:
            self.parse(xmlserver, f"--tls-certificate={folder}", "--show-config")
        self.assertEqual(ended.exception.code, 0)
        lines = printed.getvalue().splitlines()
        begin = "valid from 2000-01-01 00:00 UTC to"
        for line in (
            f"# certificate {folder}/a.pem: for games.example; {begin} 2100-01-01 00:00 UTC",
            f"# certificate {folder}/b.pem: for b.example; {begin} 2010-01-01 00:00 UTC",
            f"# warning: {folder}/b.pem: the certificate expired on 2010-01-01 00:00 UTC",
        ):
            self.assertIn(line, lines)
        self.assertEqual(tomllib.loads(printed.getvalue())["tls-certificate"], str(folder))

    def test_secrets(self) -> None:
        """
        Passwords are not printed.
        """
        printed = io.StringIO()
        self.patch(sys, "stdout", printed)
        with self.assertRaises(SystemExit):
            self.parse(
                xmlserver, "--rooms=xml", "--broker=redis://a:secr@secret@h", "--show-config",
                "--dashboard=tcp:0", "--dashboard-token=secret-secret-secret-secret",
            )  # fmt: skip
        self.assertNotIn("secret", printed.getvalue())
        self.assertIn('broker = "redis://***@h"', printed.getvalue())


class LinesInRooms(XMLRoomProtocol):
    """
    An application with a framing that rooms do not support.
    """

    framing = "lines"


class FramingOptionTests(OptionsTestCase):
    """
    The options for other clients.
    """

    def test_framing(self) -> None:
        """
        The framing of C{openfl-xml} is one of the framings; rooms have C{nul} only.
        """
        self.assertIsNone(self.parse(xmlserver)["framing"])
        self.assertEqual(self.parse(xmlserver, "--framing=u32", "--echo")["framing"], "u32")
        self.parse(xmlserver, "--framing=nul", "--rooms=path")
        self.assertUsage(xmlserver, ["--framing=xml"], "must be one of nul, lines, crlf, u16, u32")
        self.assertUsage(
            xmlserver, ["--framing=lines", "--rooms=xml"], "--framing=lines: rooms require nul"
        )
        app = f"--app={LinesInRooms.__module__}:LinesInRooms"
        self.assertUsage(xmlserver, [app], "--app: LinesInRooms.framing=lines: rooms require nul")
        self.parse(xmlserver, app, "--framing=nul")

    def test_rate(self) -> None:
        """
        A rate has no unit.
        """
        self.assertUsage(
            xmlserver,
            ["--message-rate=1/s"],
            "--message-rate: '1/s' must be a number of messages per second, such as 20",
        )

    def test_subprotocol(self) -> None:
        """
        Subprotocols are names.
        """
        options = self.parse(xmlserver, "--subprotocol=chat", "--subprotocol=v1.game")
        self.assertEqual(options["subprotocols"], ["chat", "v1.game"])
        self.assertUsage(
            xmlserver,
            ["--subprotocol=a, b"],
            "--subprotocol=a, b: must be one name, such as chat, without spaces and commas",
        )


class EchoOptionTests(OptionsTestCase):
    """
    The options of C{twistd openfl-echo}.
    """

    def test_choices(self) -> None:
        """
        Choices are limited to their values.
        """
        self.assertIsNone(self.parse(echoserver)["framing"])
        self.assertEqual(self.parse(echoserver, "--framing=nul")["framing"], "nul")
        for argument, words in [
            ("--style=x", "server-socket-example, simple-server"),
            ("--framing=x", "raw, lines, nul, auto"),
            ("--terminator=x", "same, none, nul, newline"),
        ]:
            self.assertUsage(echoserver, [argument], words)

    def test_faithful(self) -> None:
        """
        C{--faithful} cannot be combined with other framings.
        """
        self.assertUsage(echoserver, ["--faithful"], "--style=simple-server")
        for argument in ["--framing=nul", "--terminator=nul"]:
            self.assertUsage(
                echoserver,
                ["--style=simple-server", "--faithful", argument],
                "--framing and --terminator cannot be used",
            )


class DatagramOptionTests(OptionsTestCase):
    """
    C{twistd openfl-echo --udp}.
    """

    def test_listen(self) -> None:
        """
        UDP addresses are parsed, including IPv6.
        """
        self.assertEqual(self.parse(echoserver, "--udp")["listen"], [(8087, "127.0.0.1")])
        options = self.parse(echoserver, "--udp", "--listen=udp:0", "-l", r"udp:9:interface=\:\:1")
        self.assertEqual(options["listen"], [(0, "0.0.0.0"), (9, "::1")])

    def test_wrong(self) -> None:
        """
        An invalid address, and options that cannot be used together, are a usage error.
        """
        for description in ["udp:", "udp:x", "udp:70000", "udp:1:interface=localhost", "udp:1:a=b"]:
            self.assertUsage(
                echoserver, ["--udp", f"--listen={description}"], "udp:8087:interface=127.0.0.1"
            )
        self.assertUsage(echoserver, ["--listen=udp:1"], "--udp requires --listen=udp:")
        self.assertUsage(echoserver, ["--udp", "--listen=tcp:1"], "--udp requires --listen=udp:")


class PolicyServerOptionTests(OptionsTestCase):
    """
    The options of C{twistd openfl-policy}.
    """

    def test_allow(self) -> None:
        """
        C{--allow} adds rules.
        """
        options = self.parse(
            policyserver, "--allow=*.a.example:80,90-99", "--allow=[::1]:*", "--site-control=all"
        )
        self.assertEqual(
            options["policy"],
            PolicyFile((AccessRule("*.a.example", "80,90-99"), AccessRule("[::1]", "*")), "all"),
        )

    def test_file(self) -> None:
        """
        C{--policy} reads a file.
        """
        policy = PolicyFile((AccessRule("*", "80"),), "none")
        path = self.path(policy.toXML())
        self.assertEqual(self.parse(policyserver, f"--policy={path}")["policy"], policy)

    def test_wrong(self) -> None:
        """
        A policy that grants nothing, and options that cannot be used together, are a
        usage error.
        """
        path = self.path(PolicyFile.forPort(80).toXML())
        for arguments, words in [
            ([], "one of --policy and --allow is required"),
            (["--allow=*:80", f"--policy={path}"], "one of --policy and --allow is required"),
            (["--allow=a.example"], "must be DOMAIN:PORTS"),
            (["--allow=a.example:"], "grants nothing"),
            (["--allow=:80"], "its domain is empty"),
            (["--allow=a.*:80"], "* must be alone"),
            (["--allow=*:80", "--site-control=some"], "none, master-only, all"),
            ([f"--policy={path}", "--site-control=all"], "requires --allow"),
        ]:
            self.assertUsage(policyserver, arguments, words)
