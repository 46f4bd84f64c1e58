"""
OpenFL's events and event dispatchers (C{openfl.events}), for sockets.

Where Flash and OpenFL differ, the behavior is Flash's: C{toString} includes the phase,
C{bubbles} is C{False} by default, C{data} and C{text} of a L{DataEvent} are the same, an event
that is dispatched again is cloned, and a listener that is removed during the dispatch of an
event is still called for this event.

C{dispatchEvent} does not raise the exceptions of listeners: it reports them, and error events
without a listener, with the functions passed to L{setReporter}.
"""

import logging
import warnings
import weakref
from bisect import insort
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from copy import copy
from inspect import CO_VARARGS, isawaitable
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, Self, runtime_checkable

from openfl_twisted import errors
from openfl_twisted.similar import misspellingOf
from openfl_twisted.wire.text import describeValue, escape

if TYPE_CHECKING:
    # The only import of a higher layer, see tests/test_architecture.py.
    from openfl_twisted.net.socket import Socket

_Listener = Callable[[Any], object]
_COMMON_FIELDS = ("type", "bubbles", "cancelable", "eventPhase")
_DISPATCH_STATE = ("_target", "_isPrevented", "_isStopped")
_log = logging.getLogger(__name__)


class _Registration(NamedTuple):
    """
    A registered listener, referenced strongly or weakly.
    """

    priority: int
    strong: _Listener | None
    weak: Callable[[], _Listener | None] | None

    @classmethod
    def of(cls, listener: _Listener, priority: int, isWeak: bool) -> Self:
        if not isWeak:
            return cls(priority, listener, None)
        if isinstance(listener, MethodType):
            # weakref.ref() of a bound method dies immediately, because each access creates a new
            # bound method.
            return cls(priority, None, weakref.WeakMethod(listener))
        return cls(priority, None, weakref.ref(listener))

    def listener(self) -> _Listener | None:
        """
        Return the listener; C{None} if its weak reference is dead.
        """
        return self.strong if self.weak is None else self.weak()


def _write(value: object) -> str:
    """
    Return the text of a value as ActionScript formats it.
    """
    if value is None:
        return "null"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(value).removesuffix(".0")
    return str(value)


class EventPhase:
    """
    Phases of an event. Objects here are not in a display list, so their events are
    always at the target.

    @cvar CAPTURING_PHASE: on the way down to the target; not used here.
    @cvar AT_TARGET: at the target; the phase of all events here.
    @cvar BUBBLING_PHASE: on the way up from the target; not used here.
    """

    CAPTURING_PHASE = 1
    AT_TARGET = 2
    BUBBLING_PHASE = 3


class Event:
    """
    An event passed to listeners.

    A subclass can have any fields and constructor parameters: L{clone} copies the fields. To
    include the fields in the event's text, override C{toString} and call L{formatToString}.

    @cvar CLOSE: the peer has closed the connection, or the system has closed a
        C{ServerSocket} or C{DatagramSocket}.
    @cvar COMPLETE: defined by OpenFL; not dispatched here.
    @cvar CONNECT: a connection is established; for a C{ServerSocket}, a client has
        connected.
    @cvar OPEN: defined by OpenFL; not dispatched here.
    """

    CLOSE = "close"
    COMPLETE = "complete"
    CONNECT = "connect"
    OPEN = "open"

    _ownFields: ClassVar[tuple[str, ...]] = ()
    # Instances set these attributes only when they are dispatched; clone() removes the attributes.
    _target: Any = None
    _isPrevented = False
    _isStopped = False

    def __init__(self, type: str, bubbles: bool = False, cancelable: bool = False) -> None:
        """
        @param type: the name under which listeners are registered.
        @param bubbles: whether the event would bubble up a display list.
        @param cancelable: whether C{preventDefault} has an effect.
        """
        self._type = type
        self._bubbles = bubbles
        self._cancelable = cancelable

    def __str__(self) -> str:
        return self.toString()

    @property
    def type(self) -> str:
        """
        The name under which listeners are registered.
        """
        return self._type

    @property
    def bubbles(self) -> bool:
        """
        Whether the event would bubble up a display list.
        """
        return self._bubbles

    @property
    def cancelable(self) -> bool:
        """
        Whether L{Event.preventDefault} has an effect.
        """
        return self._cancelable

    @property
    def target(self) -> Any:
        """
        The object that dispatched the event; C{None} before it is dispatched.
        """
        return self._target

    @property
    def currentTarget(self) -> Any:
        """
        The object whose listeners are being called. Without a display list it is always
        the L{target}.
        """
        return self._target

    @property
    def eventPhase(self) -> int:
        """
        The phase: always L{EventPhase.AT_TARGET}.
        """
        return EventPhase.AT_TARGET

    def clone(self) -> Self:
        """
        Create an event of the same class with the same fields, in the state before
        dispatch: without a target, and neither prevented nor stopped.
        """
        other = copy(self)
        for name in _DISPATCH_STATE:
            vars(other).pop(name, None)
        return other

    def preventDefault(self) -> None:
        """
        Ask the dispatching object to skip its default action, if the event is
        cancelable.
        """
        if self._cancelable:
            self._isPrevented = True

    def isDefaultPrevented(self) -> bool:
        """
        Return whether L{Event.preventDefault} was called on a cancelable event.
        """
        return self._isPrevented

    def stopPropagation(self) -> None:
        """
        Do not dispatch the event to other objects. Without a display list this has no
        effect: the other listeners of the same object are still called.
        """

    def stopImmediatePropagation(self) -> None:
        """
        Do not call the remaining listeners of this event.
        """
        self._isStopped = True

    def formatToString(self, className: str, *names: str) -> str:
        """
        Format an event as C{[Name type="close" bubbles=false]}.

        @param names: the names of the fields. Text is quoted without escaping.
        @raise AttributeError: if a field does not exist.
        """
        fields = "".join(f" {name}={_write(getattr(self, name))}" for name in names)
        return f"[{className}{fields}]"

    def toString(self) -> str:
        """
        Format the event with its class name and its fields.
        """
        return self.formatToString(type(self).__name__, *_COMMON_FIELDS, *self._ownFields)

    def _deliver(
        self, target: "IEventDispatcher", registrations: Sequence[_Registration]
    ) -> list[Awaitable[Any]]:
        """
        Call the listeners, then report their exceptions.

        @param registrations: the listeners in calling order. The sequence must not change
            while the listeners are called.
        @return: the results of asynchronous listeners.
        """
        self._target = target
        hasListener = False
        started: list[Awaitable[Any]] = []
        raised: list[Exception] = []
        try:
            for registration in registrations:
                listener = registration.listener()
                if listener is None:
                    continue
                hasListener = True
                if self._isStopped:
                    break
                try:
                    result = listener(self)
                except Exception as error:
                    raised.append(error)
                else:
                    if result is not None and isawaitable(result):
                        started.append(result)
        finally:
            # Empty the list of exceptions: otherwise an exception would reference itself through
            # its traceback and this frame.
            while raised:
                _uncaughtError(raised.pop(0), self)
        if not hasListener:
            self._unhandled()
        return started

    def _unhandled(self) -> None:
        """
        Called when the target has no listener for this event.
        """


class ProgressEvent(Event):
    """
    Data has been received.

    @ivar bytesLoaded: for C{socketData}, the number of bytes received.
    @ivar bytesTotal: the total number of bytes; 0 if unknown.
    @cvar PROGRESS: defined by OpenFL; not dispatched here.
    @cvar SOCKET_DATA: a C{Socket} has received data, which can be read.
    """

    PROGRESS = "progress"
    SOCKET_DATA = "socketData"

    _ownFields = ("bytesLoaded", "bytesTotal")

    def __init__(
        self,
        type: str,
        bubbles: bool = False,
        cancelable: bool = False,
        bytesLoaded: float = 0,
        bytesTotal: float = 0,
    ) -> None:
        super().__init__(type, bubbles, cancelable)
        self.bytesLoaded = bytesLoaded
        self.bytesTotal = bytesTotal


class OutputProgressEvent(Event):
    """
    Data has been passed to the operating system.

    @ivar bytesPending: the number of bytes that are still queued.
    @ivar bytesTotal: the number of bytes written since the connection was established,
        including C{bytesPending}.
    @cvar OUTPUT_PROGRESS: dispatched by a C{Socket}, at most once per reactor
        iteration.
    """

    OUTPUT_PROGRESS = "outputProgress"

    _ownFields = ("bytesPending", "bytesTotal")

    def __init__(
        self,
        type: str,
        bubbles: bool = False,
        cancelable: bool = False,
        bytesPending: float = 0,
        bytesTotal: float = 0,
    ) -> None:
        super().__init__(type, bubbles, cancelable)
        self.bytesPending = bytesPending
        self.bytesTotal = bytesTotal


class TextEvent(Event):
    """
    An event with text.

    @ivar text: the text.
    """

    _ownFields = ("text",)

    def __init__(
        self, type: str, bubbles: bool = False, cancelable: bool = False, text: str = ""
    ) -> None:
        super().__init__(type, bubbles, cancelable)
        self.text = text


class ErrorEvent(TextEvent):
    """
    An asynchronous operation failed.

    An error event without a listener is reported; see L{setReporter}.

    @cvar ERROR: defined by OpenFL; not dispatched here.
    """

    ERROR = "error"

    def __init__(
        self,
        type: str,
        bubbles: bool = False,
        cancelable: bool = False,
        text: str = "",
        id: int = 0,
    ) -> None:
        """
        @param text: the reason; see L{errors.messageOf}.
        @param id: Flash's error number, or 0.
        """
        super().__init__(type, bubbles, cancelable, text)
        self._errorID = id

    @property
    def errorID(self) -> int:
        """
        Flash's error number, or 0.
        """
        return self._errorID

    def _unhandled(self) -> None:
        message = errors.messageOf(2044, type(self).__name__)
        _unhandledError(f"{message} text={self.text}", self)


class IOErrorEvent(ErrorEvent):
    """
    Input or output failed.

    @cvar IO_ERROR: a connection attempt failed, #2031.
    """

    IO_ERROR = "ioError"


class SecurityErrorEvent(ErrorEvent):
    """
    Flash's security rules deny an operation.

    @cvar SECURITY_ERROR: no policy file permits the connection, #2048.
    """

    SECURITY_ERROR = "securityError"


class DataEvent(TextEvent):
    """
    A message has been received.

    @cvar DATA: an C{XMLSocket} has received a message.
    @cvar UPLOAD_COMPLETE_DATA: defined by OpenFL; not dispatched here.
    """

    DATA = "data"
    UPLOAD_COMPLETE_DATA = "uploadCompleteData"

    _ownFields = ("data",)

    def __init__(
        self, type: str, bubbles: bool = False, cancelable: bool = False, data: str = ""
    ) -> None:
        super().__init__(type, bubbles, cancelable, data)

    @property
    def data(self) -> str:
        """
        The message; the same as C{text}.
        """
        return self.text

    @data.setter
    def data(self, data: str) -> None:
        self.text = data


class ServerSocketConnectEvent(Event):
    """
    A client has connected to a C{ServerSocket}.

    @ivar socket: the connection to the client, a
        L{Socket<openfl_twisted.net.Socket>}.
    """

    CONNECT = "connect"

    _ownFields = ("socket",)

    def __init__(
        self, type: str, bubbles: bool = False, cancelable: bool = False, socket: Any = None
    ) -> None:
        super().__init__(type, bubbles, cancelable)
        self.socket: Socket = socket


class DatagramSocketDataEvent(Event):
    """
    A C{DatagramSocket} has received a datagram.

    @ivar srcAddress: the sender's IP address.
    @ivar srcPort: the sender's port.
    @ivar dstAddress: the local IP address.
    @ivar dstPort: the local port.
    @ivar data: the payload, a C{ByteArray}.
    @cvar DATA: dispatched by a C{DatagramSocket} for each datagram.
    """

    DATA = "data"

    _ownFields = ("srcAddress", "srcPort", "dstAddress", "dstPort", "data")

    def __init__(
        self,
        type: str,
        bubbles: bool = False,
        cancelable: bool = False,
        srcAddress: str = "",
        srcPort: int = 0,
        dstAddress: str = "",
        dstPort: int = 0,
        data: Any = None,
    ) -> None:
        super().__init__(type, bubbles, cancelable)
        self.srcAddress = srcAddress
        self.srcPort = srcPort
        self.dstAddress = dstAddress
        self.dstPort = dstPort
        self.data = data


# Reports

_UncaughtError = Callable[[Exception, Event], object]
_UnhandledError = Callable[[str, ErrorEvent], object]


def _logUncaughtError(error: Exception, event: Event) -> None:
    _log.error("a listener of %s raised an error", event, exc_info=error)


def _logUnhandledError(message: str, event: ErrorEvent) -> None:
    _log.error("%s", escape(message))


_uncaughtError: _UncaughtError = _logUncaughtError
_unhandledError: _UnhandledError = _logUnhandledError


def setReporter(
    uncaughtError: _UncaughtError, unhandledError: _UnhandledError
) -> tuple[_UncaughtError, _UnhandledError]:
    """
    Set the functions that report unhandled errors, for all dispatchers. The defaults
    log them with the C{logging} logger C{openfl_twisted.events}, at the level C{ERROR}.

    @param uncaughtError: called with each exception raised by a listener, and the event, after
        all listeners have been called. C{dispatchEvent} raises exceptions that are not
        subclasses of C{Exception}, such as C{KeyboardInterrupt}, instead of reporting them.
    @param unhandledError: called with Flash's text for an L{ErrorEvent} without a
        listener, and the event. The text is, for example, C{Error #2044: Unhandled
        IOErrorEvent:. text=Error #2031: Socket Error.}
    @return: the previous two functions, so that the caller can restore them. C{dispatchEvent}
        raises the exceptions of the two functions.
    """
    global _uncaughtError, _unhandledError
    previous = (_uncaughtError, _unhandledError)
    _uncaughtError, _unhandledError = uncaughtError, unhandledError
    return previous


def _closeCoroutine(awaitable: Awaitable[Any], event: Event) -> None:
    if isinstance(awaitable, Coroutine):
        awaitable.close()
    problem = RuntimeError("asynchronous listeners need Twisted: import openfl_twisted.net")
    _uncaughtError(problem, event)


_Runner = Callable[[Awaitable[Any], Event], object]
_runListener: _Runner = _closeCoroutine


def setRunner(runner: _Runner) -> _Runner:
    """
    Set the function that runs asynchronous listeners, for all dispatchers.
    L{openfl_twisted.net} sets a function that runs them in Twisted's reactor. The default
    reports an error, see L{setReporter}.

    @param runner: called with the coroutine or Deferred that a listener has returned, and the
        event.
    @return: the previous function, so that the caller can restore it.
    """
    global _runListener
    previous, _runListener = _runListener, runner
    return previous


def reportError(error: Exception, event: Event) -> None:
    """
    Report an exception of an asynchronous listener, see L{setReporter}.
    """
    _uncaughtError(error, event)


# Dispatchers


def _checkListener(listener: _Listener) -> None:
    """
    Check that a listener can be called with an event. C{inspect.signature} would be slower than
    all the rest of L{EventDispatcher.addEventListener}.

    @raise errors.TypeError: if the listener is a function or method with other parameters.
    """
    function: Any = listener
    own = 0
    if isinstance(function, MethodType):
        function, own = function.__func__, 1
    if not isinstance(function, FunctionType):
        return
    code = function.__code__
    required = code.co_argcount - len(function.__defaults__ or ())
    isEnough = code.co_argcount > own or code.co_flags & CO_VARARGS
    if required <= own + 1 and isEnough:
        return
    name = function.__name__
    parameters = "self, event" if own else "event"
    how = f"def {name}({parameters})" if name != "<lambda>" else "lambda event: ..."
    raise errors.TypeError(f"a listener is called with the event: define it as {how}")


@runtime_checkable
class IEventDispatcher(Protocol):
    """
    The interface of L{EventDispatcher}, which documents the methods.
    """

    def addEventListener(
        self,
        type: str,
        listener: _Listener,
        useCapture: bool = False,
        priority: int = 0,
        useWeakReference: bool = False,
    ) -> None:
        raise NotImplementedError

    def removeEventListener(self, type: str, listener: _Listener, useCapture: bool = False) -> None:
        raise NotImplementedError

    def dispatchEvent(self, event: Event) -> bool:
        raise NotImplementedError

    def hasEventListener(self, type: str) -> bool:
        raise NotImplementedError

    def willTrigger(self, type: str) -> bool:
        raise NotImplementedError


# The types of the events that some sockets dispatch.
_SOCKET_TYPES = frozenset(
    (
        DataEvent.DATA,
        Event.CLOSE,
        Event.CONNECT,
        IOErrorEvent.IO_ERROR,
        OutputProgressEvent.OUTPUT_PROGRESS,
        ProgressEvent.SOCKET_DATA,
        SecurityErrorEvent.SECURITY_ERROR,
    )
)


class EventDispatcher:
    """
    Dispatches events to listeners.

    Without listeners, a dispatcher uses no more memory than an empty object. A subclass
    need not call C{__init__}.
    """

    # The types of the events that the sockets of a class dispatch; empty for other dispatchers.
    _eventTypes: ClassVar[frozenset[str]] = frozenset()
    _eventTarget: IEventDispatcher | None = None
    # The registrations by type and useCapture. The tuples are replaced, never changed: a running
    # dispatch continues with the listeners that were registered when the dispatch started.
    _registrations: dict[tuple[str, bool], tuple[_Registration, ...]] | None = None

    def __init__(self, target: IEventDispatcher | None = None) -> None:
        """
        @param target: the target of the events, for an object that contains a
            dispatcher instead of inheriting from it (default: the dispatcher).
        """
        if target is not None:
            self._eventTarget = target

    def __str__(self) -> str:
        return self.toString()

    def addEventListener(
        self,
        type: str,
        listener: _Listener,
        useCapture: bool = False,
        priority: int = 0,
        useWeakReference: bool = False,
    ) -> None:
        """
        Call a listener whenever an event of a type is dispatched.

        Adding the same listener again has no effect. To change its priority, remove the
        listener first. A listener added by another listener of the same type is not called for
        the current event.

        A socket warns if it never dispatches the type, but other sockets do, or if the type is
        misspelt.

        @param listener: called with the event; it can be a coroutine function. Listeners are
            compared with C{==}, so a bound method is the same listener each time it is
            accessed.
        @param useCapture: whether the listener is for the capture phase. Such a listener is
            registered separately, and never called: there is no display list.
        @param priority: listeners are called from the highest priority to the lowest,
            and in the order of registration if priorities are equal.
        @param useWeakReference: whether to reference the listener (or the object of a
            bound method) weakly. A function without other references is removed.
        @raise errors.TypeError: 2007, if the type or the listener is C{None}; without a number, if
            the type is not text, or the listener is not callable or cannot be called with an event.
        @raise builtins.TypeError: if the listener cannot be referenced weakly.
        """
        if type is None:
            raise errors.TypeError.numbered(2007, "type")
        if not isinstance(type, str):
            raise errors.TypeError(
                f"type must be text, such as Event.CONNECT, not {describeValue(type)}"
            )
        if listener is None:
            words = "pass the function itself, without parentheses"
            raise errors.TypeError.numbered(2007, "listener", words=words)
        if not callable(listener):
            raise errors.TypeError(f"listener must be a function, not {describeValue(listener)}")
        _checkListener(listener)
        if self._eventTypes and type not in self._eventTypes:
            self._warnOfType(type)
        key = (type, useCapture)
        registrations = self._liveRegistrations(key)
        if any(registration.listener() == listener for registration in registrations):
            return
        ordered = list(registrations)
        added = _Registration.of(listener, priority, useWeakReference)
        insort(ordered, added, key=lambda registration: -registration.priority)
        self._store(key, ordered)

    def _warnOfType(self, type: str) -> None:
        """
        Warn of the type of an event that is not dispatched, if it is the type of another socket
        or a misspelling. Subclasses can dispatch any other events.
        """
        known = sorted(self._eventTypes)
        right = misspellingOf(type, known)
        if type not in _SOCKET_TYPES and right is None:
            return
        hint = f"its events are {', '.join(known)}" if right is None else f"did you mean {right}?"
        cls = self.__class__.__name__
        warnings.warn(f"{cls} never dispatches {type!r}: {hint}", stacklevel=3)

    def removeEventListener(self, type: str, listener: _Listener, useCapture: bool = False) -> None:
        """
        Stop calling a listener for events of a type. A listener that is not registered is
        ignored.

        A listener that is removed by another listener during a dispatch is still called for
        the current event, as in Flash but not in OpenFL.

        @param type: the type passed to L{addEventListener}.
        @param useCapture: the value passed to L{addEventListener}.
        """
        key = (type, useCapture)
        registrations = self._liveRegistrations(key)
        kept = [each for each in registrations if each.listener() != listener]
        if len(kept) < len(registrations):
            self._store(key, kept)

    def dispatchEvent(self, event: Event) -> bool:
        """
        Call the listeners of an event.

        Exceptions of listeners are reported after all listeners have been called; see
        L{setReporter}. An L{ErrorEvent} without a listener is also reported.

        @param event: the event. If the event was dispatched before, a clone is dispatched, so
            that the event keeps its target.
        @return: C{False} if the event is cancelable and a listener called
            L{Event.preventDefault}, else C{True}.
        @raise errors.TypeError: 2007, if the event is C{None}.
        """
        if event is None:
            raise errors.TypeError.numbered(2007, "event")
        if event.target is not None:
            event = event.clone()
        table = self._registrations
        registrations = table.get((event.type, False), ()) if table else ()
        target = self if self._eventTarget is None else self._eventTarget
        started = event._deliver(target, registrations)  # noqa: SLF001 - of the same module
        if started:
            self._runListeners(started, event)
        return not event.isDefaultPrevented()

    def _runListeners(self, started: Sequence[Awaitable[Any]], event: Event) -> None:
        """
        Run asynchronous listeners.

        @param started: the coroutines and Deferreds that the listeners have returned.
        """
        for awaitable in started:
            _runListener(awaitable, event)

    def hasEventListener(self, type: str) -> bool:
        """
        Return whether a listener for a type is registered, with or without C{useCapture}.
        """
        return bool(self._liveRegistrations((type, False)) or self._liveRegistrations((type, True)))

    def willTrigger(self, type: str) -> bool:
        """
        Return the result of L{hasEventListener} for a type: without a display list, no other
        object receives the event.
        """
        return self.hasEventListener(type)

    def toString(self) -> str:
        """
        Return the text of the object as ActionScript formats it: C{[object Socket]}.
        """
        return f"[object {type(self).__name__}]"

    def _liveRegistrations(self, key: tuple[str, bool]) -> tuple[_Registration, ...]:
        """
        Return the registrations whose listeners are alive, and remove registrations with dead
        listeners.
        """
        registrations = self._registrations.get(key, ()) if self._registrations else ()
        alive = tuple(each for each in registrations if each.listener() is not None)
        if len(alive) < len(registrations):
            self._store(key, alive)
        return alive

    def _store(self, key: tuple[str, bool], registrations: Sequence[_Registration]) -> None:
        if self._registrations is None:
            self._registrations = {}
        if registrations:
            self._registrations[key] = tuple(registrations)
        else:
            self._registrations.pop(key, None)


def eventTypes(dispatcher: object) -> list[str]:
    """
    Return the types of the events that a socket dispatches. For another dispatcher, these are
    the types of all sockets.
    """
    own = dispatcher._eventTypes if isinstance(dispatcher, EventDispatcher) else None  # noqa: SLF001 - of the same module
    return sorted(own or _SOCKET_TYPES)
