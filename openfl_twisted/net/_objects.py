"""
Registration of classes for AMF objects.
"""

from collections.abc import Sequence

from openfl_twisted.utils import classAliases


def registerClassAlias(
    aliasName: str, classObject: type, members: Sequence[str] | None = None
) -> None:
    """
    Register a class for C{readObject} and C{writeObject}.

    Received objects are only created from registered classes, and only declared members
    are set.

    @param aliasName: the name of the class in AMF.
    @param classObject: the class; it is instantiated without arguments.
    @param members: the attributes to write and read (default: the fields of a
        dataclass, or the annotated attributes).
    """
    classAliases.register(aliasName, classObject, members)
