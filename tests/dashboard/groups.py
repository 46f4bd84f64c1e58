"""
A group of worker processes without processes.
"""

import json
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from openfl_twisted.dashboard.reports import ServerReports
from openfl_twisted.transports.blocklist import BlockList
from tests.dashboard.servers import MonitoredServer


class FakeWorker:
    """
    A worker whose server is in this process.

    @ivar answering: whether it answers; otherwise the questions wait.
    """

    def __init__(self, process: int, wrapped: Any = None) -> None:
        self.process = process
        self.server = MonitoredServer(wrapped)
        self.answering = True
        self.questions: list[str] = []
        self.waiting: list[tuple[Deferred[Any], str, dict[str, Any]]] = []
        self._answers = ServerReports(self.server, self.server.clock).answers()

    def ask(self, question: str, **arguments: Any) -> Deferred[Any]:
        asked: Deferred[Any] = Deferred()
        self.questions.append(question)
        self.waiting.append((asked, question, arguments))
        if self.answering:
            self.answer()
        return asked

    def answer(self) -> None:
        """
        Answer all questions. The values pass through JSON, as between processes.
        """
        waiting, self.waiting = self.waiting, []
        for asked, question, arguments in waiting:
            answer = maybeDeferred(self._answers[question], **json.loads(json.dumps(arguments)))
            answer.addCallback(lambda value: json.loads(json.dumps(value))).chainDeferred(asked)


class FakeGroup:
    """
    The workers of a server.
    """

    def __init__(self, *workers: FakeWorker) -> None:
        self.count = len(workers)
        self.restarts = 0
        self.active = list(workers)
        self.blockList: BlockList | None = None
