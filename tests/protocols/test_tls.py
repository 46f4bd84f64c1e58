"""
The way out inside TLS, whose transport behaves differently at its end: it takes
nothing after it was asked to close, unless it has a producer, and it does not
close while it has one.
"""

from typing import Any

import trustme
from OpenSSL.SSL import TLS_METHOD, Context
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.test.iosim import IOPump, connect, makeFakeClient, makeFakeServer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from openfl_twisted.protocols.guard import GuardFactory
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.relay import EchoProtocol
from openfl_twisted.protocols.simpleserver import SimpleServerFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.wire.policy import REQUEST, PolicyFile


@implementer(IOpenSSLContextFactory)
class Contexts:
    """
    Gives a TLS context to Twisted.
    """

    def __init__(self, context: Context) -> None:
        self.context = context

    def getContext(self) -> Context:
        return self.context


class Client(Protocol):
    """
    Sends something, and collects what it gets.
    """

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.received = b""
        self.lost = False

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self.message)

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True


class TLSTests(SynchronousTestCase):
    """
    Servers inside TLS.
    """

    def talk(self, factory: Factory[Any], message: bytes) -> tuple[Client, IOPump]:
        """
        Connect a client to a server and let them talk until both are silent.
        """
        authority = trustme.CA()
        server, client = Context(TLS_METHOD), Context(TLS_METHOD)
        authority.issue_cert("localhost").configure_cert(server)
        clock = Clock()
        serving = TLSMemoryBIOFactory(Contexts(server), False, factory, clock).buildProtocol(None)
        talking = Client(message)
        dialing = TLSMemoryBIOFactory(
            Contexts(client), True, Factory.forProtocol(lambda: talking), clock
        ).buildProtocol(None)
        ends = (serving, makeFakeServer(serving), dialing, makeFakeClient(dialing))
        pump: IOPump = connect(*ends, clock=clock)
        pump.flush()
        return talking, pump

    def test_writeThenClose(self) -> None:
        """
        An answer that is written in the same read as the end arrives before it.
        """
        client, _ = self.talk(SimpleServerFactory(), b"hello\nEXIT\n")
        self.assertEqual(client.received, b"Enter EXIT to exit.\r\nEcho: hello\r\nEcho: EXIT\r\n")
        self.assertTrue(client.lost)

    def test_closeAfterEchoes(self) -> None:
        """
        A connection closes though it has a producer, and the client gets what
        is too much for one record.
        """
        factory = XMLSocketFactory(EchoProtocol)
        message = b"x" * 500_000 + b"\0"
        client, pump = self.talk(factory, message * 2)
        self.assertEqual(client.received, message * 2)
        [connection] = factory.connections
        connection.transport.loseConnection()
        pump.flush()
        self.assertTrue(client.lost)
        self.assertEqual(factory.connections, set())

    def test_policyRequest(self) -> None:
        """
        A policy request is answered inside TLS too, behind all the doors.
        """
        policy = PolicyFile.forPort(80)
        clock = Clock()
        door = OnePortFactory(SimpleServerFactory(), policy=policy, clock=clock)
        factory = GuardFactory(door, clock=clock)
        client, _ = self.talk(factory, REQUEST)
        self.assertEqual(client.received, policy.toXML() + b"\0")
        self.assertTrue(client.lost)
        self.assertEqual(factory.connections, 0)
