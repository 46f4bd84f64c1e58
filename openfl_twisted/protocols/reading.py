"""
The read that is under way: what it makes anybody write leaves at its end, in one
write for each receiver.
"""

from typing import Protocol

from twisted.internet.interfaces import IAddress

from openfl_twisted.addresses import describe
from openfl_twisted.logs import packageLogger


class Sender(Protocol):
    """
    What waits for the end of a read; see
    L{openfl_twisted.protocols.sendqueue.SendQueue}.
    """

    def flush(self) -> None:
        """
        Send what has been written.
        """

    def abortConnection(self) -> None:
        """
        Give up.
        """

    def getPeer(self) -> IAddress:
        """
        Get the address of the other side, for the log.
        """


class Read:
    """
    The read that is under way, if there is one: the queues that wait for its
    end.

    There is one for the whole process, since the reactor calls one protocol at
    a time. So what one read makes many connections send is joined for each.

    @ivar depth: how many reads are within each other just now: one protocol can
        have another receive something. 0 if there is none.
    @ivar number: which read it is. It is a byte, since Python has each of those
        once and many queues keep one; who meets his number again waits for the
        end of the read, although he need not.
    @ivar waiting: what is to be flushed when the outermost ends.
    """

    log = packageLogger()

    def __init__(self) -> None:
        self.depth = 0
        self.number = 0
        self.waiting: list[Sender] = []

    def __enter__(self) -> None:
        self.number = (self.number + 1) & 0xFF
        self.depth += 1

    def __exit__(self, *exception: object) -> None:
        self.depth -= 1
        if self.waiting and not self.depth:
            self.flush()

    def flush(self) -> None:
        """
        Send what the read that has ended has made anybody write.
        """
        waiting, self.waiting = self.waiting, []
        for queue in waiting:
            try:
                queue.flush()
            except Exception:
                # The fault of one receiver must not keep the others waiting.
                self.giveUp(queue)

    def giveUp(self, queue: Sender) -> None:
        """
        End a connection to which nothing could be sent; called where the
        exception is dealt with, which is logged.

        @param queue: its queue.
        """
        self.log.failure("sending to {peer} failed", peer=describe(queue.getPeer()))
        queue.abortConnection()


read = Read()
"""
The read that is under way: whoever receives data does so within it.
"""
