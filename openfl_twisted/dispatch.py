"""
Handlers by name: each message is delivered to the method for its name, with converted
parameters.

A method becomes a handler with the decorator L{handler}. No other method can be called by a
peer::

    class Player(XMLDispatchProtocol):
        @handler
        def move(self, x: int, y: int = 0) -> None:
            self.send("moved", x=x, y=y)

The base class determines the format of the messages:

  - L{XMLDispatchProtocol}: C{<move x="3" y="4"/>};
  - L{JSONDispatchProtocol}: C{{"type": "move", "x": 3, "y": 4}};
  - L{XtDispatchProtocol}: C{%xt%s%move%3%4%};
  - L{SmartFoxProtocol}: the messages of SmartFox 1.x and Club Penguin.

The type of a parameter is its annotation: C{int} (64 bits), C{float} (finite), C{bool}, C{str},
an C{Enum} whose values are strings or integers, or C{Any} for the value as received. With
C{| None}, the parameter is C{None} if the message does not contain it; any other default is
possible too. A wrong handler raises C{TypeError} when its class is defined.

A message that has no handler, or does not fit the parameters of its handler, is answered with an
error, and logged. Exceptions of a handler are those of C{messageReceived}. A handler can be a
coroutine function.
"""

import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import isfinite
from typing import Any, ClassVar, NamedTuple, TypeVar, overload

from openfl_twisted.protocols.streamprotocol import MESSAGE_NAMES
from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol
from openfl_twisted.wire import xt
from openfl_twisted.wire.strictjson import MAX_NUMBER, JSONError, readObject
from openfl_twisted.wire.strictxml import XMLError, readNodes
from openfl_twisted.wire.text import decodeUTF8, encodeUTF8, escape
from openfl_twisted.wire.xmltext import Value, element, formatValue

_MAX_MALFORMED = 100
"""
Maximum number of messages in the wrong format on one connection. After the next one, the client
is disconnected.
"""

_F = TypeVar("_F", bound=Callable[..., Any])

# The default of the name of a message.
_UNNAMED = object()

# The methods that call the handlers, and the names one of which an override must contain.
_CALLERS = ("messageReceived", "handleLine")
_SUPER = {"super", *_CALLERS}

# The longest part of a peer's text in an error (characters).
_LONGEST_SHOWN = 40

_integer = re.compile(r"[+-]?[0-9]{1,19}")
_INTEGERS = range(-(2**63), 2**63)
_float = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}

# The beginning of an XML message with its name.
_startTag = re.compile(r"[ \t\r\n]*+<([^ \t\r\n<>/=\"'&!?]++)")

_TYPES = "int, float, bool, str, an Enum, one of these with | None, or Any"


class DispatchError(ValueError):
    """
    A message cannot be delivered.

    @ivar code: the reason: C{malformed}, C{unknown} or C{parameter}.
    @ivar name: the name of the message, if there is a handler for it.
    """

    def __init__(self, code: str, text: str, name: str | None = None) -> None:
        """
        @param text: the reason, as human-readable text that is sent to the peer.
        """
        super().__init__(text)
        self.code = code
        self.name = name


class Request(NamedTuple):
    """
    A received message.

    @ivar name: the name.
    @ivar values: the values of parameters, by name: text, or the values of JSON.
    @ivar arguments: the values of the other parameters, in order.
    @ivar context: values for parameters that a handler need not have.
    """

    name: str
    values: Mapping[str, Any]
    arguments: Sequence[str] = ()
    context: Mapping[str, Any] = {}


@overload
def handler(function: _F, /) -> _F: ...


@overload
def handler() -> Callable[[_F], _F]: ...


@overload
def handler(name: str, /) -> Callable[[_F], _F]: ...


def handler(name: Any = _UNNAMED, /) -> Any:
    """
    Decorate a method as the handler of a message.

    An override in a subclass is also a handler, with or without the decorator. To remove a
    handler in a subclass, set the attribute to C{None}.

    @param name: the name of the message, if it is not the name of the method. To handle several
        messages, repeat the decorator.
    @return: the method, or a decorator; the method is not wrapped.
    @raise TypeError: if the decorated object is not a function.
    """
    if name is _UNNAMED:
        return lambda function: _expose(function, None)
    if not isinstance(name, str):
        return _expose(name, None)
    return lambda function: _expose(function, name)


def _expose(function: Any, name: str | None) -> Any:
    if not inspect.isfunction(function):
        raise TypeError(
            f"@handler must decorate a method, and be the decorator next to it, not {function!r}"
        )
    name = function.__name__ if name is None else name
    if not name:
        raise TypeError(f"{function.__qualname__}: the name of a message must not be empty")
    setattr(function, MESSAGE_NAMES, (*getattr(function, MESSAGE_NAMES, ()), name))
    return function


# Conversion. A converter returns the value, or raises ValueError, whose text is not used.


class _Converter(NamedTuple):
    """
    Converts the values of one parameter.

    @ivar wanted: the description of a valid value, for the error.
    @ivar fromText: converts text.
    @ivar fromJSON: converts a value of JSON.
    """

    wanted: str
    fromText: Callable[[str], Any]
    fromJSON: Callable[[Any], Any]


class _Twice:
    """
    The value of a parameter that a message contains more than once.
    """


_TWICE = _Twice()


def _textToInt(text: str) -> int:
    if not _integer.fullmatch(text):
        raise ValueError
    return _checkInt(int(text))


def _checkInt(value: Any) -> int:
    if type(value) is not int or value not in _INTEGERS:
        raise ValueError
    return value


def _textToFloat(text: str) -> float:
    if len(text) > MAX_NUMBER or not _float.fullmatch(text):
        raise ValueError
    return _checkFloat(float(text))


def _checkFloat(value: Any) -> float:
    if type(value) not in (int, float) or not isfinite(value):
        raise ValueError
    return float(value)


def _textToBool(text: str) -> bool:
    if text not in _BOOLEANS:
        raise ValueError
    return _BOOLEANS[text]


def _checkBool(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError
    return value


def _checkStr(value: Any) -> str:
    if type(value) is not str:
        raise ValueError
    return value


def _unchanged(value: Any) -> Any:
    return value


_CONVERTERS: dict[Any, _Converter] = {
    int: _Converter("an integer", _textToInt, _checkInt),
    float: _Converter("a number", _textToFloat, _checkFloat),
    bool: _Converter("true or false", _textToBool, _checkBool),
    str: _Converter("text", _checkStr, _checkStr),
    Any: _Converter("a value", _unchanged, _unchanged),
}


def _enumConverter(enum: type[Enum]) -> _Converter:
    """
    Return the converter for the members of an enum.

    @raise ValueError: if a value has a wrong type, or two values are equal as text.
    """
    members: dict[Any, Enum] = {}
    for member in enum:
        # The value of a member of IntEnum or StrEnum is an int or a str.
        if type(member.value) not in (int, str):
            raise ValueError(f"the value of {member} must be a str or an int")
        members[member.value] = member
    byText = {str(value): member for value, member in members.items()}
    if len(byText) < len(members):
        raise ValueError(f"two values of {enum.__name__} are equal as text, such as 1 and '1'")

    def fromText(text: str) -> Enum:
        if text not in byText:
            raise ValueError
        return byText[text]

    def fromJSON(value: Any) -> Enum:
        if type(value) not in (int, str) or value not in members:
            raise ValueError
        return members[value]

    return _Converter(f"one of {', '.join([*byText][:10])}", fromText, fromJSON)


def _converterFor(annotation: Any) -> tuple[_Converter, bool]:
    """
    Return the converter for an annotation, and whether the value can be C{None}.

    @raise ValueError: if the annotation is not supported.
    """
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = typing.get_args(annotation)
        others = [each for each in members if each is not type(None)]
        if len(others) == 1:
            return _converterFor(others[0])[0], True
    elif isinstance(annotation, type) and issubclass(annotation, Enum):
        return _enumConverter(annotation), False
    else:
        for known, converter in _CONVERTERS.items():
            if annotation is known:
                return converter, False
    shown = annotation.__name__ if isinstance(annotation, type) else annotation
    raise ValueError(f"the annotation {shown} is not supported; use {_TYPES}")


# Takes the place of the parameters of a function without any.
_NO_PARAMETERS = [inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)]


class _Parameter(NamedTuple):
    """
    A parameter of a handler.
    """

    name: str
    converter: _Converter
    canBeNone: bool
    isRequired: bool


@dataclass(frozen=True)
class _Handler:
    """
    A handler of a class.

    @ivar function: the method, as a function.
    @ivar attribute: the name of the method.
    @ivar parameters: its parameters without C{self}.
    """

    function: Callable[..., Any]
    attribute: str
    parameters: tuple[_Parameter, ...]
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", frozenset(each.name for each in self.parameters))


def _annotationsOf(function: Callable[..., Any], where: str) -> dict[str, Any]:
    """
    Return the annotations of the parameters. The return annotation is not evaluated, because it
    can name a type that is only imported for type checkers.
    """
    source: Any = inspect.unwrap(function)
    written = {key: each for key, each in source.__annotations__.items() if key != "return"}
    holder: Any = types.SimpleNamespace(__annotations__=written)
    try:
        return typing.get_type_hints(holder, globalns=source.__globals__)
    except Exception as problem:
        raise TypeError(
            f"{where}: an annotation cannot be evaluated: {problem}; define its type in the module"
        ) from problem


def _parametersOf(function: Callable[..., Any], where: str) -> tuple[_Parameter, ...]:
    """
    Return the parameters of a handler.

    @param where: the names of the class and the method, for errors.
    @raise TypeError: if the function cannot be a handler.
    """
    annotations = _annotationsOf(function, where)
    first, *others = inspect.signature(function).parameters.values() or _NO_PARAMETERS
    if first.kind not in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD):
        raise TypeError(f"{where}: the first parameter of a handler must be self")
    if annotations.get(first.name) in (int, float, bool, str):
        raise TypeError(f"{where}: the first parameter of a handler must be self, not {first.name}")
    found = []
    for each in others:
        if each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY):
            raise TypeError(
                f"{where}: a handler cannot have *args, **kwargs or positional-only parameters:"
                f" {each.name}"
            )
        if each.name not in annotations:
            raise TypeError(f"{where}: the parameter {each.name} must have a type: {_TYPES}")
        try:
            converter, canBeNone = _converterFor(annotations[each.name])
        except ValueError as problem:
            raise TypeError(f"{where}: parameter {each.name}: {problem}") from None
        found.append(_Parameter(each.name, converter, canBeNone, each.default is each.empty))
    return tuple(found)


def _shown(text: str) -> str:
    """
    Cut and escape text from a peer.
    """
    safe = escape(text[: _LONGEST_SHOWN + 1])
    return f'"{safe}"' if len(safe) <= _LONGEST_SHOWN else f'"{safe[:_LONGEST_SHOWN]}..."'


def _isOwn(cls: type) -> bool:
    """
    Return whether a class belongs to this package.
    """
    return cls.__module__.partition(".")[0] == "openfl_twisted"


def _checkName(name: object, example: str) -> None:
    """
    Check the name of a message that is sent.

    @raise TypeError: if it is not text.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name must be text, not {name!r:.80}: {example}")


def _namesIn(code: types.CodeType) -> set[str]:
    """
    Return the global names and the attributes that a function uses, with those of the functions
    in it.
    """
    nested = [_namesIn(each) for each in code.co_consts if isinstance(each, types.CodeType)]
    return set(code.co_names).union(*nested)


class DispatchProtocol(XMLSocketProtocol):
    """
    Base class of protocols with handlers by name. Use one of its subclasses, which define the
    format of the messages.

    If a C{RoomProtocol} is the second base class, the messages that have a handler are delivered
    to it, and all other messages are those of the room.

    @cvar allowsExtra: whether a message can contain more parameters than its handler has; they
        are ignored. Otherwise (default), such a message is answered with an error.
    """

    _settingNames: ClassVar[tuple[str, ...]] = ("allowsExtra",)
    allowsExtra = False
    _dispatches = True
    _handlers: Mapping[str, _Handler] = {}
    _isText = True
    _malformed = 0
    # The kinds of errors that have been logged.
    _logged: frozenset[tuple[str, str | None]] = frozenset()

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls._handlers = cls._findHandlers()
        cls._checkOrder()
        if cls._handlers:
            cls._checkOverrides()

    @classmethod
    def _checkOrder(cls) -> None:
        """
        Check that no other protocol of this package receives the messages first.

        @raise TypeError: if the base classes are in the wrong order.
        """
        for base in cls.__mro__[: cls.__mro__.index(DispatchProtocol)]:
            if issubclass(base, DispatchProtocol) or not _isOwn(base):
                continue
            if not vars(base).keys().isdisjoint((*cls._handlerNames, *_CALLERS)):
                first = next(each for each in cls.__bases__ if issubclass(each, base))
                last = next(each for each in cls.__bases__ if issubclass(each, DispatchProtocol))
                raise TypeError(
                    f"{cls.__name__}: put {last.__name__} before {first.__name__}:"
                    f" class {cls.__name__}({last.__name__}, {first.__name__})"
                )

    @classmethod
    def _checkOverrides(cls) -> None:
        """
        Check that an override of a method that calls the handlers can call the original method.

        @raise TypeError: if it cannot.
        """
        for base in cls.__mro__[: cls.__mro__.index(DispatchProtocol)]:
            for name in _CALLERS:
                function = inspect.unwrap(vars(base).get(name))  # type: ignore[arg-type]
                if inspect.isfunction(function) and _SUPER.isdisjoint(_namesIn(function.__code__)):
                    raise TypeError(
                        f"{cls.__name__}: {base.__name__}.{name} replaces the method that calls"
                        " the handlers: override unknownReceived instead, or call"
                        f" super().{name}({'message' if name == _CALLERS[0] else 'line'})"
                    )

    @classmethod
    def checkHandlers(cls) -> None:
        """
        Log a warning if the class has no handler, and does not override L{unknownReceived}.
        """
        if not cls._handlers and cls.unknownReceived is DispatchProtocol.unknownReceived:
            cls.log.warn(
                "{name} has no handlers: decorate its methods with @handler", name=cls.__name__
            )

    @classmethod
    def _findHandlers(cls) -> dict[str, _Handler]:
        """
        Make the table of the handlers of the class and its base classes.

        @raise TypeError: if a handler is wrong.
        """
        exposed: dict[str, tuple[str, ...]] = {}
        for base in reversed(cls.__mro__):
            for attribute, value in vars(base).items():
                inner = getattr(value, "__func__", value)
                if inspect.isfunction(inner) and hasattr(inner, MESSAGE_NAMES):
                    exposed[attribute] = getattr(inner, MESSAGE_NAMES)
        found: dict[str, _Handler] = {}
        for attribute, names in exposed.items():
            function = inspect.getattr_static(cls, attribute)
            if function is None:
                continue
            each = cls._makeHandler(attribute, function)
            for name in dict.fromkeys(names):
                if name in found:
                    raise TypeError(
                        f"{cls.__name__}: the methods {found[name].attribute} and {attribute}"
                        f' are both handlers of "{name}"'
                    )
                found[name] = each
        return found

    @classmethod
    def _makeHandler(cls, attribute: str, function: Any) -> _Handler:
        where = f"{cls.__name__}.{attribute}"
        if not inspect.isfunction(function):
            raise TypeError(f"{where}: a handler must be a method, not {function!r}")
        for base in cls.__mro__:
            package = base.__module__.partition(".")[0]
            if package in ("openfl_twisted", "twisted", "builtins") and attribute in vars(base):
                raise TypeError(
                    f"{where}: a handler cannot override {base.__name__}.{attribute}; rename the"
                    f' method and use @handler("{attribute}")'
                )
        parameters = _parametersOf(function, where)
        for each in parameters:
            cls._checkParameter(each.name, where)
        return _Handler(function, attribute, parameters)

    @classmethod
    def _checkParameter(cls, name: str, where: str) -> None:
        """
        Check the name of a parameter.

        @raise TypeError: if no message can contain the parameter.
        """

    # Receiving

    def messageReceived(self, message: str) -> Any:
        """
        Call the handler of a message.

        @return: the result of the handler.
        """
        try:
            request = self.readRequest(message)
        except DispatchError as problem:
            self.spend(1)
            self._reject(problem)
            return None
        return self._call(request, message)

    def _call(self, request: Request, message: str) -> Any:
        """
        Call the handler of a parsed message.
        """
        self.spend(1)
        found = self._handlers.get(request.name)
        if found is None:
            return self.unknownReceived(request.name, message)
        try:
            arguments = self._bind(found, request)
        except DispatchError as problem:
            self._reject(problem)
            return None
        return found.function(self, **arguments)

    def handleLine(self, line: bytes) -> Any:
        """
        Called by a C{RoomProtocol} with each message.

        @param line: the message without its terminator.
        @return: the result of the handler; if the message has no handler, the result of
            C{RoomProtocol.handleLine}.
        """
        message = decodeUTF8(line)
        try:
            request = self._ownRequest(message)
        except DispatchError as problem:
            self.spend(1)
            self._reject(problem)
            return None
        if request is None:
            # The next base class is a RoomProtocol.
            return super().handleLine(line)  # type: ignore[misc]
        return self._call(request, message)

    def _ownRequest(self, message: str) -> Request | None:
        """
        Parse a message in a room.

        @return: the request; C{None} if the message is one of the room's.
        @raise DispatchError: if the message has a handler, but is malformed.
        """
        try:
            request = self.readRequest(message)
        except DispatchError:
            return None
        return request if request.name in self._handlers else None

    def readRequest(self, message: str) -> Request:
        """
        Parse a message. Subclasses override this method to support another format.

        @param message: the message without its terminator.
        @return: the name and the parameters.
        @raise DispatchError: with the code C{malformed} if the message has another format.
        """
        raise NotImplementedError

    def unknownReceived(self, name: str, message: str) -> Any:
        """
        Called with each message that has no handler. The default answers with an error, and
        logs the first such message of a connection. Subclasses can override this method.

        @param name: the name of the message.
        @param message: the message without its terminator.
        @return: the result of C{messageReceived}.
        """
        self._reject(DispatchError("unknown", f"unknown message {_shown(name)}"), name)

    def sendError(self, code: str, text: str) -> None:
        """
        Send an error to the peer. Subclasses can override this method to send errors in another
        format.

        @param code: the reason in one word: C{malformed}, C{unknown}, C{parameter}, or a code
            of the application.
        @param text: the reason, as human-readable text.
        """
        raise NotImplementedError

    def _reject(self, problem: DispatchError, name: str | None = None) -> None:
        """
        Log why a message is not delivered, and answer with an error.

        @param name: the name of the message, if it has one.
        """
        kind = (problem.code, problem.name)
        if kind not in self._logged:
            self._logged |= {kind}
            self.log.info(
                "{peer}: message refused: {problem} (logged once per connection)",
                peer=self.describePeer(),
                problem=str(problem),
            )
        if problem.code == "malformed":
            self._malformed += 1
            if self._malformed > _MAX_MALFORMED:
                self.closeFor(f"more than {_MAX_MALFORMED} malformed messages")
                return
        # Two peers that do not know the errors of each other must not answer them.
        if "error" not in (name, problem.name):
            self.sendError(problem.code, str(problem))

    def _bind(self, found: _Handler, request: Request) -> dict[str, Any]:
        """
        Convert the parameters of a message.

        @raise DispatchError: with the code C{parameter} if the message does not fit the handler.
        """
        _, values, rest, context = request
        given: dict[str, Any] = {}
        used = 0
        for each in found.parameters:
            if each.name in values:
                given[each.name] = self._convert(each, values[each.name], request.name)
            elif each.name in context:
                given[each.name] = self._convert(each, context[each.name], request.name)
            elif used < len(rest):
                given[each.name] = self._convert(each, rest[used], request.name)
                used += 1
            elif each.isRequired:
                if not each.canBeNone:
                    raise self._mismatch(request.name, f"{each.name} is missing")
                given[each.name] = None
        if not self.allowsExtra:
            if used < len(rest):
                raise self._mismatch(request.name, f"more than {used} parameters")
            extra = next((name for name in values if name not in found.names), None)
            if extra is not None:
                raise self._mismatch(request.name, f"unknown parameter {_shown(extra)}")
        return given

    def _convert(self, parameter: _Parameter, value: Any, name: str) -> Any:
        if value is None and parameter.canBeNone:
            return None
        if value is _TWICE:
            raise self._mismatch(name, f"{parameter.name} is given twice")
        converter = parameter.converter
        try:
            return converter.fromText(value) if self._isText else converter.fromJSON(value)
        except ValueError:
            pass
        raise self._mismatch(name, f"{parameter.name} must be {converter.wanted}")

    def _mismatch(self, name: str, problem: str) -> DispatchError:
        return DispatchError("parameter", f"{name}: {problem}", name)


class XMLDispatchProtocol(DispatchProtocol):
    """
    Calls handlers by name with XML messages, such as C{<move x="3" y="4"/>}.

    The name of the message is the name of the root element. Its parameters are the attributes,
    and the child elements that contain only text: C{<move><x>3</x><y>4</y></move>} is the same
    message. The parameter C{text} is the text of the root element.
    """

    def readRequest(self, message: str) -> Request:
        try:
            root, *children = readNodes(encodeUTF8(message))
        except XMLError as problem:
            raise DispatchError("malformed", str(problem)) from None
        values: dict[str, Any] = dict(root.attributes)
        for child in children:
            if child.depth > 2 or child.attributes:
                raise DispatchError(
                    "malformed", "a child element must contain only text, and no attributes"
                )
            values[child.name] = _TWICE if child.name in values else child.text
        if not root.text.strip():
            return Request(root.name, values, context={"text": root.text})
        values["text"] = _TWICE if "text" in values else root.text
        return Request(root.name, values)

    def _ownRequest(self, message: str) -> Request | None:
        found = _startTag.match(message)
        isOwn = found is not None and found[1] in self._handlers
        return self.readRequest(message) if isOwn else None

    def sendError(self, code: str, text: str) -> None:
        """
        Send the error as C{<error code="…">…</error>}, the form that rooms use too.
        """
        self.send("error", code=code, text=text)

    def formatMessage(
        self, name: str, /, *children: str, text: Value = "", **attributes: Value | None
    ) -> str:
        """
        Format a message, for example for a broadcast. The parameters are those of
        L{element<openfl_twisted.wire.xmltext.element>}.

        @param name: the name of the message.
        @param children: child elements, as XML.
        @param text: the text of the element.
        @param attributes: the parameters; those with the value C{None} are omitted.
        @return: the message without its terminator.
        @raise ValueError: if a value cannot be sent as XML.
        @raise TypeError: if the name is not text, or a value has another type.
        """
        _checkName(name, 'send("moved", x=3)')
        return element(name, *children, text=text, **attributes)

    def send(
        self, name: str, /, *children: str, text: Value = "", **attributes: Value | None
    ) -> None:
        """
        Send a message.

        @param name: the name of the message.
        @param children: child elements, as XML.
        @param text: the text of the element.
        @param attributes: the parameters, see L{formatMessage}.
        """
        self.sendMessage(self.formatMessage(name, *children, text=text, **attributes))


def _encodeEnum(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"a value of type {type(value).__name__} cannot be sent as JSON")


class JSONDispatchProtocol(DispatchProtocol):
    """
    Calls handlers by name with JSON messages, such as C{{"type": "move", "x": 3, "y": 4}}.

    @cvar nameKey: the key whose value is the name of the message (default: C{type}).
    """

    _settingNames = ("nameKey",)
    nameKey = "type"
    _isText = False

    @classmethod
    def _checkParameter(cls, name: str, where: str) -> None:
        if name == cls.nameKey:
            raise TypeError(
                f"{where}: the parameter {name} must have another name, because the key"
                f' "{name}" contains the name of the message'
            )

    def readRequest(self, message: str) -> Request:
        try:
            values = readObject(message)
        except JSONError as problem:
            raise DispatchError("malformed", str(problem)) from None
        name = values.pop(self.nameKey, None)
        if not isinstance(name, str):
            raise DispatchError("malformed", f'"{self.nameKey}" must be the name of the message')
        return Request(name, values)

    def sendError(self, code: str, text: str) -> None:
        """
        Send the error as C{{"type": "error", "code": …, "text": …}}.
        """
        self.send("error", code=code, text=text)

    def formatMessage(self, name: str, /, **values: Any) -> str:
        """
        Format a message, for example for a broadcast.

        @param name: the name of the message.
        @param values: the parameters: values of JSON and members of enums.
        @return: the message without its terminator.
        @raise ValueError: if a number is not finite, or a parameter has the name C{nameKey}.
        @raise TypeError: if the name is not text, or a value cannot be sent as JSON.
        """
        _checkName(name, 'send("moved", x=3)')
        if self.nameKey in values:
            raise ValueError(f'"{self.nameKey}" is the name of the message, and no parameter')
        return json.dumps(
            {self.nameKey: name, **values},
            allow_nan=False,
            ensure_ascii=False,
            separators=(",", ":"),
            default=_encodeEnum,
        )

    def send(self, name: str, /, **values: Any) -> None:
        """
        Send a message.

        @param name: the name of the message.
        @param values: the parameters, see L{formatMessage}.
        """
        self.sendMessage(self.formatMessage(name, **values))


class XtDispatchProtocol(DispatchProtocol):
    """
    Handlers of C{%xt%} messages. The parameters have no names: they are in the order of the
    handler's parameters.

    A server receives C{%xt%EXTENSION%NAME%…%}, and sends C{%xt%NAME%…%}. The name of the
    extension is ignored.

    @cvar hasRoom: whether each message contains the number of a room after its name (default:
        C{False}). A handler with a parameter C{room} receives the number.
    @cvar isClient: whether this is the client: it sends the extension, and receives messages
        without one (default: C{False}).
    @cvar extension: the extension that a client sends (default: C{s}).
    """

    _settingNames = ("hasRoom", "isClient", "extension")
    hasRoom = False
    isClient = False
    extension = "s"

    def readRequest(self, message: str) -> Request:
        try:
            fields = xt.split(message)
        except xt.XtError as problem:
            raise DispatchError("malformed", str(problem)) from None
        first = 0 if self.isClient else 1
        parameters = first + 1 + self.hasRoom
        if len(fields) < parameters:
            raise DispatchError("malformed", "the message has too few fields")
        context = {"room": fields[first + 1]} if self.hasRoom else {}
        return Request(fields[first], {}, fields[parameters:], context)

    def sendError(self, code: str, text: str) -> None:
        """
        Send the error as C{%xt%error%CODE%TEXT%}. If C{hasRoom} is set, the room is -1.
        """
        self.send("error", code, text.replace("%", ""))

    def formatMessage(self, name: str, /, *arguments: Value, room: int = -1) -> str:
        """
        Format a message, for example for a broadcast.

        @param name: the name of the message.
        @param arguments: the parameters, in order.
        @param room: the number of the room, if C{hasRoom} is set (default: -1, no room).
        @return: the message without its terminator.
        @raise ValueError: if a value contains a percent sign or a NUL character, or is not a
            finite number.
        @raise TypeError: if the name is not text, or a value has another type.
        """
        _checkName(name, 'send("moved", 3)')
        return xt.join(
            [
                *([self.extension] if self.isClient else []),
                name,
                *([str(room)] if self.hasRoom else []),
                *map(formatValue, arguments),
            ]
        )

    def send(self, name: str, /, *arguments: Value, room: int = -1) -> None:
        """
        Send a message.

        @param name: the name of the message.
        @param arguments: the parameters, in order, see L{formatMessage}.
        @param room: the number of the room, if C{hasRoom} is set (default: -1, no room).
        """
        self.sendMessage(self.formatMessage(name, *arguments, room=room))


class SmartFoxProtocol(XtDispatchProtocol):
    """
    Handlers of the messages of SmartFox 1.x, which Club Penguin uses too: system messages in
    XML, and C{%xt%} messages with a room.

    The name of a system message is its action: C{<msg t='sys'><body action='login' r='0'>…}
    calls the handler C{login}. Its parameters are the attributes and texts of all elements in the
    body. C{room} is the number C{r} of the room, and C{text} is the text of the body. Parameters
    that a handler does not have are ignored.
    """

    hasRoom = True
    allowsExtra = True

    def readRequest(self, message: str) -> Request:
        if not message.startswith("<"):
            return super().readRequest(message)
        try:
            root, *nodes = readNodes(encodeUTF8(message))
        except XMLError as problem:
            raise DispatchError("malformed", str(problem)) from None
        body = nodes[0] if nodes else root
        if root.name != "msg" or body.name != "body" or "action" not in body.attributes:
            raise DispatchError("malformed", "the message is not a <msg> with a <body action>")
        values: dict[str, Any] = {}
        for node in nodes[1:]:
            if node.depth == 2:
                raise DispatchError("malformed", "the message contains more than one <body>")
            found = node.attributes if not node.text else {**node.attributes, node.name: node.text}
            for name, value in found.items():
                values[name] = _TWICE if name in values else value
            # An element without attributes and text is empty text.
            if not found:
                values.setdefault(node.name, "")
        context = {"room": body.attributes.get("r", "-1"), "text": body.text}
        return Request(body.attributes["action"], values, context=context)

    def formatSystem(self, action: str, /, *children: str, text: Value = "", room: int = 0) -> str:
        """
        Format a system message, for example for a broadcast.

        @param action: the name of the message.
        @param children: the child elements of the body, as XML, see
            L{element<openfl_twisted.wire.xmltext.element>}.
        @param text: the text of the body.
        @param room: the number of the room (default: 0).
        @return: the message without its terminator.
        @raise TypeError: if the name is not text.
        """
        _checkName(action, 'sendSystem("joinOK", room=1)')
        body = element("body", *children, text=text, action=action, r=room)
        return element("msg", body, t="sys")

    def sendSystem(self, action: str, /, *children: str, text: Value = "", room: int = 0) -> None:
        """
        Send a system message.

        @param action: the name of the message.
        @param children: the child elements of the body, as XML, see L{formatSystem}.
        @param text: the text of the body.
        @param room: the number of the room (default: 0).
        """
        self.sendMessage(self.formatSystem(action, *children, text=text, room=room))
