"""
The members of what is written: their names, their values, and which there are.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from openfl_twisted.wire.amf.amf3 import callOwn
from openfl_twisted.wire.amf.values import AMFError, RegisteredClass


def nameOf(key: Any) -> str:
    """
    Get the name of a member.

    @param key: a text that is not empty, or an integer, which is written in
        decimal.
    @return: text that is not empty.
    @raise AMFError: if it is something else.
    """
    if type(key) is int:
        return str(key)
    if not isinstance(key, str) or not key:
        raise AMFError(f"the name of a member is text that is not empty, not {key!r}")
    return key


def namedTwice(key: Any, value: Mapping[Any, Any]) -> bool:
    """
    Return whether a key has the same name on the wire as another key.

    @param key: a key of an object.
    @param value: the object.
    @return: C{True} for an integer whose decimal text is a key too. The entry
        of the text is written, and that of the integer is not.
    """
    return type(key) is int and str(key) in value


def dynamicMembers(value: Mapping[Any, Any]) -> Iterable[tuple[str, Any]]:
    """
    List the members of an object as they are written: without functions, and
    each name once.

    @param value: the object; its names are as for L{nameOf}.
    @return: names with their values, in order.
    @raise AMFError: if a name cannot be one.
    """
    return [
        (nameOf(key), item)
        for key, item in value.items()
        if not callable(item) and not namedTwice(key, value)
    ]


class DynamicOutput:
    """
    What the members of one object are told to.
    """

    def __init__(self, room: int) -> None:
        """
        @param room: how many members it takes.
        """
        self._room = room
        self._members: list[tuple[str, Any]] | None = []

    def writeDynamicProperty(self, name: str, value: Any) -> None:
        """
        Write a member.

        @param name: its name.
        @param value: its value; a function is written as C{undefined}.
        @raise AMFError: if the name is not text, or empty, if there are too
            many members, or if the object has been written already.
        """
        if self._members is None:
            raise AMFError("the object has been written already")
        if len(self._members) >= self._room:
            raise AMFError("there are more members than values may be written")
        self._members.append((nameOf(name), value))

    def take(self) -> list[tuple[str, Any]]:
        """
        Get the members, and take no more.

        @return: names with their values, in the order in which they were
            written.
        """
        members, self._members = self._members or [], None
        return members


def declaredMembers(value: Any, registered: RegisteredClass) -> list[Any]:
    """
    Get the declared members of an object, in order.

    @param value: an instance of the class.
    @param registered: the class, which says the names.
    @return: their values, in the order of the names.
    @raise AMFError: if it lacks one.
    """
    return [callOwn(getattr, value, name) for name in registered.members]


def normalArray(
    dense: "list[Any] | tuple[Any, ...]", named: Mapping[Any, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """
    Sort the entries of an array as Flash does: what is in one row from 0 on,
    and by name all others. Functions are left out.

    @param dense: the entries from 0 on.
    @param named: all others, by name. Those whose names are the next numbers go
        into the row; one that C{dense} has already is dropped.
    @return: the row, and the others by name.
    @raise AMFError: if a name is neither an integer nor text that is not empty.
    """
    entries = {str(index): item for index, item in enumerate(dense) if not callable(item)}
    for name, item in dynamicMembers(named):
        entries.setdefault(name, item)
    row: list[Any] = []
    while (index := str(len(row))) in entries:
        row.append(entries.pop(index))
    return row, entries
