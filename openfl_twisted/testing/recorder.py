"""
Remembers the events of a socket.
"""

from collections.abc import Iterable

from openfl_twisted.events import (
    DataEvent,
    Event,
    EventDispatcher,
    IOErrorEvent,
    OutputProgressEvent,
    ProgressEvent,
    SecurityErrorEvent,
)

SOCKET_EVENTS = (
    Event.CONNECT,
    Event.CLOSE,
    ProgressEvent.SOCKET_DATA,
    DataEvent.DATA,
    IOErrorEvent.IO_ERROR,
    SecurityErrorEvent.SECURITY_ERROR,
    OutputProgressEvent.OUTPUT_PROGRESS,
)
"""
The types of all events that the classes of C{openfl_twisted.net} dispatch.
"""


class EventRecorder:
    """
    Listens to a dispatcher, and remembers what it dispatches.

    @ivar events: the events, in order.
    """

    def __init__(self, dispatcher: EventDispatcher, types: Iterable[str] = SOCKET_EVENTS) -> None:
        """
        @param dispatcher: a socket, or any other one.
        @param types: the types of the events.
        """
        self.events: list[Event] = []
        for type in types:
            dispatcher.addEventListener(type, self.events.append)

    @property
    def types(self) -> list[str]:
        """
        The types of the events, in order.
        """
        return [event.type for event in self.events]

    def clear(self) -> None:
        """
        Forget the events.
        """
        self.events.clear()
