"""
Starts worker processes, restarts processes that end, and stops all processes.
"""

import itertools
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, gatherResults
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.python.failure import Failure

from openfl_twisted.logs import packageLogger
from openfl_twisted.transports.blocklist import BlockList
from openfl_twisted.workers.backoff import Backoff
from openfl_twisted.workers.link import LinkProtocol, RequestError
from openfl_twisted.workers.loglines import LineBuffer, LogLine, emit, fromLine
from openfl_twisted.workers.ports import SharedPort
from openfl_twisted.workers.worker import (
    ALIVE,
    BLOCKS,
    CHECK,
    EXPORT,
    IMPORT,
    LINK,
    LISTENING,
    STOP,
)

START_TIMEOUT = 60.0
"""
Seconds in which a worker must open its ports.
"""

_HANG_TIMEOUT = 30.0
"""
Seconds after which a worker that does not respond is killed.
"""

_TRANSFER_TIMEOUT = 3.0
"""
Seconds in which a worker must transfer its memberships to the worker that replaces it.
"""

# Number of checks in _HANG_TIMEOUT.
_CHECKS = 6

_MAX_HELD = 200
"""
Maximum number of log lines held for a worker that has not opened its ports. Of more lines, the
last ones are held.
"""

_log = packageLogger()


def describeEnd(reason: Failure) -> str:
    """
    Describe how a process ended.

    @param reason: the reason, as in C{processEnded}.
    @return: the description, such as "exited with status 1".
    """
    value: Any = reason.value
    number = getattr(value, "signal", None)
    if number is not None:
        try:
            name = signal.Signals(number).name
        except ValueError:
            # A real-time signal has a number, but no name.
            name = f"signal {number}"
        return f"was ended by {name}"
    return f"exited with status {getattr(value, 'exitCode', 0) or 0}"


def _tookTooLong(outcome: object, timeout: float) -> NoReturn:
    raise RequestError(f"not transferred within {timeout:g} s")


class _WorkerProcess(ProcessProtocol):
    """
    Receives the output of one process, and is notified when the process ends.
    """

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self._buffers = {1: LineBuffer(), 2: LineBuffer()}

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        for line in self._buffers[childFD].split(data):
            self._received(childFD, line)

    def _received(self, descriptor: int, line: bytes) -> None:
        self._worker.log(fromLine(line, "info" if descriptor == 1 else "error"))

    def processEnded(self, reason: Failure) -> None:
        for descriptor, buffer in self._buffers.items():
            for line in buffer.end():
                self._received(descriptor, line)
        self._worker.ended(reason)


class Worker:
    """
    One of the workers of a supervisor. Its process is replaced when it ends.

    @ivar number: the number of the worker, from 1.
    @ivar process: number of the process. Unlike a process ID, it is never used for another
        process.
    @ivar pid: the process ID of the latest process.
    @ivar isUp: whether the worker has opened its ports.
    @ivar failure: why the latest process ended, and the last line of its output, if the
        process ended before its ports were open.
    """

    def __init__(self, supervisor: "Supervisor", number: int) -> None:
        """
        @param supervisor: the supervisor.
        @param number: the number of the worker, from 1.
        """
        self.number = number
        self.process = 0
        self.pid: int | None = None
        self.isUp = False
        self.failure: str | None = None
        self._supervisor = supervisor
        self._reactor = supervisor.reactor
        self._backoff = Backoff()
        self._transport: Any = None
        self._link: LinkProtocol | None = None
        self._timer: IDelayedCall | None = None
        self._started = 0.0
        # Log lines are held until the worker's ports are open, so that an error that all workers
        # have is logged once.
        self._held: deque[LogLine] = deque(maxlen=_MAX_HELD)
        self._notHeld = 0
        # The number of checks since the worker's last answer.
        self._unanswered = 0

    @property
    def isRunning(self) -> bool:
        """
        Whether the worker has a process.
        """
        return self._transport is not None

    def start(self) -> None:
        """
        Start a process. If the system cannot start a process, try again later.
        """
        try:
            self._spawn()
        except OSError as problem:
            # The system has too many processes or open files.
            self._close()
            self.failure = f"cannot be started: {problem.strerror}"
            self._supervisor.workerEnded(self, f"worker {self.number} {self.failure}")

    def _spawn(self) -> None:
        supervisor, reactor = self._supervisor, self._reactor
        self.process = next(supervisor.processes)
        self.failure = None
        self._started = reactor.seconds()
        own, other = socket.socketpair()
        with own, other, open(os.devnull, "rb") as nothing:
            own.setblocking(False)
            link = LinkProtocol({LISTENING: self._listening, ALIVE: self._alive}, reactor)
            # The transport has its own copy of the socket.
            reactor.adoptStreamConnection(
                own.fileno(), socket.AF_UNIX, Factory.forProtocol(lambda: link)
            )
            descriptors: dict[int, Any] = {
                0: nothing.fileno(),
                1: "r",
                2: "r",
                LINK: other.fileno(),
            }
            for index, port in enumerate(supervisor.ports):
                descriptors[LINK + 1 + index] = port.fileno(self.number - 1)
            program = supervisor.command(self.number)
            self._link = link
            self._transport = reactor.spawnProcess(
                _WorkerProcess(self),
                program[0],
                program,
                env=supervisor.environment,
                path=supervisor.directory,
                childFDs=descriptors,
            )
        self.pid = self._transport.pid
        self._timer = reactor.callLater(START_TIMEOUT, self._startTimedOut)

    def _startTimedOut(self) -> None:
        self._timer = None
        self.log(LogLine("error", "openfl_twisted", f"not started within {START_TIMEOUT:g} s"))
        self.signal("KILL")

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _listening(self) -> None:
        self._stopTimer()
        self.isUp = True
        self._flush()
        self.sendBlocks()
        self._supervisor.workerUp(self)
        self._alive()
        if self._supervisor.running:
            self._waitForCheck()

    def _alive(self) -> None:
        """
        Called when the worker has answered a check.
        """
        self._unanswered = 0

    def _waitForCheck(self) -> None:
        interval = self._supervisor.hangTimeout / _CHECKS
        self._timer = self._reactor.callLater(interval, self._check)

    def _check(self) -> None:
        """
        Check that the worker is not hanging, or kill it if it has not answered the previous
        checks. Checks are counted instead of measuring the time, because the time also passes
        while this process is stopped.
        """
        self._timer = None
        if self._unanswered == _CHECKS:
            _log.error(
                "worker {number} (pid {pid}) has not responded for {timeout:g} s; killing it",
                number=self.number,
                pid=self.pid,
                timeout=self._supervisor.hangTimeout,
            )
            self.signal("KILL")
            return
        self._unanswered += 1
        if self._link is not None:
            self._link.notify(CHECK)
        self._waitForCheck()

    def log(self, line: LogLine) -> None:
        """
        Log an event of the worker. Events are held until the worker's ports are open.

        @param line: the event.
        """
        if self.isUp:
            emit(line, self.number)
        else:
            self._notHeld += len(self._held) == _MAX_HELD
            self._held.append(line)

    def _flush(self) -> None:
        if self._notHeld:
            text = f"{self._notHeld} log lines dropped before the following lines"
            emit(LogLine("warn", "openfl_twisted", text), self.number)
        for line in self._held:
            emit(line, self.number)
        self._clearHeld()

    def _clearHeld(self) -> None:
        self._held.clear()
        self._notHeld = 0

    def dropLog(self, keep: bool) -> None:
        """
        Drop the held events.

        @param keep: whether to log the events first. If the only event is included in
            L{failure}, it is not logged.
        """
        if keep and len(self._held) > 1:
            self._flush()
        self._clearHeld()

    def ask(self, question: str, **arguments: Any) -> Deferred[Any]:
        """
        Send a request to the worker.

        @param question: see L{LinkProtocol.ask}.
        @param arguments: see L{LinkProtocol.ask}.
        @return: see L{LinkProtocol.ask}.
        """
        if self._link is None:
            return fail(RequestError("the worker has ended"))
        return self._link.ask(question, **arguments)

    def sendBlocks(self) -> None:
        """
        Send the blocked addresses to the worker, if its ports are open.
        """
        blocks = self._supervisor.blockList
        if blocks is not None and self.isUp:
            self.ask(BLOCKS, blocks=blocks.blocks()).addErrback(self._blocksNotSet)

    def _blocksNotSet(self, reason: Failure) -> None:
        _log.warn(
            "worker {number} does not know the blocked addresses: {problem}",
            number=self.number,
            problem=reason.getErrorMessage(),
        )

    def signal(self, name: str | int) -> None:
        """
        Send a signal to the process, if it is running.

        @param name: the number of the signal, or C{HUP}, C{KILL} or C{TERM}.
        """
        if self._transport is not None:
            try:
                self._transport.signalProcess(name)
            except ProcessExitedAlready:
                # The process has ended, and processEnded() will be called.
                return

    def ended(self, reason: Failure) -> None:
        """
        Called when the process has ended.

        @param reason: the reason.
        """
        self._stopTimer()
        self._close()
        wasUp, self.isUp = self.isUp, False
        for port in self._supervisor.ports:
            port.workerEnded(self.number - 1)
        end = describeEnd(reason)
        if not wasUp:
            last = [each.text.strip() for each in self._held if each.text.strip()]
            self.failure = f"{end}: {last[-1].splitlines()[-1]}" if last else end
        self._supervisor.workerEnded(self, f"worker {self.number} (pid {self.pid}) {end}")

    def _close(self) -> None:
        """
        Close the link to the worker's process.
        """
        link, self._link, self._transport = self._link, None, None
        if link is not None and link.transport is not None:
            link.transport.loseConnection()

    def restartLater(self, event: str) -> None:
        """
        Start a new process after a delay.

        @param event: why the previous process ended, for the log.
        """
        self._flush()
        delay = self._backoff.delay(self._reactor.seconds() - self._started)
        _log.warn("{event}; restarting in {delay:g} s", event=event, delay=delay)
        self._timer = self._reactor.callLater(delay, self._restart)

    def _restart(self) -> None:
        self._timer = None
        self._supervisor.restarts += 1
        self.start()

    def stop(self) -> None:
        """
        Stop the worker. Its process closes the connections first.
        """
        self._stopTimer()
        self._flush()
        if self.isUp and self._link is not None:
            self._link.notify(STOP)
        else:
            self.signal("TERM")


class Supervisor(Service):
    """
    Keeps a number of worker processes running.

    @ivar count: number of workers.
    @ivar hangTimeout: time after which a worker that does not respond is killed (seconds).
    @ivar restarts: number of restarts of workers.
    @ivar ports: the ports that the workers inherit; must be set before the service starts.
    @ivar isDraining: whether workers that end are not restarted, see L{drain}.
    @ivar blockList: the addresses that all workers block; C{None} if no addresses can be blocked.
    """

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        count: int,
        *,
        stopTimeout: float,
        started: Callable[[], object],
        failed: Callable[[str], object],
        transfersMembers: bool = False,
        hangTimeout: float = _HANG_TIMEOUT,
        blockList: BlockList | None = None,
        environment: Mapping[str, str] | None = None,
        directory: str | None = None,
        reactor: Any = None,
    ) -> None:
        """
        @param command: called with the number of a worker; returns its program and arguments.
        @param count: the number of workers.
        @param stopTimeout: maximum time for the workers to end after a stop notice; then they
            are killed (seconds).
        @param started: called when all workers have opened their ports for the first
            time.
        @param failed: called with the error of one worker if all workers end before any of
            them has opened its ports.
        @param transfersMembers: whether a worker transfers its memberships to the worker that
            replaces it, see L{replace}.
        @param hangTimeout: time after which a worker that does not respond is killed, and
            restarted (seconds).
        @param blockList: the addresses that all workers block (default: addresses cannot be
            blocked).
        @param environment: the environment of the workers (default: the environment of this
            process).
        @param directory: the current directory of the workers (default: the current directory
            of this process).
        @param reactor: the reactor (default: the global reactor).
        """
        if reactor is None:
            from twisted.internet import reactor
        self.reactor: Any = reactor
        self.command = command
        self.count = count
        self.hangTimeout = hangTimeout
        self.restarts = 0
        self.blockList = blockList
        if blockList is not None:
            blockList.addListener(self._blocksChanged)
        self.ports: Sequence[SharedPort] = []
        self.environment = None if environment is None else dict(environment)
        self.directory = directory
        self.processes = itertools.count(1)
        self._stopTimeout = stopTimeout
        self._started = started
        self._failed = failed
        self._transfersMembers = transfersMembers
        # Whether all workers have been up at the same time once, and whether any worker has been
        # up.
        self._isComplete = False
        self._hasStarted = False
        self._waiting: list[tuple[Worker, str]] = []
        self._stopped: Deferred[None] | None = None
        self.isDraining = False
        self._drained: Deferred[None] | None = None
        # The workers that will replace the present workers, and the workers that were replaced
        # and are still stopping, with the timers that kill them.
        self._candidates: list[Worker] = []
        self._replacing: Deferred[str | None] | None = None
        self._retired: dict[Worker, IDelayedCall] = {}
        self._workers = [Worker(self, number) for number in range(1, count + 1)]

    @property
    def active(self) -> list[Worker]:
        """
        The workers that serve clients.
        """
        return [worker for worker in self._workers if worker.isUp]

    def startService(self) -> None:
        super().startService()
        for worker in self._workers:
            worker.start()

    def _blocksChanged(self, added: object) -> None:
        for worker in (*self._workers, *self._candidates):
            worker.sendBlocks()

    def signal(self, name: str) -> None:
        """
        Send a signal to all workers that have opened their ports. Workers without open ports
        cannot handle signals yet.

        @param name: the name of the signal, such as C{HUP}.
        """
        for worker in self.active:
            worker.signal(name)

    def drain(self) -> Deferred[None]:
        """
        Let each worker drain, and restart none. Workers that have not opened their ports are
        stopped. Must be called once.

        @return: fires when all workers have ended.
        """
        self.isDraining = True
        drained = self._drained = Deferred()
        for worker in (*self._workers, *self._candidates):
            if worker.isUp:
                worker.signal(signal.SIGUSR2)
            else:
                worker.stop()
        self._checkDrained()
        return drained

    def _checkDrained(self) -> None:
        drained = self._drained
        if drained is not None and not self._isRunning:
            self._drained = None
            drained.callback(None)

    @property
    def _isRunning(self) -> bool:
        """
        Whether there is a process.
        """
        processes = (*self._workers, *self._candidates, *self._retired)
        return any(worker.isRunning for worker in processes)

    def workerUp(self, worker: Worker) -> None:
        """
        Called when a worker has opened its ports.

        @param worker: the worker.
        """
        if self._stopped is not None or self.isDraining:
            # The worker has not received the notice to stop yet.
            return
        if worker in self._retired:
            # The same applies to a worker that is no longer needed.
            return
        _log.info("worker {number} started (pid {pid})", number=worker.number, pid=worker.pid)
        if worker in self._candidates:
            if all(each.isUp for each in self._candidates):
                self._endReplacing(None)
            return
        self._hasStarted = True
        waiting, self._waiting = self._waiting, []
        for each, event in waiting:
            each.restartLater(event)
        if not self._isComplete and len(self.active) == self.count:
            self._isComplete = True
            self._started()

    def workerEnded(self, worker: Worker, event: str) -> None:
        """
        Called when the process of a worker has ended.

        @param worker: the worker.
        @param event: why the process ended, for the log.
        """
        if worker in self._retired:
            killing = self._retired.pop(worker)
            if killing.active():
                killing.cancel()
            _log.debug("{event}", event=event)
            self._checkStopped()
        elif self._stopped is not None or self.isDraining:
            _log.debug("{event}", event=event)
            self._checkStopped()
        elif worker in self._candidates:
            worker.dropLog(keep=True)
            problem = (
                event if worker.failure is None else f"worker {worker.number} {worker.failure}"
            )
            self._endReplacing(problem)
        elif self._hasStarted:
            worker.restartLater(event)
        else:
            self._waiting.append((worker, event))
            if len(self._waiting) == self.count:
                self._startFailed(worker)

    def replace(self) -> Deferred[str | None]:
        """
        Replace all workers without closing the ports. The present workers are stopped when all
        new workers have opened their ports, and each has imported the memberships of the present
        worker with its number. If a new worker ends before, the present workers continue, and
        the new workers are stopped. Must not be called again
        before the Deferred has fired.

        @return: fires with C{None}, or with the reason why the workers are not replaced. It does
            not fire if the service stops or drains first.
        """
        replacing: Deferred[str | None] = Deferred()
        if self.isDraining:
            return replacing
        self._replacing = replacing
        candidates = [Worker(self, number) for number in range(1, self.count + 1)]
        self._candidates = candidates
        for worker in candidates:
            # If the system refuses a process, all candidates are given up.
            if self._candidates:
                worker.start()
        return replacing

    def _endReplacing(self, problem: str | None) -> None:
        """
        Stop the previous workers, or, if there is a problem, the candidates.
        """
        candidates, self._candidates = self._candidates, []
        if problem is None:
            candidates, self._workers = self._workers, candidates
        else:
            for worker in candidates:
                worker.dropLog(keep=False)
        transfers: list[Deferred[None]] = []
        for number, worker in enumerate(candidates):
            if worker.isRunning:
                kill = self.reactor.callLater(self._stopTimeout, self._killWorker, worker)
                self._retired[worker] = kill
            if problem is None and self._transfersMembers and worker.isUp:
                transfer = Deferred.fromCoroutine(self._transfer(worker, self._workers[number]))
                transfer.addTimeout(_TRANSFER_TIMEOUT, self.reactor, _tookTooLong)
                transfer.addErrback(self._transferFailed, worker)
                transfers.append(transfer.addBoth(self._transferEnded, worker))
            else:
                worker.stop()
        replacing, self._replacing = self._replacing, None
        if replacing is not None:
            answer = replacing.callback
            gatherResults(transfers).addCallback(lambda _: answer(problem))

    async def _transfer(self, old: Worker, new: Worker) -> None:
        """
        Copy the memberships of a worker to the worker that replaces it.
        """
        count = dropped = 0
        while members := await old.ask(EXPORT):
            count += len(members)
            dropped += await new.ask(IMPORT, members=members)
        if dropped:
            _log.warn(
                "{dropped} of {count} memberships of worker {number} dropped: they cannot be"
                " continued in the new process",
                dropped=dropped,
                count=count,
                number=old.number,
            )

    def _transferFailed(self, reason: Failure, worker: Worker) -> None:
        _log.warn(
            "memberships of worker {number} lost: {problem}",
            number=worker.number,
            problem=reason.getErrorMessage(),
        )

    def _transferEnded(self, result: object, worker: Worker) -> None:
        killing = self._retired.get(worker)
        if killing is not None and killing.active():
            killing.reset(self._stopTimeout)
        worker.stop()

    def _startFailed(self, last: Worker) -> None:
        """
        Log the error of one worker and report the failure. Called when all workers have ended
        before their ports were open, probably for the same reason.
        """
        for worker in self._workers:
            worker.dropLog(keep=worker is last)
        self._failed(f"worker {last.number} {last.failure}")

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self._stopped = Deferred()
        for worker in (*self._workers, *self._candidates):
            worker.stop()
        killing = self.reactor.callLater(self._stopTimeout, self._kill)

        def stopKilling(result: None) -> None:
            if killing.active():
                killing.cancel()

        stopped = self._stopped.addCallback(stopKilling)
        self._checkStopped()
        return stopped

    def _kill(self) -> None:
        for worker in (*self._workers, *self._candidates):
            if worker.isRunning:
                self._killWorker(worker)

    def _killWorker(self, worker: Worker) -> None:
        _log.warn(
            "worker {number} has not stopped within {timeout:g} s; killing it",
            number=worker.number,
            timeout=self._stopTimeout,
        )
        worker.signal("KILL")

    def _checkStopped(self) -> None:
        stopped = self._stopped
        if stopped is not None and not self._isRunning and not stopped.called:
            stopped.callback(None)
        self._checkDrained()
