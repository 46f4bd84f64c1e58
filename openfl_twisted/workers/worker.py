"""
The worker's side of the link: the connection to the supervisor, and the inherited ports.
"""

import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.internet.protocol import Factory

from openfl_twisted.logs import packageLogger
from openfl_twisted.workers.link import LinkProtocol
from openfl_twisted.workers.modules import applicationFiles
from openfl_twisted.workers.ports import InheritingReactor

LINK = 3
"""
File descriptor of the connection to the supervisor. The file descriptors of the ports follow
it.
"""

LISTENING = "listening"
"""
The notice that a worker sends when its ports are open.
"""

CHECK = "check"
"""
The notice that a supervisor sends to check that a worker is not hanging.
"""

ALIVE = "alive"
"""
The notice with which a worker answers L{CHECK}.
"""

STOP = "stop"
"""
The notice that a supervisor sends to stop a worker. Unlike a signal, the notice can safely
follow a SIGTERM, which systemd sends to all processes of a unit.
"""

BLOCKS = "blocks"
"""
The request to replace the list of blocked addresses, see
L{BlockList<openfl_twisted.transports.blocklist.BlockList>}.
"""

FILES = "files"
"""
The request for the files of the application, see L{applicationFiles}.
"""

EXPORT = "export"
"""
The request for the next memberships to transfer, as a list. An empty list is the end. A request
also confirms that the memberships of the previous response were imported.
"""

IMPORT = "import"
"""
The request to import memberships. The response is the number of memberships that were dropped.
"""


class WorkerSide:
    """
    A worker process.

    @ivar number: the number of the worker, from 1.
    """

    log = packageLogger()

    def __init__(self, number: int, ports: int) -> None:
        """
        @param number: the number of the worker, from 1.
        @param ports: the number of inherited ports.
        """
        self.number = number
        self._ports = ports
        self._reactor: Any = None

    def portReactor(self, reactor: Any, index: int) -> InheritingReactor:
        """
        Return the reactor for an endpoint.

        @param reactor: the reactor of the process.
        @param index: the index of the endpoint on the command line, from 0.
        @return: the reactor.
        @raise ValueError: if the supervisor has no such port.
        """
        if index >= self._ports:
            raise ValueError("the endpoint is new; restart the server to open it")
        return InheritingReactor(reactor, LINK + 1 + index)

    def start(self, answers: Mapping[str, Callable[..., Any]], reactor: Any = None) -> LinkProtocol:
        """
        Connect to the supervisor, and notify it that the ports are open. The worker
        stops when the connection is lost, for example because the supervisor has ended.

        @param answers: maps the name of each request from the supervisor to the function that
            handles the request.
        @param reactor: the reactor (default: the global reactor).
        @return: the connection.
        """
        if reactor is None:
            from twisted.internet import reactor
        self._reactor = reactor
        link = LinkProtocol({STOP: self._stop, FILES: applicationFiles, **answers}, reactor)
        link.answers = {CHECK: partial(link.notify, ALIVE), **link.answers}
        link.lost = self._lost
        connected = socket.socket(fileno=LINK)
        connected.setblocking(False)
        reactor.adoptStreamConnection(
            connected.fileno(), socket.AF_UNIX, Factory.forProtocol(lambda: link)
        )
        # The transport has its own copy of the descriptor.
        connected.close()
        link.notify(LISTENING)
        return link

    def _stop(self) -> bool:
        """
        Stop the process if it is not stopping already.

        @return: whether this call has stopped the process.
        """
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            return False
        return True

    def _lost(self) -> None:
        # The connection is also lost when this process stops.
        if self._stop():
            self.log.warn("the supervisor has ended; stopping")
