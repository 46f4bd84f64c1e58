"""
Demonstrates each certificate status of a SecureSocket. `python certificates.py expired`
starts a server with an expired certificate, connects to it, and prints the result.
"""

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import react

from openfl_twisted.events import Event, IOErrorEvent
from openfl_twisted.net import SecureSocket
from openfl_twisted.protocols import EchoProtocol, XMLSocketFactory
from openfl_twisted.testing import STATUSES, CertificateMaker


async def main(reactor: Any, status: str = "") -> None:
    """
    Start a server, connect to it, and print the certificate status.
    """
    if status not in STATUSES:
        raise SystemExit(f"the argument must be one of {', '.join(STATUSES)}")
    credentials = CertificateMaker().make(status)
    factory = credentials.serverFactory(XMLSocketFactory(EchoProtocol), reactor)
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)

    socket = SecureSocket(trust=credentials.trust)
    outcome: Deferred[Event] = Deferred()
    socket.addEventListener(Event.CONNECT, outcome.callback)
    socket.addEventListener(IOErrorEvent.IO_ERROR, outcome.callback)
    socket.connect(credentials.host, port.getHost().port)
    event = await outcome
    sys.stdout.write(f"{socket.serverCertificateStatus}\n{getattr(event, 'text', event.type)}\n")
    if socket.connected:
        socket.close()
    await port.stopListening()


if __name__ == "__main__":
    react(lambda *arguments: Deferred.fromCoroutine(main(*arguments)), sys.argv[1:])
