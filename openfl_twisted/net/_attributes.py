"""
Refuses misspelt attributes of sockets, such as C{socket.timout = 1000}.
"""

from typing import Any

from openfl_twisted.overrides import isOwnName
from openfl_twisted.similar import misspellingOf

# The public attributes of instances.
_PLAIN = ("autoflush", "trust", "verdict")


class CheckedAttributes:
    """
    Base class of sockets whose attributes cannot be misspelt. Subclasses outside this package can
    have any attributes: they use the method of C{object}, which is as fast as without this class.
    """

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if not isOwnName(cls.__module__) and "__setattr__" not in vars(cls):
            cls.__setattr__ = object.__setattr__  # type: ignore[method-assign,assignment]

    def __setattr__(self, name: str, value: object) -> None:
        """
        Set an attribute. The classes of this package must not set attributes for each message,
        because this method is slow.

        @raise AttributeError: if the name is a misspelling.
        """
        cls = type(self)
        if not (name.startswith("_") or name in _PLAIN or hasattr(cls, name)):
            right = misspellingOf(name, _namesOf(cls))
            if right is not None and name not in vars(self):
                raise AttributeError(
                    f"{cls.__name__} has no attribute {name}: did you mean {right}?",
                    name=name,
                    obj=self,
                )
        object.__setattr__(self, name, value)


def _namesOf(cls: type) -> list[str]:
    """
    Return the names of the attributes that a program can set.
    """
    found = {
        name: value
        for base in reversed(cls.__mro__)
        for name, value in vars(base).items()
        if not name.startswith("_")
    }
    settable = (name for name, value in found.items() if getattr(value, "fset", None) is not None)
    return [*settable, *_PLAIN]
