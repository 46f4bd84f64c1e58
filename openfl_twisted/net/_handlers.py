"""
Refuses event handlers in the style of ActionScript 2, such as C{socket.onConnect = connected},
which would never be called.
"""

from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T", bound=type)


class _Handler:
    """
    A descriptor that refuses the assignment of an attribute. Subclasses outside this package can
    have attributes and methods with this name.

    A descriptor for each name costs nothing when another attribute is assigned, unlike
    C{__setattr__}.
    """

    def __init__(self, owner: type, name: str, event: str) -> None:
        self._owner = owner
        self._name = name
        self._event = event

    def __get__(self, instance: object, cls: type) -> Any:
        if instance is not None and self._name in vars(instance):
            return vars(instance)[self._name]
        # A class that follows in the method resolution order may have the attribute.
        following: Any = super(self._owner, cls if instance is None else instance)
        try:
            return getattr(following, self._name)
        except AttributeError:
            raise AttributeError(self._explain(cls), name=self._name) from None

    def __set__(self, instance: object, value: object) -> None:
        cls = type(instance)
        if cls.__module__.startswith("openfl_twisted."):
            raise AttributeError(self._explain(cls), name=self._name)
        vars(instance)[self._name] = value

    def __delete__(self, instance: object) -> None:
        if vars(instance).pop(self._name, self) is self:
            raise AttributeError(self._explain(type(instance)), name=self._name)

    def _explain(self, cls: type) -> str:
        return (
            f"{cls.__name__} has no attribute {self._name}:"
            f" use addEventListener({self._event}, ...)"
        )


def refuseHandlers(**events: str) -> Callable[[_T], _T]:
    """
    Decorate a class whose instances refuse handlers.

    @param events: the constant of the event for each name of a handler, such as
        C{onConnect="Event.CONNECT"}.
    """

    def decorate(cls: _T) -> _T:
        for name, event in events.items():
            # Type checkers do not see the attributes, and report their use.
            setattr(cls, name, _Handler(cls, name, event))
        return cls

    return decorate
