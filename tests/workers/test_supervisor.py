"""
Tests for L{openfl_twisted.workers.supervisor}.
"""

import json
import re
import signal
from typing import Any

from twisted.internet.error import (
    ConnectionDone,
    ProcessDone,
    ProcessTerminated,
)
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.transports.blocklist import BlockList
from openfl_twisted.workers.backoff import _FIRST_DELAY
from openfl_twisted.workers.link import RequestError
from openfl_twisted.workers.supervisor import (
    _HANG_TIMEOUT,
    _MAX_HELD,
    _TRANSFER_TIMEOUT,
    START_TIMEOUT,
    Supervisor,
    describeEnd,
)
from tests.doubles import linesOf
from tests.support.workers import FakePort, FakeProcess, WorkerReactor


class SupervisorTestCase(SynchronousTestCase):
    """
    Base class: a supervisor of two workers.
    """

    transfersMembers = False
    blockList: BlockList | None = None

    def setUp(self) -> None:
        self.reactor = WorkerReactor()
        self.events: list[str] = []
        self.port = FakePort()
        self.supervisor = Supervisor(
            lambda number: ["python", "-m", "worker", str(number)],
            2,
            stopTimeout=7,
            started=lambda: self.events.append("started"),
            failed=self.events.append,
            transfersMembers=self.transfersMembers,
            blockList=self.blockList,
            environment={"A": "b"},
            directory="/",
            reactor=self.reactor,
        )
        self.supervisor.ports = [self.port]

    def start(self, up: bool = True) -> list[FakeProcess]:
        self.supervisor.startService()
        if up:
            for process in self.reactor.started:
                process.notice("listening")
        return list(self.reactor.started)


class StartTests(SupervisorTestCase):
    """
    Starting and restarting workers.
    """

    def test_start(self) -> None:
        """
        Each worker is started with its number, its end of the link and its ports. When all
        have opened their ports, the service has started.
        """
        one, two = self.start(up=False)
        self.assertEqual(two.options["arguments"], ("python", ["python", "-m", "worker", "2"]))
        self.assertEqual((two.options["env"], two.options["path"]), ({"A": "b"}, "/"))
        descriptors = two.options["childFDs"]
        self.assertEqual([descriptors[number] for number in (1, 2, 4)], ["r", "r", 51])
        self.assertEqual(set(descriptors), {0, 1, 2, 3, 4})
        with capturedLogs() as logs:
            one.notice("listening")
            self.assertEqual((self.events, len(self.supervisor.active)), ([], 1))
            two.notice("listening")
        self.assertEqual(self.events, ["started"])
        self.assertEqual(linesOf(logs)[1], "worker 2 started (pid 101)")
        numbers = [worker.process for worker in self.supervisor.active]
        self.assertEqual(numbers, [1, 2])

    def test_restart(self) -> None:
        """
        A worker that ends is restarted after a delay, which is doubled.
        """
        one, _ = self.start()
        with capturedLogs() as logs:
            one.end(number=signal.SIGKILL)
        self.assertEqual(
            linesOf(logs), ["worker 1 (pid 100) was ended by SIGKILL; restarting in 0.5 s"]
        )
        self.assertEqual(self.port.ended, [0])
        self.assertTrue(one.link.transport.disconnecting)
        self.assertEqual(len(self.supervisor.active), 1)
        self.reactor.advance(_FIRST_DELAY)
        self.assertEqual(self.supervisor.restarts, 1)
        again = self.reactor.started[2]
        self.assertEqual(again.options["arguments"][1][-1], "1")
        again.end()
        self.reactor.advance(_FIRST_DELAY)
        self.assertEqual(len(self.reactor.started), 3)
        self.reactor.advance(_FIRST_DELAY)
        self.reactor.started[3].notice("listening")
        self.assertEqual([worker.process for worker in self.supervisor.active], [4, 2])
        self.assertEqual(self.events, ["started"])

    def test_cannotSpawn(self) -> None:
        """
        A process that cannot be started is tried again later.
        """
        one, _ = self.start()
        one.end()
        self.reactor.refuse = True
        with capturedLogs() as logs:
            self.reactor.advance(_FIRST_DELAY)
        self.assertEqual(
            linesOf(logs)[-1],
            "worker 1 cannot be started: Resource temporarily unavailable; restarting in 1 s",
        )
        self.reactor.refuse = False
        self.reactor.advance(1)
        self.assertEqual(len(self.reactor.started), 3)

    def test_allFail(self) -> None:
        """
        If all workers end before their ports are open, the service fails with the error of
        the last one, which is not logged.
        """
        with capturedLogs() as logs:
            for process in self.start(up=False):
                process.print("openfl-xml: --app=x: wrong\n", 2)
                process.end()
        self.assertEqual(self.events, ["worker 2 exited with status 1: openfl-xml: --app=x: wrong"])
        self.assertEqual(linesOf(logs), [])
        self.assertEqual(len(self.reactor.started), 2)

    def test_allFailSilently(self) -> None:
        """
        Without output, the error is the status. Of several lines, the last one is the
        error, and all are logged.
        """
        one, two = self.start(up=False)
        one.end(0)
        two.print("Traceback:\nValueError: x", 2)
        with capturedLogs() as logs:
            two.end(2)
        self.assertEqual(self.events, ["worker 2 exited with status 2: ValueError: x"])
        self.assertEqual(linesOf(logs), ["worker 2: Traceback:", "worker 2: ValueError: x"])

    def test_someFail(self) -> None:
        """
        A worker that ends before its ports are open is restarted if another one has
        opened its ports. Then its output is logged.
        """
        one, two = self.start(up=False)
        one.print("broken\n")
        one.end(0)
        with capturedLogs() as logs:
            two.notice("listening")
        self.assertEqual(
            linesOf(logs)[1:],
            [
                "worker 1: broken",
                "worker 1 (pid 100) exited with status 0; restarting in 0.5 s",
            ],
        )
        self.reactor.advance(_FIRST_DELAY)
        self.reactor.started[2].notice("listening")
        self.assertEqual(self.events, ["started"])

    def test_startTimeout(self) -> None:
        """
        A worker that does not open its ports is killed.
        """
        _, two = self.start(up=False)
        self.reactor.started[0].notice("listening")
        self.reactor.advance(START_TIMEOUT)
        self.assertEqual(two.signals, ["KILL"])
        with capturedLogs() as logs:
            two.end(number=9)
        self.assertEqual(linesOf(logs)[0], f"worker 2: not started within {START_TIMEOUT:g} s")

    def test_output(self) -> None:
        """
        The output of a running worker is logged; that of a starting one is held. Of many
        lines, the last ones are held, and the others are counted.
        """
        one, two = self.start(up=False)
        with capturedLogs() as logs:
            one.print("".join(f"{number}\n" for number in range(_MAX_HELD + 5)))
            two.print("x\n" * _MAX_HELD)
            self.assertEqual(logs, [])
            one.notice("listening")
            one.print("y\n")
        lines = linesOf(logs)
        self.assertEqual(lines[0], "worker 1: 5 log lines dropped before the following lines")
        held = [f"worker 1: {number}" for number in range(5, _MAX_HELD + 5)]
        self.assertEqual(lines[1 : _MAX_HELD + 1], held)
        self.assertEqual(lines[_MAX_HELD + 2 :], ["worker 1: y"])
        with capturedLogs() as logs:
            two.notice("listening")
            one.end()
            self.reactor.advance(_FIRST_DELAY)
            self.reactor.started[2].notice("listening")
        self.assertNotIn("dropped", "".join(linesOf(logs)))

    def check(self, seconds: float) -> None:
        """
        Advance the clock as a reactor does, which has at most one late call for each timer.
        """
        for _ in range(int(seconds / _HANG_TIMEOUT * 6)):
            self.reactor.advance(_HANG_TIMEOUT / 6)

    def test_hang(self) -> None:
        """
        A worker that does not respond is killed and restarted. One that responds, even if
        late, is not.
        """
        one, two = self.start()
        with capturedLogs() as logs:
            for _ in range(10):
                self.check(_HANG_TIMEOUT * 5 / 6)
                self.assertIn(b'{"ask": "check", "with": {}}', one.link.transport.value())
                one.notice("alive")
                two.notice("alive")
            self.assertEqual((one.signals, two.signals), ([], []))
            self.check(_HANG_TIMEOUT)
            one.notice("alive")
            self.check(_HANG_TIMEOUT / 6)
        self.assertEqual((one.signals, two.signals), ([], ["KILL"]))
        text = f"worker 2 (pid 101) has not responded for {_HANG_TIMEOUT:g} s; killing it"
        self.assertEqual(linesOf(logs), [text])
        with capturedLogs() as logs:
            two.end(number=signal.SIGKILL)
        self.assertEqual(
            linesOf(logs), ["worker 2 (pid 101) was ended by SIGKILL; restarting in 0.5 s"]
        )
        self.reactor.advance(_FIRST_DELAY)
        self.assertEqual(len(self.reactor.started), 3)

    def test_supervisorStopped(self) -> None:
        """
        The time during which the supervisor itself was stopped does not count.
        """
        one, _ = self.start()
        self.reactor.advance(_HANG_TIMEOUT * 100)
        self.assertEqual(one.signals, [])

    def test_linkLost(self) -> None:
        """
        A worker whose link is lost is killed, too.
        """
        one, two = self.start()
        one.link.transport.loseConnection()
        one.link.connectionLost(Failure(ProcessDone(0)))
        for _ in range(7):
            two.notice("alive")
            self.reactor.advance(_HANG_TIMEOUT / 6)
        self.assertEqual((one.signals, two.signals), (["KILL"], []))

    def test_describeEnd(self) -> None:
        """
        The end of a process is described by its signal or its status.
        """
        for reason, text in [
            (ProcessDone(0), "exited with status 0"),
            (ProcessTerminated(3), "exited with status 3"),
            (ProcessTerminated(None, signal.SIGSEGV), "was ended by SIGSEGV"),
            (ProcessTerminated(None, 63), "was ended by signal 63"),
        ]:
            self.assertEqual(describeEnd(Failure(reason)), text)


class StopTests(SupervisorTestCase):
    """
    Stopping workers, signals and requests.
    """

    def test_stop(self) -> None:
        """
        The service has stopped when all workers have.
        """
        processes = self.start()
        stopped = self.supervisor.stopService()
        for process in processes:
            self.assertNoResult(stopped)
            self.assertTrue(process.isAskedToStop)
            self.assertEqual(process.signals, [])
            process.end(0)
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(len(self.reactor.started), 2)

    def test_kill(self) -> None:
        """
        A worker that does not stop is killed after a timeout.
        """
        one, two = self.start()
        stopped = self.supervisor.stopService()
        one.end(0)
        with capturedLogs() as logs:
            self.reactor.advance(7)
        self.assertEqual(linesOf(logs), ["worker 2 has not stopped within 7 s; killing it"])
        self.assertEqual(two.signals, ["KILL"])
        two.end(number=9)
        self.successResultOf(stopped)

    def test_stopWaiting(self) -> None:
        """
        A worker that waits for its restart is not started.
        """
        one, two = self.start()
        one.end()
        stopped = self.supervisor.stopService()
        two.end(0)
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stopStarting(self) -> None:
        """
        A worker that has not opened its ports can be stopped; it may have ended already.
        """
        one, two = self.start(up=False)
        one.pid = None
        stopped = self.supervisor.stopService()
        self.assertEqual((one.signals, two.signals), ([], ["TERM"]))
        one.end(0)
        two.end(0)
        self.successResultOf(stopped)

    def test_lateNotice(self) -> None:
        """
        A worker that opens its ports while the service stops does not start others.
        """
        one, two = self.start(up=False)
        one.end()
        stopped = self.supervisor.stopService()
        two.notice("listening")
        two.end(number=signal.SIGTERM)
        self.successResultOf(stopped)
        self.assertEqual(self.events, [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_signal(self) -> None:
        """
        A signal is passed to the workers that can handle it.
        """
        one, two = self.start(up=False)
        one.notice("listening")
        self.supervisor.signal("HUP")
        self.assertEqual((one.signals, two.signals), (["HUP"], []))

    def test_ask(self) -> None:
        """
        A request is sent over the link of a running worker. If the worker has ended, the
        request fails.
        """
        one, _ = self.start()
        [worker, _] = self.supervisor.active
        asked = worker.ask("metrics")
        self.assertIn(b'"ask": "metrics"', one.link.transport.value())
        one.link.connectionLost(Failure(ProcessDone(0)))
        self.failureResultOf(asked, RequestError)
        one.end()
        self.failureResultOf(worker.ask("metrics"), RequestError)
        worker.signal("HUP")
        self.assertEqual(one.signals, [])


class BlockTests(SupervisorTestCase):
    """
    All workers receive the blocked addresses.
    """

    def setUp(self) -> None:
        self.blocks = self.blockList = BlockList(now=lambda: 0.0)
        super().setUp()

    def sent(self, process: FakeProcess) -> list[Any]:
        """
        Return the addresses in each request that a worker has received.
        """
        found = re.findall(rb'"blocks": (\[.*?\])\}', process.link.transport.value())
        return [[address for address, _, _ in json.loads(each)] for each in found]

    def test_start(self) -> None:
        """
        A worker receives the blocks when it has opened its ports, and after each change.
        """
        self.blocks.block("192.0.2.1", 60, "spam")
        one, two = self.start(up=False)
        one.notice("listening")
        self.blocks.block("192.0.2.2", 60, "spam")
        self.assertEqual((self.sent(one)[1:], self.sent(two)), ([["192.0.2.1", "192.0.2.2"]], []))
        self.assertEqual(self.sent(one)[0], ["192.0.2.1"])
        two.notice("listening")
        self.blocks.unblock("192.0.2.1")
        self.assertEqual(self.sent(two), [["192.0.2.1", "192.0.2.2"], ["192.0.2.2"]])

    def test_noAnswer(self) -> None:
        """
        A worker that does not confirm the blocks is logged.
        """
        self.start()
        with capturedLogs() as logs:
            self.reactor.advance(5)
        lines = [line for line in linesOf(logs) if "blocked" in line]
        self.assertEqual(len(lines), 2)
        self.assertTrue(lines[0].startswith("worker 1 does not know the blocked addresses: "))


class ReplaceTests(SupervisorTestCase):
    """
    Replacing all workers.
    """

    def test_replace(self) -> None:
        """
        When all new workers have opened their ports, the old ones are asked to stop. They are
        not restarted.
        """
        one, two = self.start()
        replaced = self.supervisor.replace()
        three, four = self.reactor.started[2:]
        self.assertEqual(four.options["arguments"][1][-1], "2")
        three.notice("listening")
        self.assertNoResult(replaced)
        self.assertFalse(one.isAskedToStop)
        four.notice("listening")
        self.assertIsNone(self.successResultOf(replaced))
        self.assertTrue(one.isAskedToStop and two.isAskedToStop)
        self.assertEqual([worker.pid for worker in self.supervisor.active], [102, 103])
        with capturedLogs() as logs:
            one.end(0)
            two.end(0)
            self.reactor.advance(_FIRST_DELAY)
        self.assertEqual(linesOf(logs), [])
        self.assertEqual((len(self.reactor.started), self.supervisor.restarts), (4, 0))
        self.assertEqual(self.events, ["started"])
        three.end()
        self.reactor.advance(_FIRST_DELAY)
        self.assertEqual(len(self.reactor.started), 5)

    def test_kill(self) -> None:
        """
        An old worker that does not stop is killed.
        """
        one, two = self.start()
        self.supervisor.replace()
        for process in self.reactor.started[2:]:
            process.notice("listening")
        one.end(0)
        with capturedLogs() as logs:
            self.reactor.advance(7)
            two.end(number=9)
        self.assertEqual(linesOf(logs)[0], "worker 2 has not stopped within 7 s; killing it")
        self.assertEqual((one.signals, two.signals), ([], ["KILL"]))
        self.assertEqual(len(self.reactor.started), 4)

    def test_fail(self) -> None:
        """
        If a new worker ends, the old ones continue, and the other new ones are stopped.
        """
        one, two = self.start()
        replaced = self.supervisor.replace()
        three, four = self.reactor.started[2:]
        with capturedLogs() as logs:
            four.print("a\nwrong\n", 2)
            four.end()
        self.assertEqual(linesOf(logs), ["worker 2: a", "worker 2: wrong"])
        problem = self.successResultOf(replaced)
        self.assertEqual(problem, "worker 2 exited with status 1: wrong")
        self.assertEqual(three.signals, ["TERM"])
        # The signal can be late.
        with capturedLogs() as logs:
            three.notice("listening")
        self.assertEqual(linesOf(logs), [])
        three.end(0)
        self.assertFalse(one.isAskedToStop or two.isAskedToStop)
        self.assertEqual([worker.pid for worker in self.supervisor.active], [100, 101])
        self.reactor.advance(_FIRST_DELAY)
        self.assertEqual(len(self.reactor.started), 4)

    def test_failLate(self) -> None:
        """
        A new worker can end after it has opened its ports, while others start.
        """
        self.start()
        replaced = self.supervisor.replace()
        three, four = self.reactor.started[2:]
        three.notice("listening")
        three.end(number=signal.SIGSEGV)
        self.assertEqual(self.successResultOf(replaced), "worker 1 (pid 102) was ended by SIGSEGV")
        self.assertEqual(four.signals, ["TERM"])

    def test_cannotSpawn(self) -> None:
        """
        If the system refuses a process, the old workers continue.
        """
        self.start()
        self.reactor.refuse = True
        problem = self.successResultOf(self.supervisor.replace())
        self.assertEqual(problem, "worker 1 cannot be started: Resource temporarily unavailable")
        self.assertEqual(len(self.supervisor.active), 2)

    def test_ended(self) -> None:
        """
        An old worker that waits for its restart is replaced too.
        """
        one, _ = self.start()
        one.end()
        self.supervisor.replace()
        for process in self.reactor.started[2:]:
            process.notice("listening")
        self.reactor.advance(_FIRST_DELAY)
        self.assertEqual(len(self.reactor.started), 4)
        self.assertEqual(len(self.supervisor.active), 2)

    def test_stop(self) -> None:
        """
        The service stops old and new workers, and waits for all of them.
        """
        self.start()
        self.supervisor.replace()
        for process in self.reactor.started[2:]:
            process.notice("listening")
        replaced = self.supervisor.replace()
        stopped = self.supervisor.stopService()
        self.assertEqual([process.signals for process in self.reactor.started[4:]], [["TERM"]] * 2)
        for process in self.reactor.started:
            self.assertNoResult(stopped)
            process.end(0)
        self.successResultOf(stopped)
        self.assertNoResult(replaced)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stopKills(self) -> None:
        """
        When the service stops, new workers that do not stop are killed.
        """
        one, two = self.start()
        self.supervisor.replace()
        stopped = self.supervisor.stopService()
        for process in (one, two):
            process.end(0)
        self.reactor.advance(7)
        for process in self.reactor.started[2:]:
            self.assertEqual(process.signals, ["TERM", "KILL"])
            process.end(number=9)
        self.successResultOf(stopped)


class TransferTests(SupervisorTestCase):
    """
    Memberships are transferred when the workers are replaced.
    """

    transfersMembers = True

    def replace(self) -> list[FakeProcess]:
        """
        Start new workers for the running ones.
        """
        self.start()
        self.replaced = self.supervisor.replace()
        for process in self.reactor.started[2:]:
            process.notice("listening")
        return self.reactor.started

    def test_transfer(self) -> None:
        """
        The memberships of each old worker are copied in parts to the new one with the same
        number. After the last part, the old worker is asked to stop.
        """
        one, two, three, _ = self.replace()
        two.answer("export", [])
        self.assertTrue(two.isAskedToStop)
        with capturedLogs() as logs:
            for part in (["a", "b"], ["c"]):
                one.answer("export", part)
                self.assertFalse(one.isAskedToStop)
                self.assertEqual(three.answer("import", 0), {"members": part})
            one.answer("export", [])
        self.assertEqual(linesOf(logs), [])
        self.assertTrue(one.isAskedToStop)
        self.assertIsNone(self.successResultOf(self.replaced))
        for process in (one, two):
            process.end(0)
        # Only the checks of the new workers remain.
        self.assertEqual(len(self.reactor.getDelayedCalls()), 2)

    def test_dropped(self) -> None:
        """
        The dropped memberships are counted.
        """
        one, _, three, _ = self.replace()
        with capturedLogs() as logs:
            for part, dropped in ((["a", "b"], 1), (["c"], 1)):
                one.answer("export", part)
                three.answer("import", dropped)
            one.answer("export", [])
        self.assertEqual(
            linesOf(logs),
            ["2 of 3 memberships of worker 1 dropped: they cannot be continued in the new process"],
        )

    def test_timeout(self) -> None:
        """
        An old worker is asked to stop even if a new worker does not confirm the import. It has
        the usual time to stop.
        """
        one, two, *_ = self.replace()
        two.answer("export", [])
        one.answer("export", ["a"])
        with capturedLogs() as logs:
            self.reactor.advance(_TRANSFER_TIMEOUT)
        [line] = linesOf(logs)
        self.assertEqual(line, "memberships of worker 1 lost: not transferred within 3 s")
        self.assertTrue(one.isAskedToStop)
        self.assertIsNone(self.successResultOf(self.replaced))
        self.reactor.advance(6.9)
        self.assertEqual(one.signals, [])
        self.reactor.advance(0.1)
        self.assertEqual(one.signals, ["KILL"])

    def test_ended(self) -> None:
        """
        An old or a new worker can end before the memberships are transferred.
        """
        one, two, three, _ = self.replace()
        one.answer("export", ["a"])
        with capturedLogs() as logs:
            three.end()
            three.link.connectionLost(Failure(ConnectionDone()))
            two.end()
            two.link.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(
            linesOf(logs),
            [
                "worker 1 (pid 102) exited with status 1; restarting in 0.5 s",
                "memberships of worker 1 lost: the worker has ended",
                "memberships of worker 2 lost: the worker has ended",
            ],
        )
        self.assertTrue(one.isAskedToStop)
        self.assertFalse(two.isAskedToStop)

    def test_notUp(self) -> None:
        """
        An old worker that waits for its restart, and new workers that are not needed, have
        nothing to transfer.
        """
        one, two = self.start()
        one.end()
        replaced = self.supervisor.replace()
        for process in self.reactor.started[2:]:
            process.notice("listening")
        two.answer("export", [])
        self.assertIsNone(self.successResultOf(replaced))
        replaced = self.supervisor.replace()
        five, six = self.reactor.started[4:]
        five.notice("listening")
        six.end()
        self.assertIsNotNone(self.successResultOf(replaced))
        self.assertTrue(five.isAskedToStop)

    def test_stop(self) -> None:
        """
        The service waits for an old worker that has not transferred its memberships.
        """
        processes = self.replace()
        stopped = self.supervisor.stopService()
        with capturedLogs():
            for process in processes:
                self.assertNoResult(stopped)
                process.end(0)
                process.link.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class DrainTests(SupervisorTestCase):
    """
    Draining.
    """

    def test_drain(self) -> None:
        """
        The supervisor passes the signal to the workers, restarts none, and notifies its caller when
        all have ended.
        """
        processes = self.start()
        drained: list[object] = []
        self.supervisor.drain().addCallback(drained.append)
        self.assertEqual([each.signals for each in processes], [[signal.SIGUSR2]] * 2)
        processes[0].end(0)
        self.reactor.advance(60)
        self.supervisor.replace().addCallback(drained.append)
        self.assertEqual((len(self.reactor.started), drained), (2, []))
        processes[1].end(0)
        self.assertEqual(drained, [None])

    def test_starting(self) -> None:
        """
        A worker without open ports is stopped, and one that waits for its restart is not started.
        """
        first, second = self.start()
        second.end(1)
        drained: list[object] = []
        self.supervisor.drain().addCallback(drained.append)
        self.reactor.advance(60)
        self.assertEqual(len(self.reactor.started), 2)
        first.end(0)
        self.assertEqual(drained, [None])

    def test_late(self) -> None:
        """
        A worker that opens its ports after it was sent a signal to stop is not counted.
        """
        first, second = self.start(up=False)
        first.notice("listening")
        drained: list[object] = []
        self.supervisor.drain().addCallback(drained.append)
        second.notice("listening")
        self.assertEqual((first.signals, second.signals), ([signal.SIGUSR2], ["TERM"]))
        self.assertEqual(self.events, [])
        for process in (first, second):
            process.end(0)
        self.assertEqual(drained, [None])

    def test_stop(self) -> None:
        """
        The service can be stopped while it drains.
        """
        processes = self.start()
        drained: list[object] = []
        self.supervisor.drain().addCallback(drained.append)
        stopped: list[object] = []
        self.supervisor.stopService().addCallback(stopped.append)
        for process in processes:
            process.end(0)
        self.assertEqual((drained, stopped), ([None], [None]))
