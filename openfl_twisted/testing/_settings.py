"""
Settings of an in-memory network, whose values are checked when they are assigned.
"""

from collections.abc import Callable
from math import isfinite
from typing import Any, Generic, TypeVar

from openfl_twisted.similar import misspellingOf

_Value = TypeVar("_Value", bound=float)


def checkSeconds(name: str, value: Any) -> float:
    """
    Return a time.

    @param name: the name of the parameter or attribute, for the error.
    @raise TypeError: if the time is not a number.
    @raise ValueError: if the time is negative or not finite.
    """
    text = f"{name} must be a number of seconds from 0, not {value!r:.80}"
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(text)
    if not (isfinite(value) and value >= 0):
        raise ValueError(text)
    return value


def checkCount(name: str, value: Any) -> int:
    """
    Return a number of things, such as bytes.

    @param name: the name of the parameter or attribute, for the error.
    @raise TypeError: if the number is not an integer.
    @raise ValueError: if the number is negative.
    """
    text = f"{name} must be an integer from 0, not {value!r:.80}"
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(text)
    if value < 0:
        raise ValueError(text)
    return value


class Setting(Generic[_Value]):
    """
    An attribute whose values are checked.
    """

    def __init__(self, check: Callable[[str, Any], _Value]) -> None:
        """
        @param check: called with the name of the attribute and a value; returns the value, or
            raises an exception.
        """
        self._check = check

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name
        self._slot = f"_{name}"

    def __get__(self, instance: object, owner: type) -> _Value:
        return getattr(instance, self._slot)  # type: ignore[no-any-return]

    def __set__(self, instance: object, value: Any) -> None:
        setattr(instance, self._slot, self._check(self._name, value))


class Settings:
    """
    An object whose attributes cannot be misspelt.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name.startswith("_") or name in vars(self) or hasattr(type(self), name)):
            checked = {key for cls in type(self).__mro__ for key in _settingsOf(cls)}
            plain = {key for key in vars(self) if not key.startswith("_")}
            right = misspellingOf(name, sorted(checked | plain))
            if right is not None:
                text = f"{type(self).__name__} has no attribute {name}: did you mean {right}?"
                raise AttributeError(text, name=name, obj=self)
        super().__setattr__(name, value)


def _settingsOf(cls: type) -> set[str]:
    return {name for name, value in vars(cls).items() if isinstance(value, Setting)}
