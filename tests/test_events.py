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

# The rows of the table: class, what it extends, its types, its own parameters with their defaults
# and another value each, the fields that are shown after the common ones.
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
    A reporter that remembers.
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
    Listen to the reports until the test ends.
    """
    reports = Reports()
    before = setReporter(reports.uncaughtError, reports.unhandledError)
    case.addCleanup(setReporter, *before)
    return reports


class Listening:
    """
    An object with a bound method.
    """

    def __init__(self, calls: list[str], name: str = "bound") -> None:
        self.calls = calls
        self.name = name

    def heard(self, event: Event) -> None:
        self.calls.append(self.name)


class EventTests(SynchronousTestCase):
    """
    What listeners get.
    """

    def test_table(self) -> None:
        """
        Each class extends the right one, and has its types and its defaults.
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
        Each class takes its own parameters in Flash's order after the common
        ones.
        """
        for cls, _, _, own, _ in TABLE:
            event = cls("some", True, True, *(value for _, value in own.values()))
            self.assertEqual((event.type, event.bubbles, event.cancelable), ("some", True, True))
            for name, (_, value) in own.items():
                self.assertEqual(getattr(event, name), value)

    def test_clone(self) -> None:
        """
        A clone has the class and the fields, and nothing of a dispatch.
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
            heard: list[Event] = []
            other = EventDispatcher()
            other.addEventListener("some", heard.append)
            other.dispatchEvent(clone)
            self.assertEqual(heard, [clone])
            # The clone has taken nothing from the event.
            self.assertIs(event.target, dispatcher)
            self.assertTrue(event.isDefaultPrevented())

    def test_cloneOfOwnClass(self) -> None:
        """
        A class of one's own is cloned with all its fields, whatever its
        parameters are.
        """

        class Joined(Event):
            def __init__(self, player: str) -> None:
                super().__init__("joined")
                self.player = player

        clone = Joined("Ann").clone()
        self.assertEqual((type(clone), clone.player, clone.type), (Joined, "Ann", "joined"))

    def test_toString(self) -> None:
        """
        Each class shows its fields; so does C{str}.
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
        Events are shown as Flash showed these two.
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
        Text is quoted, and all else is written as in ActionScript.
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
        What only a dispatch may change, and what Flash does not let change, is
        read-only.
        """
        event = ErrorEvent("a")
        for name in (
            "type", "bubbles", "cancelable", "target", "currentTarget", "eventPhase", "errorID",
        ):  # fmt: skip
            self.assertRaises(AttributeError, setattr, event, name, None)

    def test_dataIsText(self) -> None:
        """
        The data of a data event is its text, whichever is set.
        """
        event = DataEvent("data", data="a")
        self.assertEqual(event.text, "a")
        event.text = "b"
        self.assertEqual(event.data, "b")
        event.data = "c"
        self.assertEqual((event.text, event.clone().data), ("c", "c"))

    def test_preventDefault(self) -> None:
        """
        Only what is cancelable can be prevented.
        """
        for cancelable in (False, True):
            event = Event("a", False, cancelable)
            self.assertFalse(event.isDefaultPrevented())
            event.preventDefault()
            self.assertEqual(event.isDefaultPrevented(), cancelable)


class EventDispatcherTests(SynchronousTestCase):
    """
    Who is called, and when.
    """

    def setUp(self) -> None:
        self.dispatcher = EventDispatcher()
        self.calls: list[str] = []

    def listener(self, name: str, then: Callable[[Event], object] = id) -> Callable[[Any], None]:
        """
        Make a listener that writes down its name, and then does something.
        """

        def heard(event: Event) -> None:
            self.calls.append(name)
            then(event)

        return heard

    def dispatch(self, event: Event | None = None) -> list[str]:
        """
        Dispatch an event, and take who was called.
        """
        self.dispatcher.dispatchEvent(event or Event("a"))
        calls, self.calls[:] = self.calls[:], []
        return calls

    def test_interface(self) -> None:
        """
        The dispatcher is one for the type checker and for C{isinstance}; other
        things are not.
        """
        dispatcher: IEventDispatcher = self.dispatcher
        self.assertIsInstance(dispatcher, IEventDispatcher)
        self.assertNotIsInstance(Event("a"), IEventDispatcher)

    def test_target(self) -> None:
        """
        A listener finds the dispatcher in the event, and it stays there.
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
        A dispatcher that is given a target shows that one.
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
        The highest priority comes first, and in it who was added first.
        """
        for name, priority in [("c", 0), ("a", 5), ("e", -1), ("d", 0), ("b", 5)]:
            self.dispatcher.addEventListener("a", self.listener(name), priority=priority)
        self.assertEqual(self.dispatch(), ["a", "b", "c", "d", "e"])

    @given(st.lists(st.integers(-2, 2)))
    def test_anyOrder(self, priorities: list[int]) -> None:
        """
        Any priorities in any order give the order of a stable sort.
        """
        dispatcher = EventDispatcher()
        calls: list[int] = []

        def heard(number: int, event: Event) -> None:
            calls.append(number)

        for number, priority in enumerate(priorities):
            dispatcher.addEventListener("a", partial(heard, number), priority=priority)
        dispatcher.dispatchEvent(Event("a"))
        numbers = range(len(priorities))
        self.assertEqual(calls, sorted(numbers, key=lambda number: -priorities[number]))

    def test_sameAgain(self) -> None:
        """
        The same listener again is ignored and keeps its priority; removed and
        added, it has the new one.
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
        A bound method is the same each time that it is taken from its object,
        and another for another object.
        """
        one, two = Listening(self.calls, "one"), Listening(self.calls, "two")
        for each in (one, two, one):
            self.dispatcher.addEventListener("a", each.heard)
        self.assertEqual(self.dispatch(), ["one", "two"])
        self.dispatcher.removeEventListener("a", one.heard)
        self.assertEqual(self.dispatch(), ["two"])

    def test_remove(self) -> None:
        """
        A removed listener is not called; one that is not there can be removed.
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

    def test_captureApart(self) -> None:
        """
        A listener for the capturing phase is kept apart: it is never called,
        but it is there, and it is removed by itself.
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
        A dispatcher knows for which types it has listeners.
        """
        self.assertFalse(self.dispatcher.hasEventListener("a"))
        self.assertFalse(self.dispatcher.willTrigger("a"))
        self.dispatcher.addEventListener("a", self.listener("one"))
        self.assertTrue(self.dispatcher.hasEventListener("a"))
        self.assertTrue(self.dispatcher.willTrigger("a"))
        self.assertFalse(self.dispatcher.hasEventListener("b"))

    def test_none(self) -> None:
        """
        Neither a listener nor an event can be C{None}.
        """
        error = self.assertRaises(
            errors.TypeError,
            self.dispatcher.addEventListener,
            "a",
            None,
        )
        self.assertEqual(str(error), "Error #2007: Parameter listener must be non-null.")
        self.assertEqual(error.errorID, 2007)
        error = self.assertRaises(errors.TypeError, self.dispatcher.dispatchEvent, None)
        self.assertEqual(str(error), "Error #2007: Parameter event must be non-null.")

    def test_returned(self) -> None:
        """
        Only preventing a cancelable event makes the answer C{False}.
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
        To stop the propagation does not stop the listeners of the same object.
        """
        self.dispatcher.addEventListener("a", self.listener("one", Event.stopPropagation))
        self.dispatcher.addEventListener("a", self.listener("two"))
        self.assertEqual(self.dispatch(), ["one", "two"])

    def test_stopImmediatePropagation(self) -> None:
        """
        To stop the propagation at once stops them, for this event only.
        """
        once = iter([Event.stopImmediatePropagation, id])
        self.dispatcher.addEventListener("a", self.listener("one", lambda event: next(once)(event)))
        self.dispatcher.addEventListener("a", self.listener("two"))
        self.assertEqual(self.dispatch(), ["one"])
        self.assertEqual(self.dispatch(), ["one", "two"])

    def test_addedMeanwhile(self) -> None:
        """
        A listener that is added during the dispatch is not called in it, not
        even with a higher priority.
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
        A listener that is removed during the dispatch is still called in it.
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
        A dispatch in a dispatch has the listeners of its own moment.
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

    def test_tooDeep(self) -> None:
        """
        A dispatch that never ends in itself ends at Python's limit.
        """
        reports = reportsFor(self)
        self.dispatcher.addEventListener("a", lambda _: self.dispatcher.dispatchEvent(Event("a")))
        self.assertTrue(self.dispatcher.dispatchEvent(Event("a")))
        self.assertEqual({type(error) for error, _ in reports.uncaught}, {RecursionError})

    def test_again(self) -> None:
        """
        An event that was dispatched before keeps its target: listeners get a
        clone, which is not prevented and not stopped.
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
        An event has a target even if nobody listened, so it is cloned too; the
        answer is that of the clone.
        """
        event = Event("a", False, True)
        EventDispatcher().dispatchEvent(event)
        self.dispatcher.addEventListener("a", Event.preventDefault)
        self.assertFalse(self.dispatcher.dispatchEvent(event))
        self.assertFalse(event.isDefaultPrevented())

    def test_toString(self) -> None:
        """
        A dispatcher is written with its class.
        """

        class Socket(EventDispatcher):
            pass

        self.assertEqual(EventDispatcher().toString(), "[object EventDispatcher]")
        self.assertEqual(Socket().toString(), "[object Socket]")
        self.assertEqual(str(Socket()), "[object Socket]")

    def test_nothingWithoutListeners(self) -> None:
        """
        A dispatcher without listeners has nothing of its own, not even after a
        dispatch; one whose class forgets C{__init__} works.
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
    Listeners that a dispatcher does not keep alive.
    """

    def setUp(self) -> None:
        self.dispatcher = EventDispatcher()
        self.calls: list[str] = []

    def add(self, listener: Callable[[Any], object]) -> None:
        self.dispatcher.addEventListener("a", listener, useWeakReference=True)

    def test_boundMethod(self) -> None:
        """
        A bound method is called as long as its object lives, and then it is
        gone.
        """
        listening = Listening(self.calls)
        self.add(listening.heard)
        self.add(listening.heard)
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
        A weak bound method can be removed.
        """
        listening = Listening(self.calls)
        self.add(listening.heard)
        self.dispatcher.removeEventListener("a", listening.heard)
        self.assertFalse(self.dispatcher.hasEventListener("a"))

    def test_functions(self) -> None:
        """
        A function and any other object that can be called vanish with their
        last reference.
        """

        def heard(event: Event) -> None:
            self.calls.append("function")

        called = partial(Listening.heard, Listening(self.calls, "partial"))
        self.add(heard)
        self.add(called)
        self.dispatcher.dispatchEvent(Event("a"))
        self.assertEqual(self.calls, ["function", "partial"])
        del heard
        gc.collect()
        self.dispatcher.dispatchEvent(Event("a"))
        self.assertEqual(self.calls, ["function", "partial", "partial"])
        del called
        gc.collect()
        self.assertFalse(self.dispatcher.hasEventListener("a"))

    def test_strong(self) -> None:
        """
        Without the wish for a weak one, the dispatcher keeps the object alive
        until the listener is removed.
        """
        listening = Listening(self.calls)
        reference = weakref.ref(listening)
        self.dispatcher.addEventListener("a", listening.heard)
        del listening
        gc.collect()
        self.dispatcher.dispatchEvent(Event("a"))
        self.assertEqual(self.calls, ["bound"])
        kept = reference()
        assert kept is not None
        self.dispatcher.removeEventListener("a", kept.heard)
        del kept
        gc.collect()
        self.assertIsNone(reference())

    def test_vanishedAreForgotten(self) -> None:
        """
        Listeners that come and vanish take no more and more memory.
        """
        for _ in range(10):
            listening = Listening(self.calls)
            self.add(listening.heard)
            del listening
            gc.collect()
        assert self.dispatcher._registrations is not None
        self.assertEqual(len(self.dispatcher._registrations["a", False]), 1)
        self.dispatcher.removeEventListener("a", id)
        self.assertEqual(self.dispatcher._registrations, {})

    def test_vanishedMeanwhile(self) -> None:
        """
        A listener that vanishes during the dispatch is not called in it.
        """
        held = [Listening(self.calls)]

        def drop(event: Event) -> None:
            held.clear()
            gc.collect()

        self.dispatcher.addEventListener("a", drop)
        self.add(held[0].heard)
        self.dispatcher.dispatchEvent(Event("a"))
        self.assertEqual(self.calls, [])

    def test_impossible(self) -> None:
        """
        What cannot be referenced weakly is refused at once.
        """

        class Slotted:
            __slots__ = ()

            def heard(self, event: Event) -> None:
                raise NotImplementedError

        slotted = Slotted()
        self.assertRaises(TypeError, self.add, slotted.heard)
        self.assertFalse(self.dispatcher.hasEventListener("a"))


class ReportTests(SynchronousTestCase):
    """
    What the listeners do not deal with is reported.
    """

    def setUp(self) -> None:
        self.reports = reportsFor(self)
        self.dispatcher = EventDispatcher()

    def raising(self, error: BaseException) -> Callable[[Event], None]:
        """
        Make a listener that raises.
        """

        def listener(event: Event) -> None:
            raise error

        return listener

    def test_uncaught(self) -> None:
        """
        An error in a listener does not keep the others from the event; then it
        is reported, and the dispatch ends as any other.
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
        An error event whose listener raises had a listener.
        """
        self.dispatcher.addEventListener("error", self.raising(ValueError()))
        self.dispatcher.dispatchEvent(ErrorEvent("error"))
        self.assertEqual((len(self.reports.uncaught), self.reports.unhandled), (1, []))

    def test_uncaughtIsNotKept(self) -> None:
        """
        An error that was reported is not kept, not even until the next garbage
        collection.
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

    def test_passing(self) -> None:
        """
        What ends the program passes; what was raised before is reported.
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
        An error event with a listener is not reported, even if it is stopped
        before the listener is called.
        """
        self.dispatcher.addEventListener("error", id)
        self.dispatcher.dispatchEvent(ErrorEvent("error"))
        stopped = ErrorEvent("error")
        stopped.stopImmediatePropagation()
        self.dispatcher.dispatchEvent(stopped)
        self.assertEqual(self.reports.unhandled, [])

    def test_unhandledDespiteOthers(self) -> None:
        """
        Listeners for other types, for the capturing phase, and those that have
        vanished handle nothing.
        """
        self.dispatcher.addEventListener("other", id)
        self.dispatcher.addEventListener("error", id, useCapture=True)
        self.dispatcher.addEventListener("error", Listening([]).heard, useWeakReference=True)
        gc.collect()
        self.dispatcher.dispatchEvent(ErrorEvent("error", text="gone"))
        [(message, _)] = self.reports.unhandled
        self.assertEqual(message, "Error #2044: Unhandled ErrorEvent:. text=gone")

    def test_otherEvents(self) -> None:
        """
        An event that is no error needs no listener.
        """
        for cls in (Event, TextEvent, DataEvent):
            self.dispatcher.dispatchEvent(cls("error"))
        self.assertEqual(self.reports.unhandled, [])

    def test_setReporter(self) -> None:
        """
        Who sets a reporter gets the one before, to put it back.
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
    Until somebody sets a reporter, reports go to Python's logging.
    """

    def setUp(self) -> None:
        # A copy of the module: in this one a reporter may have been set by what was imported.
        spec = find_spec(events.__name__)
        assert spec is not None
        assert spec.loader is not None
        self.events = module_from_spec(spec)
        spec.loader.exec_module(self.events)
        self.dispatcher = self.events.EventDispatcher()

    def test_uncaught(self) -> None:
        """
        An error in a listener is logged with the event and its traceback.
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
