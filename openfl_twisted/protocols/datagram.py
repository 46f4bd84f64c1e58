"""
A UDP echo server, for testing C{DatagramSocket} programs.
"""

from typing import Any

from twisted.internet.protocol import DatagramProtocol

from openfl_twisted.logs import packageLogger

MAX_DATAGRAM = 65535
"""
Maximum length of a received datagram (bytes); UDP over IPv4 allows 65507.
"""

PREFIX = b"Echo -- "
"""
The prefix of an answer.
"""


class DatagramEchoProtocol(DatagramProtocol):
    """
    Answers each datagram with C{Echo -- } and the contents of the datagram, like the
    C{ServerSocketExample} in Adobe's ActionScript guide. Datagrams with this prefix are not
    answered, so that two echo servers do not answer each other indefinitely.

    @ivar answered: number of answered datagrams.
    @ivar dropped: number of unanswered datagrams: answers from other echo servers, and
        datagrams that are too long to be answered.
    """

    noisy = False
    log = packageLogger()

    def __init__(self) -> None:
        self.answered = 0
        self.dropped = 0

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        if datagram.startswith(PREFIX):
            self.dropped += 1
            return
        transport: Any = self.transport
        try:
            transport.write(PREFIX + datagram, addr)
        except OSError as error:
            self.dropped += 1
            self.log.debug("no answer sent to {address}: {error}", address=addr[0], error=error)
        else:
            self.answered += 1
