"""
A recorder of events.
"""

from collections.abc import Iterable

from openfl_twisted.events import Event, EventDispatcher, IEventDispatcher, eventTypes


class EventRecorder:
    """
    Records the events of a dispatcher.

    @ivar events: the events, in order.
    """

    def __init__(self, dispatcher: EventDispatcher, types: Iterable[str] | None = None) -> None:
        """
        @param dispatcher: the dispatcher, such as a socket.
        @param types: the types of the events to record (default: all events of the socket).
        @raise TypeError: if the dispatcher is not an C{EventDispatcher}, or C{types} is text.
        """
        if isinstance(dispatcher, type) or not isinstance(dispatcher, IEventDispatcher):
            raise TypeError(f"EventRecorder() needs an EventDispatcher, not {dispatcher!r:.80}")
        if isinstance(types, str):
            raise TypeError(f"types must be a list of event types, such as [{types!r}]")
        self.events: list[Event] = []
        for each in eventTypes(dispatcher) if types is None else types:
            dispatcher.addEventListener(each, self.events.append)

    @property
    def types(self) -> list[str]:
        """
        The types of the recorded events, in order.
        """
        return [event.type for event in self.events]

    def clear(self) -> None:
        """
        Discard the recorded events.
        """
        self.events.clear()
