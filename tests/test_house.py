"""
Imports only go down.
"""

import ast
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import openfl_twisted

PACKAGE = Path(openfl_twisted.__file__).parent

# What every room above the wire may use: addresses, host names, times and the log.
BASICS = {"addresses", "clocks", "hostnames", "logs"}

# OpenFL's classes that open no connection.
DOOR = {"events", "utils", "errors", "security", "system"}

# What each room may import of this package, and whether Twisted too.
ALLOWED = {
    "wire": ({"wire"}, False),
    "errors": ({"wire"}, False),
    "events": ({"errors", "wire"}, False),
    "utils": ({"errors", "wire"}, False),
    "system": ({"errors", "wire"}, False),
    "security": ({"utils", "wire"}, False),
    "addresses": (set(), True),
    "clocks": (set(), True),
    "hostnames": ({"wire"}, True),
    "logs": ({"wire"}, True),
    "reactors": ({"reactors", "logs"}, True),
    "tls": ({"tls", "wire"} | BASICS, True),
    "protocols": ({"protocols", "reactors", "tls", "wire"} | BASICS, True),
    "net": ({"net", "protocols", "reactors", "tls", "wire"} | DOOR | BASICS, True),
    "rooms": ({"rooms", "protocols", "tls", "wire"} | BASICS, True),
    "endpoints": ({"protocols", "reactors", "tls", "wire"} | BASICS, True),
    "dashboard": ({"dashboard", "rooms", "endpoints", "protocols", "tls", "wire"} | BASICS, True),
    "services": (
        {"services", "dashboard", "rooms", "endpoints", "reactors", "protocols", "tls", "wire"}
        | BASICS,
        True,
    ),
    "testing": ({"testing", "net", "protocols", "tls", "wire"} | DOOR | BASICS, True),
    "pytestplugin": ({"testing"}, False),
    "telnetclient": ({"telnetclient", "net", "protocols", "tls", "wire"} | BASICS, True),
}


def importsOf(path: Path) -> set[str]:
    """
    Name the modules that a module imports, anywhere in it.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(f"{node.module}.{node.names[0].name}")
    return found


class ImportTests(SynchronousTestCase):
    """
    The house has floors.
    """

    def test_onlyDown(self) -> None:
        """
        No room imports one above it, and the wire knows nothing of Twisted.
        """
        modules = [path for path in PACKAGE.glob("**/*.py") if path != PACKAGE / "__init__.py"]
        rooms: dict[str, list[Path]] = {}
        for path in modules:
            room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
            rooms.setdefault(room, []).append(path)
        self.assertEqual(set(rooms), set(ALLOWED))
        for room, (allowed, twisted) in ALLOWED.items():
            for path in rooms[room]:
                for name in importsOf(path):
                    first, _, rest = name.partition(".")
                    if first == "openfl_twisted":
                        self.assertIn(rest.partition(".")[0], allowed, f"{path} imports {name}")
                    if first in ("twisted", "zope"):
                        self.assertTrue(twisted, f"{path} imports {name}")

    def test_pluginsAreStrings(self) -> None:
        """
        Listing the commands and the reactors imports nothing of this package.
        """
        plugins = PACKAGE.parent / "twisted" / "plugins"
        for name, wanted in (
            ("services", "twisted.application.service.ServiceMaker"),
            ("reactors", "twisted.application.reactors.Reactor"),
        ):
            self.assertEqual(importsOf(plugins / f"openfl_twisted_{name}.py"), {wanted})

    def test_noReactor(self) -> None:
        """
        Importing this package chooses no reactor, but for the one module that
        reads Redis with a library that does.
        """
        names = [
            ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
            for path in PACKAGE.glob("**/*.py")
            if path.stem not in ("__init__", "redisreader")
        ]
        script = (
            "import importlib, sys\n"
            f"for name in {sorted(names)!r}:\n"
            "    importlib.import_module(name)\n"
            "    assert 'twisted.internet.reactor' not in sys.modules, name\n"
        )
        found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        self.assertEqual(found.returncode, 0, found.stderr)
