"""
The API's pages are made of docstrings; this is what they must say.
"""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import openfl_twisted

THOROUGH = (
    "endpoints",
    "errors",
    "events",
    "net",
    "pytestplugin",
    "reactors",
    "rooms",
    "security",
    "system",
    "testing",
    "tls",
    "utils",
    "wire",
)
"""
Where each parameter, result and error is described on its own. These are the
rooms that people come in by; elsewhere a docstring can say it in a sentence.
"""


def modules() -> Iterator[ModuleType]:
    """
    Import all modules.
    """
    for found in pkgutil.walk_packages(openfl_twisted.__path__, "openfl_twisted."):
        yield importlib.import_module(found.name)


def roomOf(module: ModuleType) -> str:
    """
    Name the room where a module is.
    """
    return module.__name__.split(".")[1]


def members(module: ModuleType) -> Iterator[tuple[str, Any, type[Any] | None]]:
    """
    Find what is public in a module and defined there.

    @return: names, what it is, and the class in which it is.
    """
    for name, value in list(vars(module).items()):
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            yield name, value, None
            for inside, member in list(vars(value).items()):
                function = getattr(member, "__func__", member)
                if (not inside.startswith("_") or inside == "__init__") and isWritten(function):
                    yield f"{name}.{inside}", function, value
        elif inspect.isfunction(value):
            yield name, value, None


def isWritten(member: object) -> bool:
    """
    Say whether somebody has written a method or a property; those of a dataclass
    are made, and a lambda is a value.
    """
    if isinstance(member, property):
        return True
    return (
        inspect.isfunction(member)
        and member.__name__ != "<lambda>"
        and member.__code__.co_filename.startswith(openfl_twisted.__path__[0])
    )


def inherited(name: str, cls: type[Any] | None) -> bool:
    """
    Say whether a base class or an interface describes a method already.
    """
    if cls is None or name == "__init__":
        return False
    bases = cls.__mro__[1:-1]
    # Not implementedBy(): that writes into classes that implement nothing.
    declared = [vars(each).get("__implemented__") for each in cls.__mro__]
    interfaces = [each for found in declared if found is not None for each in found.flattened()]
    return any(name in vars(base) for base in bases) or any(name in each for each in interfaces)


def raisedIn(function: Callable[..., Any]) -> set[str]:
    """
    Name the errors that a function raises itself.
    """
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            name = ast.unparse(error).removesuffix(".numbered").rpartition(".")[2]
            if name[:1].isupper() and name != "NotImplementedError":
                found.add(name)
    return found


def missing(name: str, function: Callable[..., Any], cls: type[Any] | None) -> Iterator[str]:
    """
    Say what the docstring of a function leaves out.
    """
    short = name.rpartition(".")[2]
    text = inspect.getdoc(function) or ""
    if short == "__init__" and cls is not None:
        for base in cls.__mro__[:-1]:
            text += f"{base.__doc__}\n{vars(base).get('__init__', base).__doc__}\n"
    signature = inspect.signature(function)
    for parameter in signature.parameters:
        if parameter in ("self", "cls"):
            continue
        if not re.search(rf"@(param|ivar|keyword) {parameter}:|C\{{{parameter}\}}", text):
            yield f"@param {parameter}"
    result = signature.return_annotation
    if result not in (None, "None", inspect.Signature.empty) and not re.search(
        r"@return|^\s*(Get|Say whether|Make|Name|Find|Write|Read|Copy|Encode|Know)\b", text
    ):
        yield "@return"
    for error in raisedIn(function):
        if not re.search(rf"@raise [\w.]*\b{error}:", text):
            yield f"@raise {error}"


class DocstringTests(SynchronousTestCase):
    """
    Docstrings of the package.
    """

    def test_everyName(self) -> None:
        """
        Every public name has a docstring; what overrides another has its.
        """
        found = [
            f"{module.__name__}.{name}"
            for module in modules()
            for name, value, cls in members(module)
            if not name.endswith(".__init__")
            and not value.__doc__
            and not inherited(name.rpartition(".")[2], cls)
        ]
        self.assertEqual(found, [])

    def test_everyModule(self) -> None:
        """
        Every module says what it is for.
        """
        self.assertEqual([module.__name__ for module in modules() if not module.__doc__], [])

    def test_thorough(self) -> None:
        """
        In the rooms that people come in by, each parameter, result and error is
        described. "Get", "Say whether" and the like say what comes back.
        """
        found = [
            f"{module.__name__}.{name}: {what}"
            for module in modules()
            if roomOf(module) in THOROUGH
            for name, value, cls in members(module)
            if inspect.isfunction(value) and not inherited(name.rpartition(".")[2], cls)
            # The class that does it says what an interface's methods are for.
            if not getattr(cls, "_is_protocol", False)
            for what in missing(name, value, cls)
        ]
        self.assertEqual(found, [])
