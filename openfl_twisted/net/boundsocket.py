"""
What C{ServerSocket} and C{DatagramSocket} share: an address of this machine.
"""

import ipaddress

from openfl_twisted import errors
from openfl_twisted.events import EventDispatcher
from openfl_twisted.net.ports import toPort

ANY_ADDRESS = "0.0.0.0"  # noqa: S104 Flash's default; it is the program that binds.
"""
All IPv4 addresses of this machine; C{::} are all IPv6 ones.
"""


def checkAddress(address: str | None) -> str:
    """
    Check an address: IP text, no name.

    @param address: the text, with brackets or without; C{None} is none.
    @return: it, as short as it can be written and without brackets, as the
        system writes it too.
    @raise errors.ArgumentError: #2004, if it is not an IP address.
    """
    text = (address or "").removeprefix("[").removesuffix("]")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        words = f"{address!r} must be an IP address, such as 127.0.0.1"
        raise errors.ArgumentError(f"{errors.messageOf(2004)} ({words})", 2004) from None


def checkPort(port: object, lowest: int = 0) -> int:
    """
    Check a port.

    @param port: the port; text is converted as in ActionScript, see L{toPort}.
    @param lowest: its minimum: 0 where the system can choose one, or 1.
    @return: the port.
    @raise errors.RangeError: #2006, if it is not from C{lowest} to 65535.
    """
    number = toPort(port)
    if not lowest <= number <= 65535:
        raise errors.RangeError.numbered(2006)
    return number


def invalidSocket(reason: object) -> errors.IOError:
    """
    Make the error for what the system, or the state of a socket, does not let
    one do; its text says why.

    @param reason: what is in the way.
    """
    return errors.IOError(f"{errors.messageOf(2002)} ({reason})", 2002)


class BoundSocket(EventDispatcher):
    """
    A socket that takes an address of this machine, once.
    """

    _closed = False

    @property
    def bound(self) -> bool:
        """
        Whether it has an address.
        """
        raise NotImplementedError

    def bind(self, localPort: int = 0, localAddress: str = ANY_ADDRESS) -> None:
        """
        Take an address of this machine.

        @param localPort: the port; 0 for one that the system chooses.
        @param localAddress: the IP address; C{::} for all IPv6 ones.
        @raise errors.RangeError: #2006, if the port is not from 0 to 65535.
        @raise errors.ArgumentError: #2004, if the address is not an IP address.
        @raise errors.IOError: #2002, if it is taken, not one of this machine,
            not for everybody, or if this socket is bound or closed already.
        """
        localPort = checkPort(localPort)
        address = checkAddress(localAddress)
        if self._closed or self.bound:
            raise invalidSocket("it is closed" if self._closed else "it is bound already")
        self._open(localPort, address)

    def _open(self, port: int, address: str) -> None:
        """
        Take an address that has been checked.
        """
        raise NotImplementedError
