"""
The values of AMF in Python, the classes that a program knows by alias, and limits
for one value.

How the values of the two worlds match:

  - C{undefined} is L{Undefined}, C{null} is C{None}.
  - C{Boolean} is C{bool}, C{String} is C{str}. Broken UTF-8 and lone surrogates
    raise nothing, see L{openfl_twisted.wire.text.decodeUTF8}.
  - C{int}, C{uint} and C{Number} are C{int} and C{float}. In AMF0 every number
    is read as C{float}. AMF3 has integers of 29 bits, as which a C{float} that
    is integral is written too; the others are doubles, in which an integer of
    more than 53 bits is rounded.
  - C{Array} is C{list}; one with named entries, or with gaps, is L{ECMAArray}.
    A C{tuple} is written as an array. An AMF0 array with names, in which the
    names are exactly 0 to n - 1, is a C{list} too, unless it contains itself:
    Flash Player writes arrays like this to a C{ByteArray}, and Ruffle in remote
    calls. L{ECMAArray} is always written with names.
  - C{Object} is C{dict}. Another C{Mapping} is written as one. Names are texts
    that are not empty; an C{int} is written in decimal.
  - C{Date} is L{Date}. A C{datetime} that knows its time zone is written as
    one. A C{date} is refused, since it is no point in time.
  - C{ByteArray} is C{bytearray}, or what C{makeByteArray} makes. C{bytes} and
    C{memoryview} are written as one.
  - C{Vector} is L{IntVector}, L{UIntVector}, L{NumberVector} or
    L{ObjectVector}, C{Dictionary} is L{Dictionary}. In an L{ObjectVector}
    C{undefined} is C{None} too.
  - C{XML} and C{XMLDocument} are L{XML} and L{XMLDocument}: text. AMF0 has one
    form for both, which is read as L{XML}.
  - An instance of a class that L{ClassRegistry} knows is one; of another class
    it is L{TypedObject}. Nothing in the bytes can import a module, make an
    instance of a class that is not registered, or set a member that its class
    does not declare.
  - Whatever can be called is a function: it is written as C{undefined}, and
    left out of objects.

The same list, dictionary, L{Date} or other object is one object for the reader
too; C{bytes}, C{memoryview}, C{tuple} and C{datetime} are written again
whenever they come.

In AMF0 a L{Date} takes a reference number, as in Flash Player, and XML takes
none; L{openfl_twisted.wire.amf.amf0} has the evidence.

AMF0 has no form for C{ByteArray}, C{Vector}, C{Dictionary} and objects that
write themselves: there AMF0 says that one value in AMF3 follows, and all of
these in one call share their tables.
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
    Bytes are not AMF, a value cannot be written in AMF, or a limit is passed.
    """


class ExternalizableError(AMFError):
    """
    An object that only its class can read, and this class is not registered.

    @ivar alias: the alias, at most 80 characters of it.
    """

    def __init__(self, alias: str) -> None:
        """
        @param alias: the alias, as the peer sent it.
        """
        self.alias = alias if len(alias) <= _LONGEST_SHOWN else alias[:_LONGEST_SHOWN] + "\u2026"
        if alias in _FLEX_ALIASES or alias.startswith(_FLEX_PACKAGE):
            cure = "register the Flex classes with openfl_twisted.wire.amf.flex.registerClasses"
        else:
            cure = "register a class with readExternal and writeExternal for it"
        super().__init__(f"class {self.alias!r} is externalizable: {cure}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.alias,)


@dataclasses.dataclass(frozen=True)
class AMFLimits:
    """
    How much one value may hold. What is over a limit raises L{AMFError}, and a
    limit of 0 lets nothing pass: there is no number that means unlimited.

    @ivar depth: how deep arrays, objects, vectors of objects and dictionaries
        may be nested.
    @ivar items: maximum number of values in all: elements, members and keys,
        references too; eight numbers in a vector count as one.
    @ivar objects: maximum number of values that are objects: arrays, objects,
        dates, vectors, dictionaries, byte arrays and XML. The defaults of both
        let reading take at most about 50 ms.
    @ivar text: how many bytes of strings, names and XML there may be in all. A
        reference to a string counts nothing.
    @ivar total: how many bytes the value may have when encoded.
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
        # Copied and pickled by its name, since there is only one.
        return "Undefined"


Undefined: Final = UndefinedType()
"""
The value C{undefined}, where C{None} is C{null}. It is false.
"""


def _besideMembers(value: dict[Any, Any]) -> tuple[Any, Any]:
    """
    Return the parts of a dictionary that C{dict.__eq__} does not compare: the
    dense elements of an array, and the alias of a class.

    @param value: any dictionary.
    @return: both, with C{[]} and C{None} where the dictionary has none.
    """
    return getattr(value, "dense", []), getattr(value, "alias", None)


class _Members(dict[str, Any]):
    """
    A dictionary that is equal to another only with all its parts.
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
    An array with named entries: the dictionary holds them, and a list the
    others.

    @ivar dense: the elements from 0 on that have no gap between them.
    """

    __slots__ = ("dense",)

    def __init__(self, dense: Iterable[Any] = (), named: Mapping[str, Any] | None = None) -> None:
        """
        @param named: the named entries; C{None} for none.
        """
        super().__init__(named or {})
        self.dense = list(dense)

    def gather(self) -> None:
        """
        Move the named entries that go on where the list ends into it.
        """
        while (index := str(len(self.dense))) in self:
            self.dense.append(self.pop(index))

    def __getstate__(self) -> Any:
        # A copy has its own list, as it has its own dictionary.
        attributes, slots = cast("Any", super().__getstate__())
        return attributes, {**slots, "dense": list(self.dense)}

    def __repr__(self) -> str:
        return f"ECMAArray({self.dense!r}, {dict.__repr__(self)})"


class TypedObject(_Members):
    """
    An object of a class that nobody has registered: its members, and the alias
    of its class. All members are written as sealed ones.

    @ivar alias: the alias.
    """

    __slots__ = ("alias",)

    def __init__(self, alias: str, members: Mapping[str, Any] | None = None) -> None:
        """
        @param alias: the alias; one that is empty cannot be written.
        @param members: its members by name; C{None} for none.
        """
        super().__init__(members or {})
        self.alias = alias

    def __repr__(self) -> str:
        return f"TypedObject({self.alias!r}, {dict.__repr__(self)})"


@dataclasses.dataclass(frozen=True, slots=True)
class Date:
    """
    A point in time.

    @ivar milliseconds: how long after the beginning of 1970, UTC. Not a number
        for a date that is invalid; far more than a C{datetime} can hold is
        allowed.
    """

    milliseconds: float

    @classmethod
    def fromDatetime(cls, value: dt.datetime) -> Self:
        """
        Make a date.

        @param value: one that knows its time zone.
        @raise ValueError: if it knows none.
        """
        if value.utcoffset() is None:
            raise ValueError("the datetime has no time zone: give it one, such as tzinfo=UTC")
        return cls((value - _EPOCH) / _MILLISECOND)

    def toDatetime(self) -> dt.datetime:
        """
        Make a C{datetime} in UTC; what is less than a microsecond is rounded.

        @raise ValueError: if there is none for this date.
        """
        try:
            return _EPOCH + dt.timedelta(milliseconds=self.milliseconds)
        except (OverflowError, ValueError):
            raise ValueError(f"no datetime has {self.milliseconds} milliseconds") from None


class XML(str):
    """
    XML as text. Nothing in here parses it; whoever does should use a parser
    that refuses entities, such as L{openfl_twisted.wire.strictxml}.
    """

    __slots__ = ()


class XMLDocument(str):
    """
    XML of Flash's older class C{flash.xml.XMLDocument} as text, not parsed
    either.
    """

    __slots__ = ()


class _Vector(list[_T]):
    """
    Base class of the vectors.

    @ivar fixed: whether Flash may change its length.
    """

    __slots__ = ("fixed",)

    def __init__(self, values: Iterable[_T] = (), fixed: bool = False) -> None:
        super().__init__(values)
        self.fixed = fixed


class IntVector(_Vector[int]):
    """
    A C{Vector} of C{int}: -2147483648 to 2147483647. An element that is not in the
    range cannot be written.

    @ivar fixed: whether Flash may change its length.
    """

    __slots__ = ()


class UIntVector(_Vector[int]):
    """
    A C{Vector} of C{uint}: 0 to 4294967295. An element that is not in the range
    cannot be written.

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
    A C{Vector} of anything else.

    @ivar typeName: the alias of the class of its elements; empty for any.
    @ivar fixed: see L{IntVector.fixed}.
    """

    __slots__ = ("typeName",)

    def __init__(self, values: Iterable[Any] = (), typeName: str = "", fixed: bool = False) -> None:
        """
        @param values: its elements; C{undefined} is written as C{null}.
        """
        super().__init__(values, fixed)
        self.typeName = typeName


def _tokenOf(key: Any) -> Hashable:
    """
    Get what a key is found by: a text or a number by its value, everything else
    by its identity. The tuple keeps identities apart from numbers.
    """
    return key if type(key) in (str, int, float) else (id(key),)


class Dictionary(MutableMapping[Any, Any]):
    """
    A C{Dictionary}: keys of any kind, in the order in which they came.

    Texts and numbers are found by their value in constant time. Another key is
    found by its identity in constant time, as in Flash, and else by the first
    key of the same type that is equal to it, which has to be searched. Two
    dictionaries are equal if their entries are, in order.

    @ivar weak: whether Flash may forget an entry whose key nobody else knows.
    """

    __slots__ = ("_entries", "weak")

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, entries: Iterable[tuple[Any, Any]] = (), weak: bool = False) -> None:
        """
        @param entries: keys with their values; of two with the same key the
            later value stays.
        """
        # Each entry holds its key, so the identities stay unique.
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
        Set an entry without the search for a key that is equal: what reading
        uses, so that a peer cannot make it slow.

        @param key: any value. Another one that is equal, but neither text nor a
            number, stays beside it.
        @param value: any value.
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
        List all keys with their values.

        @return: a new list, in the order in which the keys came.
        """
        return list(self._entries.values())

    def __getstate__(self) -> Any:
        # The identities in the table are those of this dictionary's keys.
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
    A class that is known by an alias.

    @ivar alias: the alias.
    @ivar cls: the class.
    @ivar members: the names of its members that are read and written.
    @ivar external: whether it reads and writes itself.
    """

    alias: str
    cls: type[Any]
    members: tuple[str, ...]
    external: bool


def _membersOf(cls: type[Any]) -> tuple[str, ...]:
    """
    Name the members that a class declares: the fields of a dataclass, else what
    it and its bases annotate. Private ones and class variables are left out.

    @raise ValueError: if it declares nothing in either way.
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
            raise ValueError(f"{cls.__name__} declares no members: give their names")
    return tuple(name for name in names if not name.startswith("_"))


class ClassRegistry:
    """
    The classes that a program reads and writes. A peer can make instances of
    these classes, and of no others.
    """

    def __init__(self) -> None:
        self._byAlias: dict[str, RegisteredClass] = {}
        self._byClass: dict[type[Any], RegisteredClass] = {}

    def register(self, alias: str, cls: type[Any], members: Sequence[str] | None = None) -> None:
        """
        Make a class known.

        When an object with this alias is read, C{cls} is called without
        arguments, and those members that came and are declared are set; others
        are ignored. When an instance of exactly this class is written, so are
        its declared members. A class with the methods C{readExternal(input)}
        and C{writeExternal(output)} reads and writes itself instead; they get
        an object with the methods of L{openfl_twisted.wire.dataio.DataInput}
        and C{readObject()}, or of L{openfl_twisted.wire.dataio.DataOutput} and
        C{writeObject(value)}.

        @param alias: the name of the class on the wire.
        @param cls: the class.
        @param members: the names of its members; C{None} means the fields of a
            dataclass, else the annotated names, without those that begin with
            an underscore.
        @raise ValueError: if the alias is empty, if it is that of another
            class, if the class has another alias, if no members are declared,
            or if one of them is one of Python's own such as C{__class__}.
        """
        if not alias:
            raise ValueError("the alias is empty")
        known = {self._byAlias.get(alias), self._byClass.get(cls)} - {None}
        if any((entry.alias, entry.cls) != (alias, cls) for entry in known if entry):
            raise ValueError(f"{alias} or {cls.__name__} is registered already")
        external = all(callable(getattr(cls, name, None)) for name in _EXTERNAL)
        if members is None:
            members = () if external else _membersOf(cls)
        for name in members:
            if not name or (name.startswith("__") and name.endswith("__")):
                raise ValueError(f"{name!r} cannot be a member")
        entry = RegisteredClass(alias, cls, tuple(members), external)
        self._byAlias[alias] = self._byClass[cls] = entry

    def forAlias(self, alias: str) -> RegisteredClass | None:
        """
        Find what is registered under an alias.

        @param alias: the name on the wire.
        @return: C{None} if nothing is: then a L{TypedObject} is read.
        """
        return self._byAlias.get(alias)

    def forClass(self, cls: type[Any]) -> RegisteredClass | None:
        """
        Find what is registered for exactly a class, not for a base of it.

        @param cls: the class.
        @return: C{None} if nothing is.
        """
        return self._byClass.get(cls)


_EXTERNAL = ("readExternal", "writeExternal")
