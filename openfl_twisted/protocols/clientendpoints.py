"""
Client endpoints of the command-line programs, and the descriptions of failed connection
attempts.
"""

from typing import Any

from twisted.internet import error
from twisted.internet.interfaces import IStreamClientEndpoint

from openfl_twisted.hostnames import hostEndpoint
from openfl_twisted.protocols.securesocket import SecureEndpoint
from openfl_twisted.tls import HandshakeFailed, Trust


def clientEndpoint(
    reactor: Any, host: str, port: int, timeout: float, trust: Trust | None = None
) -> IStreamClientEndpoint:
    """
    Create the endpoint of a server.

    @param reactor: an C{IReactorTCP}, C{IReactorPluggableNameResolver} and C{IReactorTime}
        provider.
    @param host: the host name or IP address; see L{hostEndpoint}.
    @param port: the port.
    @param timeout: maximum time to connect, and maximum time of the TLS handshake (seconds).
    @param trust: connect with TLS, and verify the server's certificate with these trust
        anchors (default: no TLS).
    """
    endpoint: IStreamClientEndpoint = hostEndpoint(reactor, host, port, timeout)
    if trust is not None:
        endpoint = SecureEndpoint(endpoint, host, trust, timeout=timeout, clock=reactor)
    return endpoint


def readTrust(path: str) -> Trust:
    """
    Read trust anchors from a PEM file.

    @param path: path of the file.
    @raise ValueError: if the file cannot be read or contains no certificates. The text
        begins with the path.
    """
    try:
        return Trust.fromPEM(path)
    except OSError as problem:
        raise ValueError(f"{path}: {problem.strerror}") from None


def problemOf(problem: Exception, host: str, port: int, timeout: float) -> str:
    """
    Describe a failed connection attempt in one line.

    @param problem: the exception from the endpoint.
    @param host: the name or the IP address of the server (IPv6 without brackets).
    @param port: the port of the server.
    @param timeout: the timeout of the attempt (seconds).
    @return: the line, without a newline; it contains the name of the server.
    """
    server = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    match problem:
        case error.DNSLookupError():
            return f"no address was found for {host}"
        case error.ConnectionRefusedError():
            return f"{server} refused the connection"
        case error.TimeoutError():
            return f"{server} has not answered within {timeout:g} seconds"
        case HandshakeFailed():
            return f"{server}: {problem}"
        case error.ConnectError(args=(str(reason), *_)) if reason:
            return f"cannot reach {server}: {reason}"
        case _:
            return f"cannot reach {server}: {problem}"
