"""
Base class of C{ServerSocket} and C{DatagramSocket}: binding to a local address.
"""

import ipaddress
from typing import Any

from openfl_twisted import errors
from openfl_twisted.addresses import explainBind
from openfl_twisted.clocks import checkClock, globalReactor
from openfl_twisted.events import EventDispatcher
from openfl_twisted.net._attributes import CheckedAttributes
from openfl_twisted.net._ports import toPort
from openfl_twisted.net._reasons import invalidSocket
from openfl_twisted.net._reminder import reminder
from openfl_twisted.wire.text import describeValue

ANY_ADDRESS = "0.0.0.0"  # noqa: S104 Flash's default; it is the program that binds.
"""
The address of all IPv4 interfaces. The address of all IPv6 interfaces is C{::}.
"""


def checkAddress(address: str | None) -> str:
    """
    Check that a string is an IP address; host names are not accepted.

    @param address: the string, with or without brackets; C{None} is invalid.
    @return: the address in its canonical form, without brackets.
    @raise errors.ArgumentError: #2004, if the string is not an IP address.
    """
    try:
        text = (address or "").removeprefix("[").removesuffix("]")
        return str(ipaddress.ip_address(text))
    except (AttributeError, ValueError):
        words = f"{address!r} must be an IP address, such as 127.0.0.1"
        raise errors.ArgumentError.numbered(2004, words=words) from None


def checkPort(port: object, lowest: int = 0) -> int:
    """
    Check a port.

    @param port: the port; text is converted as in ActionScript, see L{toPort}.
    @param lowest: the lowest valid port: 0 if the system may choose the port, otherwise 1.
    @return: the port.
    @raise errors.RangeError: #2006, if the port is not from C{lowest} to 65535.
    """
    number = toPort(port)
    if not lowest <= number <= 65535:
        words = f"{describeValue(port)} must be a port from {lowest} to 65535"
        raise errors.RangeError.numbered(2006, words=words)
    return number


def cannotBind(address: str, port: int, error: Any) -> errors.IOError:
    """
    Create the error for an address to which the system does not bind a socket.

    @param error: the C{OSError}.
    """
    return invalidSocket(f"cannot bind to {address}, port {port}: {explainBind(error)}")


class BoundSocket(CheckedAttributes, EventDispatcher):
    """
    Base class of sockets that can be bound to a local address once.

    @cvar isSupported: always C{True}.
    """

    isSupported = True
    _closed = False

    def __init__(self, *, reactor: Any = None) -> None:
        """
        @param reactor: the reactor (default: the global reactor).
        """
        super().__init__()
        if reactor is None:
            reactor = globalReactor(self)
            reminder.expectRun(reactor)
        self._reactor = checkClock("reactor", reactor)

    def _local(self) -> tuple[str | None, int]:
        """
        Return the local address and port; C{None} and 0 if the socket is not bound.
        """
        raise NotImplementedError

    @property
    def bound(self) -> bool:
        """
        Whether the socket is bound.
        """
        return self._local()[0] is not None

    @property
    def localAddress(self) -> str | None:
        """
        The local address; C{None} if the socket is not bound.
        """
        return self._local()[0]

    @property
    def localPort(self) -> int:
        """
        The local port; 0 if the socket is not bound.
        """
        return self._local()[1]

    def bind(self, localPort: int = 0, localAddress: str = ANY_ADDRESS) -> None:
        """
        Bind the socket to a local address.

        @param localPort: the port; 0 to let the system choose a free port.
        @param localAddress: the IP address; C{::} for all IPv6 interfaces.
        @raise errors.RangeError: #2006, if the port is not from 0 to 65535.
        @raise errors.ArgumentError: #2004, if the address is not an IP address.
        @raise errors.IOError: #2002, if the address is in use, not local, or not
            permitted, or if this socket is already bound or closed.
        """
        localPort = checkPort(localPort)
        address = checkAddress(localAddress)
        if self._closed or self.bound:
            raise invalidSocket(
                "the socket is closed: create another one"
                if self._closed
                else f"the socket is already bound to {self.localAddress}:{self.localPort}"
            )
        self._open(localPort, address)

    def _open(self, port: int, address: str) -> None:
        """
        Bind the socket to a local address that has already been checked.
        """
        raise NotImplementedError
