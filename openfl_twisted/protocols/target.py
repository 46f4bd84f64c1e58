"""
The target of a client program: a server, given as text.
"""

import ipaddress
from dataclasses import replace
from typing import Any, NamedTuple

from twisted.internet.interfaces import IStreamClientEndpoint
from websockets.uri import WebSocketURI

from openfl_twisted.protocols.clientendpoints import clientEndpoint
from openfl_twisted.protocols.websocketclient import WebSocketEndpoint, parseURL
from openfl_twisted.tls import Trust


class Target(NamedTuple):
    """
    A server.

    @ivar text: the target as on the command line.
    @ivar host: the host name or IP address; IPv6 without brackets.
    @ivar port: the port.
    @ivar secure: whether to connect with TLS.
    @ivar uri: the URI of a WebSocket; C{None} for a TCP connection.
    """

    text: str
    host: str
    port: int
    secure: bool
    uri: WebSocketURI | None = None

    @classmethod
    def parse(cls, text: str) -> "Target":
        """
        Parse C{tcp:HOST:PORT}, C{tls:HOST:PORT}, or a C{ws:} or C{wss:} URL.

        @raise ValueError: if the text is invalid.
        """
        kind, _, rest = text.partition(":")
        if kind in ("ws", "wss"):
            uri = parseURL(text)
            return cls(text, uri.host, uri.port, uri.secure, uri)
        host, _, port = rest.rpartition(":")
        # Twisted's endpoint descriptions escape the colons of an IPv6 address.
        host = host.replace("\\:", ":").removeprefix("[").removesuffix("]")
        if kind not in ("tcp", "tls") or not host:
            raise ValueError(
                f"{text!r} must be tcp:HOST:PORT, tls:HOST:PORT, ws://... or wss://..."
            )
        if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) <= 65535):
            raise ValueError(f"{text!r}: {port!r} is not a port from 1 to 65535")
        return cls(text, host, int(port), kind == "tls")

    @property
    def isLoopback(self) -> bool:
        """
        Whether the host is certainly this machine: C{localhost} or a loopback address.
        """
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def withPath(self, path: str) -> "Target":
        """
        Return this target with another path, if it is a WebSocket URL without a path.

        @param path: the path and query; empty for the same target.
        """
        if not path or self.uri is None or self.uri.resource_name != "/":
            return self
        name, _, query = path.partition("?")
        return self._replace(uri=replace(self.uri, path=name, query=query))

    def endpoint(self, reactor: Any, timeout: float, trust: Trust) -> IStreamClientEndpoint:
        """
        Create the endpoint of the server.

        @param reactor: see L{clientEndpoint}.
        @param timeout: maximum time to connect (seconds).
        @param trust: the trust anchors for TLS.
        """
        endpoint = clientEndpoint(
            reactor, self.host, self.port, timeout, trust if self.secure else None
        )
        if self.uri is None:
            return endpoint
        return WebSocketEndpoint(endpoint, self.uri, timeout=timeout, clock=reactor)
