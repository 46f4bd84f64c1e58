"""
The Python types of AMF values, registered classes, and limits.

Types:

  - C{undefined} is L{Undefined}, C{null} is C{None}.
  - C{Boolean} is C{bool}, C{String} is C{str}. Invalid UTF-8 and lone surrogates
    raise nothing, see L{openfl_twisted.wire.text.decodeUTF8}.
  - C{int}, C{uint} and C{Number} are C{int} and C{float}. AMF0 numbers are always read as
    C{float}. AMF3 has integers of 29 bits; a C{float} with an integral value in this range is
    also written as an integer. Other numbers are doubles, which round integers of more than 53
    bits.
  - C{Array} is C{list}; an array with named entries or gaps is L{ECMAArray}. A C{tuple} is
    written as an array. An AMF0 array whose names are exactly 0 to n - 1 is also read as a
    C{list} if it does not contain itself: Flash Player writes such arrays to a C{ByteArray},
    and Ruffle writes them in remote calls. L{ECMAArray} is always written with names.
  - C{Object} is C{dict}. Any other C{Mapping} is also written as an C{Object}. Names are
    non-empty strings; an C{int} is written in decimal.
  - C{Date} is L{Date}. A C{datetime} with a time zone is written as a C{Date}. A C{date} is
    refused, because it is not a point in time.
  - C{ByteArray} is C{bytearray}, or the result of C{makeByteArray}. C{bytes} and C{memoryview}
    are written as a C{ByteArray}.
  - C{Vector} is L{IntVector}, L{UIntVector}, L{NumberVector} or L{ObjectVector},
    C{Dictionary} is L{Dictionary}. In an L{ObjectVector}, C{undefined} becomes
    C{None}.
  - C{XML} and C{XMLDocument} are the string types L{XML} and L{XMLDocument}. AMF0 has the same
    format for both types, which is read as L{XML}.
  - An instance of a class in L{ClassRegistry} is read as an instance of that class; an
    instance of any other class is a L{TypedObject}. Data from a peer cannot import modules,
    create instances of unregistered classes, or set undeclared members.
  - A callable represents a function: it is written as C{undefined}, and omitted from objects.

If a list, dictionary, L{Date} or other object occurs several times, the reader creates only
one object. C{bytes}, C{memoryview}, C{tuple} and C{datetime} are written completely each time.

In AMF0, a L{Date} takes a reference number, as in Flash Player, but XML does not;
L{openfl_twisted.wire.amf._amf0} gives the evidence.

AMF0 has no format for C{ByteArray}, C{Vector}, C{Dictionary} and externalizable objects. Each
of these objects is written as one AMF3 value. All AMF3 values of one call share their
reference tables.
"""

import dataclasses
import datetime as dt
import inspect
from collections.abc import Hashable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, ClassVar, Final, Self, TypeVar, cast, get_origin

_T = TypeVar("_T")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)
_LONGEST_SHOWN = 80
_FLEX_PACKAGE = "flex.messaging."
_FLEX_ALIASES = {"DSA", "DSC", "DSK"}


class AMFError(OSError):
    """
    Bytes are not AMF, a value cannot be written in AMF, or a limit is exceeded.
    """


class ExternalizableError(AMFError):
    """
    An externalizable object cannot be read, because its class is not registered.

    @ivar alias: the alias, truncated to 80 characters.
    """

    def __init__(self, alias: str) -> None:
        """
        @param alias: the alias, as received from the peer.
        """
        self.alias = alias if len(alias) <= _LONGEST_SHOWN else alias[:_LONGEST_SHOWN] + "\u2026"
        if alias in _FLEX_ALIASES or alias.startswith(_FLEX_PACKAGE):
            advice = "register the Flex classes with openfl_twisted.wire.amf.flex.registerClasses"
        else:
            advice = "register a class with readExternal and writeExternal for it"
        super().__init__(f"class {self.alias!r} is externalizable: {advice}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.alias,)


@dataclasses.dataclass(frozen=True)
class AMFLimits:
    """
    Limits of one value. If a limit is exceeded, L{AMFError} is raised. No value means
    "unlimited": a limit of 0 allows nothing.

    @ivar depth: maximum nesting of arrays, objects, vectors of objects and
        dictionaries.
    @ivar items: maximum number of values: elements, members, keys and references. Eight
        numbers in a vector count as one value.
    @ivar objects: maximum number of values that are objects: arrays, objects, dates,
        vectors, dictionaries, byte arrays and XML. With the defaults of C{items} and
        C{objects}, reading takes at most about 50 ms.
    @ivar text: maximum length of all strings, names and XML (bytes). A reference to a
        string does not count.
    @ivar total: maximum length of the encoded value (bytes).
    """

    depth: int = 256
    items: int = 125_000
    text: int = 16 * 1024 * 1024
    total: int = 64 * 1024 * 1024
    objects: int = 25_000


class UndefinedType:
    """
    The type of L{Undefined}.
    """

    _only: ClassVar[Self | None] = None

    def __new__(cls) -> Self:
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "Undefined"

    def __reduce__(self) -> str:
        # Copy and pickle by name, because only one instance may exist.
        return "Undefined"


Undefined: Final = UndefinedType()
"""
The value C{undefined}, which is false. C{None} represents C{null}.
"""


def _besideMembers(value: dict[Any, Any]) -> tuple[Any, Any]:
    """
    Return the parts of a dictionary that C{dict.__eq__} does not compare: the
    dense elements of an array, and the alias of a class.

    @return: the dense elements (C{[]} for a dictionary without any) and the alias (C{None} for
        a dictionary without an alias).
    """
    return getattr(value, "dense", []), getattr(value, "alias", None)


class _Members(dict[str, Any]):
    """
    A dictionary whose comparison includes the result of L{_besideMembers}.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, dict):
            return NotImplemented
        return dict.__eq__(self, other) and _besideMembers(self) == _besideMembers(other)

    def __ne__(self, other: object) -> bool:
        return not self == other


class ECMAArray(_Members):
    """
    An array with named entries: a dictionary of the named entries, with a list of all other
    entries.

    @ivar dense: the elements with the indices 0 and higher, without gaps.
    """

    __slots__ = ("dense",)

    def __init__(self, dense: Iterable[Any] = (), named: Mapping[str, Any] | None = None) -> None:
        """
        @param named: the named entries (default: none).
        """
        super().__init__(named or {})
        self.dense = list(dense)

    def gather(self) -> None:
        """
        Move a named entry to the list if its name is the next index of the list. Repeat this for
        the following indexes, until there is no such entry.
        """
        while (index := str(len(self.dense))) in self:
            self.dense.append(self.pop(index))

    def __getstate__(self) -> Any:
        # A copy must have a separate list, just as it has separate named entries.
        attributes, slots = cast("Any", super().__getstate__())
        return attributes, {**slots, "dense": list(self.dense)}

    def __repr__(self) -> str:
        return f"ECMAArray({self.dense!r}, {dict.__repr__(self)})"


class TypedObject(_Members):
    """
    An object of an unregistered class: the members of the object, and the alias of the class.
    All members are written as sealed members.

    @ivar alias: the alias of the class.
    """

    __slots__ = ("alias",)

    def __init__(self, alias: str, members: Mapping[str, Any] | None = None) -> None:
        """
        @param alias: the alias of the class; an object with an empty alias cannot be written.
        @param members: the members by name (default: none).
        """
        super().__init__(members or {})
        self.alias = alias

    def __repr__(self) -> str:
        return f"TypedObject({self.alias!r}, {dict.__repr__(self)})"


@dataclasses.dataclass(frozen=True, slots=True)
class Date:
    """
    A point in time.

    @ivar milliseconds: milliseconds since the beginning of 1970, UTC; NaN for an invalid date.
        The value may exceed the range of C{datetime}.
    """

    milliseconds: float

    @classmethod
    def fromDatetime(cls, value: dt.datetime) -> Self:
        """
        Return the date of a C{datetime}.

        @param value: a C{datetime} with a time zone.
        @raise ValueError: if the C{datetime} has no time zone.
        """
        if value.utcoffset() is None:
            raise ValueError("the datetime has no time zone: give it one, such as tzinfo=UTC")
        return cls((value - _EPOCH) / _MILLISECOND)

    def toDatetime(self) -> dt.datetime:
        """
        Return the C{datetime} in UTC, rounded to microseconds.

        @raise ValueError: if C{datetime} does not support this date.
        """
        try:
            return _EPOCH + dt.timedelta(milliseconds=self.milliseconds)
        except (OverflowError, ValueError):
            raise ValueError(f"{self.milliseconds} ms is outside the range of datetime") from None


class XML(str):
    """
    XML as text. The text is not parsed. To parse it, use a parser that refuses entities, such
    as L{openfl_twisted.wire.strictxml}.
    """

    __slots__ = ()


class XMLDocument(str):
    """
    XML from Flash's older class C{flash.xml.XMLDocument}, as text. The text is not parsed.
    """

    __slots__ = ()


class _Vector(list[_T]):
    """
    Base class of the vectors.

    @ivar fixed: whether the length is fixed in Flash.
    """

    __slots__ = ("fixed",)

    def __init__(self, values: Iterable[_T] = (), fixed: bool = False) -> None:
        super().__init__(values)
        self.fixed = fixed


class IntVector(_Vector[int]):
    """
    A C{Vector} of C{int}: -2147483648 to 2147483647. An element outside this range cannot be
    written.

    @ivar fixed: whether the length is fixed in Flash.
    """

    __slots__ = ()


class UIntVector(_Vector[int]):
    """
    A C{Vector} of C{uint}: 0 to 4294967295. An element outside this range cannot be written.

    @ivar fixed: see L{IntVector.fixed}.
    """

    __slots__ = ()


class NumberVector(_Vector[float]):
    """
    A C{Vector} of C{Number}. Integers are written as doubles.

    @ivar fixed: see L{IntVector.fixed}.
    """

    __slots__ = ()


class ObjectVector(_Vector[Any]):
    """
    A C{Vector} of any other type.

    @ivar typeName: the alias of the class of the elements; empty for any class.
    @ivar fixed: see L{IntVector.fixed}.
    """

    __slots__ = ("typeName",)

    def __init__(self, values: Iterable[Any] = (), typeName: str = "", fixed: bool = False) -> None:
        """
        @param values: the elements; C{undefined} is written as C{null}.
        """
        super().__init__(values, fixed)
        self.typeName = typeName


def _tokenOf(key: Any) -> Hashable:
    """
    Return the token by which a key is found: for a string or a number its value, for any other
    key its identity. The tuple distinguishes identities from numbers.
    """
    return key if type(key) in (str, int, float) else (id(key),)


class Dictionary(MutableMapping[Any, Any]):
    """
    A C{Dictionary}: keys of any type, in order of insertion.

    Strings and numbers are found by value in constant time. Any other key is found by identity
    in constant time, as in Flash. If no key is identical, a linear search finds the first
    equal key of the same type. Two dictionaries are equal if their entries are equal, in
    order.

    @ivar weak: whether Flash may drop an entry whose key has no other reference.
    """

    __slots__ = ("_entries", "weak")

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, entries: Iterable[tuple[Any, Any]] = (), weak: bool = False) -> None:
        """
        @param entries: keys with their values. If a key occurs twice, the later value is used.
        """
        # Each entry stores its key, so that the identities of the keys stay unique.
        self._entries: dict[Hashable, tuple[Any, Any]] = {}
        self.weak = weak
        for key, value in entries:
            self[key] = value

    def _find(self, key: Any) -> Hashable:
        token = _tokenOf(key)
        if token in self._entries or not isinstance(token, tuple):
            return token
        for other, (candidate, _) in self._entries.items():
            if type(candidate) is type(key) and candidate == key:
                return other
        return token

    def addNew(self, key: Any, value: Any) -> None:
        """
        Set an entry without searching for an equal key. The AMF readers use this method,
        because a peer could make the search slow.

        @param key: any value. If the key is neither a string nor a number, an equal key is kept in
            a separate entry.
        """
        self._entries[_tokenOf(key)] = (key, value)

    def __getitem__(self, key: Any) -> Any:
        try:
            return self._entries[self._find(key)][1]
        except KeyError:
            raise KeyError(key) from None

    def __setitem__(self, key: Any, value: Any) -> None:
        token = self._find(key)
        held = self._entries.get(token, (key,))[0]
        self._entries[token] = (held, value)

    def __delitem__(self, key: Any) -> None:
        try:
            del self._entries[self._find(key)]
        except KeyError:
            raise KeyError(key) from None

    def __iter__(self) -> Iterator[Any]:
        return (key for key, _ in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def pairs(self) -> list[tuple[Any, Any]]:
        """
        Return all keys with their values.

        @return: a new list, in order of insertion.
        """
        return list(self._entries.values())

    def __getstate__(self) -> Any:
        # Store the entries without the table, which contains the identities of the keys: a copy has
        # other identities.
        attributes, slots = cast("Any", super().__getstate__())
        return attributes, {**slots, "_entries": self.pairs()}

    def __setstate__(self, state: Any) -> None:
        attributes, slots = state
        for name, value in {**(attributes or {}), **slots}.items():
            setattr(self, name, value)
        pairs, self._entries = slots["_entries"], {}
        for key, value in pairs:
            self.addNew(key, value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dictionary):
            return NotImplemented
        return self.weak == other.weak and self.pairs() == other.pairs()

    def __repr__(self) -> str:
        return f"Dictionary({self.pairs()!r}, weak={self.weak})"


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class RegisteredClass:
    """
    A class with an alias.

    @ivar alias: the alias of the class.
    @ivar cls: the class.
    @ivar members: the names of the declared members, which are read and written.
    @ivar external: whether the class itself encodes and decodes its instances.
    """

    alias: str
    cls: type[Any]
    members: tuple[str, ...]
    external: bool


def _membersOf(cls: type[Any]) -> tuple[str, ...]:
    """
    Return the names of the members that a class declares: the fields of a dataclass, or
    the annotations of the class and its bases. Private names and class variables are
    omitted.

    @raise ValueError: if the class declares no members.
    """
    if dataclasses.is_dataclass(cls):
        names = [field.name for field in dataclasses.fields(cls)]
    else:
        annotated = {
            name: note
            for base in reversed(cls.__mro__)
            for name, note in inspect.get_annotations(base).items()
        }
        names = [
            name
            for name, note in annotated.items()
            if ClassVar not in (note, get_origin(note))
            and not (isinstance(note, str) and note.startswith(("ClassVar", "typing.ClassVar")))
        ]
        if not names:
            raise ValueError(f"{cls.__name__} declares no members: pass their names")
    return tuple(name for name in names if not name.startswith("_"))


class ClassRegistry:
    """
    The classes that can be read and written. A peer can only create instances of these
    classes.
    """

    def __init__(self) -> None:
        self._byAlias: dict[str, RegisteredClass] = {}
        self._byClass: dict[type[Any], RegisteredClass] = {}

    def register(self, alias: str, cls: type[Any], members: Sequence[str] | None = None) -> None:
        """
        Register a class.

        When an object with this alias is read, C{cls} is called without arguments, and the
        declared members that the object contains are set; other members are ignored. When an
        instance of exactly this class is written, its declared members are written.

        A class with the methods C{readExternal(input)} and C{writeExternal(output)} reads and
        writes its instances itself. C{input} has the methods of
        L{openfl_twisted.wire.dataio.DataInput} and C{readObject()}. C{output} has the methods
        of L{openfl_twisted.wire.dataio.DataOutput} and C{writeObject(value)}.

        @param alias: the name of the class on the wire.
        @param members: the names of the members (default: the fields of a dataclass, or all
            annotated names that do not begin with an underscore).
        @raise ValueError: if the alias is empty or registered for another class, if the class
            has another alias, if no members are declared, or if a member has a special name
            such as C{__class__}.
        """
        if not alias:
            raise ValueError("the alias must not be empty")
        known = {self._byAlias.get(alias), self._byClass.get(cls)} - {None}
        if any((entry.alias, entry.cls) != (alias, cls) for entry in known if entry):
            raise ValueError(f"{alias} or {cls.__name__} is already registered")
        external = all(callable(getattr(cls, name, None)) for name in _EXTERNAL)
        if members is None:
            members = () if external else _membersOf(cls)
        for name in members:
            if not name or (name.startswith("__") and name.endswith("__")):
                raise ValueError(f"{name!r} cannot be the name of a member")
        entry = RegisteredClass(alias, cls, tuple(members), external)
        self._byAlias[alias] = self._byClass[cls] = entry

    def forAlias(self, alias: str) -> RegisteredClass | None:
        """
        Return the registration of the class with an alias.

        @param alias: the name on the wire.
        @return: the registration; C{None} if no class is registered. In this case, a
            L{TypedObject} is read.
        """
        return self._byAlias.get(alias)

    def forClass(self, cls: type[Any]) -> RegisteredClass | None:
        """
        Return the registration of exactly this class, not of a base class.

        @return: the registration; C{None} if the class is not registered.
        """
        return self._byClass.get(cls)


_EXTERNAL = ("readExternal", "writeExternal")
