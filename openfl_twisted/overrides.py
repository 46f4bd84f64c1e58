"""
Checks of the methods that an application overrides, when it defines a class.
"""

import warnings
from collections.abc import Callable, Collection
from inspect import Signature, currentframe, isfunction
from typing import Any


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
        if not (bases and isfunction(bases[-1])):
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
