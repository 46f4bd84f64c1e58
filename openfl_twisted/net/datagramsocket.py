"""
C{openfl.net.DatagramSocket}: datagrams of UDP, with events.
"""

import ipaddress
import socket
import struct
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.internet.protocol import DatagramProtocol

from openfl_twisted import errors
from openfl_twisted.events import DatagramSocketDataEvent
from openfl_twisted.net.boundsocket import (
    ANY_ADDRESS,
    BoundSocket,
    checkAddress,
    checkPort,
    invalidSocket,
)
from openfl_twisted.reactors.udp import listenUDP
from openfl_twisted.utils import ByteArray

MAX_DATAGRAM = 65535
"""
The most bytes that a datagram can have.
"""


class _Datagrams(DatagramProtocol):
    noisy = False

    def __init__(self, arrived: Any) -> None:
        self._arrived = arrived

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self._arrived(datagram, addr[0], addr[1])


def _checkIPv4(address: str) -> ipaddress.IPv4Address:
    """
    Check the local address of a network interface. Linux accepts the bytes of an
    IPv6 address, and takes them for another IPv4 address.
    """
    checked = ipaddress.ip_address(checkAddress(address))
    if isinstance(checked, ipaddress.IPv4Address):
        return checked
    words = f"{address!r} must be an IPv4 address, such as 127.0.0.1"
    raise errors.ArgumentError(f"{errors.messageOf(2004)} ({words})", 2004)


def _indexOf(interface: str | None) -> bytes:
    try:
        return struct.pack("@I", 0 if interface is None else socket.if_nametoindex(interface))
    except OSError:
        words = f"there is no network interface {interface!r}"
        raise errors.ArgumentError(f"{errors.messageOf(2004)} ({words})", 2004) from None


class DatagramSocket(BoundSocket):
    """
    Sends and receives datagrams. Each is whole or not there at all. It
    dispatches C{data} for each one, after C{receive} was called. Beyond AIR, it
    can send to broadcast addresses and take part in multicast groups.

    A socket that is closed cannot be used again.

    @cvar isSupported: always true here.
    """

    isSupported = True

    def __init__(self, *, reactor: Any = None) -> None:
        """
        @param reactor: the reactor, or C{None} for the one that runs.
        """
        super().__init__()
        if reactor is None:
            from twisted.internet import reactor
        self._reactor: Any = reactor
        self._port: Any = None
        self._peer: tuple[str, int] | None = None
        self._receiving = False
        self._broadcast = False
        self._multicastTTL = 1
        self._multicastInterface: str | None = None

    @property
    def bound(self) -> bool:
        return self._port is not None

    @property
    def connected(self) -> bool:
        """
        Whether it has a single peer.
        """
        return self._peer is not None

    @property
    def localAddress(self) -> str | None:
        """
        The address to which it is bound, or C{None}.
        """
        host: str | None = None if self._port is None else self._port.getHost().host
        return host

    @property
    def localPort(self) -> int:
        """
        The port to which it is bound, or 0.
        """
        port: int = 0 if self._port is None else self._port.getHost().port
        return port

    @property
    def remoteAddress(self) -> str | None:
        """
        The address of the single peer, or C{None}.
        """
        return None if self._peer is None else self._peer[0]

    @property
    def remotePort(self) -> int:
        """
        The port of the single peer, or 0.
        """
        return 0 if self._peer is None else self._peer[1]

    def _open(self, port: int, address: str) -> None:
        protocol = _Datagrams(self._arrived)
        try:
            self._port = listenUDP(self._reactor, port, protocol, address, MAX_DATAGRAM)
        except CannotListenError as error:
            raise invalidSocket(error.socketError) from None
        if not self._receiving:
            self._port.stopReading()
        try:
            self._applyOptions()
        except errors.IOError:
            # Not bound for the caller, so the port is released.
            opened, self._port = self._port, None
            opened.stopListening()
            raise

    # Broadcast and multicast, which AIR has not

    @property
    def broadcast(self) -> bool:
        """
        Whether datagrams can be sent to a broadcast address, such as
        C{255.255.255.255} (default C{False}). Only newer versions of AIR have it.
        """
        return self._broadcast

    @broadcast.setter
    def broadcast(self, value: bool) -> None:
        self._broadcast = bool(value)
        self._applyOptions()

    @property
    def multicastTTL(self) -> int:
        """
        The number of routers that a datagram to a multicast group can pass, 0 to
        255 (default 1: the local network). AIR has no such setting.

        @raise errors.RangeError: #2006, if it is set to another number.
        """
        return self._multicastTTL

    @multicastTTL.setter
    def multicastTTL(self, value: int) -> None:
        if not 0 <= value <= 255:
            raise errors.RangeError.numbered(2006)
        self._multicastTTL = value
        self._applyOptions()

    @property
    def multicastInterface(self) -> str | None:
        """
        The local IPv4 address from which datagrams to a multicast group are sent;
        C{None} for the choice of the system (the default). AIR has no such
        setting.

        @raise errors.ArgumentError: #2004, if it is set to another text.
        """
        return self._multicastInterface

    @multicastInterface.setter
    def multicastInterface(self, value: str | None) -> None:
        self._multicastInterface = None if value is None else str(_checkIPv4(value))
        self._applyOptions()

    def joinGroup(self, address: str, interface: str | None = None) -> None:
        """
        Receive the datagrams to a multicast group too. AIR has no such method.

        @param address: the address of the group, such as C{239.1.2.3}.
        @param interface: the local IPv4 address, or for IPv6 the name of the
            network interface, on which to receive (default: the choice of the
            system).
        @raise errors.ArgumentError: #2004, if the address is not one of a group, or
            there is no such interface.
        @raise errors.IOError: #2002, if this socket is not bound, or to the other
            version of IP, or if the system refuses.
        """
        self._setMembership(address, interface, join=True)

    def leaveGroup(self, address: str, interface: str | None = None) -> None:
        """
        Receive the datagrams to a multicast group no longer.

        @param address: as for L{joinGroup}.
        @param interface: as for L{joinGroup}.
        @raise errors.ArgumentError: as L{joinGroup}.
        @raise errors.IOError: as L{joinGroup}; also if the group was not joined.
        """
        self._setMembership(address, interface, join=False)

    def _setMembership(self, address: str, interface: str | None, *, join: bool) -> None:
        group = ipaddress.ip_address(checkAddress(address))
        if not group.is_multicast:
            words = f"{address} must be a multicast address, such as 239.1.2.3"
            raise errors.ArgumentError(f"{errors.messageOf(2004)} ({words})", 2004)
        if self._port is None:
            raise invalidSocket("bind it before it joins a group")
        if (group.version == 6) != (":" in (self.localAddress or "")):
            raise invalidSocket("it is bound to another version of IP")
        if group.version == 4:
            local = _checkIPv4(interface or ANY_ADDRESS)
            level, request = socket.IPPROTO_IP, group.packed + local.packed
            option = socket.IP_ADD_MEMBERSHIP if join else socket.IP_DROP_MEMBERSHIP
        else:
            level, request = socket.IPPROTO_IPV6, group.packed + _indexOf(interface)
            option = socket.IPV6_JOIN_GROUP if join else socket.IPV6_LEAVE_GROUP
        try:
            self._port.getHandle().setsockopt(level, option, request)
        except OSError as error:
            raise invalidSocket(error.strerror) from None

    def _applyOptions(self) -> None:
        if self._port is None:
            return
        handle = self._port.getHandle()
        is6 = ":" in (self.localAddress or "")
        try:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, self._broadcast)
            if is6:
                hops = self._multicastTTL
                handle.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, hops)
            else:
                ttl = self._multicastTTL
                handle.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
                local = ipaddress.ip_address(self._multicastInterface or ANY_ADDRESS).packed
                handle.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, local)
        except OSError as error:
            raise invalidSocket(error.strerror) from None

    def connect(self, remoteAddress: str, remotePort: int) -> None:
        """
        Have a single peer: datagrams go to it and come from it only. Another
        call replaces it.

        @param remoteAddress: its IP address.
        @param remotePort: its port.
        @raise errors.RangeError: #2006, if the port is not from 1 to 65535.
        @raise errors.ArgumentError: #2004, if the address is not one that can
            be sent to.
        @raise errors.IOError: #2002, if this socket cannot be bound.
        """
        remotePort = checkPort(remotePort, 1)
        address = checkAddress(remoteAddress)
        if ipaddress.ip_address(address).is_unspecified:
            raise errors.ArgumentError.numbered(2004)
        self._bindFor(address)
        self._peer = (address, remotePort)

    def _bindFor(self, address: str) -> None:
        """
        Be bound to an address from which another can be reached.
        """
        if self._port is None:
            self.bind(0, "::" if ":" in address else ANY_ADDRESS)
        elif (":" in address) != (":" in (self.localAddress or "")):
            raise invalidSocket("it is bound to another version of IP")

    def receive(self) -> None:
        """
        Begin to take datagrams; C{data} is dispatched for each.
        """
        if self._closed:
            raise invalidSocket("it is closed")
        if not self._receiving:
            self._receiving = True
            if self._port is not None:
                self._port.startReading()

    def send(
        self,
        bytes: bytes | bytearray,
        offset: int = 0,
        length: int = 0,
        address: str | None = None,
        port: int = 0,
    ) -> None:
        """
        Send a datagram.

        @param bytes: an array with its bytes.
        @param offset: where they begin.
        @param length: how many they are; 0 means all from C{offset} on.
        @param address: the IP address to send to, if there is no single peer.
        @param port: the port to send to.
        @raise errors.TypeError: #2007, if the array is C{None}.
        @raise errors.RangeError: #2006, if the bytes are not inside the array,
            or the port is not from 1 to 65535.
        @raise errors.ArgumentError: #2004, if the address is not an IP address.
        @raise errors.IllegalOperationError: if an address or a port is given
            and there is a single peer.
        @raise errors.IOError: #2002, if this socket is closed or cannot be
            bound, or the system refuses the datagram.
        """
        if self._closed:
            raise invalidSocket("it is closed")
        if bytes is None:
            raise errors.TypeError.numbered(2007, "bytes")
        if self._peer is not None and (address is not None or port):
            raise errors.IllegalOperationError("there is a single peer, so no address is taken")
        end = offset + length if length else len(bytes)
        if not 0 <= offset <= end <= len(bytes):
            raise errors.RangeError.numbered(2006)
        peer = self._peer
        if peer is None:
            peer = (checkAddress(address), checkPort(port, 1))
        self._bindFor(peer[0])
        try:
            self._port.write(memoryview(bytes)[offset:end].tobytes(), peer)
        except MessageLengthError as error:
            raise invalidSocket(error) from None
        except OSError as error:
            raise invalidSocket(error.strerror) from None

    def close(self) -> Deferred[None]:
        """
        Be done, for good. There is no event.

        @return: fires when the port is free; OpenFL has no such result.
        @raise errors.IOError: #2002, if this socket is closed already.
        """
        if self._closed:
            raise invalidSocket("it is closed")
        port, self._port = self._port, None
        self._closed = True
        self._peer = None
        return maybeDeferred(lambda: None if port is None else port.stopListening())

    def _arrived(self, datagram: bytes, host: str, number: int) -> None:
        if self._closed:
            # A listener has closed the socket, and the port delivers the rest of its read.
            return
        if self._peer is not None and (host, number) != self._peer:
            return
        self.dispatchEvent(
            DatagramSocketDataEvent(
                DatagramSocketDataEvent.DATA,
                srcAddress=host,
                srcPort=number,
                dstAddress=self.localAddress or "",
                dstPort=self.localPort,
                data=ByteArray(datagram),
            )
        )
