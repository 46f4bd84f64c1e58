"""
The worker processes of a server: interfaces for the metrics and the dashboard.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from openfl_twisted.transports.blocklist import BlockList


class AnsweringWorker(Protocol):
    """
    A worker that answers requests, see L{openfl_twisted.dashboard.reports}.
    """

    @property
    def process(self) -> int:
        """
        Number of the process. The number of a process that has ended is never used
        again.
        """

    def ask(self, question: str, **arguments: Any) -> Deferred[Any]:
        """
        Send a request to the worker.

        @param question: the name of the request.
        @param arguments: the arguments of the request; values for JSON.
        @return: fires with the value of the response, or fails.
        """


class WorkerGroup(Protocol):
    """
    The workers of a server.

    @ivar count: number of workers that should run.
    @ivar restarts: number of restarts of workers.
    @ivar blockList: the addresses that all workers block; C{None} if no addresses can be blocked.
    """

    count: int
    restarts: int
    blockList: BlockList | None

    @property
    def active(self) -> Sequence[AnsweringWorker]:
        """
        The workers that serve clients.
        """
