"""
C{openfl.net.DatagramSocket}: UDP datagrams, with events.
"""

import ipaddress
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.internet.interfaces import IDelayedCall

from openfl_twisted import errors
from openfl_twisted.coroutines import HandlerResult
from openfl_twisted.events import DatagramSocketDataEvent, Event, IOErrorEvent
from openfl_twisted.logs import packageLogger
from openfl_twisted.net._boundsocket import (
    ANY_ADDRESS,
    BoundSocket,
    cannotBind,
    checkAddress,
    checkPort,
)
from openfl_twisted.net._handlers import refuseHandlers
from openfl_twisted.net._listeners import awaitListener
from openfl_twisted.net._reasons import invalidSocket
from openfl_twisted.protocols.datagram import AsyncDatagramProtocol
from openfl_twisted.reactors.udp import listenUDP
from openfl_twisted.utils import ByteArray
from openfl_twisted.wire.dataio import outside
from openfl_twisted.wire.text import describeValue

_log = packageLogger()

# Time after which a warning is logged if a bound socket has a listener, but does not receive: 10
# seconds.
_REMIND_AFTER = 10.0

MAX_DATAGRAM = 65535
"""
Maximum size of a datagram (bytes).
"""


class _Datagrams(AsyncDatagramProtocol):
    def __init__(self, arrived: Callable[[bytes, str, int], HandlerResult]) -> None:
        super().__init__()
        self._arrived = arrived

    def datagramReceived(self, datagram: bytes, addr: Any) -> HandlerResult:
        return self._arrived(datagram, addr[0], addr[1])


def _checkIPv4(address: str) -> ipaddress.IPv4Address:
    """
    Check that the local address of a network interface is an IPv4 address. Linux would accept
    the bytes of an IPv6 address, and interpret them as an unrelated IPv4 address.
    """
    checked = ipaddress.ip_address(checkAddress(address))
    if isinstance(checked, ipaddress.IPv4Address):
        return checked
    words = f"{address!r} must be an IPv4 address, such as 127.0.0.1"
    raise errors.ArgumentError.numbered(2004, words=words)


def _indexOf(interface: str | None) -> bytes:
    try:
        return struct.pack("@I", 0 if interface is None else socket.if_nametoindex(interface))
    except OSError:
        words = f"unknown network interface {interface!r}"
        raise errors.ArgumentError.numbered(2004, words=words) from None


@refuseHandlers(onData="DatagramSocketDataEvent.DATA")
class DatagramSocket(BoundSocket):
    """
    Sends and receives UDP datagrams. After a call to C{receive}, the socket dispatches
    C{data} for each datagram. Unlike in AIR, the socket can send to broadcast addresses and
    join multicast groups.

    A closed socket cannot be used again.
    """

    # AIR also defines close and ioError, which are not dispatched here.
    _eventTypes = frozenset(
        (DatagramSocketDataEvent.DATA, Event.CLOSE, IOErrorEvent.IO_ERROR),
    )

    def __init__(self, *, reactor: Any = None) -> None:
        super().__init__(reactor=reactor)
        self._port: Any = None
        self._peer: tuple[str, int] | None = None
        self._receiving = False
        # The timer of the warning that receive() was not called.
        self._reminder: IDelayedCall | None = None
        self._broadcast = False
        self._multicastTTL = 1
        self._multicastInterface: str | None = None
        # The asynchronous listeners of the event that is being dispatched.
        self._started: list[Awaitable[None]] = []

    def _local(self) -> tuple[str | None, int]:
        if self._port is None:
            return None, 0
        host = self._port.getHost()
        return host.host, host.port

    @property
    def connected(self) -> bool:
        """
        Whether the socket is connected to a single peer.
        """
        return self._peer is not None

    @property
    def remoteAddress(self) -> str | None:
        """
        The address of the connected peer, or C{None}.
        """
        return None if self._peer is None else self._peer[0]

    @property
    def remotePort(self) -> int:
        """
        The port of the connected peer, or 0.
        """
        return 0 if self._peer is None else self._peer[1]

    def _open(self, port: int, address: str) -> None:
        protocol = _Datagrams(self._arrived)
        try:
            self._port = listenUDP(self._reactor, port, protocol, address, MAX_DATAGRAM)
        except CannotListenError as error:
            raise cannotBind(address, port, error.socketError) from None
        if not self._receiving:
            self._port.stopReading()
            self._startReminder()
        try:
            self._applyOptions()
        except errors.IOError:
            # The caller receives an error, not a bound socket, so the port is released.
            opened, self._port = self._port, None
            opened.stopListening()
            self._stopReminder()
            raise

    def _store(self, key: Any, registrations: Any) -> None:
        super()._store(key, registrations)
        if registrations and key[0] == DatagramSocketDataEvent.DATA:
            self._startReminder()

    def _startReminder(self) -> None:
        """
        Start the timer of a warning if the socket is bound and has a listener, but does not
        receive.
        """
        if (
            self._reminder is None
            and self._port is not None
            and not self._receiving
            and self.hasEventListener(DatagramSocketDataEvent.DATA)
        ):
            self._reminder = self._reactor.callLater(_REMIND_AFTER, self._remind)

    def _stopReminder(self) -> None:
        reminder, self._reminder = self._reminder, None
        if reminder is not None and reminder.active():
            reminder.cancel()

    def _remind(self) -> None:
        if not self.hasEventListener(DatagramSocketDataEvent.DATA):
            return
        _log.warn(
            "the DatagramSocket at {host}, port {port} has a listener for data, but receives"
            " nothing: call receive()",
            host=self.localAddress,
            port=self.localPort,
        )

    # Broadcast and multicast, which AIR lacks

    @property
    def broadcast(self) -> bool:
        """
        Whether datagrams can be sent to a broadcast address, such as C{255.255.255.255}
        (default C{False}). Only newer versions of AIR have this property.
        """
        return self._broadcast

    @broadcast.setter
    def broadcast(self, value: bool) -> None:
        self._broadcast = bool(value)
        self._applyOptions()

    @property
    def multicastTTL(self) -> int:
        """
        Maximum number of hops of a datagram sent to a multicast group, 0 to 255 (default 1:
        the local network). Not available in AIR.

        @raise errors.RangeError: #2006, if the value is not from 0 to 255.
        """
        return self._multicastTTL

    @multicastTTL.setter
    def multicastTTL(self, value: int) -> None:
        if not isinstance(value, int):
            raise errors.TypeError(f"multicastTTL must be an integer, not {describeValue(value)}")
        if not 0 <= value <= 255:
            words = f"multicastTTL must be from 0 to 255, not {value}"
            raise errors.RangeError.numbered(2006, words=words)
        self._multicastTTL = value
        self._applyOptions()

    @property
    def multicastInterface(self) -> str | None:
        """
        The local IPv4 address from which datagrams to a multicast group are sent
        (default C{None}: chosen by the system). Not available in AIR.

        @raise errors.ArgumentError: #2004, if the text is not a local IPv4 address.
        """
        return self._multicastInterface

    @multicastInterface.setter
    def multicastInterface(self, value: str | None) -> None:
        self._multicastInterface = None if value is None else str(_checkIPv4(value))
        self._applyOptions()

    def joinGroup(self, address: str, interface: str | None = None) -> None:
        """
        Join a multicast group, to receive datagrams sent to the group. Not available in AIR.

        @param address: the address of the group, such as C{239.1.2.3}.
        @param interface: the local IPv4 address, or for IPv6 the name of the network
            interface, on which to receive (default: chosen by the system).
        @raise errors.ArgumentError: #2004, if the address is not a multicast address,
            or the interface is unknown.
        @raise errors.IOError: #2002, if this socket is not bound, or is bound to an address of
            the other IP version, or if the system refuses to join the group.
        """
        self._setMembership(address, interface, join=True)

    def leaveGroup(self, address: str, interface: str | None = None) -> None:
        """
        Leave a multicast group.

        @param address: see L{joinGroup}.
        @param interface: see L{joinGroup}.
        @raise errors.ArgumentError: see L{joinGroup}.
        @raise errors.IOError: see L{joinGroup}; also if the group was not joined.
        """
        self._setMembership(address, interface, join=False)

    def _setMembership(self, address: str, interface: str | None, *, join: bool) -> None:
        group = ipaddress.ip_address(checkAddress(address))
        if not group.is_multicast:
            words = f"{address} must be a multicast address, such as 239.1.2.3"
            raise errors.ArgumentError.numbered(2004, words=words)
        if self._port is None:
            raise invalidSocket("bind the socket before joining a group")
        if (group.version == 6) != (":" in (self.localAddress or "")):
            raise invalidSocket(
                f"{address} and the bound address {self.localAddress} must have the same IP version"
            )
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
        Connect to a single peer: datagrams are sent to and received from this peer
        only. Another call replaces the peer.

        @param remoteAddress: the peer's IP address.
        @raise errors.RangeError: #2006, if the port is not from 1 to 65535.
        @raise errors.ArgumentError: #2004, if the address is not a valid destination.
        @raise errors.IOError: #2002, if this socket cannot be bound.
        """
        remotePort = checkPort(remotePort, 1)
        address = checkAddress(remoteAddress)
        if ipaddress.ip_address(address).is_unspecified:
            words = f"{address} is not the address of a peer"
            raise errors.ArgumentError.numbered(2004, words=words)
        self._bindFor(address)
        self._peer = (address, remotePort)

    def _bindFor(self, address: str) -> None:
        """
        Bind the socket to an address of the destination's IP version; do nothing if the socket
        is already bound.
        """
        if self._port is None:
            self.bind(0, "::" if ":" in address else ANY_ADDRESS)
        elif (":" in address) != (":" in (self.localAddress or "")):
            raise invalidSocket(
                f"{address} and the bound address {self.localAddress} must have the same IP version"
            )

    def receive(self) -> None:
        """
        Start receiving datagrams, and dispatch C{data} for each.

        @raise errors.IOError: #2002, if this socket is closed.
        """
        if self._closed:
            raise invalidSocket("the socket is closed")
        if not self._receiving:
            self._receiving = True
            self._stopReminder()
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

        @param bytes: an array that contains the payload.
        @param offset: start of the payload in the array.
        @param length: length of the payload; 0 for the rest of the array.
        @param address: the destination's IP address; only for a socket that is not connected.
        @param port: the destination's port; only for a socket that is not connected.
        @raise errors.TypeError: #2007, if the array is C{None}.
        @raise errors.RangeError: #2006, if the payload is not inside the array, or the
            port is not from 1 to 65535.
        @raise errors.ArgumentError: #2004, if the address is not an IP address.
        @raise errors.IllegalOperationError: if an address or a port is passed to a
            connected socket.
        @raise errors.IOError: #2002, if this socket is closed or cannot be bound, or
            the system refuses the datagram.
        """
        if self._closed:
            raise invalidSocket("the socket is closed")
        if bytes is None:
            raise errors.TypeError.numbered(2007, "bytes")
        if self._peer is not None and (address is not None or port):
            raise errors.IllegalOperationError(
                f"the socket is connected to {self._peer[0]}: omit address and port"
            )
        try:
            view = memoryview(bytes)
        except TypeError:
            hint = ": encode text with str.encode" if isinstance(bytes, str) else ""
            raise errors.TypeError(
                f"send: bytes must be a ByteArray or bytes, not {describeValue(bytes)}{hint}"
            ) from None
        end = offset + length if length else len(bytes)
        if not 0 <= offset <= end <= len(bytes):
            raise errors.RangeError.numbered(2006, words=outside(offset, length, len(bytes)))
        peer = self._peer
        if peer is None:
            peer = (checkAddress(address), checkPort(port, 1))
        self._bindFor(peer[0])
        try:
            self._port.write(view[offset:end].tobytes(), peer)
        except MessageLengthError as error:
            raise invalidSocket(error) from None
        except OSError as error:
            raise invalidSocket(error.strerror) from None

    def _runListeners(self, started: Sequence[Awaitable[Any]], event: Event) -> None:
        """
        Run asynchronous listeners. No datagrams are read until they have ended.
        """
        self._started.extend(awaitListener(awaitable, event) for awaitable in started)

    def close(self) -> Deferred[None]:
        """
        Close the socket permanently. No event is dispatched.

        @return: fires when the port is released; OpenFL returns nothing.
        @raise errors.IOError: #2002, if this socket is already closed.
        """
        if self._closed:
            raise invalidSocket("the socket is closed")
        port, self._port = self._port, None
        self._closed = True
        self._peer = None
        self._stopReminder()
        return maybeDeferred(lambda: None if port is None else port.stopListening())

    def _arrived(self, datagram: bytes, host: str, number: int) -> HandlerResult:
        if self._closed or (self._peer is not None and (host, number) != self._peer):
            # A listener may have closed the socket while the port was reading several datagrams.
            return None
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
        if not self._started:
            return None
        started = [*self._started]
        self._started.clear()
        return _awaitEach(started)


async def _awaitEach(listeners: Iterable[Awaitable[None]]) -> None:
    for listener in listeners:
        await listener
