"""
The interfaces of connections that provide the interfaces of their underlying transports.
"""

from typing import Any

from zope.interface.declarations import Provides

# Maximum number of cached declarations. When it is reached, the cache is cleared.
_MAX_DECLARATIONS = 64

# The declarations by class, by the identity of the declaration of the transport, and by the
# interfaces that are not provided. The declaration of the transport is stored, too, so that its
# identity stays valid.
_declarations: dict[tuple[type, int, tuple[Any, ...]], tuple[Any, Any]] = {}


def declare(kind: type, inherited: Any, *without: Any) -> Any:
    """
    Return the declaration of an object that provides the interfaces of its class and of its
    transport. Declarations are cached, because computing one takes more than a millisecond.

    @param kind: the class of the object.
    @param inherited: the declaration of the transport, from C{providedBy}.
    @param without: interfaces of the transport that the object does not provide.
    @return: the declaration, for C{__providedBy__}.
    """
    key = (kind, id(inherited), without)
    found = _declarations.get(key)
    if found is None:
        its = inherited
        for each in without:
            its -= each
        found = (inherited, Provides(kind, its))
        if len(_declarations) >= _MAX_DECLARATIONS:
            _declarations.clear()
        _declarations[key] = found
    return found[1]
