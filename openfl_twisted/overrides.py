"""
Checks of the classes that an application defines, and of classes that it passes instead of
objects.
"""

import warnings
from collections.abc import Callable, Collection
from functools import partial
from inspect import Signature, currentframe, isfunction
from types import MethodType
from typing import Any, TypeVar, cast

_F = TypeVar("_F", bound=Callable[..., Any])


def isOwnName(module: str) -> bool:
    """
    Return whether a module belongs to this package.
    """
    return module.startswith("openfl_twisted.")


def isOwn(function: Any) -> bool:
    """
    Return whether a method is defined by this package.
    """
    return isOwnName(getattr(function, "__module__", None) or "")


def _isLibrary(function: Any) -> bool:
    """
    Return whether a method is defined by this package or Twisted.
    """
    return isOwn(function) or (function.__module__ or "").startswith("twisted.")


def checkParameters(cls: type, isCalled: Callable[[str, Any], object]) -> None:
    """
    Check the parameters of the methods of a new class that are called when something happens.

    @param isCalled: called with the name of a method and the method; returns whether it is such a
        method.
    @raise TypeError: if a method cannot be called.
    """
    for name, value in vars(cls).items():
        if not (isfunction(value) and isCalled(name, value)):
            continue
        bases = [vars(base)[name] for base in cls.__mro__[1:] if name in vars(base)]
        # A method that an application has added is called by the application only.
        if not (bases and isfunction(bases[-1]) and _isLibrary(bases[-1])):
            continue
        # Twisted passes the reason, although the parameter has a default.
        names = [
            each.name
            for each in Signature.from_callable(bases[-1]).parameters.values()
            if each.default is each.empty or name == "connectionLost"
        ]
        try:
            Signature.from_callable(value, follow_wrapped=False).bind(*names)
        except TypeError:
            raise TypeError(
                f"{cls.__name__}.{name} has the wrong parameters: define it as"
                f" def {name}({', '.join(names)})"
            ) from None


def warnOfMethods(cls: type, suggest: Callable[[str], str | None]) -> None:
    """
    Warn of the methods of a new class that are never called because of their names.

    @param suggest: called with the name of a method that the class does not inherit; returns the
        right name, or C{None}.
    """
    inherited: Collection[str] = {name for base in cls.__mro__[1:] for name in vars(base)}
    for name, value in vars(cls).items():
        if name in inherited or name.startswith("_") or not isfunction(value):
            continue
        right = suggest(name)
        if right is not None:
            text = f"{cls.__name__}.{name} is never called: did you mean {right}?"
            code = value.__code__
            warnings.warn_explicit(text, UserWarning, code.co_filename, code.co_firstlineno)


def warnCaller(text: str) -> None:
    """
    Warn at the line of the application that has called this package, such as the line of a
    C{class} statement.
    """
    frame = currentframe()
    while frame is not None and isOwnName(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    if frame is not None:
        warnings.warn_explicit(text, UserWarning, frame.f_code.co_filename, frame.f_lineno)


class _StartMethod:
    """
    A descriptor for C{doStart}. Twisted calls the method of the class if a program passes the class
    instead of a factory.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __get__(self, instance: object, owner: type) -> Callable[..., Any]:
        if instance is None:
            return partial(self._refuse, owner)
        return MethodType(self._function, instance)

    def _refuse(self, owner: type, *instance: object) -> Any:
        if instance:
            # A subclass calls the method of its base class.
            return self._function(*instance)
        parameters = Signature.from_callable(owner).parameters.values()
        names = [
            "YourProtocol" if each.name == "protocol" else each.name
            for each in parameters
            if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD
        ]
        call = f"{owner.__name__}({', '.join(names)})"
        raise TypeError(f"a factory is needed, not the class {owner.__name__}: pass {call}")


def startMethod(function: _F) -> _F:
    """
    Decorate the method C{doStart} of a factory. If the class is passed to a reactor instead of a
    factory, it raises C{TypeError} with an explanation.
    """
    return cast("_F", _StartMethod(function))
