"""
Tests for C{twistd openfl-bridge}.
"""

import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

from twisted.python.usage import UsageError

from openfl_twisted.protocols.bridge import CONNECT_TIMEOUT, BridgeFactory
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.services import bridge
from openfl_twisted.wire.framing import NUL, RAW
from tests.services.optionscase import OptionsTestCase

TABLE = """
[[target]]
name = "chess"
connect = "tcp:game.example:9339"

[[target]]
name = "go"
connect = "ssl:host=go.example:port=443"
framing = "raw"

[[target]]
name = "local"
connect = "unix:/run/game.sock"
"""


NONE = "at least one [[target]] table, or one [[gateway]] table with a rule, is required"


class BridgeOptionTests(OptionsTestCase):
    """
    The options of C{twistd openfl-bridge}.
    """

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.table = Path(folder.name, "bridge.toml")

    def write(self, text: str | bytes) -> str:
        """
        Write a configuration file.

        @return: the option that names it.
        """
        self.table.write_bytes(text if isinstance(text, bytes) else text.encode())
        return f"--config={self.table}"

    def test_connect(self) -> None:
        """
        C{--connect} defines a single target.
        """
        options = self.parse(bridge, "--connect=tcp:game.example:9339", "--framing=raw")
        [target] = options["targets"].values()
        self.assertEqual(target.description, "tcp:game.example:9339")
        self.assertEqual(target.framing, RAW)

    def test_table(self) -> None:
        """
        A configuration file defines several targets, of which the first is the default.
        """
        targets = self.parse(bridge, self.write(TABLE))["targets"]
        self.assertEqual(list(targets), ["chess", "go", "local"])
        self.assertEqual(
            [each.framing for each in targets.values()],
            [NUL, RAW, NUL],
        )

    def test_gateway(self) -> None:
        """
        C{[[gateway]]} contains the rules of the gateway, with or without targets.
        """
        self.assertEqual(self.parse(bridge, "--connect=tcp:h:1")["rules"], [])
        rules = '[[gateway]]\nallow = ["a.example:1", "*.b.example:1024-2000"]\n'
        for more, names in (("", []), (TABLE, ["chess", "go", "local"])):
            options = self.parse(bridge, self.write(rules + more))
            self.assertEqual([*options["targets"]], names)
            self.assertEqual([rule.name for rule in options["rules"]], ["a.example", "b.example"])
        options = self.parse(bridge, self.write(rules), "--connect=tcp:h:1")
        self.assertEqual(len(options["rules"]), 2)
        service = bridge.makeService(options)
        gateway = cast("Any", service).factory.wrappedFactory.wrappedFactory.gateway
        self.assertEqual(gateway.ownPorts(), set())
        self.assertEqual((gateway.framing, gateway._timeout), (NUL, CONNECT_TIMEOUT))
        others = ["--framing=raw", "--connect-timeout=0"]
        service = bridge.makeService(self.parse(bridge, self.write(rules), *others))
        gateway = cast("Any", service).factory.wrappedFactory.wrappedFactory.gateway
        self.assertIs(gateway.framing, RAW)
        self.assertEqual(gateway._timeout, 86400)
        self.assertIsNone(
            cast(
                "Any", bridge.makeService(self.parse(bridge, "--connect=tcp:h:1"))
            ).factory.wrappedFactory.wrappedFactory.gateway
        )

    def test_wrongGateway(self) -> None:
        """
        A table with invalid rules is refused.
        """
        for text, words in (
            ("gateway = 1", "[[gateway]] must have only a list of texts named allow"),
            ("[[gateway]]\n", "[[gateway]] must have only a list of texts named allow"),
            (
                '[[gateway]]\nallow = "a:1"',
                "[[gateway]] must have only a list of texts named allow",
            ),
            ("[[gateway]]\nallow = [1]", "[[gateway]] must have only a list of texts named allow"),
            ('[[gateway]]\nallow = ["a"]', "[[gateway]]: 'a' must be HOST:PORT or HOST:PORT-PORT"),
        ):
            self.assertUsage(bridge, [self.write(text)], words)

    def test_wrong(self) -> None:
        """
        An invalid value is a usage error of one line.
        """
        self.assertUsage(bridge, [], "--connect is required")
        self.assertUsage(bridge, ["--connect=nonsense:1"], "try for example tcp:game.example:9339")
        self.assertUsage(bridge, ["--connect=127.0.0.1:80"], "did you mean tcp:127.0.0.1:80?")
        self.assertUsage(bridge, ["--connect=tcp:h:1", "--framing=json"], "must be one of nul,")
        self.assertUsage(bridge, ["--config=/missing"], "--config=/missing: No such file")

    def test_wrongTable(self) -> None:
        """
        A table with an invalid target is refused.
        """
        one = '[[target]]\nname = "a"\nconnect = "tcp:h:1"\n'
        for text, words in (
            ("[[target]", "--config="),
            (b"\xff", "--config="),
            ("", NONE),
            ("target = 1", NONE),
            ("target = []", NONE),
            ("[[gateway]]\nallow = []", NONE),
            ("gateway = []", NONE),
            ("target = [1]", "a target must have the strings name and connect"),
            (f"{one}[other]\n", "other cannot be a table"),
            ('[[target]]\nname = "a"\n', "a target must have the strings name and connect"),
            (f"{one}port = 1\n", "a target must have the strings name and connect"),
            (f'{one}port = "1"\n', "a target must have the strings name and connect"),
            (one + one, "two targets are named a"),
            (one.replace('"a"', '"a/b"'), "'a/b' is not a valid target name"),
        ):
            self.assertUsage(bridge, [self.write(text)], words)

    def test_ruffleConfig(self) -> None:
        """
        Ruffle's configuration contains the TCP targets only.
        """
        printed = io.StringIO()
        self.patch(sys, "stdout", printed)
        with self.assertRaises(SystemExit) as ended:
            self.parse(bridge, self.write(TABLE), "--show-ruffle-config=wss://play.example/")
        self.assertEqual(ended.exception.code, 0)
        self.assertEqual(
            json.loads(printed.getvalue()),
            {
                "socketProxy": [
                    {
                        "host": "game.example",
                        "port": 9339,
                        "proxyUrl": "wss://play.example/chess",
                    },
                    {"host": "go.example", "port": 443, "proxyUrl": "wss://play.example/go"},
                ]
            },
        )

    def test_check(self) -> None:
        """
        C{--show-config} prints the targets.
        """
        printed = io.StringIO()
        self.patch(sys, "stdout", printed)
        with self.assertRaises(SystemExit):
            self.parse(bridge, self.write(TABLE), "--show-config")
        self.assertEqual(printed.getvalue().count("[[target]]"), 3)
        self.assertIn('connect = "tcp:game.example:9339"', printed.getvalue())

    def test_checkIsConfiguration(self) -> None:
        """
        The output of C{--show-config} is a valid configuration file, for any endpoint.
        """
        texts = []
        arguments = [r"--connect=unix:/a\:b\"c"]
        for _ in range(2):
            printed = io.StringIO()
            self.patch(sys, "stdout", printed)
            with self.assertRaises(SystemExit):
                self.parse(bridge, *arguments, "--show-config")
            texts.append(printed.getvalue())
            arguments = [self.write(texts[-1])]
        self.assertEqual(texts[1], texts[0])

    def test_wrongURL(self) -> None:
        """
        C{--show-ruffle-config} requires the URL of a WebSocket.
        """
        self.assertUsage(
            bridge,
            ["--connect=tcp:h:1", "--show-ruffle-config=http://a"],
            "must be a ws:// or wss:// URL",
        )

    def test_service(self) -> None:
        """
        The service is a bridge with protocol detection.
        """
        options = self.parse(
            bridge, "--connect=tcp:h:1", "--proxy-protocol", "--connect-timeout=7",
            "--max-message=8", "--max-queue=9",
        )  # fmt: skip
        service: Any = bridge.makeService(options)
        door = service.factory.wrappedFactory
        assert isinstance(door, OnePortFactory)
        factory = door.wrappedFactory
        assert isinstance(factory, BridgeFactory)
        self.assertEqual(
            (factory.connectTimeout, factory.proxyProtocol, factory.maxMessage, factory.given),
            (7.0, True, 8, {"maxQueue": 9}),
        )

    def test_usage(self) -> None:
        """
        The options shared by all servers are available.
        """
        with self.assertRaises(UsageError):
            self.parse(bridge, "--connect=tcp:h:1", "--listen=nonsense")
