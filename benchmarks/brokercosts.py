"""
CPU time of a broker for each message, by the number of subscribers:
C{python -m benchmarks.brokercosts}. The costs of the model in L{benchmarks.scaling} come
from it. Publisher and subscribers use plain sockets, and 100 messages are sent together,
so it is the lower bound of the broker's cost.
"""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from threading import Thread
from typing import NamedTuple

import psutil

from benchmarks.brokers import HOST, PROGRAMS

MESSAGES = 200_000
BATCH = 100
SUBSCRIBERS = (0, 1, 2, 4, 8, 16)
PAYLOAD = b"x" * 150
TOPIC = b"openfl:room:r1"
START_TIMEOUT = 10.0


class Language(NamedTuple):
    """
    The messages of a broker's protocol.

    @ivar subscribe: subscribes to the topic, and asks for an answer.
    @ivar publish: publishes a message.
    @ivar received: the message as a subscriber receives it.
    @ivar flush: sent after a batch, so that the broker answers.
    @ivar answers: counts the answers in received data.
    @ivar expected: number of answers after a batch.
    """

    subscribe: bytes
    publish: bytes
    received: bytes
    flush: bytes
    answers: Callable[[bytes], int]
    expected: int


def _bulk(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


_CONNECT = b'CONNECT {"verbose":false}\r\n'

LANGUAGES = {
    "redis": Language(
        _bulk(b"SUBSCRIBE", TOPIC),
        _bulk(b"PUBLISH", TOPIC, PAYLOAD),
        _bulk(b"message", TOPIC, PAYLOAD),
        b"",
        lambda data: data.count(b"\r\n"),
        BATCH,
    ),
    "nats": Language(
        _CONNECT + b"SUB %s 1\r\nPING\r\n" % TOPIC,
        b"PUB %s %d\r\n%s\r\n" % (TOPIC, len(PAYLOAD), PAYLOAD),
        b"MSG %s 1 %d\r\n%s\r\n" % (TOPIC, len(PAYLOAD), PAYLOAD),
        b"PING\r\n",
        lambda data: data.count(b"PONG"),
        1,
    ),
}


def _connect(port: int) -> socket.socket:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            return socket.create_connection((HOST, port), START_TIMEOUT)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _read(connection: socket.socket, length: int) -> None:
    while length > 0:
        data = connection.recv(1 << 20)
        if not data:
            raise ConnectionError("the broker has closed the connection")
        length -= len(data)


def _cpuTime(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def measure(broker: str, subscribers: int, messages: int = MESSAGES) -> float:
    """
    Measure the CPU time of a broker.

    @param broker: a key of L{LANGUAGES}.
    @param subscribers: number of connections that receive each message.
    @return: CPU time for each published message (microseconds).
    """
    language = LANGUAGES[broker]
    with socket.create_server((HOST, 0)) as reserved:
        port = reserved.getsockname()[1]
    with ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(
                [*PROGRAMS[broker], str(port)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        stack.callback(process.terminate)
        threads = []
        for _ in range(subscribers):
            subscriber = stack.enter_context(_connect(port))
            subscriber.sendall(language.subscribe)
            data = b""
            while TOPIC not in data and b"PONG" not in data:
                data += subscriber.recv(4096)
            threads.append(
                Thread(target=_read, args=(subscriber, len(language.received) * messages))
            )
        publisher = stack.enter_context(_connect(port))
        if broker == "nats":
            publisher.sendall(_CONNECT)
        for thread in threads:
            thread.start()
        before = _cpuTime(process.pid)
        for _ in range(messages // BATCH):
            publisher.sendall(language.publish * BATCH + language.flush)
            answers = 0
            while answers < language.expected:
                answers += language.answers(publisher.recv(65536))
        for thread in threads:
            thread.join()
        return (_cpuTime(process.pid) - before) / messages * 1e6


def main() -> int:
    """
    Print the costs of the installed brokers.

    @return: the exit status.
    """
    for broker in LANGUAGES:
        if shutil.which(PROGRAMS[broker][0]) is None:
            sys.stdout.write(f"{broker} is not installed\n")
            continue
        for subscribers in SUBSCRIBERS:
            cost = measure(broker, subscribers)
            sys.stdout.write(f"{broker}, {subscribers} subscribers: {cost:.2f} us a message\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
