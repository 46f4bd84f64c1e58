"""
Services that handle a signal of the operating system.
"""

import signal
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service

# The running services that handle each signal.
_services: dict[int, list["SignalService"]] = {}


def _signalled(number: int, frame: object) -> None:
    for service in _services.get(number, []):
        service.signalled()


class SignalService(Service):
    """
    Handles a signal while the service runs. If the program already has a handler for the signal, or
    the system does not have the signal, the service does nothing. Several services can run in one
    process.
    """

    def __init__(self, name: str, received: Callable[[], object], reactor: Any = None) -> None:
        """
        @param name: the name of the signal, such as C{SIGHUP}. Windows has few signals.
        @param received: called in the reactor thread when the process has received the signal.
        @param reactor: the reactor (default: the global reactor).
        """
        self._number: int | None = getattr(signal, name, None)
        self._received = received
        self._reactor = reactor

    def startService(self) -> None:
        super().startService()
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        number = self._number
        if number is None:
            return
        handler = signal.getsignal(number)
        if handler is signal.SIG_DFL:
            try:
                signal.signal(number, _signalled)
            except ValueError:
                # Python allows signal handlers to be set only in the main thread.
                return
            # Drop services that registered earlier: the program has reset the handler since then.
            _services[number] = []
        elif handler is not _signalled:
            return
        _services[number].append(self)

    def signalled(self) -> None:
        """
        Called by the signal handler.
        """
        self._reactor.callFromThread(self._received)

    def stopService(self) -> None:
        super().stopService()
        number = self._number
        if number is None or self not in _services.get(number, []):
            return
        _services[number].remove(self)
        if not _services[number] and signal.getsignal(number) is _signalled:
            signal.signal(number, signal.SIG_DFL)
