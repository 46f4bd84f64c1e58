"""
Draining: a server refuses new clients, waits until its clients have disconnected, and shuts down.
"""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IDelayedCall

from openfl_twisted.logs import packageLogger
from openfl_twisted.services.signals import SignalService

DRAIN_DELAY = 5.0
"""
Default time in which a draining server still accepts clients (seconds).
"""

DRAIN_TIMEOUT = 300.0
"""
Default maximum time to wait until all clients have disconnected (seconds).
"""

SIGNAL = "SIGUSR2"
"""
The signal that starts draining. C{twistd} rotates its log file after SIGUSR1.
"""


def stopReactor(reactor: Any) -> None:
    """
    Stop a reactor, unless it is stopping already.
    """
    try:
        reactor.stop()
    except ReactorNotRunning:
        return


class Drainable(Protocol):
    """
    A server that can drain.
    """

    @property
    def clientCount(self) -> int:
        """
        Number of connected clients.
        """

    def failHealthChecks(self) -> None:
        """
        Answer health checks with 503 from now on.
        """

    def refuseClients(self) -> Deferred[None]:
        """
        Refuse further clients, and tell the connected clients that the server will stop.

        @return: fires when all clients have disconnected.
        """


class DrainService(Service):
    """
    Drains a server after SIGUSR2:

      1. Immediately, health checks are answered with 503. For a time, clients are still accepted,
         since the load balancer notices the answer only at its next checks.
      2. Then further clients are refused, and the connected clients receive the farewell message.
      3. When all clients have disconnected, or after a timeout, the reactor is stopped, as by
         SIGTERM.

    @ivar isDraining: whether the server is draining.
    """

    log = packageLogger()

    def __init__(
        self,
        server: Drainable,
        delay: float = DRAIN_DELAY,
        timeout: float = DRAIN_TIMEOUT,
        reactor: Any = None,
    ) -> None:
        """
        @param delay: time in which clients are still accepted (seconds).
        @param timeout: maximum time until the reactor is stopped, in addition to C{delay} (seconds;
            0 for no limit).
        @param reactor: the reactor (default: the global reactor).
        """
        self.isDraining = False
        self._server = server
        self._delay = delay
        self._timeout = timeout
        self._reactor = reactor
        self._timer: IDelayedCall | None = None
        self._signal = SignalService(SIGNAL, self.drain, reactor)

    def startService(self) -> None:
        super().startService()
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        self._signal.startService()

    def drain(self) -> None:
        """
        Begin to drain. Further calls do nothing.
        """
        if self.isDraining:
            return
        self.isDraining = True
        self.log.info(
            "{signal} received: draining; clients are accepted for {delay:g} s more ({open} open)",
            signal=SIGNAL,
            delay=self._delay,
            open=self._server.clientCount,
        )
        self._server.failHealthChecks()
        self._later(self._delay, self._refuse)

    def _later(self, seconds: float, do: Callable[[], object]) -> None:
        self._timer = self._reactor.callLater(seconds, do)

    def _refuse(self) -> None:
        self._timer = None
        if self._timeout:
            self._later(self._timeout, self._timedOut)
        server = self._server
        self.log.info("draining: new clients are refused ({open} open)", open=server.clientCount)
        server.refuseClients().addCallback(lambda _: self._drained())

    def _drained(self) -> None:
        if self.running:
            self.log.info("drained: all clients have disconnected; shutting down")
            stopReactor(self._reactor)

    def _timedOut(self) -> None:
        self._timer = None
        self.log.warn(
            "not drained within {timeout:g} s (--drain-timeout): shutting down ({open} open)",
            timeout=self._timeout,
            open=self._server.clientCount,
        )
        stopReactor(self._reactor)

    def stopService(self) -> None:
        super().stopService()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def ignoreSignal(self) -> None:
        """
        Handle the signal no longer. Called at the end of a shutdown: without a handler, the signal
        would end the process.
        """
        self._signal.stopService()
