"""
Tests for L{openfl_twisted.services.playoptions}.
"""

import io
import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

import trustme
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

from openfl_twisted.services import bridge, echoserver, xmlserver
from openfl_twisted.services.configuration import toTOML
from openfl_twisted.services.play import PlayFactory
from openfl_twisted.wire.firstbytes import ClientType
from tests.services.optionscase import OptionsTestCase

PACKAGE = "node_modules/@ruffle-rs/ruffle"


class PlayTestCase(OptionsTestCase):
    """
    A folder with a game, below the current directory.
    """

    def setUp(self) -> None:
        super().setUp()
        self.here = self.folder()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.here)
        self.write("game/game.swf", "FWS")
        self.write(f"game/{PACKAGE}/ruffle.js", "ruffle")
        self.write(f"game/{PACKAGE}/package.json", '{"version": "0.6.0"}')
        self.arguments = ["--site=game", "--play=game.swf"]

    def write(self, name: str, text: str) -> None:
        """
        Write a file below the current directory.
        """
        path = self.here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def parsed(self, *arguments: str, module: Any = xmlserver) -> Any:
        """
        Parse the arguments after those of the game.
        """
        return self.parse(module, *self.arguments, *arguments)

    def settings(self, *arguments: str, module: Any = xmlserver) -> Any:
        """
        Return the settings of the generated page.
        """
        factory = self.parsed(*arguments, module=module)["http"]
        assert isinstance(factory, PlayFactory)
        return json.loads(factory.resource._own["play.json"][1])

    def sockets(self, *arguments: str, module: Any = xmlserver) -> list[tuple[str, int, str]]:
        """
        Return the sockets of the generated page.
        """
        found = self.settings(*arguments, module=module)["sockets"]
        return [(each["host"], each["port"], each["path"]) for each in found]


class PlayOptionTests(PlayTestCase):
    """
    C{--site}, C{--play}, and the options that require them.
    """

    def test_default(self) -> None:
        """
        Without C{--site}, there is no HTTP server. Echo servers do not have these options.
        """
        self.assertIsNone(self.parse(xmlserver)["http"])
        self.assertEqual(self.parse(xmlserver).describePorts([]), [])
        self.assertUsage(echoserver, ["--site=game"], "site")

    def test_site(self) -> None:
        """
        C{--site} alone serves files.
        """
        options = self.parse(xmlserver, "--site=game")
        self.assertIsInstance(options["http"], PlayFactory)
        self.assertEqual(
            options.describePorts([IPv4Address("TCP", "127.0.0.1", 80)]),
            ["pages at http://127.0.0.1:80/"],
        )

    def test_socket(self) -> None:
        """
        C{--play-socket} names a host and a port, with C{localhost} for C{127.0.0.1} and vice
        versa.
        """
        self.assertEqual(
            self.sockets(
                "--play-socket=game.example:9339",
                "--play-socket=localhost:8001",
                "--play-socket=[::1]:1",
                "--play-socket=127.0.0.1:65535",
            ),
            [
                ("game.example", 9339, "./"),
                ("localhost", 8001, "./"),
                ("::1", 1, "./"),
                ("127.0.0.1", 65535, "./"),
                ("127.0.0.1", 8001, "./"),
                ("localhost", 65535, "./"),
            ],
        )
        for value in (
            "",
            "8001",
            ":8001",
            "localhost",
            "a:1/",
            "ws://a:1",
            "::1:5",
        ):
            self.assertUsage(
                xmlserver,
                [*self.arguments, f"--play-socket={value}"],
                f"--play-socket={value}: must be HOST:PORT, such as localhost:8001",
            )
        for value in ("a:0", "a:65536"):
            self.assertUsage(
                xmlserver,
                [*self.arguments, f"--play-socket={value}"],
                f"--play-socket={value}: the port must be a number from 1 to 65535",
            )

    def test_accept(self) -> None:
        """
        With C{--play}, the bridge accepts only browsers, unless C{--accept} is given.
        """
        connect = "--connect=tcp:127.0.0.1:9339"
        play = [connect, *self.arguments]
        for module, arguments, isPlain in (
            (bridge, [connect], True),
            (bridge, play, False),
            (bridge, [*play, "--accept=plain,websocket"], True),
            (xmlserver, [*self.arguments, "--play-socket=localhost:1"], True),
        ):
            options = module.Options()
            options.parseOptions(arguments)
            self.assertEqual(ClientType.PLAIN in options["accept"], isPlain, arguments)

    def test_targets(self) -> None:
        """
        The bridge knows the sockets from its targets. Those of C{--play-socket} lead to the first
        target.
        """
        self.write(
            "bridge.toml",
            '[[target]]\nname = "chess"\nconnect = "tcp:localhost:9339"\n'
            '[[target]]\nname = "go"\nconnect = "tcp:127.0.0.1:9339"\n'
            '[[target]]\nname = "local"\nconnect = "unix:/run/game.sock"\n',
        )
        self.assertEqual(
            self.sockets("--config=bridge.toml", "--play-socket=old.example:1", module=bridge),
            [
                ("old.example", 1, "./"),
                ("localhost", 9339, "./chess"),
                ("127.0.0.1", 9339, "./go"),
            ],
        )
        self.assertEqual(
            self.sockets("--connect=tcp:host=game.example:port=9339", module=bridge),
            [("game.example", 9339, "./game")],
        )
        self.assertUsage(
            bridge,
            [*self.arguments, "--connect=unix:/run/game.sock"],
            "--play: which host and port does game.swf connect to? --play-socket HOST:PORT",
        )

    def test_describe(self) -> None:
        """
        The log line has the URL for a browser on the same machine, the version of Ruffle, and the
        sockets.
        """
        options = self.parsed("--play-socket=localhost:8001")
        details = "  (Ruffle 0.6.0; sockets: localhost:8001)"
        for host, url in (
            (IPv4Address("TCP", "0.0.0.0", 8080), "http://127.0.0.1:8080/"),
            (IPv4Address("TCP", "192.0.2.1", 8080), "http://192.0.2.1:8080/"),
            (IPv6Address("TCP", "::", 8080), "http://localhost:8080/"),
            (IPv6Address("TCP", "::1", 8080), "http://[::1]:8080/"),
        ):
            self.assertEqual(options.describePorts([host])[0], f"play game.swf at {url}{details}")
        self.assertEqual(options.describePorts([UNIXAddress("/run/game.sock")]), [])
        self.write("game/index.html", "own")
        self.assertEqual(
            options.describePorts([IPv4Address("TCP", "127.0.0.1", 1)]),
            [f"index.html of game at http://127.0.0.1:1/{details}"],
        )

    def test_describeTLS(self) -> None:
        """
        With a certificate, the URL begins with C{https}.
        """
        trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
            self.here / "certificate.pem"
        )
        options = self.parse(xmlserver, "--site=game", "--tls-certificate=certificate.pem")
        self.assertEqual(
            options.describePorts([IPv4Address("TCP", "127.0.0.1", 443)]),
            ["pages at https://127.0.0.1:443/"],
        )

    def test_ruffleElsewhere(self) -> None:
        """
        Ruffle is found in the current directory too. C{--ruffle} names another folder, or a URL.
        """
        socket = "--play-socket=localhost:8001"
        (self.here / "game/node_modules").rename(self.here / "node_modules")
        host = IPv4Address("TCP", "127.0.0.1", 1)
        self.assertIn("(Ruffle 0.6.0;", self.parsed(socket).describePorts([host])[0])
        for content in ("{", "[]", '{"version": 1}', '{"version": "\\n"}', "{}"):
            self.write("other/ruffle.js", "ruffle")
            self.write("other/package.json", content)
            options = self.parsed(socket, "--ruffle=other")
            self.assertIn("(Ruffle; ", options.describePorts([host])[0])
        for url in ("https://cdn.example/ruffle", "https://cdn.example/ruffle/ruffle.js"):
            self.assertEqual(
                self.settings(socket, f"--ruffle={url}")["ruffle"],
                "https://cdn.example/ruffle/ruffle.js",
            )

    def test_wrong(self) -> None:
        """
        A mistake is a usage error of one line that says what to do.
        """
        self.write("game/Card.swf", "CWS")
        self.write("game/text.swf", "text")
        self.write("game/folder.swf/file.txt", "text")
        self.write("file", "")
        socket, play = "--play-socket=localhost:8001", self.arguments
        (self.here / "empty").mkdir()
        for arguments, text in (
            (["--site="], "--site=: must be a folder; --site=. for the current directory"),
            (["--site=missing"], "--site=missing: folder not found"),
            (["--site=file"], "--site=file: not a folder"),
            (["--play=game.swf"], "--play requires --site: --site=. --play=game.swf"),
            (["--play=a/game.swf"], "--play requires --site: --site=a --play=game.swf"),
            (["--ruffle=x"], "--ruffle requires --play"),
            (["--cors=*"], "--cors requires --site"),
            ([socket], "--play-socket requires --play"),
            (["--site=game", socket], "--play-socket requires --play"),
            (["--site=game", "--ruffle=x"], "--ruffle requires --play"),
            (["--site=game", "--plain"], "--plain and --site cannot be used together"),
            (
                ["--site=game", "--pass-through=http"],
                "--pass-through=http and --site cannot be used together",
            ),
            (["--site=game", "--cors=games.example"], "--cors=games.example: must be * or an"),
            (["--site=game", "--cors=https://a/b"], "such as https://games.example"),
            (play, "--play: which host and port does game.swf connect to? --play-socket HOST:PORT"),
            (["--site=game", "--play=missing.swf", socket], "--play=missing.swf: file not found"),
            (["--site=game", "--play=../file", socket], "--play=../file: file not found in game"),
            (["--site=game", "--play=folder.swf", socket], "--play=folder.swf: file not found"),
            (
                ["--site=game", "--play=card.swf", socket],
                "--play=card.swf: file not found in game (did you mean Card.swf?)",
            ),
            (
                ["--site=game", "--play=game/game.swf", socket],
                "--play=game/game.swf: file not found in game (did you mean game.swf?)",
            ),
            (["--site=game", "--play=text.swf", socket], "--play=text.swf: not a SWF file"),
            ([*play, socket, "--accept=plain"], "--play requires the client type websocket in"),
            ([*play, socket, "--ruffle=empty"], "--ruffle=empty: ruffle.js not found"),
            (
                [*play, socket, f"--ruffle=game/{PACKAGE}/ruffle.js"],
                f"must be a folder or an https:// URL; try --ruffle=game/{PACKAGE}",
            ),
            ([*play, socket, "--ruffle=http://a/"], "must be a folder or an https:// URL"),
            ([*play, socket, "--ruffle=https://a/;x"], "must be a folder or an https:// URL"),
            ([*play, socket, "--ruffle=https://a/ 'self'"], "must be a folder or an https:// URL"),
        ):
            self.assertUsage(xmlserver, arguments, text)
        (self.here / "game/node_modules").rename(self.here / "elsewhere")
        self.assertUsage(
            xmlserver,
            [*play, socket],
            '--play: Ruffle not found; run "npm install @ruffle-rs/ruffle" in game, '
            "or pass --ruffle",
        )

    def test_unreadable(self) -> None:
        """
        A SWF file that cannot be read is a usage error with the reason.
        """

        def failing(*arguments: object) -> object:
            raise PermissionError(13, "Permission denied")

        self.patch(Path, "open", failing)
        arguments = [*self.arguments, "--play-socket=a:1"]
        self.assertUsage(xmlserver, arguments, "--play=game.swf: Permission denied")

    def test_otherDirectory(self) -> None:
        """
        The service can change the current directory.
        """
        options = self.parsed("--play-socket=a:1")
        self.write("game/index.html", "own")
        os.chdir("/")
        [line] = options.describePorts([IPv4Address("TCP", "127.0.0.1", 1)])
        self.assertTrue(line.startswith("index.html of game at"), line)

    def test_secrets(self) -> None:
        """
        The folder must not contain the private key, the recordings or the blocked addresses, or a
        configuration file whose ending is served.
        """
        certificate = trustme.CA().issue_cert("localhost")
        certificate.private_key_and_cert_chain_pem.write_to_path(self.here / "game/both.pem")
        certificate.private_key_pem.write_to_path(self.here / "game/key.pem")
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(self.here / "game/certificate.pem")
        text = "is inside; move it to another folder"
        for site in ("game", "."):
            site = f"--site={site}"
            self.assertUsage(
                xmlserver, [site, "--record=game/tapes"], "game/tapes of --record", text
            )
            self.assertUsage(
                xmlserver, [site, "--block-file=game/b.json"], "game/b.json of --block-file", text
            )
            both = "--tls-certificate=game/both.pem"
            self.assertUsage(xmlserver, [site, both], "game/both.pem of --tls-certificate", text)
            pair = ["--tls-certificate=game/certificate.pem", "--tls-key=game/key.pem"]
            self.assertUsage(xmlserver, [site, *pair], "game/key.pem of --tls-key", text)
        self.write("game/server.txt", "max-connections = 1\n")
        self.assertUsage(
            xmlserver, ["--site=game", "--config=game/server.txt"], "server.txt of --config", text
        )
        (self.here / "game/server.txt").rename(self.here / "game/server.toml")
        self.parse(xmlserver, "--site=game", "--config=game/server.toml")
        (self.here / "key.pem").write_bytes((self.here / "game/key.pem").read_bytes())
        self.parse(xmlserver, "--site=game", pair[0], "--tls-key=key.pem")
        self.parse(xmlserver, "--site=game", "--record=game-tapes")

    def test_secretsOfRuffle(self) -> None:
        """
        The folder of Ruffle must not contain them, either.
        """
        self.write("elsewhere/ruffle.js", "ruffle")
        self.assertUsage(
            xmlserver,
            [
                *self.arguments,
                "--play-socket=h:1",
                "--ruffle=elsewhere",
                "--record=elsewhere/tapes",
            ],
            "--ruffle=elsewhere: elsewhere/tapes of --record is inside; move it to another folder",
        )

    def test_linkedSecret(self) -> None:
        """
        The folder is compared without symbolic links.
        """
        (self.here / "link").symlink_to(self.here / "game")
        self.assertUsage(xmlserver, ["--site=link", "--record=game/tapes"], "is inside")
        self.assertUsage(xmlserver, ["--site=game", "--record=link/tapes"], "is inside")


class ConfigurationTests(PlayTestCase):
    """
    The table C{[ruffle-config]} of the configuration file.
    """

    def test_table(self) -> None:
        """
        The table contains settings of Ruffle.
        """
        self.write(
            "server.toml",
            'site = "game"\nplay = "game.swf"\nplay-socket = ["a:1", "b:2"]\n'
            '[ruffle-config]\nquality = "low"\nvolume = 0.5\n'
            '[ruffle-config.parameters]\nlang = "en"\n',
        )
        options = self.parse(xmlserver, "--config=server.toml")
        settings = json.loads(options["http"].resource._own["play.json"][1])
        self.assertEqual([each["port"] for each in settings["sockets"]], [1, 2])
        self.assertEqual(
            settings["config"], {"quality": "low", "volume": 0.5, "parameters": {"lang": "en"}}
        )

    def test_wrongTable(self) -> None:
        """
        A table with a value that JSON cannot contain is refused.
        """
        for text, words in (
            (
                "[ruffle-config]\na = 2026-11-30",
                "[ruffle-config] must not contain dates, inf or nan",
            ),
            ("[ruffle-config]\na = nan", "[ruffle-config] must not contain dates, inf or nan"),
            ("[ruffle-config]\nsocketProxy = []", "use play-socket instead of socketProxy"),
            ("[[ruffle-config]]\na = 1", "ruffle-config must be a table"),
        ):
            self.write("server.toml", text)
            arguments = [*self.arguments, "--play-socket=a:1", "--config=server.toml"]
            self.assertUsage(xmlserver, arguments, f"--config=server.toml: {words}")

    def test_showConfig(self) -> None:
        """
        The output of C{--show-config} is a configuration file with the same settings.
        """
        self.write("server.toml", '[ruffle-config]\n"a b" = [1, {c = true}]\n')
        texts = []
        arguments = [*self.arguments, "--play-socket=a:1", "--play-socket=b:2"]
        for _ in range(2):
            printed = io.StringIO()
            self.patch(sys, "stdout", printed)
            with self.assertRaises(SystemExit):
                self.parse(xmlserver, *arguments, "--config=server.toml", "--show-config")
            texts.append(printed.getvalue())
            self.write("server.toml", texts[-1])
            arguments = []
        self.assertEqual(texts[0], texts[1])
        self.assertIn('play-socket = ["a:1", "b:2"]\n', texts[0])

    @given(
        st.recursive(
            st.booleans()
            | st.integers(-(2**63), 2**63 - 1)
            | st.text(st.characters(exclude_categories=["Cs"]))
            | st.floats(allow_nan=False, allow_infinity=False),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
            ),
        )
    )
    def test_toTOML(self, value: Any) -> None:
        """
        A TOML parser reads the value again.
        """
        self.assertEqual(tomllib.loads(f"value = {toTOML(value)}")["value"], value)
