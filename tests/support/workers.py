"""
Worker processes and a shared port, in memory.
"""

import json
import socket
import struct
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from openfl_twisted.workers.ports import SharedPort


class FakeProcess:
    """
    A process of L{WorkerReactor}.

    @ivar link: the supervisor's end of the link.
    """

    def __init__(self, protocol: Any, pid: int, link: Any, options: dict[str, Any]) -> None:
        self.protocol, self.link, self.options = protocol, link, options
        self.pid: int | None = pid
        self.signals: list[str | int] = []

    def signalProcess(self, name: str | int) -> None:
        # Twisted knows the names of few signals.
        assert isinstance(name, int) or name in ("HUP", "STOP", "INT", "KILL", "TERM")
        if self.pid is None:
            raise ProcessExitedAlready
        self.signals.append(name)

    @property
    def isAskedToStop(self) -> bool:
        """
        Whether the supervisor has sent the notice to stop.
        """
        return b'{"ask": "stop", "with": {}}' in self.link.transport.value()

    def notice(self, name: str) -> None:
        """
        Send a notice to the supervisor.
        """
        data = json.dumps({"ask": name, "with": {}}).encode()
        self.link.dataReceived(struct.pack("!I", len(data)) + data)

    def answer(self, question: str, value: Any) -> Any:
        """
        Answer the last request of the supervisor.

        @return: the arguments of the request.
        """
        data, request = self.link.transport.value(), None
        while data:
            (length,) = struct.unpack("!I", data[:4])
            request, data = json.loads(data[4 : 4 + length]), data[4 + length :]
        assert request is not None and request["ask"] == question, request
        encoded = json.dumps({"answer": request["number"], "value": value}).encode()
        self.link.dataReceived(struct.pack("!I", len(encoded)) + encoded)
        return request["with"]

    def print(self, text: str, descriptor: int = 1) -> None:
        self.protocol.childDataReceived(descriptor, text.encode())

    def end(self, status: int | None = 1, number: int | None = None) -> None:
        """
        End with a status or a signal.
        """
        self.pid = None
        reason = ProcessDone(0) if status == 0 else ProcessTerminated(status, number)
        self.protocol.processEnded(Failure(reason))


class WorkerReactor(MemoryReactorClock):
    """
    A reactor that starts no processes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.started: list[FakeProcess] = []
        self.refuse = False
        self.link: Any = None

    def adoptStreamConnection(self, descriptor: int, family: int, factory: Any) -> None:
        assert family == socket.AF_UNIX
        self.link = factory.buildProtocol(None)
        self.link.makeConnection(StringTransport())

    def spawnProcess(self, protocol: Any, executable: str, arguments: Any, **options: Any) -> Any:
        if self.refuse:
            raise OSError(11, "Resource temporarily unavailable")
        options["arguments"] = (executable, arguments)
        process = FakeProcess(protocol, 100 + len(self.started), self.link, options)
        self.started.append(process)
        return process


class FakePort(SharedPort):
    """
    A port that records the workers that have ended.
    """

    def __init__(self) -> None:
        super().__init__(IPv4Address("TCP", "127.0.0.1", 80))
        self.ended: list[int] = []

    def fileno(self, number: int) -> int:
        return 50 + number

    def workerEnded(self, number: int) -> None:
        self.ended.append(number)

    def stopListening(self) -> Deferred[None]:
        return succeed(None)
