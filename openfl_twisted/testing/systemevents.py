"""
The beginning and the end of a reactor in memory.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.base import _ThreePhaseEvent
from twisted.internet.error import ReactorAlreadyRunning, ReactorNotRunning


class SystemEvents:
    """
    What C{IReactorCore} says of a program's beginning and end. This reactor has
    run from the first moment on.

    @ivar running: whether it was not stopped yet.
    """

    def __init__(self) -> None:
        self.running = True
        self._events: dict[str, _ThreePhaseEvent] = {}

    def addSystemEventTrigger(
        self,
        phase: str,
        eventType: str,
        callable: Callable[..., Any],  # noqa: A002 - the interface's name
        *args: Any,
        **kw: Any,
    ) -> Any:
        """
        See C{IReactorCore}. What is to be called at the C{startup} is called at
        once.

        @param phase: C{before}, C{during} or C{after}; it does not matter for
            C{startup}.
        @param eventType: C{startup}, C{shutdown}, or any other.
        @param callable: what is called.
        @param args: what it is called with.
        @param kw: what it is called with by name.
        @return: what L{removeSystemEventTrigger} takes; C{None} for C{startup}.
        @raise KeyError: if there is no such phase.
        """
        if eventType == "startup":
            callable(*args, **kw)
            return None
        event = self._events.setdefault(eventType, _ThreePhaseEvent())
        return eventType, event.addTrigger(phase, callable, *args, **kw)

    def removeSystemEventTrigger(self, triggerID: Any) -> None:
        """
        See C{IReactorCore}.

        @param triggerID: what L{addSystemEventTrigger} has returned, and not
            C{None}.
        """
        eventType, handle = triggerID
        self._events[eventType].removeTrigger(handle)

    def callWhenRunning(
        self,
        callable: Callable[..., Any],  # noqa: A002 - the interface's name
        *args: object,
        **kw: object,
    ) -> None:
        """
        Call something at once: this reactor runs.

        @param callable: what is called.
        @param args: what it is called with.
        @param kw: what it is called with by name.
        """
        callable(*args, **kw)

    def fireSystemEvent(self, eventType: str) -> None:
        """
        See C{IReactorCore}.

        @param eventType: such as C{shutdown}; one that nobody has asked for is
            no error.
        """
        if eventType in self._events:
            self._events[eventType].fireEvent()

    def stop(self) -> None:
        """
        End the program: have everybody close what he has. Turns and time can
        pass all the same, so that a test sees what comes of it.

        @raise ReactorNotRunning: if it was stopped already.
        """
        if not self.running:
            raise ReactorNotRunning("it was stopped already")
        self.running = False
        self.fireSystemEvent("shutdown")

    def crash(self) -> None:
        """
        End the program without telling anybody.
        """
        self.running = False

    def run(self) -> None:
        """
        Nothing that could be done: it runs, as far as a test lets it.

        @raise ReactorAlreadyRunning: always.
        """
        raise ReactorAlreadyRunning("a reactor in memory runs as its test lets turns pass")
