"""
What C{ServerSocket} and C{DatagramSocket} share: an address of this machine.
"""

import ipaddress

from openfl_twisted import errors

ANY_ADDRESS = "0.0.0.0"  # noqa: S104 Flash's default; it is the program that binds.
"""
All IPv4 addresses of this machine; C{::} are all IPv6 ones.
"""


def checkAddress(address: str | None) -> str:
    """
    Check an address: IP text, no name.

    @return: it, without brackets.
    @raise errors.ArgumentError: #2004, if it is none.
    """
    text = (address or "").removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise errors.ArgumentError.numbered(2004) from None
    return text


def checkPort(port: int, lowest: int = 0) -> None:
    """
    Check a port.

    @raise errors.RangeError: #2006, if it is not from C{lowest} to 65535.
    """
    if not lowest <= port <= 65535:
        raise errors.RangeError.numbered(2006)


def invalidSocket(reason: object) -> errors.IOError:
    """
    Make the error for what the system, or the state of a socket, does not let
    one do; its text says why.
    """
    return errors.IOError(f"{errors.messageOf(2002)} ({reason})", 2002)
