"""
A user's project: a server with rooms and handlers, a client, bots, and tests.
"""

from collections.abc import KeysView
from typing import Any, assert_type

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock, deferLater

import openfl_twisted
from openfl_twisted.brokers.redispresence import RedisPresence
from openfl_twisted.brokers.redispubsub import RedisPubSub
from openfl_twisted.dashboard.metrics import MetricsService
from openfl_twisted.dispatch import XMLDispatchProtocol, handler
from openfl_twisted.endpoints import openflEndpoint
from openfl_twisted.events import (
    DataEvent,
    Event,
    IOErrorEvent,
    ProgressEvent,
    ServerSocketConnectEvent,
)
from openfl_twisted.load import Bot
from openfl_twisted.net import SecureSocket, ServerSocket, Socket, XMLSocket
from openfl_twisted.protocols import (
    BinarySocketFactory,
    BinarySocketProtocol,
    OnePortFactory,
    PolicyFileFactory,
    ProxyProtocolEndpoint,
    ProxyProtocolFactory,
    SecureEndpoint,
    WebSocketFactory,
    XMLSocketFactory,
    XMLSocketProtocol,
)
from openfl_twisted.rooms.distributedrooms import DistributedRooms
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.presence import MemoryPresence
from openfl_twisted.rooms.pubsub import IPubSub, MemoryPubSub
from openfl_twisted.rooms.roomprotocol import RoomFactory, XMLRoomProtocol
from openfl_twisted.testing import (
    EVERY_BYTE,
    CertificateMaker,
    ConnectedPair,
    EventRecorder,
    MemoryNetwork,
    Peer,
    ScriptedPeer,
    connectedPair,
)
from openfl_twisted.tls import Trust
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.rule import AccessRule


class Player(XMLSocketProtocol):
    """
    A protocol with attributes of its own.
    """

    nick = ""

    async def messageReceived(self, message: str) -> None:
        await deferLater(self.getClock(), 1)
        for other in self.factory.connections:
            other.sendMessage(f"{self.nick} {other.nick}: {message}")
        self.factory.broadcast(message, exclude=[self])


class QuickPlayer(Player):
    """
    C{connectionMade} can be a function.
    """

    def connectionMade(self) -> None:
        self.sendMessage("welcome")


class SlowPlayer(Player):
    """
    C{connectionMade} can be a coroutine function.
    """

    async def connectionMade(self) -> None:
        await deferLater(self.getClock(), 1)


class GameFactory(XMLSocketFactory["Avatar"]):
    """
    A factory with attributes of its own.
    """

    def __init__(self) -> None:
        super().__init__(Avatar)
        self.scores: dict[str, int] = {}


class Avatar(XMLSocketProtocol):
    """
    A protocol that declares its factory.
    """

    factory: GameFactory
    nick = ""

    def messageReceived(self, message: str) -> None:
        self.factory.scores[message] = 1
        for avatar in self.factory.connections:
            assert_type(avatar.nick, str)


class Chat(XMLDispatchProtocol, XMLRoomProtocol):
    """
    Rooms and handlers, some of which are coroutines.
    """

    @handler
    def move(self, x: int) -> None:
        self.send("moved", x=x)
        assert_type(self.factory.lobby, Lobby)

    @handler("say")
    async def speak(self, text: str, loud: bool = False) -> None:
        await deferLater(self.getClock(), 1)
        self.send("said", text=text)


class Numbers(BinarySocketProtocol):
    """
    A binary protocol.
    """

    def connectionMade(self) -> None:
        self.writeInt(1)

    async def socketDataReceived(self, bytesLoaded: int) -> None:
        self.writeInt(self.readInt())


def serve(reactor: Any) -> GuardFactory:
    """
    Listen with plain and wrapped factories, and return the outermost one.
    """
    games = XMLSocketFactory(Player, clock=reactor)
    assert_type(games.connections, KeysView[Player])
    reactor.listenTCP(8080, games)
    PolicyFileFactory(PolicyFile((AccessRule("*.a.example", "80"),)), clock=Clock())
    WebSocketFactory(games, clock=Clock())
    ProxyProtocolFactory(OnePortFactory(BinarySocketFactory(Numbers)), clock=Clock())
    openflEndpoint(TCP4ServerEndpoint(reactor, 8080), policy=None).listen(games)
    MetricsService(object(), TCP4ServerEndpoint(reactor, 9100), clock=Clock())
    ProxyProtocolEndpoint(TCP4ServerEndpoint(reactor, 8082), Clock()).listen(games)
    GuardFactory(GameFactory(), maxConnections=1, clock=Clock())
    return GuardFactory(OnePortFactory(games, clock=Clock()), maxConnections=100)


def everyPlayer(factory: XMLSocketFactory) -> int:
    """
    A factory without a type argument accepts all factories.
    """
    return len(factory.connections)


def rooms(reactor: Any, pubSub: IPubSub) -> RoomFactory[Chat]:
    """
    Connect rooms through a broker, and return the factory of the clients.
    """
    clock = Clock()
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", 6379)
    lobby = Lobby(clock=clock)
    redis = RedisPubSub(endpoint, "a broker", clock=clock)
    DistributedRooms(lobby, redis, RedisPresence(endpoint, "a broker", redis.node, clock=clock))
    DistributedRooms(lobby, pubSub, MemoryPresence(pubSub.node))
    factory = RoomFactory(Chat, lobby)
    assert_type(everyPlayer(factory), int)
    return factory


async def client() -> None:
    """
    Connect, and receive messages and events.
    """
    socket = XMLSocket("localhost", 8080)
    await socket.whenConnected()
    socket.send("hello")
    async for message in socket.messages():
        assert_type(message, str)

    def received(event: DataEvent) -> None:
        assert_type(event.data, str)

    async def failed(event: IOErrorEvent) -> None:
        assert_type(event.text, str)

    socket.addEventListener(DataEvent.DATA, received)
    socket.addEventListener(IOErrorEvent.IO_ERROR, failed)


def server() -> None:
    """
    Listen, and write to each accepted socket.
    """
    listening = ServerSocket()

    def connected(event: ServerSocketConnectEvent) -> None:
        assert_type(event.socket, Socket)
        event.socket.addEventListener(ProgressEvent.SOCKET_DATA, lambda event: None)
        event.socket.writeUTF("hello")
        event.socket.flush()

    listening.addEventListener(ServerSocketConnectEvent.CONNECT, connected)
    listening.bind(8080)
    listening.listen()


class Walker(XMLDispatchProtocol):
    """
    A bot of a load test.
    """

    async def act(self) -> None:
        self.send("move", x=1)


bots: list[type[Bot]] = [Walker]


def test_game(memoryNetwork: MemoryNetwork, certificateMaker: CertificateMaker) -> None:
    """
    Tests in memory.
    """
    pair = connectedPair(Peer(), XMLSocketFactory(Player), network=memoryNetwork)
    assert_type(pair, ConnectedPair[Peer, Player])
    pair.connection.toServer.split(EVERY_BYTE)
    pair.client.send(b"hello\0")
    memoryNetwork.advance(1)
    connectedPair(Peer(), GuardFactory(XMLSocketFactory(Player)))
    script = ScriptedPeer().expect(b"a").send(b"b")
    script.listen(memoryNetwork, 8081)
    socket = SecureSocket(trust=Trust.fromPEM("ca.pem"), reactor=memoryNetwork.reactor)
    recorder = EventRecorder(socket)
    assert_type(recorder.events, list[Event])
    credentials = certificateMaker.make()
    secured = credentials.serverFactory(XMLSocketFactory(Player), memoryNetwork.reactor)
    memoryNetwork.reactor.listenTCP(443, secured)
    reactor = memoryNetwork.reactor
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", 443)
    connecting: Deferred[Any] = SecureEndpoint(
        endpoint, "localhost", credentials.trust, clock=reactor
    ).connect(Factory.forProtocol(Protocol))
    memoryNetwork.run(connecting)
    assert_type(memoryNetwork.run(deferLater(reactor, 1, int)), int)
    rooms(reactor, MemoryPubSub())


if __name__ == "__main__":
    openfl_twisted.run(client)
