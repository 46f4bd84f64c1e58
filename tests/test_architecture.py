"""
The layers of the package: imports only go down, and form no cycles.
"""

import ast
import subprocess
import sys
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import openfl_twisted
from openfl_twisted import protocols, tls
from tests.support.layers import LAYERS

PACKAGE = Path(openfl_twisted.__file__).parent
NAME = PACKAGE.name

WITHOUT_TWISTED = {"wire", "errors", "events", "security", "similar", "system", "utils"}
"""
Modules that import neither Twisted nor a module that does.
"""

OPTIONAL = {
    "hiredis": {"brokers"},
    "prometheus_client": {"dashboard"},
    "prompt_toolkit": {"telnetclient"},
    "pytest": {"pytestplugin"},
}
"""
Optional dependencies, and the packages that may import them.
"""


TYPES_ONLY = {"openfl_twisted.events": {"openfl_twisted.net.socket"}}
"""
Imports of higher layers in C{TYPE_CHECKING} blocks. C{ServerSocketConnectEvent} has an attribute
of the type C{Socket}: in OpenFL, the packages C{events} and C{net} import each other.
"""


def moduleName(path: Path) -> str:
    """
    Return the dotted name of a module of the package.
    """
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {moduleName(path): path for path in sorted(PACKAGE.glob("**/*.py"))}


def importsOf(path: Path) -> set[str]:
    """
    Return the dotted names of all imports of a module, including those in functions and
    in C{TYPE_CHECKING} blocks.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # A linter refuses relative imports.
            assert node.module is not None and not node.level, path
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def importedModules(path: Path) -> set[str]:
    """
    Return the modules of this package that a module imports. Parent packages of an
    imported module are not included.
    """
    names = importsOf(path)
    found = {name if name in MODULES else name.rpartition(".")[0] for name in names}
    return found & MODULES.keys() - {moduleName(path)} - TYPES_ONLY.get(moduleName(path), set())


GRAPH = {name: importedModules(path) for name, path in MODULES.items()}


def part(module: str) -> str:
    """
    Return the first name below the package: the package or module of a layer.
    """
    return module.split(".")[1] if "." in module else ""


def findCycle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """
    Return the modules of an import cycle; an empty list without a cycle.
    """
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return cycle
    return []


def closure(modules: Iterable[str]) -> set[str]:
    """
    Return modules with their direct and indirect imports.
    """
    found: set[str] = set()
    todo = list(modules)
    while todo:
        module = todo.pop()
        if module not in found:
            found.add(module)
            todo += GRAPH[module]
    return found


class ImportTests(SynchronousTestCase):
    """
    Imports of the modules of the package.
    """

    def test_reader(self) -> None:
        """
        All imports are found, at any place in a module.
        """
        path = Path(self.mktemp())
        path.write_text(
            "import a.b, c as d\n"
            "if TYPE_CHECKING:\n    from e import f, g\n"
            "def do():\n    from h.i import (j as k, l)\n"
        )
        self.assertEqual(importsOf(path), {"a.b", "c", "e.f", "e.g", "h.i.j", "h.i.l"})

    def test_down(self) -> None:
        """
        Imports only go down. The core does not import add-ons, and only commands import
        commands.
        """
        rows = [row for layer in LAYERS.values() for row in layer]
        height = {name: -number for number, row in enumerate(rows) for name in row}
        known = {part(module) for module in MODULES} - {""}
        self.assertEqual(known - height.keys(), set())
        self.assertEqual(GRAPH[NAME], {f"{NAME}.lazyimports", f"{NAME}.running"})
        for module in MODULES.keys() - {NAME}:
            for imported in GRAPH[module]:
                self.assertTrue(
                    part(module) == part(imported) or height[part(module)] > height[part(imported)],
                    f"{module} imports {imported}",
                )

    def test_typesOnly(self) -> None:
        """
        Imports that only type checkers need are not executed.
        """
        for module, imported in TYPES_ONLY.items():
            self.assertLessEqual(
                imported, {name.rpartition(".")[0] for name in importsOf(MODULES[module])}
            )
            code = (
                f"import sys, {module}; sys.exit(any(name in sys.modules for name in {imported}))"
            )
            self.assertEqual(subprocess.run([sys.executable, "-c", code]).returncode, 0)

    def test_noCycles(self) -> None:
        """
        No modules import each other.
        """
        self.assertEqual(findCycle(GRAPH), [])

    def test_withoutTwisted(self) -> None:
        """
        Encoding, decoding and the OpenFL classes without connections do not import
        Twisted.
        """
        for module, path in MODULES.items():
            if part(module) in WITHOUT_TWISTED:
                outside = {name.partition(".")[0] for name in importsOf(path)}
                self.assertEqual(outside & {"twisted", "zope"}, set(), module)
                self.assertLessEqual({part(name) for name in GRAPH[module]}, WITHOUT_TWISTED)

    def test_exports(self) -> None:
        """
        Packages that import their modules late export exactly the names that type checkers
        see, and a wrong name is an C{AttributeError}.
        """
        for package in (protocols, tls):
            seen = {
                name.rpartition(".")[2]
                for name in importsOf(MODULES[package.__name__])
                if name.startswith(f"{package.__name__}.")
            }
            self.assertEqual(seen, set(package.__all__))
            for name in package.__all__:
                self.assertEqual(getattr(package, name).__name__, name)
            with self.assertRaisesRegex(AttributeError, "has no attribute 'SocketFactory'"):
                package.SocketFactory  # noqa: B018

    def test_optional(self) -> None:
        """
        An optional dependency is imported only by the package that needs it.
        """
        for module, path in MODULES.items():
            for name in importsOf(path):
                packages = OPTIONAL.get(name.partition(".")[0])
                if packages is not None:
                    self.assertIn(part(module), packages, f"{module} imports {name}")

    def test_wire(self) -> None:
        """
        Packages in C{wire} do not import each other, not even indirectly, and import no
        other package.
        """
        wire = f"{NAME}.wire"
        formats = {
            name for name, path in MODULES.items()
            if name.startswith(f"{wire}.") and path.stem == "__init__"
        }  # fmt: skip
        self.assertIn(f"{wire}.policy", formats)
        for name in formats | {wire}:
            self.assertEqual(importsOf(MODULES[name]), set(), name)
        for name in formats:
            inside = [module for module in MODULES if module.startswith(f"{name}.")]
            reached = {module.rpartition(".")[0] for module in closure(inside)}
            self.assertEqual(reached & formats, {name})

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
        Importing a module installs no reactor.
        """
        script = (
            "import importlib, sys\n"
            f"for name in {[*MODULES]!r}:\n"
            "    importlib.import_module(name)\n"
            "    assert 'twisted.internet.reactor' not in sys.modules, name\n"
        )
        found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        self.assertEqual(found.returncode, 0, found.stderr)

    def test_lazy(self) -> None:
        """
        The start of a command does not import what most servers do not use.
        """
        unused = ("brokers", "dashboard", "workers", "wire.amf", "net", "tls.server", "testing")
        script = (
            "import importlib, sys\n"
            "for name in ('xmlserver', 'echoserver', 'policyserver', 'bridge'):\n"
            "    importlib.import_module(f'openfl_twisted.services.{name}')\n"
            f"unused = tuple('openfl_twisted.' + name for name in {unused!r})\n"
            "found = [n for n in sys.modules if n in unused or n.startswith(\n"
            "    tuple(f'{name}.' for name in unused))]\n"
            "assert not found, found\n"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
