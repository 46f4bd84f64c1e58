"""
Throughput of publish and subscribe in memory, through NATS and through Redis:
C{python benchmarks/brokers.py}; C{--quick} checks the program with few messages.

The brokers are started on the loopback interface. Brokers that are not installed are
skipped. Sender and receiver are two processes, except in memory: there both columns of
CPU time contain the cost of both. Each number is the median of several rounds; lost
messages are added up.
"""

import argparse
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from openfl_twisted.brokers.brokerurl import pubSubFromURL
from openfl_twisted.reactors import installDefault
from openfl_twisted.rooms.pubsub import IPubSub, MemoryBroker, MemoryPubSub

MESSAGES = 100_000
# Maximum number of bytes in transit, slightly below the limit of the outbox.
WINDOW = 400_000
ROUNDS = 5
# Maximum duration of a round (seconds).
TIMEOUT = 60
SIZES = (100, 2000)
HOST = "127.0.0.1"

PROGRAMS = {
    "nats": ["nats-server", "-a", HOST, "-p"],
    "redis": ["redis-server", "--bind", HOST, "--save", "", "--port"],
}

MESSAGE_TOPIC, REPORT_TOPIC = "benchmark", "benchmark.reports"

_report = struct.Struct(">QQd")


class Report(NamedTuple):
    """
    A report of the receiver.

    @ivar received: number of messages it has received.
    @ivar missed: number of messages it has not received.
    @ivar cpu: CPU time of its process (seconds).
    """

    received: int
    missed: int
    cpu: float


class Result(NamedTuple):
    """
    The result of a round.

    @ivar rate: messages received per second.
    @ivar sender: CPU time of the sender per message (microseconds).
    @ivar receiver: CPU time of the receiver per message (microseconds).
    @ivar lost: number of lost messages.
    """

    rate: float
    sender: float
    receiver: float
    lost: int


class Receiver:
    """
    Receives messages, and publishes a report at the start and after each half of a
    window.
    """

    def __init__(self, pubSub: IPubSub) -> None:
        self._pubSub = pubSub
        self._received = self._reported = 0
        pubSub.subscribe(MESSAGE_TOPIC, self.receive)

    def receive(self, payload: bytes) -> None:
        """
        Count a message.
        """
        self._received += 1
        half = halfWindow(len(payload))
        if (self._received + self._pubSub.missed) // half > self._reported // half:
            self.report()

    def report(self) -> None:
        """
        Publish a report.
        """
        missed = self._pubSub.missed
        self._reported = self._received + missed
        report = Report(self._received, missed, time.process_time())
        self._pubSub.publish(REPORT_TOPIC, _report.pack(*report))


class WindowedSender:
    """
    Sends messages with a limited number in transit. It starts with the first report of
    the receiver.

    @ivar done: fires with the result.
    """

    def __init__(self, pubSub: IPubSub, size: int, messages: int) -> None:
        """
        @param size: the size of a message (bytes).
        @param messages: the number of messages.
        """
        self._pubSub = pubSub
        self._payload = b"x" * size
        self._messages = messages
        self._sent = 0
        self._first: Report | None = None
        self._started = self._startedCPU = 0.0
        self.done: Deferred[Result] = Deferred()
        pubSub.subscribe(REPORT_TOPIC, self.reported)

    def reported(self, payload: bytes) -> None:
        """
        Handle a report: send further messages, or compute the result.
        """
        report = Report(*_report.unpack(payload))
        if self._first is None:
            self._first = report
            self._started, self._startedCPU = time.perf_counter(), time.process_time()
        seen = report.received + report.missed
        if seen < self._messages:
            window = 2 * halfWindow(len(self._payload))
            count = min(seen + window, self._messages) - self._sent
            self._sent += count
            for _ in range(count):
                self._pubSub.publish(MESSAGE_TOPIC, self._payload)
        elif not self.done.called:
            seconds = time.perf_counter() - self._started
            cpu = time.process_time() - self._startedCPU
            each = 1e6 / self._messages
            result = Result(
                report.received / seconds,
                cpu * each,
                (report.cpu - self._first.cpu) * each,
                report.missed,
            )
            self.done.callback(result)


def halfWindow(size: int) -> int:
    """
    Return half the number of messages of a size that may be in transit.
    """
    return max(1, WINDOW // size // 2)


def inMessages(size: int, messages: int) -> int:
    """
    Round a number of messages up to whole halves of a window, so that a report follows
    the last one.
    """
    half = halfWindow(size)
    return -(-messages // half) * half


async def measure(
    one: IPubSub, other: IPubSub | None, size: int, messages: int = MESSAGES
) -> Result:
    """
    Send messages from one node to another.

    @param one: the sender.
    @param other: the receiver; C{None} if it is in another process.
    @param size: the size of a message (bytes).
    """
    sender = WindowedSender(one, size, inMessages(size, messages))
    await one.start()
    if other is not None:
        await receive(other)
    result = await sender.done
    await one.stop()
    if other is not None:
        await other.stop()
    return result


async def receive(node: IPubSub) -> None:
    """
    Receive messages, and publish reports.
    """
    receiver = Receiver(node)
    await node.start()
    receiver.report()


@contextmanager
def receiving(url: str) -> Iterator[None]:
    """
    Run a receiver in another process while the block runs.
    """
    process = subprocess.Popen([sys.executable, __file__, "--receive", url])
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def measureBroker(reactor: Any, url: str | None, size: int, messages: int) -> Result:
    """
    Measure one round.

    @param url: the URL of the broker; C{None} for messages in memory.
    """
    if url is None:
        broker = MemoryBroker()
        return await measure(MemoryPubSub(broker), MemoryPubSub(broker), size, messages)
    with receiving(url):
        measured = Deferred.fromCoroutine(
            measure(pubSubFromURL(url, reactor), None, size, messages)
        )
        # If the last messages are lost, no report follows them.
        return await measured.addTimeout(TIMEOUT, reactor)


@contextmanager
def brokers() -> Iterator[dict[str, str]]:
    """
    Run the installed brokers while the block runs.

    @return: their URLs by name.
    """
    with ExitStack() as stack:
        urls = {}
        for name, command in PROGRAMS.items():
            program = shutil.which(command[0])
            if program is None:
                continue
            port = unusedPort()
            process = subprocess.Popen(
                [program, *command[1:], str(port)],
                cwd=stack.enter_context(TemporaryDirectory()),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            urls[name] = f"{name}://{HOST}:{port}"
        yield urls


def unusedPort() -> int:
    """
    Return an unused port number.
    """
    with socket.socket() as found:
        found.bind((HOST, 0))
        port: int = found.getsockname()[1]
        return port


async def run(reactor: Any, rounds: int, messages: int) -> None:
    """
    Start the brokers, measure, and print the table.

    @param rounds: the number of rounds.
    @param messages: the number of messages in each.
    """
    with brokers() as urls:
        await deferLater(reactor, 1)
        sys.stdout.write(
            f"{'bytes':>6} {'broker':8} {'messages/s':>11} {'CPU us sent':>12}"
            f" {'CPU us received':>16} {'lost':>6}\n"
        )
        for size in SIZES:
            for name in ["memory", *urls]:
                results = [
                    await measureBroker(reactor, urls.get(name), size, messages)
                    for _ in range(rounds)
                ]
                rates, senders, receivers, lost = zip(*results, strict=True)
                sys.stdout.write(
                    f"{size:6} {name:8} {statistics.median(rates):11.0f}"
                    f" {statistics.median(senders):12.1f} {statistics.median(receivers):16.1f}"
                    f" {sum(lost):6}\n"
                )
                sys.stdout.flush()


async def main(reactor: Any) -> None:
    """
    Run the command.
    """
    parser = argparse.ArgumentParser(description="Measure publish and subscribe.")
    parser.add_argument("--quick", action="store_true", help="one round of few messages")
    parser.add_argument("--receive", metavar="URL", help="receive messages of another process")
    options = parser.parse_args()
    if options.receive:
        await receive(pubSubFromURL(options.receive, reactor))
        # The sender stops this process.
        await Deferred()
    elif options.quick:
        await run(reactor, 1, 1000)
    else:
        await run(reactor, ROUNDS, MESSAGES)


if __name__ == "__main__":
    # The reactor of the servers.
    installDefault()
    react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
