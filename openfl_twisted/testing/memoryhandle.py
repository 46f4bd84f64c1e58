"""
What all sockets in memory share, with the behaviour that Twisted's transports
find at those of the system. What is said of errors is what Linux does.
"""

import errno
import os
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openfl_twisted.testing.kernel import Kernel


_ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104 - nothing is bound here


def anyAddress(family: int) -> str:
    """
    Get the address that means all of this machine's.

    @param family: C{AF_INET} or C{AF_INET6}.
    @return: C{0.0.0.0} or C{::}.
    """
    return _ANY[socket.AddressFamily(family)]


def failure(number: int) -> OSError:
    """
    Make an error of the system: the subclass of C{OSError} that belongs to its
    number.

    @param number: one of C{errno}.
    @return: the error, with the words of the system.
    """
    return OSError(number, os.strerror(number))


class MemoryHandle:
    """
    What every socket has: a number, an address, options, and an end.

    @ivar number: what L{fileno} gives while it is open.
    @ivar kernel: what it stands on.
    @ivar family: C{AF_INET} or C{AF_INET6}.
    @ivar type: C{SOCK_STREAM} or C{SOCK_DGRAM}.
    @ivar local: its address and port; C{None} before it has one.
    @ivar peer: those of the other side; C{None} if there is none.
    @ivar error: what has happened to it: a number of C{errno}, or 0.
    @ivar options: the options that were set, by level and number.
    @ivar closed: whether it is closed.
    """

    def __init__(self, kernel: "Kernel", family: int, type: int) -> None:
        """
        @param kernel: gives it its number, and has its port.
        @param family: C{AF_INET} or C{AF_INET6}.
        @param type: C{SOCK_STREAM} or C{SOCK_DGRAM}.
        """
        self.kernel = kernel
        self.family = family
        self.type = type
        self.local: tuple[str, int] | None = None
        self.peer: tuple[str, int] | None = None
        self.error = 0
        self.options: dict[tuple[int, int], Any] = {}
        self.closed = False
        self._handles = 1
        self.number = kernel.adopt(self)

    def fileno(self) -> int:
        """
        Get its number, which is none of the system; -1 once it is closed.

        @return: the number, as long as it is open.
        """
        return -1 if self.closed else self.number

    def dup(self) -> Any:
        """
        Get it once more: it is closed when it has been closed as often.

        @return: the same socket.
        """
        self._handles += 1
        return self

    def setblocking(self, flag: bool) -> None:
        """
        Nothing: no call ever blocks.

        @param flag: does not matter.
        """

    def setsockopt(self, level: int, optname: int, value: Any) -> None:
        """
        Set an option. SO_REUSEADDR and SO_LINGER mean something here.

        @param level: such as C{SOL_SOCKET}.
        @param optname: the number of the option.
        @param value: what it is set to; any value is kept.
        """
        self.options[level, optname] = value

    def getsockopt(self, level: int, optname: int) -> Any:
        """
        Get an option; SO_ERROR is what has happened to it since.

        @param level: such as C{SOL_SOCKET}.
        @param optname: the number of the option.
        @return: what it was set to; 0 if it was not. SO_ERROR is a number of
            C{errno}, and is 0 again after that.
        """
        if (level, optname) == (socket.SOL_SOCKET, socket.SO_ERROR):
            number, self.error = self.error, 0
            return number
        return self.options.get((level, optname), 0)

    def bind(self, address: tuple[Any, ...]) -> None:
        """
        Take an address.

        @param address: an IP address, empty for all, and a port, 0 for any;
            what is behind them does not matter.
        @raise OSError: EADDRINUSE, EADDRNOTAVAIL, or EINVAL if it has one.
        """
        if self.local is not None:
            raise failure(errno.EINVAL)
        self.local = self.kernel.ports.take(self, address[0], address[1])

    def getsockname(self) -> tuple[Any, ...]:
        """
        Get its address: a tuple of 2, or of 4 for IPv6.
        """
        return self.shown(self.local or (anyAddress(self.family), 0))

    def getpeername(self) -> tuple[Any, ...]:
        """
        Get the address of the other side.

        @raise OSError: ENOTCONN, if there is none.
        """
        if self.peer is None:
            raise failure(errno.ENOTCONN)
        return self.shown(self.peer)

    def close(self) -> None:
        """
        Be done with it.
        """
        self._handles -= 1
        if self._handles == 0:
            self.closed = True
            self.kernel.abandon(self)
            self.ended()

    def ended(self) -> None:
        """
        Tell whom it concerns that it is closed.
        """
        raise NotImplementedError

    def shown(self, address: tuple[str, int]) -> tuple[Any, ...]:
        """
        Write an address as the system does: IPv6 has two numbers more.

        @param address: the address and port.
        @return: a tuple of 2; of 4 for IPv6, with two zeros.
        """
        return (*address, 0, 0) if self.family == socket.AF_INET6 else address

    def raiseError(self) -> None:
        """
        Raise what has happened to it, once.

        @raise OSError: if something has.
        """
        if self.error:
            number, self.error = self.error, 0
            raise failure(number)

    @property
    def readable(self) -> bool:
        """
        Whether C{recv}, C{recvfrom} or C{accept} has something to say.
        """
        raise NotImplementedError

    @property
    def writable(self) -> bool:
        """
        Whether C{send} or C{connect_ex} has something to say.
        """
        raise NotImplementedError
