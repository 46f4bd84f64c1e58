"""
Tests for the docstrings of the package, from which the API reference is generated.
"""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any, NoReturn, Self, TypeVar

from twisted.logger import Logger
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.interface import Method

import openfl_twisted
from openfl_twisted.coroutines import HandlerResult

FULLY_DESCRIBED = (
    "addresses",
    "brokers",
    "clocks",
    "dashboard",
    "dispatch",
    "endpoints",
    "errors",
    "events",
    "load",
    "logs",
    "net",
    "protocols",
    "pytestplugin",
    "reactors",
    "rooms",
    "security",
    "services",
    "system",
    "telnetclient",
    "testing",
    "tls",
    "utils",
    "wire",
)
"""
Packages in which each parameter, result and exception is described in a field. Elsewhere
a docstring can describe them in a sentence.
"""

# The result of a handler is described with its type.
_NOTHING = (None, "None", NoReturn, inspect.Signature.empty, HandlerResult)
_RESULT = (
    r"@return|^\s*(Get|Say whether|Make|Name|Find|Write|Read|Copy|Encode|Know|Return|Parse|Create"
    r"|Format|Decode)\b"
)


def modules() -> Iterator[ModuleType]:
    """
    Import and return all public modules.
    """
    for found in pkgutil.walk_packages(openfl_twisted.__path__, "openfl_twisted."):
        if "._" not in found.name:
            yield importlib.import_module(found.name)


def subpackageOf(module: ModuleType) -> str:
    """
    Return the subpackage of a module.
    """
    return module.__name__.split(".")[1]


def members(module: ModuleType) -> Iterator[tuple[str, Any, type[Any] | None]]:
    """
    Return the public objects that a module defines.

    @return: the name, the object, and its class, if any.
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
    Return whether a method or property is defined in source code, unlike generated
    methods of dataclasses and lambdas.
    """
    if isinstance(member, property):
        return True
    return (
        inspect.isfunction(member)
        and member.__name__ != "<lambda>"
        and member.__code__.co_filename.startswith(openfl_twisted.__path__[0])
    )


def linkedClasses(text: str) -> Iterator[type[Any]]:
    """
    Return the classes of the package to which a docstring refers.
    """
    links = {link.rpartition(".")[2] for link in re.findall(r"L\{(?:[^{}<]*<)?([\w.]+)", text)}
    for module in modules():
        for name, value, _ in members(module):
            if name in links and inspect.isclass(value):
                yield value


def namedProtocols(cls: type[Any]) -> list[type[Any]]:
    """
    Return the protocol classes that the docstrings of a class and its bases name.
    """
    return protocolsIn("".join(each.__doc__ or "" for each in cls.__mro__[:-1]))


@cache
def protocolsIn(text: str) -> list[type[Any]]:
    """
    Return the protocol classes to which a docstring refers.
    """
    return [each for each in linkedClasses(text) if getattr(each, "_is_protocol", False)]


def inherited(name: str, cls: type[Any] | None) -> list[Any]:
    """
    Return the docstring inherited from a base class or an interface. A protocol class
    inherits from the classes that its docstring names, and another class from the protocol
    classes that its docstring, or that of a base class, names.
    """
    short = name.rpartition(".")[2]
    if cls is None or short == "__init__":
        return []
    # Unlike this attribute, implementedBy() modifies classes without interfaces.
    declared = [vars(each).get("__implemented__") for each in cls.__mro__]
    interfaces = [each for found in declared if found is not None for each in found.flattened()]
    described = [vars(base).get(short) for base in cls.__mro__[1:-1]]
    described += [interface.get(short) for interface in interfaces]
    if getattr(cls, "_is_protocol", False):
        described += [vars(each).get(short) for each in linkedClasses(cls.__doc__ or "")]
    described += [vars(each).get(short) for each in namedProtocols(cls)]
    return [each for each in described if each is not None and each.__doc__]


def isHelp(name: str, cls: type[Any] | None) -> bool:
    """
    Return whether a string is the help text of an option or a command.
    """
    wanted = name.rpartition(".")[2].startswith(("opt_", "longdesc", "synopsis"))
    return wanted and cls is not None and issubclass(cls, usage.Options)


def parametersOf(described: Any) -> list[str]:
    """
    Return the parameter names of a function or of a method of an interface.
    """
    if isinstance(described, Method):
        info = described.getSignatureInfo()
        return [*info["positional"], *filter(None, (info["varargs"], info["kwargs"]))]
    function = getattr(described, "__func__", described)
    if not inspect.isfunction(function):
        return []
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]


def raisedIn(function: Callable[..., Any]) -> set[str]:
    """
    Return the names of the exceptions that a function raises.
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


def words(text: str) -> set[str]:
    """
    Return the words of a text in lower case and without plural, including those of names
    in camelCase.
    """
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return {word.lower().removesuffix("s") for word in re.findall(r"[A-Za-z]+", apart)}


def missing(name: str, member: Any, cls: type[Any] | None) -> Iterator[str]:
    """
    Return the fields missing in the docstring of a function or a property. An override
    only describes additional parameters and exceptions. A parameter needs no field if its
    name consists of words of the docstring, of the function or of the parameter's type.
    """
    function: Any = member.fget if isinstance(member, property) else member
    text = inspect.getdoc(function) or ""
    if name.endswith(".__init__") and cls is not None:
        for base in cls.__mro__[:-1]:
            text += f"{base.__doc__}\n{vars(base).get('__init__', base).__doc__}\n"
    described = inherited(name, cls)
    parameters = parametersOf(member)
    for found in map(parametersOf, described):
        # An override can rename parameters.
        added = len(parameters) - len(found)
        parameters = [each for each in parameters if each not in found] if added > 0 else []
    signature = inspect.signature(function)
    known = words(f"{name} {text}")
    # Other words for data.
    if known & {"byte", "chunk", "document"}:
        known.add("data")
    for parameter in parameters:
        kind = words(str(signature.parameters[parameter].annotation))
        if not (
            re.search(rf"@(param|ivar|keyword) {parameter}:|C\{{{parameter}\}}", text)
            or words(parameter) <= known | kind
        ):
            yield f"@param {parameter}"
    result = signature.return_annotation
    says = isinstance(member, property) or result in (*_NOTHING, Self)
    if not says and not described and not re.search(_RESULT, text):
        yield "@return"
    promised = "\n".join([text, *(each.__doc__ for each in described)])
    for error in raisedIn(function):
        if not re.search(rf"@raise [\w.]*\b{error}:", promised):
            yield f"@raise {error}"


def assigned(body: list[ast.stmt]) -> Iterator[tuple[str, bool]]:
    """
    Yield the public names assigned in a module or a class.

    @return: each name, and whether a docstring follows.
    """
    for statement, following in zip(body, [*body[1:], None], strict=True):
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        described = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        for target in targets:
            if isinstance(target, ast.Name) and not target.id.startswith("_"):
                yield target.id, described


def attributesOf(tree: ast.ClassDef) -> Iterator[str]:
    """
    Return the public attributes of a class and of its instances, except those with a
    docstring.
    """
    names = dict(assigned(tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            own = isinstance(node.value, ast.Name) and node.value.id == "self"
            if own and not node.attr.startswith("_"):
                names.setdefault(node.attr, False)
    return (name for name, described in names.items() if not described)


def explained(name: str, cls: type[Any]) -> bool:
    """
    Return whether an attribute is described by the docstring of the class, of its
    constructor or of a base, or is inherited. An interface describes its own attributes.
    """
    if not inspect.isclass(cls):
        return bool(cls[name].__doc__)
    if isinstance(vars(cls).get(name), (Logger, property)) or any(
        name in vars(base) or name in inspect.get_annotations(base) for base in cls.__mro__[1:]
    ):
        # Log lines are described at the definition of the logger.
        return True
    if isHelp(name, cls):
        return True
    declared = [vars(each).get("__implemented__") for each in cls.__mro__]
    if any(name in each for found in declared if found is not None for each in found.flattened()):
        return True
    if any(name in vars(each) for each in namedProtocols(cls)):
        return True
    text = "".join(
        f"{each.__doc__}{vars(each).get('__init__', each).__doc__}" for each in cls.__mro__
    )
    return re.search(rf"@(param|ivar|cvar) {name}:|C\{{{name}\}}", text) is not None


class DocstringTests(SynchronousTestCase):
    """
    Docstrings of the package are complete.
    """

    def test_everyName(self) -> None:
        """
        Every public name has a docstring, or inherits one.
        """
        found = [
            f"{module.__name__}.{name}"
            for module in modules()
            for name, value, cls in members(module)
            if not name.endswith(".__init__") and not value.__doc__ and not inherited(name, cls)
        ]
        self.assertEqual(found, [])

    def test_everyModule(self) -> None:
        """
        Every module has a docstring.
        """
        self.assertEqual([module.__name__ for module in modules() if not module.__doc__], [])

    def test_fields(self) -> None:
        """
        In the packages with fields, each parameter, result and exception is described,
        unless it is inherited. The summary or the type can describe a parameter. A summary
        that starts with "Return" or a similar verb describes the result.
        """
        found = [
            f"{module.__name__}.{name}: {what}"
            for module in modules()
            if subpackageOf(module) in FULLY_DESCRIBED
            for name, value, cls in members(module)
            if (inspect.isfunction(value) or isinstance(value, property)) and not isHelp(name, cls)
            for what in missing(name, value, cls)
        ]
        self.assertEqual(found, [])

    def test_values(self) -> None:
        """
        In the packages with fields, each constant and attribute is described.
        """
        found = []
        for module in modules():
            if subpackageOf(module) not in FULLY_DESCRIBED:
                continue
            tree = ast.parse(inspect.getsource(module))
            found += [
                f"{module.__name__}.{name}"
                for name, described in assigned(tree.body)
                if not described and not isinstance(vars(module)[name], TypeVar)
            ]
            for node in tree.body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    cls = vars(module)[node.name]
                    found += [
                        f"{module.__name__}.{node.name}.{name}"
                        for name in attributesOf(node)
                        if not explained(name, cls)
                    ]
        self.assertEqual(found, [])
