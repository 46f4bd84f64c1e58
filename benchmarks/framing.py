"""
How much work it is to cut a stream into messages, side by side with Twisted's
C{LineReceiver}: C{python benchmarks/framing.py}.

Each number is the median of several rounds in which all take turns, since
machines are noisy; the ratios are what counts.
"""

import statistics
import sys
import time
from collections.abc import Callable

from twisted.internet.testing import StringTransport
from twisted.protocols.basic import LineReceiver

from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol

MIB = 1024 * 1024
ROUNDS = 7


class Ours(XMLSocketProtocol):
    """
    Takes messages as bytes, as the other does.
    """

    MAX_LENGTH = 64 * MIB

    def lineReceived(self, line: bytes) -> None:
        """
        Do nothing.
        """


class Twisteds(LineReceiver):
    """
    Takes the same messages.
    """

    delimiter = b"\0"
    MAX_LENGTH = 64 * MIB

    def lineReceived(self, line: bytes) -> None:
        """
        Do nothing.
        """


def pieces(message: int, total: int, piece: int) -> list[bytes]:
    """
    Make a stream.

    @param message: the length of its messages, with their ends.
    @param total: the length of all.
    @param piece: the length of the pieces into which it is cut.
    """
    stream = (b"x" * (message - 1) + b"\0") * (total // message)
    return [stream[place : place + piece] for place in range(0, len(stream), piece)]


def measure(protocol: Callable[[], Ours | Twisteds], stream: list[bytes]) -> float:
    """
    Feed a stream to a new protocol.

    @return: CPU nanoseconds for a byte.
    """
    receiver = protocol()
    receiver.makeConnection(StringTransport())
    began = time.process_time_ns()
    for piece in stream:
        receiver.dataReceived(piece)
    return (time.process_time_ns() - began) / sum(map(len, stream))


def main() -> None:
    """
    Print the table.
    """
    rows = [
        ("64-byte messages, 64 KiB pieces", pieces(64, 4 * MIB, 64 * 1024)),
        ("64-byte messages, 1448-byte pieces", pieces(64, 4 * MIB, 1448)),
        ("1 MiB message, 64 KiB pieces", pieces(MIB, MIB, 64 * 1024)),
        ("1 MiB message, 1448-byte pieces", pieces(MIB, MIB, 1448)),
        ("8 MiB message, 64 KiB pieces", pieces(8 * MIB, 8 * MIB, 64 * 1024)),
        ("8 MiB message, 1448-byte pieces", pieces(8 * MIB, 8 * MIB, 1448)),
    ]
    sys.stdout.write(f"{'ns for a byte':36} {'ours':>8} {'LineReceiver':>13} {'ratio':>7}\n")
    for name, stream in rows:
        rounds = [(measure(Ours, stream), measure(Twisteds, stream)) for _ in range(ROUNDS)]
        ours, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(other / own for own, other in rounds)
        sys.stdout.write(f"{name:36} {ours:8.2f} {theirs:13.2f} {ratio:7.1f}\n")


if __name__ == "__main__":
    main()
