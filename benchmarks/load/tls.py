"""
The load generator for TLS: C{tls.py LOAD CA-FILE NAME=NUMBER...}, with the settings and
output of the load generator in C. It uses more CPU time than that one, which does not
matter: only the server's CPU time is measured.
"""

import json
import selectors
import socket
import ssl
import sys
import time

# The first connections of a process need additional memory.
FIRST = 20


def cpuTime(pid: int) -> float:
    """
    Return the CPU time of a process (seconds). It is more precise than the ticks of
    C{/proc}.
    """
    # The number of the clock that clock_getcpuclockid returns.
    return time.clock_gettime(~pid << 3 | 2)


class TLSLoad:
    """
    The connections and settings of a load.
    """

    def __init__(self, anchors: str, settings: dict[str, int]) -> None:
        self._context = ssl.create_default_context(cafile=anchors)
        self._settings = settings
        self._message = b"x" * (settings.get("size", 2) - 1) + b"\0"
        self._connections: list[ssl.SSLSocket] = []

    def connect(self, count: int) -> None:
        """
        Open connections, and exchange a message on each.
        """
        for _ in range(count):
            plain = socket.create_connection(("127.0.0.1", self._settings["port"]))
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = self._context.wrap_socket(plain, server_hostname="localhost")
            connection.sendall(self._message)
            self._receive(connection)
            self._connections.append(connection)

    def _receive(self, connection: ssl.SSLSocket) -> None:
        if connection.recv(len(self._message) + 1) != self._message:
            raise SystemExit("load: the server sent something else")

    def echo(self) -> None:
        """
        Send a message on each connection whenever its answer is received, and print the
        cost.
        """
        self.connect(self._settings["connections"])
        selector = selectors.DefaultSelector()
        for connection in self._connections:
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ, connection)
            connection.sendall(self._message)
        self._run(selector, self._settings["warmup"] / 1000)
        began, cpu = time.monotonic(), cpuTime(self._settings["pid"])
        count = self._run(selector, self._settings["duration"] / 1000)
        cpu = cpuTime(self._settings["pid"]) - cpu
        result = {"count": count, "cpu": cpu, "elapsed": time.monotonic() - began}
        sys.stdout.write(json.dumps(result))

    def _run(self, selector: selectors.BaseSelector, seconds: float) -> int:
        """
        @return: the number of received messages, at least one for each connection.
        """
        count, end = 0, time.monotonic() + seconds
        while time.monotonic() < end or count < len(self._connections):
            for key, _ in selector.select(60):
                try:
                    self._receive(key.data)
                except ssl.SSLWantReadError:
                    continue
                key.data.sendall(self._message)
                count += 1
        return count

    def idle(self) -> None:
        """
        Open all connections while the caller reads the memory of the server.
        """
        for count, phase in ((FIRST, "begun"), (self._settings["connections"], "open")):
            self.connect(count)
            sys.stdout.write(f"{phase}\n")
            sys.stdout.flush()
            sys.stdin.readline()


def main(load: str, anchors: str, *arguments: str) -> None:
    """
    Run a load.

    @param load: C{tls-echo} or C{tls-idle}.
    @param anchors: the file of the trusted certificates.
    @param arguments: the settings, as C{NAME=NUMBER}.
    """
    pairs = (argument.split("=") for argument in arguments)
    made = TLSLoad(anchors, {name: int(value) for name, value in pairs})
    loads = {"tls-echo": made.echo, "tls-idle": made.idle}
    loads[load]()


if __name__ == "__main__":
    main(*sys.argv[1:])
