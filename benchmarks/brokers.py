"""
Throughput of publish and subscribe in memory, through NATS and through Redis:
C{python benchmarks/brokers.py}.

The brokers are started on the loopback interface. Brokers that are not installed are
skipped. Sender and receiver share one process, so each row contains the cost of both,
without the broker. Each number is the median of several rounds.
"""

import shutil
import socket
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from openfl_twisted.brokers.brokerurl import pubSubFromURL
from openfl_twisted.rooms.pubsub import IPubSub, MemoryBroker, MemoryPubSub

MESSAGES = 40_000
# Maximum number of bytes in transit, slightly below the limit of the outbox.
WINDOW = 400_000
ROUNDS = 5
HOST = "127.0.0.1"

PROGRAMS = {
    "nats": ["nats-server", "-a", HOST, "-p"],
    "redis": ["redis-server", "--bind", HOST, "--save", "", "--port"],
}


class WindowedSender:
    """
    Sends messages with a limited number in transit.

    @ivar window: maximum number of messages in transit.
    """

    def __init__(self, pubSub: IPubSub, payload: bytes) -> None:
        self._pubSub = pubSub
        self._payload = payload
        self.window = WINDOW // len(payload)
        self._sent = self._received = 0
        self.done: Deferred[None] = Deferred()

    def send(self, count: int) -> None:
        """
        Send further messages, up to the total.
        """
        count = min(count, MESSAGES - self._sent)
        self._sent += count
        for _ in range(count):
            self._pubSub.publish("benchmark", self._payload)

    def received(self, payload: bytes) -> None:
        """
        Count a received message. After half a window, send as many again.
        """
        self._received += 1
        if self._received == MESSAGES:
            self.done.callback(None)
        elif self._received % (self.window // 2) == 0:
            self.send(self.window // 2)


async def measure(one: IPubSub, other: IPubSub, size: int) -> tuple[float, float]:
    """
    Send all messages from one node to another.

    @return: messages per second, and CPU time per message (microseconds).
    """
    sender = WindowedSender(one, b"x" * size)
    other.subscribe("benchmark", sender.received)
    for node in (one, other):
        await node.start()
    start, startCPU = time.perf_counter(), time.process_time()
    sender.send(sender.window)
    await sender.done
    seconds, cpu = time.perf_counter() - start, time.process_time() - startCPU
    for node in (one, other):
        await node.stop()
    return MESSAGES / seconds, cpu / MESSAGES * 1e6


def unusedPort() -> int:
    """
    Return an unused port number.
    """
    with socket.socket() as found:
        found.bind((HOST, 0))
        port: int = found.getsockname()[1]
        return port


async def run(reactor: Any) -> None:
    """
    Start the brokers, measure, and print the table.
    """
    with ExitStack() as stack:
        urls = {}
        for name, command in PROGRAMS.items():
            program = shutil.which(command[0])
            if program is None:
                continue
            port = unusedPort()
            folder = stack.enter_context(TemporaryDirectory())
            process = subprocess.Popen(
                [program, *command[1:], str(port)],
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            urls[name] = f"{name}://{HOST}:{port}"
        await deferLater(reactor, 1)
        sys.stdout.write(f"{'bytes':>6} {'broker':8} {'messages/s':>11} {'CPU us each':>12}\n")
        for size in (100, 2000):
            for name in ["memory", *urls]:
                rounds = [
                    await measure(*pair(reactor, urls.get(name)), size) for _ in range(ROUNDS)
                ]
                rate, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
                sys.stdout.write(f"{size:6} {name:8} {rate:11.0f} {cpu:12.1f}\n")


def pair(reactor: Any, url: str | None) -> tuple[IPubSub, IPubSub]:
    """
    Create two connected nodes.

    @param url: the URL of the broker (default: in memory).
    """
    if url is None:
        broker = MemoryBroker()
        return MemoryPubSub(broker), MemoryPubSub(broker)
    return pubSubFromURL(url, reactor), pubSubFromURL(url, reactor)


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(run(reactor)))
