"""
Code as users write it, with the types that they get.
"""

from collections.abc import KeysView
from typing import Self, assert_type

from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorCore
from twisted.internet.task import deferLater

from openfl_twisted.dispatch import (
    JSONDispatchProtocol,
    SmartFoxProtocol,
    XMLDispatchProtocol,
    XtDispatchProtocol,
    handler,
)
from openfl_twisted.events import Event
from openfl_twisted.net import Socket
from openfl_twisted.protocols.binarysocket import BinarySocketFactory, BinarySocketProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.policyfile import PolicyFileFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.rooms.roomprotocol import RoomFactory, XMLRoomProtocol
from openfl_twisted.security import CertificateStatus
from openfl_twisted.testing import (
    EVERY_BYTE,
    Attempt,
    CertificateMaker,
    ConnectedPair,
    Credentials,
    EventRecorder,
    Flow,
    MemoryNetwork,
    Peer,
    ScriptedPeer,
    connectedPair,
)
from openfl_twisted.tls import Trust
from openfl_twisted.transports.connection import Connection
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.rule import AccessRule
from openfl_twisted.wire.xmltext import element


class Game(XMLSocketProtocol):
    """
    A server for C{XMLSocket}.
    """

    def messageReceived(self, message: str) -> None:
        assert_type(self.transport, Connection)
        self.sendMessage(message)
        self.factory.broadcast(message, exclude=[self])


class Player(XMLDispatchProtocol):
    """
    Handlers by name: the decorator keeps the signature.
    """

    @handler
    def move(self, x: int, y: int | None = None) -> int:
        self.send("moved", x=x, y=y)
        self.factory.broadcast(self.formatMessage("moved", x=x), exclude=[self])
        return x

    @handler("say")
    async def speak(self, text: str) -> str:
        assert_type(self.move(3), int)
        assert_type(await self.speak("a"), str)
        self.move("3")  # type: ignore[arg-type]
        self.send("said", text=b"a")  # type: ignore[arg-type]
        return text


class JSONPlayer(JSONDispatchProtocol):
    """
    JSON values are not restricted.
    """

    @handler
    def move(self, x: int) -> None:
        self.send("moved", path=[x, None])


class XtPlayer(XtDispatchProtocol):
    """
    C{%xt%} parameters have no names.
    """

    @handler("u#sp")
    def move(self, x: int) -> None:
        self.send("sp", x, "a", True)
        self.send("sp", None)  # type: ignore[arg-type]


class Penguin(SmartFoxProtocol):
    """
    Both kinds of messages.
    """

    @handler
    def rndK(self) -> None:
        self.sendSystem("rndK", element("k", text="a"), room=-1)
        self.send("h", room=3)


class Dice(XMLDispatchProtocol, XMLRoomProtocol):
    """
    Handlers and rooms.
    """

    @handler
    def roll(self) -> None:
        self.send("rolled", value=6)
        assert_type(self.factory, RoomFactory[Self])


class Numbers(BinarySocketProtocol):
    """
    A server for C{Socket}.
    """

    def socketDataReceived(self, bytesLoaded: int) -> None:
        assert_type(self.readInt(), int)
        assert_type(self.readDouble(), float)
        assert_type(self.readUTF(), str)
        self.writeInt(1)
        self.flush()


def serve(reactor: IReactorCore) -> None:
    """
    Every factory can be listened with, alone and behind the others.
    """
    policy = PolicyFile((AccessRule("*.a.example", "80"),))
    games = XMLSocketFactory(Game, maxLength=1000, policy=policy)
    assert_type(games.connections, KeysView[Game])
    endpoint = serverFromString(reactor, "tcp:80")
    endpoint.listen(games)
    endpoint.listen(OnePortFactory(games, policy=PolicyFile.forPort, greetingDelay=1))
    endpoint.listen(GuardFactory(OnePortFactory(games, policy=None), maxConnections=1))
    endpoint.listen(BinarySocketFactory(Numbers, maxUnread=1000))
    endpoint.listen(PolicyFileFactory(policy, timeout=1))
    assert_type(policy.permits("a.example", 80), bool)


async def testInMemory() -> None:
    """
    Tests know what they have connected, and what they wait for.
    """
    network = MemoryNetwork()
    pair = connectedPair(Peer(), XMLSocketFactory(Game), network=network)
    assert_type(pair, ConnectedPair[Peer, Game])
    assert_type(pair.client.received, bytes)
    assert_type(pair.connection.toServer, Flow)
    pair.connection.toServer.split(EVERY_BYTE)
    assert_type(connectedPair(Numbers(), Peer()).client, Numbers)
    assert_type(network.run(deferLater(network.reactor, 1, int)), int)
    network.attempts.hold()
    attempts: list[Attempt] = network.attempts.held
    attempts[0].refuse()
    server = ScriptedPeer().expect(b"a").send(b"b").close()
    assert_type(server, ScriptedPeer)
    assert_type(ScriptedPeer.fromRuffle("[]").done, bool)
    credentials = CertificateMaker("games.example").make(CertificateStatus.EXPIRED)
    assert_type(credentials, Credentials)
    assert_type(credentials.trust, Trust)
    assert_type(EventRecorder(Socket(reactor=network.reactor)).events, list[Event])
    # The reactor is one for everything that takes one.
    serve(network.reactor)
