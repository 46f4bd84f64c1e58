"""
Messages for failed connection attempts.
"""

from twisted.internet import error
from twisted.python.failure import Failure

from openfl_twisted import errors


def reasonOf(reason: Failure, host: str, port: int) -> str:
    """
    Explain why a connection attempt has failed.

    @param reason: the failure of the endpoint.
    @param host: the host name or address.
    @param port: the port.
    @return: a clause, in lower case and without a full stop.
    """
    if reason.check(error.ConnectionRefusedError):
        return f"the connection to {host}:{port} was refused: no server listens there"
    if reason.check(error.DNSLookupError):
        return f"the host name {host!r} is unknown"
    if reason.check(error.NoRouteError):
        return f"{host} cannot be reached: no route to host"
    return f"{host}:{port}: {reason.getErrorMessage().rstrip('.')}"


def invalidSocket(reason: object) -> errors.IOError:
    """
    Create the error for an operation that the operating system, or the state of the
    socket, does not permit.

    @param reason: the reason, for the error's text.
    """
    return errors.IOError.numbered(2002, words=str(reason))


def socketError(words: str) -> errors.IOError:
    """
    Create the error #2031 with a reason.

    @param words: the reason, as a clause.
    """
    text = f"{errors.messageOf(2031)} {words[:1].upper()}{words[1:].rstrip('.')}."
    return errors.IOError(text, 2031)
