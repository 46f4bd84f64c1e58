"""
Datagrams of UDP: the echo server that C{DatagramSocket} programs are tried with.
"""

from typing import Any

from twisted.internet.protocol import DatagramProtocol

from openfl_twisted.logs import packageLogger

MAX_DATAGRAM = 65535
"""
The most bytes of a datagram that are read; UDP over IPv4 has at most 65507.
"""

PREFIX = b"Echo -- "
"""
What an answer begins with.
"""


class DatagramEchoProtocol(DatagramProtocol):
    """
    Answers each datagram with C{Echo -- } and the same again, as the guide's
    C{ServerSocketExample} does.

    What begins so is an answer itself and is not answered, or two such servers
    would talk to each other for ever.

    @ivar answered: how many datagrams have been answered.
    @ivar dropped: how many have not: answers, and those that are too long for
        an answer.
    """

    noisy = False
    log = packageLogger()

    def __init__(self) -> None:
        self.answered = 0
        self.dropped = 0

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """
        Answer a datagram.
        """
        if datagram.startswith(PREFIX):
            self.dropped += 1
            return
        transport: Any = self.transport
        try:
            transport.write(PREFIX + datagram, addr)
        except OSError as error:
            self.dropped += 1
            self.log.debug("no answer to {address}: {error}", address=addr[0], error=error)
        else:
            self.answered += 1
