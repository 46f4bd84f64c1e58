"""
Classes of Flex and BlazeDS: collections, and the messages of remote calls.

A program that uses the classes registers them::

    from openfl_twisted.utils import classAliases
    from openfl_twisted.wire.amf import flex

    flex.registerClasses(classAliases)

Then C{readObject} can create instances of these classes, and C{writeObject} can write them.

L{ArrayCollection}, L{ArrayList} and L{ObjectProxy} wrap one value. The messages have two
forms. The long form, such as L{AcknowledgeMessage}, is an object with all members. The short
form, such as L{AcknowledgeMessageExt} with the alias C{DSK}, has flag bytes that specify which
members follow. Flex and BlazeDS send the short form after both have declared support for it in
a ping.

The types of received members are not checked, except for identifiers that are sent as bytes.

@see: C{flex.messaging.messages} of Apache BlazeDS.
"""

import copy
import dataclasses
import re
import uuid
from collections.abc import Iterable, MutableSequence
from typing import Any, ClassVar, Self

from openfl_twisted.wire.amf.values import AMFError, ClassRegistry, ECMAArray

_MAX_FLAGS = 8
"""
Maximum number of flag bytes for the members of one class. BlazeDS uses two.
"""

_HAS_NEXT = 0x80
# The number of flags in a flag byte whose values are read. As in BlazeDS, the values of unknown
# flags are read and dropped.
_KNOWN_FLAGS = 6
_UID_LENGTH = 16
# Flex sends an identifier as bytes only if it is in upper case, because the text is then the same
# after reading.
_isUID = re.compile("[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}").fullmatch


def newUID() -> str:
    """
    Create an identifier for a message.

    @return: a random UUID in upper case, as Flex writes it.
    """
    return str(uuid.uuid4()).upper()


class ArrayList(MutableSequence[Any]):
    """
    C{mx.collections.ArrayList}: a list that wraps an array.

    An C{ArrayList} has the methods of a C{list}, and is equal to a C{list} with the same
    elements. Two C{ArrayList} objects can wrap the same array.

    @ivar source: the array: a C{list}, or an L{ECMAArray} if the array has named entries.
    """

    __slots__ = ("source",)

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, source: Iterable[Any] = ()) -> None:
        """
        @param source: the elements. A C{list} or an L{ECMAArray} is not copied.
        """
        self.source: list[Any] | ECMAArray = (
            source if isinstance(source, list | ECMAArray) else list(source)
        )

    @property
    def _elements(self) -> list[Any]:
        return self.source.dense if isinstance(self.source, ECMAArray) else self.source

    def __getitem__(self, index: Any) -> Any:
        return self._elements[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._elements[index] = value

    def __delitem__(self, index: Any) -> None:
        del self._elements[index]

    def __len__(self) -> int:
        return len(self._elements)

    def __copy__(self) -> Self:
        return type(self)(copy.copy(self.source))

    def insert(self, index: int, value: Any) -> None:
        self._elements.insert(index, value)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, list):
            return self.source == other
        if type(other) is not type(self):
            return NotImplemented
        return bool(self.source == other.source)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source!r})"

    def readExternal(self, input: Any) -> None:
        """
        Read the array.

        @param input: the bytes, see L{ClassRegistry.register}.
        @raise AMFError: if the value is neither an array nor C{null}.
        """
        source = input.readObject()
        if source is None:
            source = []
        if not isinstance(source, list | ECMAArray):
            raise AMFError(
                f"the source of {type(self).__name__} must be an array, not {type(source).__name__}"
            )
        self.source = source

    def writeExternal(self, output: Any) -> None:
        """
        Write the array.

        @param output: receives the bytes, see L{ClassRegistry.register}.
        """
        output.writeObject(self.source)


class ArrayCollection(ArrayList):
    """
    C{mx.collections.ArrayCollection}: see L{ArrayList}.
    """

    __slots__ = ()


@dataclasses.dataclass(slots=True)
class ObjectProxy:
    """
    C{mx.utils.ObjectProxy}: wraps an object, so that Flex can report changes to it.

    @ivar object: the wrapped object.
    """

    object: Any = dataclasses.field(default_factory=dict)

    def readExternal(self, input: Any) -> None:
        """
        Read the wrapped object.

        @param input: the bytes, see L{ClassRegistry.register}.
        """
        self.object = input.readObject()

    def writeExternal(self, output: Any) -> None:
        """
        Write the wrapped object.

        @param output: receives the bytes, see L{ClassRegistry.register}.
        """
        output.writeObject(self.object)


@dataclasses.dataclass(slots=True)
class AbstractMessage:
    """
    Base class of all messages. This class has no alias.

    @ivar body: the content, of any type; for a remote call the list of its arguments.
    @ivar clientId: identifier of the sending client, assigned by the server.
    @ivar destination: name of the service that receives the message.
    @ivar headers: headers by name; C{None} if the message has no headers.
    @ivar messageId: identifier of this message.
    @ivar timestamp: time of sending (milliseconds since 1970; default 0, unknown).
    @ivar timeToLive: validity of the message (milliseconds; default 0, no limit).
    """

    body: Any = None
    clientId: Any = None
    destination: str | None = None
    headers: dict[str, Any] | None = None
    messageId: str | None = None
    timestamp: float = 0
    timeToLive: float = 0


@dataclasses.dataclass(slots=True)
class RemotingMessage(AbstractMessage):
    """
    A remote call.

    @ivar operation: name of the method to call.
    @ivar source: name of the class that has the method; BlazeDS ignores it.
    """

    operation: str | None = None
    source: str | None = None


@dataclasses.dataclass(slots=True)
class AsyncMessage(AbstractMessage):
    """
    A publish/subscribe message, and the base class of answers.

    @ivar correlationId: identifier of the message that is answered by this message.
    """

    correlationId: str | None = None


@dataclasses.dataclass(slots=True)
class AcknowledgeMessage(AsyncMessage):
    """
    The answer to a message. For a remote call, the body is the result of the call.
    """

    @classmethod
    def answering(cls, request: AbstractMessage, body: Any = None, **members: Any) -> Self:
        """
        Create the answer to a message, with a new identifier.

        @param request: the message to answer.
        @param body: the content of the answer; C{None} by default.
        @param members: any other members.
        """
        return cls(
            body=body,
            clientId=request.clientId,
            messageId=newUID(),
            correlationId=request.messageId,
            **members,
        )


@dataclasses.dataclass(slots=True)
class ErrorMessage(AcknowledgeMessage):
    """
    The answer to a message that caused an error.

    @ivar faultCode: short name of the error.
    @ivar faultString: the error in one sentence.
    @ivar faultDetail: details of the error.
    @ivar rootCause: any value about the cause.
    @ivar extendedData: any further value.
    """

    faultCode: str | None = None
    faultString: str | None = None
    faultDetail: str | None = None
    rootCause: Any = None
    extendedData: Any = None


@dataclasses.dataclass(slots=True)
class CommandMessage(AsyncMessage):
    """
    A message for the server itself: a ping, a login, a subscription.

    @cvar SUBSCRIBE_OPERATION: subscribe to a destination.
    @cvar UNSUBSCRIBE_OPERATION: end a subscription.
    @cvar POLL_OPERATION: request pending messages.
    @cvar CLIENT_SYNC_OPERATION: send missed messages again.
    @cvar CLIENT_PING_OPERATION: test the connection; the first message from a client.
    @cvar CLUSTER_REQUEST_OPERATION: request the URLs of the other servers in the cluster.
    @cvar LOGIN_OPERATION: log in; the body contains the credentials in Base64.
    @cvar LOGOUT_OPERATION: log out.
    @cvar DISCONNECT_OPERATION: the connection was closed.
    @cvar UNKNOWN_OPERATION: no operation was set (default).
    @ivar operation: one of the constants of this class.
    """

    SUBSCRIBE_OPERATION: ClassVar[int] = 0
    UNSUBSCRIBE_OPERATION: ClassVar[int] = 1
    POLL_OPERATION: ClassVar[int] = 2
    CLIENT_SYNC_OPERATION: ClassVar[int] = 4
    CLIENT_PING_OPERATION: ClassVar[int] = 5
    CLUSTER_REQUEST_OPERATION: ClassVar[int] = 7
    LOGIN_OPERATION: ClassVar[int] = 8
    LOGOUT_OPERATION: ClassVar[int] = 9
    DISCONNECT_OPERATION: ClassVar[int] = 12
    UNKNOWN_OPERATION: ClassVar[int] = 10000

    operation: int = UNKNOWN_OPERATION


# The short forms: for each class, a tuple of flag bytes; for each flag byte, the member that each
# bit represents, the lowest bit first. A name with a "#" represents an identifier that is sent as
# 16 bytes.
_Layout = tuple[tuple[str, ...], ...]
_ABSTRACT: _Layout = (
    ("body", "clientId", "destination", "headers", "messageId", "timestamp", "timeToLive"),
    ("#clientId", "#messageId"),
)
_ASYNC: _Layout = (("correlationId", "#correlationId"),)
_ACKNOWLEDGE: _Layout = ((),)
_COMMAND: _Layout = (("operation",),)
_IDENTIFIERS = {"clientId", "messageId", "correlationId"}
# Numeric members that are not sent if they are 0. A member that was not sent is set to 0.
_NUMBERS = {"timestamp", "timeToLive", "operation"}


def _readFlags(input: Any) -> list[int]:
    """
    Read flag bytes, up to the first byte whose highest bit is not set.
    """
    flags = []
    while True:
        flag = input.readUnsignedByte()
        flags.append(flag)
        if not flag & _HAS_NEXT:
            return flags
        if len(flags) == _MAX_FLAGS:
            raise AMFError(f"a Flex message has more than {_MAX_FLAGS} flag bytes for one class")


def _textOf(identifier: Any) -> str:
    """
    Convert the bytes of an identifier to text.
    """
    if not isinstance(identifier, bytes | bytearray | memoryview) or len(identifier) != _UID_LENGTH:
        raise AMFError(f"an identifier of a Flex message must be {_UID_LENGTH} bytes")
    return str(uuid.UUID(bytes=bytes(identifier))).upper()


def _bytesOf(identifier: Any) -> bytes | None:
    """
    Convert an identifier to bytes. Return C{None} for an identifier that must be sent as text.
    """
    if isinstance(identifier, str) and _isUID(identifier):
        return uuid.UUID(identifier).bytes
    return None


class _ShortForm:
    """
    Mixin that reads and writes the short form of a message: for each class,
    its flag bytes, then the members whose flags are set.

    @cvar _layouts: the flag bytes of each class, base class first; for each flag byte,
        the names of the members in bit order.
    """

    __slots__ = ()

    _layouts: ClassVar[tuple[_Layout, ...]]

    def readExternal(self, input: Any) -> None:
        """
        Read all members. A member without a flag is C{None}, or 0 for a number.

        @param input: the bytes, see L{ClassRegistry.register}.
        @raise AMFError: if an identifier is not 16 bytes, or a class has more
            than L{_MAX_FLAGS} flag bytes.
        """
        for layout in self._layouts:
            for name in layout[0]:
                if name[0] != "#":
                    setattr(self, name, 0 if name in _NUMBERS else None)
            for index, flags in enumerate(_readFlags(input)):
                names = layout[index] if index < len(layout) else ()
                for bit in range(max(_KNOWN_FLAGS, len(names))):
                    if not flags >> bit & 1:
                        continue
                    value = input.readObject()
                    if bit >= len(names):
                        continue
                    name = names[bit]
                    if name[0] == "#":
                        setattr(self, name[1:], _textOf(value))
                    else:
                        setattr(self, name, value)

    def writeExternal(self, output: Any) -> None:
        """
        Write all members, except members that are C{None} and numbers that are 0.

        @param output: receives the bytes, see L{ClassRegistry.register}.
        """
        for layout in self._layouts:
            flags = []
            values = []
            for names in layout:
                flags.append(0)
                for bit, name in enumerate(names):
                    value = getattr(self, name.removeprefix("#"))
                    inBytes = _bytesOf(value) if name.removeprefix("#") in _IDENTIFIERS else None
                    if name[0] == "#":
                        value = inBytes
                    elif inBytes is not None or (name in _NUMBERS and not value):
                        continue
                    if value is not None:
                        flags[-1] |= 1 << bit
                        values.append(value)
            while len(flags) > 1 and not flags[-1]:
                flags.pop()
            for flag in flags[:-1]:
                output.writeByte(flag | _HAS_NEXT)
            output.writeByte(flags[-1])
            for value in values:
                output.writeObject(value)


@dataclasses.dataclass(slots=True)
class AsyncMessageExt(_ShortForm, AsyncMessage):
    """
    The short form of L{AsyncMessage}, with the alias C{DSA}.
    """

    _layouts: ClassVar[tuple[_Layout, ...]] = (_ABSTRACT, _ASYNC)


@dataclasses.dataclass(slots=True)
class AcknowledgeMessageExt(_ShortForm, AcknowledgeMessage):
    """
    The short form of L{AcknowledgeMessage}, with the alias C{DSK}.
    """

    _layouts: ClassVar[tuple[_Layout, ...]] = (_ABSTRACT, _ASYNC, _ACKNOWLEDGE)


@dataclasses.dataclass(slots=True)
class CommandMessageExt(_ShortForm, CommandMessage):
    """
    The short form of L{CommandMessage}, with the alias C{DSC}.
    """

    _layouts: ClassVar[tuple[_Layout, ...]] = (_ABSTRACT, _ASYNC, _COMMAND)


_CLASSES: dict[str, type[Any]] = {
    "flex.messaging.io.ArrayCollection": ArrayCollection,
    "flex.messaging.io.ArrayList": ArrayList,
    "flex.messaging.io.ObjectProxy": ObjectProxy,
    "flex.messaging.messages.RemotingMessage": RemotingMessage,
    "flex.messaging.messages.AsyncMessage": AsyncMessage,
    "flex.messaging.messages.AcknowledgeMessage": AcknowledgeMessage,
    "flex.messaging.messages.ErrorMessage": ErrorMessage,
    "flex.messaging.messages.CommandMessage": CommandMessage,
    "DSA": AsyncMessageExt,
    "DSK": AcknowledgeMessageExt,
    "DSC": CommandMessageExt,
}
"""
The classes of this module by alias.
"""


def registerClasses(registry: ClassRegistry) -> None:
    """
    Register all classes of this module. Further calls have no effect.

    @param registry: the registry, usually C{openfl_twisted.utils.classAliases}.
    @raise ValueError: if another class is registered for one of the aliases.
    """
    for alias, cls in _CLASSES.items():
        registry.register(alias, cls)
