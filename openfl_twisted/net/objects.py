"""
Objects on the wire: the classes that are known.
"""

from collections.abc import Sequence

from openfl_twisted.utils import classAliases


def registerClassAlias(
    aliasName: str, classObject: type, members: Sequence[str] | None = None
) -> None:
    """
    Make a class known to every C{readObject} and C{writeObject}.

    Only classes that are known are ever made of what a peer sends, and only
    members that are declared are set.

    @param aliasName: the name of the class on the wire.
    @param classObject: the class; it is made without arguments.
    @param members: the attributes that are written and read; those of a
        dataclass, or those with annotations, if not given.
    """
    classAliases.register(aliasName, classObject, members)
