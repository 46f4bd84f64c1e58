"""
Tests for L{openfl_twisted.events}.
"""

import gc
import logging
import weakref
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec, module_from_spec
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import errors, events
from openfl_twisted.events import (
    DataEvent,
    DatagramSocketDataEvent,
    ErrorEvent,
    Event,
    EventDispatcher,
    EventPhase,
    IEventDispatcher,
    IOErrorEvent,
    OutputProgressEvent,
    ProgressEvent,
    SecurityErrorEvent,
    ServerSocketConnectEvent,
    TextEvent,
    setReporter,
)

# The rows of the table: class, base class, types, own parameters with their defaults and another
# value each, the fields shown after the common ones.
TABLE: list[tuple[type[Event], type, dict[str, str], dict[str, tuple[Any, Any]], list[str]]] = [
    (
        Event,
        object,
        {"CONNECT": "connect", "CLOSE": "close", "OPEN": "open", "COMPLETE": "complete"},
        {},
        [],
    ),
    (
        ProgressEvent,
        Event,
        {"SOCKET_DATA": "socketData", "PROGRESS": "progress"},
        {"bytesLoaded": (0, 78), "bytesTotal": (0, 100)},
        ["bytesLoaded", "bytesTotal"],
    ),
    (
        OutputProgressEvent,
        Event,
        {"OUTPUT_PROGRESS": "outputProgress"},
        {"bytesPending": (0, 5), "bytesTotal": (0, 100)},
        ["bytesPending", "bytesTotal"],
    ),
    (TextEvent, Event, {}, {"text": ("", "a")}, ["text"]),
    (
        ErrorEvent,
        TextEvent,
        {"ERROR": "error"},
        {"text": ("", "a"), "errorID": (0, 2031)},
        ["text"],
    ),
    (
        IOErrorEvent,
        ErrorEvent,
        {"IO_ERROR": "ioError"},
        {"text": ("", "a"), "errorID": (0, 2031)},
        ["text"],
    ),
    (
        SecurityErrorEvent,
        ErrorEvent,
        {"SECURITY_ERROR": "securityError"},
        {"text": ("", "a"), "errorID": (0, 2048)},
        ["text"],
    ),
    (
        DataEvent,
        TextEvent,
        {"DATA": "data", "UPLOAD_COMPLETE_DATA": "uploadCompleteData"},
        {"data": ("", "Hello!")},
        ["data"],
    ),
    (
        ServerSocketConnectEvent,
        Event,
        {"CONNECT": "connect"},
        {"socket": (None, EventDispatcher())},
        ["socket"],
    ),
    (
        DatagramSocketDataEvent,
        Event,
        {"DATA": "data"},
        {
            "srcAddress": ("", "::1"),
            "srcPort": (0, 1),
            "dstAddress": ("", "::2"),
            "dstPort": (0, 2),
            "data": (None, b"abc"),
        },
        ["srcAddress", "srcPort", "dstAddress", "dstPort", "data"],
    ),
]


class Reports:
    """
    A reporter that records its calls.
    """

    def __init__(self) -> None:
        self.uncaught: list[tuple[Exception, Event]] = []
        self.unhandled: list[tuple[str, ErrorEvent]] = []

    def uncaughtError(self, error: Exception, event: Event) -> None:
        self.uncaught.append((error, event))

    def unhandledError(self, message: str, event: ErrorEvent) -> None:
        self.unhandled.append((message, event))


def reportsFor(case: SynchronousTestCase) -> Reports:
    """
    Install a recording reporter until the test ends.
    """
    reports = Reports()
    before = setReporter(reports.uncaughtError, reports.unhandledError)
    case.addCleanup(setReporter, *before)
    return reports


class Listening:
    """
    An object with a bound method as listener.
    """

    def __init__(self, calls: list[str], name: str = "bound") -> None:
        self.calls = calls
        self.name = name

    def called(self, event: Event) -> None:
        self.calls.append(self.name)


class EventTests(SynchronousTestCase):
    """
    Event objects.
    """

    def test_table(self) -> None:
        """
        Each class has its base class, types and defaults.
        """
        for cls, base, types, own, _ in TABLE:
            self.assertEqual(cls.__bases__, (base,))
            for name, value in types.items():
                self.assertEqual(getattr(cls, name), value)
            event = cls("some")
            self.assertEqual((event.type, event.bubbles, event.cancelable), ("some", False, False))
            self.assertEqual((event.target, event.currentTarget, event.eventPhase), (None, None, 2))
            for name, (default, _) in own.items():
                self.assertEqual(getattr(event, name), default)

    def test_parameters(self) -> None:
        """
        Each class accepts its own parameters in Flash's order, after the common ones.
        """
        for cls, _, _, own, _ in TABLE:
            event = cls("some", True, True, *(value for _, value in own.values()))
            self.assertEqual((event.type, event.bubbles, event.cancelable), ("some", True, True))
            for name, (_, value) in own.items():
                self.assertEqual(getattr(event, name), value)

    def test_clone(self) -> None:
        """
        A clone has the class and the fields, but not the state of a dispatch.
        """
        for cls, _, _, own, _ in TABLE:
            event = cls("some", True, True, *(value for _, value in own.values()))
            dispatcher = EventDispatcher()
            dispatcher.addEventListener("some", Event.preventDefault)
            dispatcher.addEventListener("some", Event.stopImmediatePropagation)
            dispatcher.dispatchEvent(event)
            self.assertIs(event.target, dispatcher)
            clone = event.clone()
            self.assertIs(type(clone), cls)
            self.assertEqual((clone.target, clone.currentTarget), (None, None))
            self.assertFalse(clone.isDefaultPrevented())
            self.assertEqual((clone.type, clone.bubbles, clone.cancelable), ("some", True, True))
            for name, (_, value) in own.items():
                self.assertEqual(getattr(clone, name), value)
            received: list[Event] = []
            other = EventDispatcher()
            other.addEventListener("some", received.append)
            other.dispatchEvent(clone)
            self.assertEqual(received, [clone])
            # The original is unchanged.
            self.assertIs(event.target, dispatcher)
            self.assertTrue(event.isDefaultPrevented())

    def test_cloneOfOwnClass(self) -> None:
        """
        Instances of user-defined classes are cloned with all fields, for any
        constructor.
        """

        class Joined(Event):
            def __init__(self, player: str) -> None:
                super().__init__("joined")
                self.player = player

        clone = Joined("Ann").clone()
        self.assertEqual((type(clone), clone.player, clone.type), (Joined, "Ann", "joined"))

    def test_toString(self) -> None:
        """
        C{toString} and C{str} contain the fields of each class.
        """
        shown = {
            Event: "",
            ProgressEvent: " bytesLoaded=78 bytesTotal=100",
            OutputProgressEvent: " bytesPending=5 bytesTotal=100",
            TextEvent: ' text="a"',
            ErrorEvent: ' text="a"',
            IOErrorEvent: ' text="a"',
            SecurityErrorEvent: ' text="a"',
            DataEvent: ' data="Hello!"',
            ServerSocketConnectEvent: " socket=[object EventDispatcher]",
            DatagramSocketDataEvent: ' srcAddress="::1" srcPort=1 dstAddress="::2" dstPort=2 '
            "data=b'abc'",
        }
        for cls, _, _, own, fields in TABLE:
            event = cls("some", False, True, *(value for _, value in own.values()))
            expected = (
                f'[{cls.__name__} type="some" bubbles=false cancelable=true eventPhase=2'
                f"{shown[cls]}]"
            )
            self.assertEqual(event.toString(), expected)
            self.assertEqual(str(event), expected)
            common = ["type", "bubbles", "cancelable", "eventPhase"]
            self.assertEqual(event.formatToString(cls.__name__, *common, *fields), expected)

    def test_toStringOfFlash(self) -> None:
        """
        Two events have the text that Flash printed.
        """
        self.assertEqual(
            ProgressEvent(ProgressEvent.SOCKET_DATA, False, False, 78.0, 0.0).toString(),
            '[ProgressEvent type="socketData" bubbles=false cancelable=false eventPhase=2 '
            "bytesLoaded=78 bytesTotal=0]",
        )
        self.assertEqual(
            DataEvent(DataEvent.DATA, False, False, "Hello!").toString(),
            '[DataEvent type="data" bubbles=false cancelable=false eventPhase=2 data="Hello!"]',
        )

    def test_formatToString(self) -> None:
        """
        Text is quoted, and other values are formatted as in ActionScript.
        """

        class Own(Event):
            def __init__(self) -> None:
                super().__init__("own", True)
                self.none = None
                self.half = 0.5
                self.text = 'a "b"'

            def toString(self) -> str:
                return self.formatToString("Mine", "bubbles", "none", "half", "text")

        self.assertEqual(str(Own()), '[Mine bubbles=true none=null half=0.5 text="a "b""]')
        self.assertEqual(Event("a").formatToString("None"), "[None]")
        self.assertRaises(AttributeError, Event("a").formatToString, "Event", "missing")

    def test_readOnly(self) -> None:
        """
        Fields that are changed only by a dispatch, or that Flash does not permit to
        change, are read-only.
        """
        event = ErrorEvent("a")
        for name in (
            "type", "bubbles", "cancelable", "target", "currentTarget", "eventPhase", "errorID",
        ):  # fmt: skip
            self.assertRaises(AttributeError, setattr, event, name, None)

    def test_dataIsText(self) -> None:
        """
        C{data} and C{text} of a data event are the same, whichever is set.
        """
        event = DataEvent("data", data="a")
        self.assertEqual(event.text, "a")
        event.text = "b"
        self.assertEqual(event.data, "b")
        event.data = "c"
        self.assertEqual((event.text, event.clone().data), ("c", "c"))

    def test_preventDefault(self) -> None:
        """
        Only cancelable events can be prevented.
        """
        for cancelable in (False, True):
            event = Event("a", False, cancelable)
            self.assertFalse(event.isDefaultPrevented())
            event.preventDefault()
            self.assertEqual(event.isDefaultPrevented(), cancelable)


class EventDispatcherTests(SynchronousTestCase):
    """
    The listeners that are called, and their order.
    """

    def setUp(self) -> None:
        self.dispatcher = EventDispatcher()
        self.calls: list[str] = []

    def listener(self, name: str, then: Callable[[Event], object] = id) -> Callable[[Any], None]:
        """
        Create a listener that records its name and then performs an action.
        """

        def called(event: Event) -> None:
            self.calls.append(name)
            then(event)

        return called

    def dispatch(self, event: Event | None = None) -> list[str]:
        """
        Dispatch an event.

        @return: the names of the called listeners.
        """
        self.dispatcher.dispatchEvent(event or Event("a"))
        calls, self.calls[:] = self.calls[:], []
        return calls

    def test_interface(self) -> None:
        """
        A dispatcher implements L{IEventDispatcher} for the type checker and for
        C{isinstance}; other objects do not.
        """
        dispatcher: IEventDispatcher = self.dispatcher
        self.assertIsInstance(dispatcher, IEventDispatcher)
        self.assertNotIsInstance(Event("a"), IEventDispatcher)

    def test_target(self) -> None:
        """
        The target of an event is the dispatcher, also after the dispatch.
        """
        seen: list[object] = []
        self.dispatcher.addEventListener(
            "a", lambda event: seen.append((event.target, event.currentTarget, event.eventPhase))
        )
        event = Event("a")
        self.dispatcher.dispatchEvent(event)
        self.assertEqual(seen, [(self.dispatcher, self.dispatcher, EventPhase.AT_TARGET)])
        self.assertIs(event.target, self.dispatcher)

    def test_otherTarget(self) -> None:
        """
        A dispatcher can be created with another target.
        """

        class Owner(EventDispatcher):
            pass

        owner = Owner()
        event = Event("a")
        EventDispatcher(owner).dispatchEvent(event)
        self.assertIs(event.target, owner)
        self.assertIs(event.currentTarget, owner)

    def test_onlyItsType(self) -> None:
        """
        A listener is called for its type only.
        """
        self.dispatcher.addEventListener("b", self.listener("b"))
        self.assertEqual(self.dispatch(Event("a")), [])
        self.assertEqual(self.dispatch(Event("b")), ["b"])

    def test_order(self) -> None:
        """
        Listeners are called by descending priority, and in order of registration if
        priorities are equal.
        """
        for name, priority in [("c", 0), ("a", 5), ("e", -1), ("d", 0), ("b", 5)]:
            self.dispatcher.addEventListener("a", self.listener(name), priority=priority)
        self.assertEqual(self.dispatch(), ["a", "b", "c", "d", "e"])

    @given(st.lists(st.integers(-2, 2)))
    def test_anyOrder(self, priorities: list[int]) -> None:
        """
        For all priorities, the order is that of a stable sort.
        """
        dispatcher = EventDispatcher()
        calls: list[int] = []

        def called(number: int, event: Event) -> None:
            calls.append(number)

        for number, priority in enumerate(priorities):
            dispatcher.addEventListener("a", partial(called, number), priority=priority)
        dispatcher.dispatchEvent(Event("a"))
        numbers = range(len(priorities))
        self.assertEqual(calls, sorted(numbers, key=lambda number: -priorities[number]))

    def test_sameListener(self) -> None:
        """
        Adding a listener again has no effect on its priority. After removing it, it can
        be added with another priority.
        """
        first, second = self.listener("first"), self.listener("second")
        self.dispatcher.addEventListener("a", first, priority=1)
        self.dispatcher.addEventListener("a", second)
        self.dispatcher.addEventListener("a", second, priority=2)
        self.dispatcher.addEventListener("a", second, useWeakReference=True)
        self.assertEqual(self.dispatch(), ["first", "second"])
        self.dispatcher.removeEventListener("a", second)
        self.dispatcher.addEventListener("a", second, priority=2)
        self.assertEqual(self.dispatch(), ["second", "first"])

    def test_boundMethods(self) -> None:
        """
        A bound method is the same listener at each access, and another one for another
        object.
        """
        one, two = Listening(self.calls, "one"), Listening(self.calls, "two")
        for each in (one, two, one):
            self.dispatcher.addEventListener("a", each.called)
        self.assertEqual(self.dispatch(), ["one", "two"])
        self.dispatcher.removeEventListener("a", one.called)
        self.assertEqual(self.dispatch(), ["two"])

    def test_remove(self) -> None:
        """
        A removed listener is not called. Removing an unknown listener has no effect.
        """
        listener, other = self.listener("one"), self.listener("other")
        self.dispatcher.removeEventListener("a", listener)
        self.dispatcher.addEventListener("a", listener)
        self.dispatcher.removeEventListener("a", other)
        self.dispatcher.removeEventListener("b", listener)
        self.assertEqual(self.dispatch(), ["one"])
        self.dispatcher.removeEventListener("a", listener)
        self.assertEqual(self.dispatch(), [])
        self.assertFalse(self.dispatcher.hasEventListener("a"))

    def test_useCapture(self) -> None:
        """
        A listener for the capturing phase is registered and removed separately, and
        never called.
        """
        listener = self.listener("one")
        self.dispatcher.addEventListener("a", listener, useCapture=True)
        self.assertEqual(self.dispatch(), [])
        self.assertTrue(self.dispatcher.hasEventListener("a"))
        self.assertTrue(self.dispatcher.willTrigger("a"))
        self.dispatcher.removeEventListener("a", listener)
        self.assertTrue(self.dispatcher.hasEventListener("a"))
        self.dispatcher.addEventListener("a", listener)
        self.assertEqual(self.dispatch(), ["one"])
        self.dispatcher.removeEventListener("a", listener, True)
        self.assertEqual(self.dispatch(), ["one"])

    def test_hasEventListener(self) -> None:
        """
        A dispatcher returns whether it has listeners for a type.
        """
        self.assertFalse(self.dispatcher.hasEventListener("a"))
        self.assertFalse(self.dispatcher.willTrigger("a"))
        self.dispatcher.addEventListener("a", self.listener("one"))
        self.assertTrue(self.dispatcher.hasEventListener("a"))
        self.assertTrue(self.dispatcher.willTrigger("a"))
        self.assertFalse(self.dispatcher.hasEventListener("b"))

    def test_none(self) -> None:
        """
        Listener and event must not be C{None}.
        """
        error = self.assertRaises(
            errors.TypeError,
            self.dispatcher.addEventListener,
            "a",
            None,
        )
        self.assertEqual(
            str(error),
            "Error #2007: Parameter listener must be non-null. (pass the function itself, without"
            " parentheses)",
        )
        self.assertEqual(error.errorID, 2007)
        error = self.assertRaises(errors.TypeError, self.dispatcher.dispatchEvent, None)
        self.assertEqual(str(error), "Error #2007: Parameter event must be non-null.")

    def test_notCallable(self) -> None:
        """
        A listener must be callable.
        """
        for listener, shown in [
            ("onConnect", "'onConnect'"),
            (["x" * 100], "['" + "x" * 75 + "..."),
        ]:
            error = self.assertRaises(
                errors.TypeError, self.dispatcher.addEventListener, "connect", listener
            )
            self.assertEqual(str(error), f"listener must be a function, not {shown}")
            self.assertFalse(self.dispatcher.hasEventListener("connect"))

    def test_parameters(self) -> None:
        """
        A listener that cannot be called with an event is refused.
        """

        class Game:
            def none(self) -> None: ...

            def one(self, event: Event, again: bool = False) -> None: ...

            @classmethod
            def shared(cls, event: Event) -> None: ...

            def two(self, event: Event, other: int) -> None: ...

        def optional(event: Event | None = None, *, name: str = "") -> None: ...

        def none() -> None: ...

        game = Game()
        wrong: list[tuple[Any, str]] = [
            (none, "def none(event)"),
            (lambda: None, "lambda event: ..."),
            (lambda event, other: None, "lambda event: ..."),
            (game.none, "def none(self, event)"),
            (game.two, "def two(self, event)"),
            (Game.two, "def two(event)"),
        ]
        for listener, how in wrong:
            error = self.assertRaises(
                errors.TypeError, self.dispatcher.addEventListener, "connect", listener
            )
            self.assertEqual(str(error), f"a listener is called with the event: define it as {how}")
        self.assertFalse(self.dispatcher.hasEventListener("connect"))
        listeners: list[Any] = [
            optional,
            game.one,
            game.shared,
            print,
            lambda *events: None,
            partial(game.two, other=1),
            Game.none,
        ]
        for listener in listeners:
            self.dispatcher.addEventListener("connect", listener)

    def test_returned(self) -> None:
        """
        C{dispatchEvent} returns C{False} only if a cancelable event was prevented.
        """
        for do, cancelable, expected in [
            (id, True, True),
            (Event.preventDefault, False, True),
            (Event.preventDefault, True, False),
            (Event.stopPropagation, True, True),
            (Event.stopImmediatePropagation, True, True),
        ]:
            dispatcher = EventDispatcher()
            self.assertIs(dispatcher.dispatchEvent(Event("a", False, cancelable)), True)
            dispatcher.addEventListener("a", do)
            self.assertIs(dispatcher.dispatchEvent(Event("a", False, cancelable)), expected)

    def test_stopPropagation(self) -> None:
        """
        C{stopPropagation} does not affect listeners of the same object.
        """
        self.dispatcher.addEventListener("a", self.listener("one", Event.stopPropagation))
        self.dispatcher.addEventListener("a", self.listener("two"))
        self.assertEqual(self.dispatch(), ["one", "two"])

    def test_stopImmediatePropagation(self) -> None:
        """
        C{stopImmediatePropagation} skips the remaining listeners, for this event only.
        """
        once = iter([Event.stopImmediatePropagation, id])
        self.dispatcher.addEventListener("a", self.listener("one", lambda event: next(once)(event)))
        self.dispatcher.addEventListener("a", self.listener("two"))
        self.assertEqual(self.dispatch(), ["one"])
        self.assertEqual(self.dispatch(), ["one", "two"])

    def test_addedMeanwhile(self) -> None:
        """
        A listener added during a dispatch is not called in it, not even with a higher
        priority.
        """
        late = self.listener("late")
        self.dispatcher.addEventListener(
            "a",
            self.listener("one", lambda _: self.dispatcher.addEventListener("a", late, priority=1)),
        )
        self.dispatcher.addEventListener("a", self.listener("two"))
        self.assertEqual(self.dispatch(), ["one", "two"])
        self.assertEqual(self.dispatch(), ["late", "one", "two"])

    def test_removedMeanwhile(self) -> None:
        """
        A listener removed during a dispatch is still called in it.
        """
        two = self.listener("two")
        self.dispatcher.addEventListener(
            "a", self.listener("one", lambda _: self.dispatcher.removeEventListener("a", two))
        )
        self.dispatcher.addEventListener("a", two)
        self.assertEqual(self.dispatch(), ["one", "two"])
        self.assertEqual(self.dispatch(), ["one"])

    def test_nested(self) -> None:
        """
        A nested dispatch uses the listeners registered at its start.
        """
        late = self.listener("late")
        again = iter([True, False])

        def nest(_: Event) -> None:
            if next(again):
                self.dispatcher.addEventListener("a", late)
                self.dispatcher.dispatchEvent(Event("a"))

        self.dispatcher.addEventListener("a", self.listener("one", nest))
        self.dispatcher.addEventListener("a", self.listener("two"))
        self.assertEqual(self.dispatch(), ["one", "one", "two", "late", "two"])

    def test_infiniteRecursion(self) -> None:
        """
        Infinite recursion of dispatches ends at Python's recursion limit.
        """
        reports = reportsFor(self)
        self.dispatcher.addEventListener("a", lambda _: self.dispatcher.dispatchEvent(Event("a")))
        self.assertTrue(self.dispatcher.dispatchEvent(Event("a")))
        self.assertEqual({type(error) for error, _ in reports.uncaught}, {RecursionError})

    def test_again(self) -> None:
        """
        An event that was dispatched before keeps its target: listeners receive a clone,
        which is neither prevented nor stopped.
        """
        seen: list[Event] = []
        first, second = EventDispatcher(), EventDispatcher()
        event = ProgressEvent("a", False, True, 3)
        first.addEventListener("a", second.dispatchEvent)
        second.addEventListener("a", seen.append)
        event.preventDefault()
        self.assertFalse(first.dispatchEvent(event))
        [clone] = seen
        assert isinstance(clone, ProgressEvent)
        self.assertIsNot(clone, event)
        self.assertEqual((clone.bytesLoaded, clone.isDefaultPrevented()), (3, False))
        self.assertEqual((event.target, clone.target), (first, second))

    def test_againWithoutListeners(self) -> None:
        """
        An event has a target even without listeners, so it is cloned when it is
        dispatched again. The result is that of the clone.
        """
        event = Event("a", False, True)
        EventDispatcher().dispatchEvent(event)
        self.dispatcher.addEventListener("a", Event.preventDefault)
        self.assertFalse(self.dispatcher.dispatchEvent(event))
        self.assertFalse(event.isDefaultPrevented())

    def test_toString(self) -> None:
        """
        The text of a dispatcher contains its class name.
        """

        class Socket(EventDispatcher):
            pass

        self.assertEqual(EventDispatcher().toString(), "[object EventDispatcher]")
        self.assertEqual(Socket().toString(), "[object Socket]")
        self.assertEqual(str(Socket()), "[object Socket]")

    def test_nothingWithoutListeners(self) -> None:
        """
        A dispatcher without listeners has no attributes, not even after a dispatch. A
        subclass that does not call C{__init__} works.
        """

        class Forgetful(EventDispatcher):
            def __init__(self) -> None:
                pass

        for dispatcher in (EventDispatcher(), Forgetful()):
            dispatcher.dispatchEvent(Event("a"))
            dispatcher.hasEventListener("a")
            self.assertEqual(vars(dispatcher), {})
            dispatcher.addEventListener("a", self.listener("one"))
            dispatcher.dispatchEvent(Event("a"))
            self.assertEqual(self.calls.pop(), "one")


class WeakTests(SynchronousTestCase):
    """
    Listeners with weak references.
    """

    def setUp(self) -> None:
        self.dispatcher = EventDispatcher()
        self.calls: list[str] = []

    def add(self, listener: Callable[[Any], object]) -> None:
        self.dispatcher.addEventListener("a", listener, useWeakReference=True)

    def test_boundMethod(self) -> None:
        """
        A bound method is called while its object exists.
        """
        listening = Listening(self.calls)
        self.add(listening.called)
        self.add(listening.called)
        gc.collect()
        self.assertTrue(self.dispatcher.hasEventListener("a"))
        self.dispatcher.dispatchEvent(Event("a"))
        self.assertEqual(self.calls, ["bound"])
        del listening
        gc.collect()
        self.dispatcher.dispatchEvent(Event("a"))
        self.assertEqual(self.calls, ["bound"])
        self.assertFalse(self.dispatcher.hasEventListener("a"))
        self.assertFalse(self.dispatcher.willTrigger("a"))

    def test_removed(self) -> None:
        """
        A weakly referenced bound method can be removed.
        """
        listening = Listening(self.calls)
        self.add(listening.called)
        self.dispatcher.removeEventListener("a", listening.called)
        self.assertFalse(self.dispatcher.hasEventListener("a"))

    def test_functions(self) -> None:
        """
        Functions and other callables are removed with their last reference.
        """

        def function(event: Event) -> None:
            self.calls.append("function")

        called = partial(Listening.called, Listening(self.calls, "partial"))
        self.add(function)
        self.add(called)
        self.dispatcher.dispatchEvent(Event("a"))
        self.assertEqual(self.calls, ["function", "partial"])
        del function
        gc.collect()
        self.dispatcher.dispatchEvent(Event("a"))
        self.assertEqual(self.calls, ["function", "partial", "partial"])
        del called
        gc.collect()
        self.assertFalse(self.dispatcher.hasEventListener("a"))

    def test_strong(self) -> None:
        """
        By default the dispatcher keeps the object alive until the listener is removed.
        """
        listening = Listening(self.calls)
        reference = weakref.ref(listening)
        self.dispatcher.addEventListener("a", listening.called)
        del listening
        gc.collect()
        self.dispatcher.dispatchEvent(Event("a"))
        self.assertEqual(self.calls, ["bound"])
        kept = reference()
        assert kept is not None
        self.dispatcher.removeEventListener("a", kept.called)
        del kept
        gc.collect()
        self.assertIsNone(reference())

    def test_deadListenersAreRemoved(self) -> None:
        """
        Registrations of dead listeners do not accumulate.
        """
        for _ in range(10):
            listening = Listening(self.calls)
            self.add(listening.called)
            del listening
            gc.collect()
        assert self.dispatcher._registrations is not None
        self.assertEqual(len(self.dispatcher._registrations["a", False]), 1)
        self.dispatcher.removeEventListener("a", id)
        self.assertEqual(self.dispatcher._registrations, {})

    def test_listenerDiesDuringDispatch(self) -> None:
        """
        A listener that dies during a dispatch is not called in it.
        """
        held = [Listening(self.calls)]

        def drop(event: Event) -> None:
            held.clear()
            gc.collect()

        self.dispatcher.addEventListener("a", drop)
        self.add(held[0].called)
        self.dispatcher.dispatchEvent(Event("a"))
        self.assertEqual(self.calls, [])

    def test_impossible(self) -> None:
        """
        Adding an object without weak references raises an exception.
        """

        class Slotted:
            __slots__ = ()

            def called(self, event: Event) -> None:
                raise NotImplementedError

        slotted = Slotted()
        self.assertRaises(TypeError, self.add, slotted.called)
        self.assertFalse(self.dispatcher.hasEventListener("a"))


class ReportTests(SynchronousTestCase):
    """
    Reports of unhandled errors.
    """

    def setUp(self) -> None:
        self.reports = reportsFor(self)
        self.dispatcher = EventDispatcher()

    def raising(self, error: BaseException) -> Callable[[Event], None]:
        """
        Create a listener that raises an exception.
        """

        def listener(event: Event) -> None:
            raise error

        return listener

    def test_uncaught(self) -> None:
        """
        An exception of a listener is reported after the other listeners have been
        called, and the dispatch returns normally.
        """
        one, two = ValueError("one"), KeyError("two")
        seen: list[int] = []
        for listener in (
            self.raising(one),
            lambda _: seen.append(len(self.reports.uncaught)),
            self.raising(two),
            lambda _: seen.append(len(self.reports.uncaught)),
        ):
            self.dispatcher.addEventListener("a", listener)
        event = Event("a")
        self.assertTrue(self.dispatcher.dispatchEvent(event))
        self.assertEqual(seen, [0, 0])
        self.assertEqual(self.reports.uncaught, [(one, event), (two, event)])
        self.assertIsNotNone(one.__traceback__)

    def test_uncaughtIsNotUnhandled(self) -> None:
        """
        An error event whose listener raises an exception counts as handled.
        """
        self.dispatcher.addEventListener("error", self.raising(ValueError()))
        self.dispatcher.dispatchEvent(ErrorEvent("error"))
        self.assertEqual((len(self.reports.uncaught), self.reports.unhandled), (1, []))

    def test_uncaughtIsNotKept(self) -> None:
        """
        A reported exception is released without a garbage collection.
        """

        class Own(Exception):
            pass

        def listener(event: Event) -> None:
            raise Own

        self.dispatcher.addEventListener("a", listener)
        gc.disable()
        self.addCleanup(gc.enable)
        self.dispatcher.dispatchEvent(Event("a"))
        reference = weakref.ref(self.reports.uncaught.pop()[0])
        self.assertIsNone(reference())

    def test_otherExceptions(self) -> None:
        """
        Exceptions that end the program are raised; earlier exceptions are reported.
        """
        for error in (KeyboardInterrupt(), SystemExit()):
            dispatcher = EventDispatcher()
            before = ValueError()
            dispatcher.addEventListener("a", self.raising(before))
            dispatcher.addEventListener("a", self.raising(error))
            self.assertRaises(type(error), dispatcher.dispatchEvent, Event("a"))
            self.assertIs(self.reports.uncaught.pop()[0], before)

    def test_unhandled(self) -> None:
        """
        An error event without a listener is reported once, with Flash's text.
        """
        for cls in (ErrorEvent, IOErrorEvent, SecurityErrorEvent):
            event = cls("ioError", text=errors.messageOf(2031), id=2031)
            self.assertTrue(self.dispatcher.dispatchEvent(event))
            self.assertEqual(
                self.reports.unhandled,
                [
                    (
                        f"Error #2044: Unhandled {cls.__name__}:. text=Error #2031: Socket Error.",
                        event,
                    )
                ],
            )
            self.reports.unhandled.clear()

    def test_handled(self) -> None:
        """
        An error event with a listener is not reported, even if it is stopped before the
        listener is called.
        """
        self.dispatcher.addEventListener("error", id)
        self.dispatcher.dispatchEvent(ErrorEvent("error"))
        stopped = ErrorEvent("error")
        stopped.stopImmediatePropagation()
        self.dispatcher.dispatchEvent(stopped)
        self.assertEqual(self.reports.unhandled, [])

    def test_unhandledDespiteOthers(self) -> None:
        """
        Listeners for other types or for the capturing phase, and dead listeners, do not
        count.
        """
        self.dispatcher.addEventListener("other", id)
        self.dispatcher.addEventListener("error", id, useCapture=True)
        self.dispatcher.addEventListener("error", Listening([]).called, useWeakReference=True)
        gc.collect()
        self.dispatcher.dispatchEvent(ErrorEvent("error", text="gone"))
        [(message, _)] = self.reports.unhandled
        self.assertEqual(message, "Error #2044: Unhandled ErrorEvent:. text=gone")

    def test_otherEvents(self) -> None:
        """
        Other events need no listener.
        """
        for cls in (Event, TextEvent, DataEvent):
            self.dispatcher.dispatchEvent(cls("error"))
        self.assertEqual(self.reports.unhandled, [])

    def test_setReporter(self) -> None:
        """
        C{setReporter} returns the previous reporter.
        """
        other = Reports()
        before = setReporter(other.uncaughtError, other.unhandledError)
        self.assertEqual(before, (self.reports.uncaughtError, self.reports.unhandledError))
        self.dispatcher.dispatchEvent(ErrorEvent("error"))
        again = setReporter(*before)
        self.assertEqual(again, (other.uncaughtError, other.unhandledError))
        self.assertEqual((len(other.unhandled), self.reports.unhandled), (1, []))


class LoggingTests(SynchronousTestCase):
    """
    By default, reports are logged with Python's C{logging}.
    """

    def setUp(self) -> None:
        # A copy of the module: an imported module may have set the reporter of the original.
        spec = find_spec(events.__name__)
        assert spec is not None
        assert spec.loader is not None
        self.events = module_from_spec(spec)
        spec.loader.exec_module(self.events)
        self.dispatcher = self.events.EventDispatcher()

    def test_uncaught(self) -> None:
        """
        An exception of a listener is logged with the event and its traceback.
        """
        error = ValueError("wrong")

        def listener(event: Event) -> None:
            raise error

        self.dispatcher.addEventListener("a", listener)
        with self.assertLogs("openfl_twisted.events") as logged:
            self.dispatcher.dispatchEvent(self.events.Event("a"))
        [record] = logged.records
        self.assertEqual(record.levelno, logging.ERROR)
        self.assertEqual(
            record.getMessage(),
            'a listener of [Event type="a" bubbles=false cancelable=false eventPhase=2] '
            "raised an error",
        )
        assert record.exc_info is not None
        self.assertIs(record.exc_info[1], error)

    def test_unhandled(self) -> None:
        """
        An error event without a listener is logged as in Flash's debug player.
        """
        event = self.events.IOErrorEvent("ioError", text=errors.messageOf(2031), id=2031)
        with self.assertLogs("openfl_twisted.events") as logged:
            self.dispatcher.dispatchEvent(event)
        [record] = logged.records
        self.assertEqual(record.levelno, logging.ERROR)
        self.assertEqual(
            record.getMessage(),
            "Error #2044: Unhandled IOErrorEvent:. text=Error #2031: Socket Error.",
        )
