"""
OpenFL's events, and the objects that dispatch them: what C{openfl.events} has
for sockets.

Where Flash and OpenFL differ, Flash is followed: C{toString} has the phase,
C{bubbles} is never on by default, C{data} and C{text} of a L{DataEvent} are one,
an event that is dispatched again is cloned, and a listener that is removed while
its event is dispatched is still called.

An error in a listener does not reach whoever dispatched the event, and an error
event without a listener is not silent: see L{setReporter}.
"""

import logging
import weakref
from bisect import insort
from collections.abc import Callable, Sequence
from copy import copy
from types import MethodType
from typing import Any, ClassVar, NamedTuple, Protocol, Self, runtime_checkable

from openfl_twisted import errors
from openfl_twisted.wire.text import escape

_Listener = Callable[[Any], object]
_COMMON_FIELDS = ("type", "bubbles", "cancelable", "eventPhase")
_DISPATCH_STATE = ("_target", "_isPrevented", "_isStopped")
_log = logging.getLogger(__name__)


class _Registration(NamedTuple):
    """
    A listener as a dispatcher keeps it: strongly or weakly.
    """

    priority: int
    strong: _Listener | None
    weak: Callable[[], _Listener | None] | None

    @classmethod
    def of(cls, listener: _Listener, priority: int, isWeak: bool) -> Self:
        if not isWeak:
            return cls(priority, listener, None)
        if isinstance(listener, MethodType):
            # A bound method lives only while it is looked at; its object is what counts.
            return cls(priority, None, weakref.WeakMethod(listener))
        return cls(priority, None, weakref.ref(listener))

    def listener(self) -> _Listener | None:
        """
        Get the listener; C{None} if it was weak and has vanished.
        """
        return self.strong if self.weak is None else self.weak()


def _write(value: object) -> str:
    """
    Write a value as ActionScript does.
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
    Where an event is on its way. The objects here are in no display list, so
    their events are always at the target.

    @cvar CAPTURING_PHASE: on the way down to the target; no event is here.
    @cvar AT_TARGET: at the target, as all events are here.
    @cvar BUBBLING_PHASE: on the way up again; no event is here.
    """

    CAPTURING_PHASE = 1
    AT_TARGET = 2
    BUBBLING_PHASE = 3


class Event:
    """
    What happened, for the listeners.

    A class of one's own may have any fields and any parameters: L{clone} keeps
    the fields. To show them, it has a C{toString} that calls
    L{formatToString}.

    @cvar CLOSE: the other side has ended the connection, or the system has
        closed a C{ServerSocket} or C{DatagramSocket}.
    @cvar COMPLETE: OpenFL's; nothing here dispatches it.
    @cvar CONNECT: the connection is made; for a C{ServerSocket}, a client has
        come.
    @cvar OPEN: OpenFL's; nothing here dispatches it.
    """

    CLOSE = "close"
    COMPLETE = "complete"
    CONNECT = "connect"
    OPEN = "open"

    _ownFields: ClassVar[tuple[str, ...]] = ()
    # Instances get these only when they need them; clone() takes them away again.
    _target: Any = None
    _isPrevented = False
    _isStopped = False

    def __init__(self, type: str, bubbles: bool = False, cancelable: bool = False) -> None:
        """
        @param type: the name under which listeners are registered.
        @param bubbles: whether it would go up a display list.
        @param cancelable: whether L{preventDefault} does something.
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
        Whether it would go up a display list.
        """
        return self._bubbles

    @property
    def cancelable(self) -> bool:
        """
        Whether L{preventDefault} does something.
        """
        return self._cancelable

    @property
    def target(self) -> Any:
        """
        The object to which it happened; C{None} before it was dispatched.
        """
        return self._target

    @property
    def currentTarget(self) -> Any:
        """
        The object whose listeners are called: the L{target}, as there is no
        display list.
        """
        return self._target

    @property
    def eventPhase(self) -> int:
        """
        Where it is on its way: L{EventPhase.AT_TARGET}.
        """
        return EventPhase.AT_TARGET

    def clone(self) -> Self:
        """
        Make an event of the same class with the same fields, as it was before
        it was dispatched: without a target, and neither prevented nor stopped.
        """
        other = copy(self)
        for name in _DISPATCH_STATE:
            vars(other).pop(name, None)
        return other

    def preventDefault(self) -> None:
        """
        Ask whoever dispatched a cancelable event not to do what usually
        follows; nothing for another event.
        """
        if self._cancelable:
            self._isPrevented = True

    def isDefaultPrevented(self) -> bool:
        """
        Say whether L{preventDefault} was called, and did something.
        """
        return self._isPrevented

    def stopPropagation(self) -> None:
        """
        Keep the event from other objects. There are none without a display
        list, and the other listeners of the same object are still called.
        """

    def stopImmediatePropagation(self) -> None:
        """
        Keep the event from all listeners that have not been called yet.
        """
        self._isStopped = True

    def formatToString(self, className: str, *names: str) -> str:
        """
        Write an event: C{[Name type="close" bubbles=false]}.

        @param className: the name to write.
        @param names: the fields to write. Text is quoted, with nothing escaped.
        @raise AttributeError: if there is no such field.
        """
        fields = "".join(f" {name}={_write(getattr(self, name))}" for name in names)
        return f"[{className}{fields}]"

    def toString(self) -> str:
        """
        Write the event with its class and its fields.
        """
        return self.formatToString(type(self).__name__, *_COMMON_FIELDS, *self._ownFields)

    def _deliver(self, target: "IEventDispatcher", registrations: Sequence[_Registration]) -> None:
        """
        Call the listeners, then report what they raised.

        @param registrations: in order; whoever gives them does not change them.
        """
        self._target = target
        isHeard = False
        raised: list[Exception] = []
        try:
            for registration in registrations:
                listener = registration.listener()
                if listener is None:
                    continue
                isHeard = True
                if self._isStopped:
                    break
                try:
                    listener(self)
                except Exception as error:
                    raised.append(error)
        finally:
            # Empty in the end, or an error would hold itself by its traceback and this frame.
            while raised:
                _uncaughtError(raised.pop(0), self)
        if not isHeard:
            self._wasNotHeard()

    def _wasNotHeard(self) -> None:
        """
        Called if the target has no listener for this event.
        """


class ProgressEvent(Event):
    """
    Bytes have come.

    @ivar bytesLoaded: for C{socketData}, how many bytes came with this event.
    @ivar bytesTotal: how many there will be; 0 if nobody knows.
    @cvar PROGRESS: OpenFL's; nothing here dispatches it.
    @cvar SOCKET_DATA: bytes have come to a C{Socket}, and can be read.
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
    Bytes have been handed to the network.

    @ivar bytesPending: how many bytes still wait.
    @ivar bytesTotal: how many were written so far, with those that still wait.
    @cvar OUTPUT_PROGRESS: what a C{Socket} dispatches, once a turn at most.
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
    An event with a text.

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
    Something went wrong after the call that began it had returned.

    An error event for which the object has no listener is reported; see
    L{setReporter}.

    @cvar ERROR: OpenFL's; nothing here dispatches it.
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
        @param text: what went wrong; see L{errors.messageOf}.
        @param id: Flash's number, 0 if it has none.
        """
        super().__init__(type, bubbles, cancelable, text)
        self._errorID = id

    @property
    def errorID(self) -> int:
        """
        Flash's number, 0 if it has none.
        """
        return self._errorID

    def _wasNotHeard(self) -> None:
        message = errors.messageOf(2044, type(self).__name__)
        _unhandledError(f"{message} text={self.text}", self)


class IOErrorEvent(ErrorEvent):
    """
    Input or output has failed.

    @cvar IO_ERROR: a socket could not be connected, #2031.
    """

    IO_ERROR = "ioError"


class SecurityErrorEvent(ErrorEvent):
    """
    The rules of Flash do not allow it.

    @cvar SECURITY_ERROR: no policy file permits a connection, #2048.
    """

    SECURITY_ERROR = "securityError"


class DataEvent(TextEvent):
    """
    A message has come.

    @cvar DATA: a message has come to an C{XMLSocket}.
    @cvar UPLOAD_COMPLETE_DATA: OpenFL's; nothing here dispatches it.
    """

    DATA = "data"
    UPLOAD_COMPLETE_DATA = "uploadCompleteData"

    _ownFields = ("data",)

    def __init__(
        self, type: str, bubbles: bool = False, cancelable: bool = False, data: str = ""
    ) -> None:
        """
        @param data: the message.
        """
        super().__init__(type, bubbles, cancelable, data)

    @property
    def data(self) -> str:
        """
        The message; C{text} is the same.
        """
        return self.text

    @data.setter
    def data(self, data: str) -> None:
        self.text = data


class ServerSocketConnectEvent(Event):
    """
    A client has connected to a C{ServerSocket}.

    @ivar socket: the connection with it, a C{Socket}.
    """

    CONNECT = "connect"

    _ownFields = ("socket",)

    def __init__(
        self, type: str, bubbles: bool = False, cancelable: bool = False, socket: Any = None
    ) -> None:
        super().__init__(type, bubbles, cancelable)
        self.socket = socket


class DatagramSocketDataEvent(Event):
    """
    A datagram has come to a C{DatagramSocket}.

    @ivar srcAddress: the IP address from which it came.
    @ivar srcPort: the port from which it came.
    @ivar dstAddress: the IP address to which it was sent.
    @ivar dstPort: the port to which it was sent.
    @ivar data: its bytes, a C{ByteArray}.
    @cvar DATA: what a C{DatagramSocket} dispatches for each datagram.
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
    Choose who hears of what the listeners did not deal with, for all
    dispatchers. Until then it is the logger C{openfl_twisted.events} of
    C{logging}, at the level C{ERROR}.

    @param uncaughtError: called with each exception that a listener raised, and
        the event, when the other listeners have been called.
        C{KeyboardInterrupt}, C{SystemExit} and what else is no C{Exception} is
        not reported but raised.
    @param unhandledError: called with Flash's text for an L{ErrorEvent} for
        which its target has no listener, C{Error #2044: Unhandled
        IOErrorEvent:. text=Error #2031: Socket Error.}, and the event.
    @return: the two that were there before, to put them back. What one of
        them raises comes out of C{dispatchEvent}.
    """
    global _uncaughtError, _unhandledError
    before = (_uncaughtError, _unhandledError)
    _uncaughtError, _unhandledError = uncaughtError, unhandledError
    return before


# Dispatchers


@runtime_checkable
class IEventDispatcher(Protocol):
    """
    What has listeners. L{EventDispatcher} says what the methods do.
    """

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
        """

    def removeEventListener(self, type: str, listener: _Listener, useCapture: bool = False) -> None:
        """
        Call a listener no more.
        """

    def dispatchEvent(self, event: Event) -> bool:
        """
        Call the listeners of an event.
        """
        raise NotImplementedError

    def hasEventListener(self, type: str) -> bool:
        """
        Say whether there is a listener for a type.
        """
        raise NotImplementedError

    def willTrigger(self, type: str) -> bool:
        """
        Say whether an event of a type would find a listener.
        """
        raise NotImplementedError


class EventDispatcher:
    """
    Calls listeners.

    One that has no listeners costs nothing over an empty object, even if
    C{__init__} is never called.
    """

    _eventTarget: IEventDispatcher | None = None
    # By type and useCapture. The tuples are replaced, never changed: a dispatch that is under way
    # goes on with those that it began with.
    _registrations: dict[tuple[str, bool], tuple[_Registration, ...]] | None = None

    def __init__(self, target: IEventDispatcher | None = None) -> None:
        """
        @param target: the target of the events, for an object that has a
            dispatcher instead of being one; by default the dispatcher itself.
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

        The same listener again changes nothing, not even its priority: remove
        it before. One that is added by a listener of the same type is not
        called for the event that is being dispatched.

        @param type: the type of the events.
        @param listener: called with the event. Listeners are the same if they
            are equal, so a bound method is, however often it is taken from its
            object.
        @param useCapture: for the way down a display list. There is none, so
            such a listener is kept apart and never called.
        @param priority: the highest are called first, equal ones in the order
            in which they were added.
        @param useWeakReference: do not keep the listener alive, or for a bound
            method its object. A function that nobody else holds vanishes.
        @raise errors.TypeError: 2007, if the listener is C{None}.
        @raise builtins.TypeError: if the listener cannot be referenced weakly.
        """
        if listener is None:
            raise errors.TypeError.numbered(2007, "listener")
        key = (type, useCapture)
        registrations = self._living(key)
        if any(registration.listener() == listener for registration in registrations):
            return
        ordered = list(registrations)
        added = _Registration.of(listener, priority, useWeakReference)
        insort(ordered, added, key=lambda registration: -registration.priority)
        self._store(key, ordered)

    def removeEventListener(self, type: str, listener: _Listener, useCapture: bool = False) -> None:
        """
        Call a listener no more; nothing if it is not there.

        If it is removed by a listener of the same type, it is still called for
        the event that is being dispatched, as in Flash; OpenFL does not.

        @param type: as it was added.
        @param listener: as it was added.
        @param useCapture: as it was added.
        """
        key = (type, useCapture)
        registrations = self._living(key)
        kept = [each for each in registrations if each.listener() != listener]
        if len(kept) < len(registrations):
            self._store(key, kept)

    def dispatchEvent(self, event: Event) -> bool:
        """
        Call the listeners of an event.

        What they raise is reported when all have been called, and so is an
        L{ErrorEvent} for which there is no listener; see L{setReporter}.

        @param event: the event. One that was dispatched before keeps its
            target: a clone is dispatched.
        @return: C{False} if a listener called L{Event.preventDefault} and the
            event is cancelable, else C{True}.
        @raise errors.TypeError: 2007, if the event is C{None}.
        """
        if event is None:
            raise errors.TypeError.numbered(2007, "event")
        if event.target is not None:
            event = event.clone()
        table = self._registrations
        registrations = table.get((event.type, False), ()) if table else ()
        target = self if self._eventTarget is None else self._eventTarget
        event._deliver(target, registrations)  # noqa: SLF001  Hidden from users, not from here.
        return not event.isDefaultPrevented()

    def hasEventListener(self, type: str) -> bool:
        """
        Say whether there is a listener for a type, with C{useCapture} or not.

        @param type: the type.
        """
        return bool(self._living((type, False)) or self._living((type, True)))

    def willTrigger(self, type: str) -> bool:
        """
        Say the same as L{hasEventListener}, as there is no display list.

        @param type: the type.
        @return: whether there is a listener.
        """
        return self.hasEventListener(type)

    def toString(self) -> str:
        """
        Write the object as ActionScript does: C{[object Socket]}.
        """
        return f"[object {type(self).__name__}]"

    def _living(self, key: tuple[str, bool]) -> tuple[_Registration, ...]:
        """
        Get the registrations whose listeners have not vanished, and forget
        those that have.
        """
        registrations = self._registrations.get(key, ()) if self._registrations else ()
        living = tuple(each for each in registrations if each.listener() is not None)
        if len(living) < len(registrations):
            self._store(key, living)
        return living

    def _store(self, key: tuple[str, bool], registrations: Sequence[_Registration]) -> None:
        if self._registrations is None:
            self._registrations = {}
        if registrations:
            self._registrations[key] = tuple(registrations)
        else:
            self._registrations.pop(key, None)
