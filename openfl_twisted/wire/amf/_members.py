"""
Names and values of the members that are written for an object.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from openfl_twisted.wire.amf._amf3 import callOwn
from openfl_twisted.wire.amf.values import AMFError, RegisteredClass


def nameOf(key: Any) -> str:
    """
    Return the name of a member on the wire.

    @param key: a non-empty string, or an integer, which is written in decimal.
    @return: a non-empty string.
    @raise AMFError: if the key is anything else.
    """
    if type(key) is int:
        return str(key)
    if not isinstance(key, str) or not key:
        raise AMFError(f"the name of a member must be non-empty text, not {key!r}")
    return key


def namedTwice(key: Any, value: Mapping[Any, Any]) -> bool:
    """
    Return whether a key has the same name on the wire as another key.

    @param value: the object.
    @return: C{True} for an integer whose decimal text is also a key. Only the entry with the
        text as key is written.
    """
    return type(key) is int and str(key) in value


def dynamicMembers(value: Mapping[Any, Any]) -> Iterable[tuple[str, Any]]:
    """
    Return the members of an object that are written: functions are omitted, and each name
    occurs once.

    @param value: the object; for the names of its members see L{nameOf}.
    @return: the names and values, in order.
    @raise AMFError: if a name is invalid.
    """
    return [
        (nameOf(key), item)
        for key, item in value.items()
        if not callable(item) and not namedTwice(key, value)
    ]


class DynamicOutput:
    """
    Collects the members of one object.
    """

    def __init__(self, limit: int) -> None:
        """
        @param limit: maximum number of members.
        """
        self._limit = limit
        self._members: list[tuple[str, Any]] | None = []

    def writeDynamicProperty(self, name: str, value: Any) -> None:
        """
        Write a member.

        @param value: the value of the member; a function is written as C{undefined}.
        @raise AMFError: if the name is not text or is empty, if there are too many members,
            or if the object was already written.
        """
        if self._members is None:
            raise AMFError("the object has already been written")
        if len(self._members) >= self._limit:
            raise AMFError(f"the object has more than {self._limit} members")
        self._members.append((nameOf(name), value))

    def take(self) -> list[tuple[str, Any]]:
        """
        Return the members. After this call, no further members are accepted.

        @return: the names and values, in the order in which they were written.
        """
        members, self._members = self._members or [], None
        return members


def declaredMembers(value: Any, registered: RegisteredClass) -> list[Any]:
    """
    Return the values of the declared members of an object.

    @return: the values, in the order of the declared names.
    @raise AMFError: if a member is missing.
    """
    return [callOwn(getattr, value, name) for name in registered.members]


def normalArray(
    dense: "list[Any] | tuple[Any, ...]", named: Mapping[Any, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """
    Divide the entries of an array into indexed and named entries, as Flash does. Functions are
    dropped.

    @param dense: the entries with the indices 0 and higher.
    @param named: the other entries, by name. An entry whose name is the next index is moved to
        the list; an entry whose name is an index of C{dense} is dropped.
    @return: the entries with consecutive indices, and all other entries by name.
    @raise AMFError: if a name is neither an integer nor non-empty text.
    """
    entries = {str(index): item for index, item in enumerate(dense) if not callable(item)}
    for name, item in dynamicMembers(named):
        entries.setdefault(name, item)
    row: list[Any] = []
    while (index := str(len(row))) in entries:
        row.append(entries.pop(index))
    return row, entries
