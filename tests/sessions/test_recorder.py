"""
Tests for L{openfl_twisted.sessions._recorder}, L{openfl_twisted.sessions._recording} and
L{openfl_twisted.sessions._writer}.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from itertools import product
from operator import methodcaller
from typing import Any, ClassVar

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import capturedLogs
from twisted.protocols import tls
from twisted.python.failure import Failure
from websockets.exceptions import InvalidState
from zope.interface import implementer

from openfl_twisted.protocols.broadcast import BroadcastProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.roomprotocol import RoomFactory, XMLRoomProtocol
from openfl_twisted.sessions import _recorder
from openfl_twisted.sessions._recording import RecordingFactory
from openfl_twisted.sessions._session import Session
from openfl_twisted.testing import EVERY_BYTE, Peer
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.wire.policy.request import REQUEST
from tests.doubles import linesOf
from tests.sessions.recordings import (
    CREDENTIALS,
    SIZES,
    Answering,
    RecordingCase,
    TLSPeer,
    WebSocketPeer,
    dataOf,
    endOf,
    pairs,
    told,
)
from tests.support.upgrading import UpgradingProtocol

texts = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)).map(
    lambda texts: [text for text in texts if text not in ("close", "abort", "many")]
)


class ClientTypeTests(RecordingCase):
    """
    Tests of the recorded data, for each client type.
    """

    def check(self, texts: list[str], kind: str = "plain") -> None:
        """
        Check that the session consists of these messages and answers.
        """
        [session] = self.finish()
        sent = [text for text in told(session) if text[0] == "client"]
        answers = [text for text in told(session) if text[0] == "server"]
        wanted = list(pairs(texts))
        self.assertEqual(sent, wanted[::2])
        self.assertEqual(answers, wanted[1::2])
        self.assertEqual((session.header.kind, session.header.dialect), (kind, "xml"))
        self.assertEqual((session.gaps, session.warnings), ([], []))

    @given(texts, SIZES, SIZES, st.booleans())
    def test_plain(
        self, texts: list[str], there: list[int], back: list[int], coalesce: bool
    ) -> None:
        """
        The messages of a plain client are recorded, however the streams are split.
        """
        self.setUp()
        self.record()
        port = self.serve(coalesce=coalesce)
        client = self.connect(port)
        connection = self.network.connections[-1]
        connection.toServer.split(there)
        connection.toClient.split(back)
        client.send(b"".join(text.encode() + b"\0" for text in texts) or b"\0")
        self.network.flush()
        client.close()
        self.network.flush()
        self.check(texts or [""])

    @given(texts, SIZES, SIZES, st.booleans())
    def test_webSocket(
        self, texts: list[str], there: list[int], back: list[int], compress: bool
    ) -> None:
        """
        The messages of a WebSocket client are recorded without frames, compression and handshake.
        """
        self.setUp()
        self.record()
        port = self.serve(compress=compress)
        client = WebSocketPeer(compress=compress, path="/game?room=1")
        self.connect(port, client)
        connection = self.network.connections[-1]
        connection.toServer.split(there)
        connection.toClient.split(back)
        self.network.flush()
        for text in texts:
            client.say(text.encode() + b"\0")
        client.sayGoodbye()
        self.network.flush()
        self.check(texts, "websocket")
        [session] = self.sessions()
        self.assertEqual((session.header.path, endOf(session)), ("/game?room=1", "client"))

    @given(texts, SIZES, SIZES, st.booleans(), st.booleans())
    def test_tls(
        self,
        texts: list[str],
        there: list[int],
        back: list[int],
        coalesce: bool,
        isWebSocket: bool,
    ) -> None:
        """
        The decrypted messages of a TLS client on a shared port are recorded.
        """
        self.setUp()
        self.record()
        port = self.serve(coalesce=coalesce, tls=True)
        client = self.connect(port, WebSocketPeer() if isWebSocket else None, tls=True)
        connection = self.network.connections[-1]
        connection.toServer.split(there)
        connection.toClient.split(back)
        self.network.flush()
        for text in texts or ["x"]:
            if isWebSocket:
                client.say(text.encode() + b"\0")
            else:
                client.send(text.encode() + b"\0")
        self.network.flush()
        client.close()
        self.network.flush()
        self.check(texts or ["x"], "websocket" if isWebSocket else "plain")

    def test_policyRequest(self) -> None:
        """
        A policy request is not recorded, with or without a delay.
        """
        self.record()
        port = self.serve()
        client = self.connect(port)
        client.send(REQUEST)
        self.network.flush()
        self.assertIn(b"cross-domain-policy", client.received)
        late = self.connect(port)
        self.network.advance(1)
        late.send(REQUEST)
        self.network.flush()
        self.assertIn(b"cross-domain-policy", late.received)
        self.assertEqual(self.warnings(self.finish), [])
        for session in self.sessions():
            self.assertEqual((told(session), endOf(session)), ([], "client"))

    def test_lateUpgrade(self) -> None:
        """
        A client that opens a WebSocket after the greeting delay is recorded as a WebSocket.
        """
        self.record()
        port = self.serve()
        client = self.connect(port)
        self.network.advance(1)
        webSocket = WebSocketPeer()
        webSocket.transport = client.transport
        client.dataReceived = webSocket.dataReceived
        webSocket.connectionMade()
        self.network.flush()
        webSocket.say(b"a\0")
        webSocket.sayGoodbye()
        self.network.flush()
        first, second = self.finish()
        self.assertEqual((told(first), endOf(first)), ([], "client"))
        self.assertEqual(told(second), list(pairs(["a"])))
        self.assertEqual((second.header.kind, endOf(second)), ("websocket", "client"))
        self.assertEqual(webSocket.messages, [b"<a>\0"])

    def test_everyByte(self) -> None:
        """
        A message that arrives byte by byte is one line.
        """
        self.record("raw")
        client = self.connect(self.serve())
        self.network.connections[-1].toServer.split(EVERY_BYTE)
        client.send(b"abc\0")
        self.network.flush()
        [session] = self.finish()
        self.assertEqual(dataOf(session, "client"), b"abc\0")
        self.assertEqual(endOf(session), "stopped")


class Greeting(Answering):
    """
    Sends messages when it is connected, in one write and in several.
    """

    def connectionMade(self) -> None:
        self.sendMessage("hello")
        self.transport.writeSequence([b"how ", b"are you\0"])
        self.transport.writeMessages([b"a\0", b"b\0"])


class Waiting(XMLSocketProtocol):
    """
    Waits before each answer, also when it is connected.
    """

    waits: ClassVar[list[Deferred[None]]] = []

    async def wait(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.waits.append(waiting)
        await waiting

    async def connectionMade(self) -> None:
        await self.wait()
        self.sendMessage("ready")

    async def messageReceived(self, message: str) -> None:
        await self.wait()
        self.sendMessage(f"<{message}>")


class Pausing(XMLSocketProtocol):
    """
    Pauses after each message.
    """

    made: ClassVar[list["Pausing"]] = []

    def connectionMade(self) -> None:
        self.made.append(self)
        self.transport.pauseProducing()

    def messageReceived(self, message: str) -> None:
        self.sendMessage(f"<{message}>")
        self.transport.pauseProducing()


class Unbound(Protocol):
    """
    A protocol of Twisted, which is not bound to the connection.
    """

    transport: Any

    def connectionMade(self) -> None:
        self.transport.write(b"hello\0")
        self.transport.writeSequence([b"a", b"", b"b\0"])

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)
        if data.endswith(b"close\0"):
            self.transport.loseConnection()


class SentTests(RecordingCase):
    """
    Tests of messages that a server sends in various ways, for each client type.
    """

    def eachClient(self, factory: Any, talk: Callable[[Any], object]) -> Iterator[Session]:
        """
        Let a client of each type talk to a server.

        @param talk: called with a function that sends a message.
        @return: the sessions.
        """
        for inTLS, coalesce, isWebSocket in product((False, True), repeat=3):
            self.setUp()
            self.record()
            port = self.serve(factory, coalesce=coalesce, tls=inTLS)
            client = self.connect(port, WebSocketPeer() if isWebSocket else None, tls=inTLS)
            self.network.flush()
            self.network.advance(1)
            talk(client.say if isWebSocket else client.send)
            self.network.flush()
            [session] = self.finish()
            with self.subTest(inTLS=inTLS, coalesce=coalesce, isWebSocket=isWebSocket):
                yield session

    def test_connectionMade(self) -> None:
        """
        Messages sent in connectionMade are recorded.
        """
        for session in self.eachClient(Greeting, lambda say: say(b"x\0")):
            self.assertEqual(dataOf(session, "server"), b"hello\0how are you\0a\0b\0<x>\0")

    def test_sendMessages(self) -> None:
        """
        Messages sent together are recorded.
        """
        for session in self.eachClient(Answering, lambda say: say(b"many\0")):
            self.assertEqual(
                told(session),
                [
                    ("client", b"many\0"),
                    ("server", b"one\0"),
                    ("server", b"two\0"),
                    ("server", b"three\0"),
                ],
            )

    def test_broadcast(self) -> None:
        """
        Messages of other clients are recorded, also when they are sent by the factory.
        """
        factory = XMLSocketFactory(BroadcastProtocol)

        def talk(say: Callable[[bytes], object]) -> None:
            say(b"x\0")
            self.network.flush()
            factory.broadcast("all")

        for session in self.eachClient(factory, talk):
            self.assertEqual(dataOf(session, "server")[-4:], b"all\0")

    def test_unbound(self) -> None:
        """
        Data written by a protocol that is not bound to the connection is recorded.
        """
        for session in self.eachClient(Factory.forProtocol(Unbound), lambda say: say(b"close\0")):
            self.assertEqual(
                told(session),
                [
                    ("server", b"hello\0"),
                    ("server", b"ab\0"),
                    ("client", b"close\0"),
                    ("server", b"close\0"),
                ],
            )
            self.assertEqual(endOf(session), "server")

    def test_coroutines(self) -> None:
        """
        Messages that are received and sent while coroutines wait are recorded once, in order.
        """
        self.patch(Waiting, "waits", [])

        def talk(say: Callable[[bytes], object]) -> None:
            say(b"a\0b\0")
            self.network.flush()
            say(b"c\0")
            for _ in range(4):
                self.network.flush()
                Waiting.waits.pop().callback(None)

        for session in self.eachClient(Waiting, talk):
            self.assertEqual(dataOf(session, "server"), b"ready\0<a>\0<b>\0<c>\0")
            self.assertEqual(dataOf(session, "client"), b"a\0b\0c\0")

    def test_paused(self) -> None:
        """
        Messages that arrive while the protocol is paused are recorded once, in order.
        """
        self.patch(Pausing, "made", [])

        def talk(say: Callable[[bytes], object]) -> None:
            say(b"a\0b")
            self.network.flush()
            say(b"c\0d\0")
            for _ in range(4):
                self.network.flush()
                Pausing.made[-1].transport.resumeProducing()

        for session in self.eachClient(Pausing, talk):
            self.assertEqual(dataOf(session, "server"), b"<a>\0<bc>\0<d>\0")
            self.assertEqual(dataOf(session, "client"), b"a\0bc\0d\0")

    def test_late(self) -> None:
        """
        A client that sends before the server's greeting is recorded once.
        """
        self.patch(Pausing, "made", [])
        self.record()
        client = self.connect(self.serve(Pausing))
        client.send(b"a\0b\0")
        self.network.flush()
        Pausing.made[-1].transport.resumeProducing()
        self.network.flush()
        Pausing.made[-1].transport.resumeProducing()
        self.network.flush()
        [session] = self.finish()
        self.assertEqual(dataOf(session, "client"), b"a\0b\0")

    def test_rooms(self) -> None:
        """
        The messages of a room are recorded in the sessions of its members.
        """
        self.record()
        lobby = Lobby(clock=self.network.reactor)
        port = self.serve(RoomFactory(XMLRoomProtocol, lobby))
        one, two = self.connect(port), self.connect(port, WebSocketPeer())
        self.network.flush()
        one.send(b'<join room="r" name="Ann"/>\0')
        two.say(b'<join room="r" name="Ben"/>\0')
        self.network.flush()
        one.send(b"<x/>\0")
        two.say(b"<y/>\0")
        self.network.flush()
        recorded = {dataOf(session, "server") for session in self.finish()}
        self.assertEqual(recorded, {one.received, b"".join(two.messages)})
        self.assertIn(b"<y/>", one.received)

    def test_fanOut(self) -> None:
        """
        A long message to many clients, which is sent in several reactor iterations, is recorded in
        all sessions.
        """
        self.record()
        port = self.serve(BroadcastProtocol)
        clients = [self.connect(port) for _ in range(40)]
        for client in clients:
            client.send(b"?\0")
        self.network.flush()
        message = b"x" * 150_000 + b"\0"
        clients[0].send(message)
        self.network.flush()
        sessions = self.finish()
        for client, session in zip(clients[1:], sessions[1:], strict=True):
            self.assertEqual(dataOf(session, "server"), client.received)
            self.assertTrue(client.received.endswith(message))
            self.assertEqual(session.gaps, [])


class AnsweringInTLS(UpgradingProtocol):
    """
    Starts TLS with this package's context.
    """

    creator: ClassVar[Any] = None

    def messageReceived(self, message: str) -> None:
        if message == "tls":
            self.sendMessage("go")
            self.transport.startTLS(self.creator)
        else:
            super().messageReceived(message)


class UpgradingUnbound(Unbound):
    """
    Starts TLS after the message C{tls}, without being bound.
    """

    def dataReceived(self, data: bytes) -> None:
        if data == b"tls\0":
            self.transport.write(b"go\0")
            self.transport.startTLS(CREDENTIALS)
        else:
            super().dataReceived(data)


class StartTLSTests(RecordingCase):
    """
    Tests of connections on which TLS is started later.
    """

    def upgrade(self, factory: Any = UpgradingProtocol) -> Any:
        """
        Connect a client, and start TLS.
        """
        self.patch(tls, "_get_default_clock", lambda: self.network.reactor)
        client = self.connect(self.serve(factory), TLSPeer())
        client.send(b"tls\0")
        self.network.flush()
        self.assertTrue(client.received.endswith(b"go\0"))
        client.start()
        self.network.flush()
        return client

    @given(SIZES, SIZES)
    def test_messages(self, there: list[int], back: list[int]) -> None:
        """
        The messages before and after the start of TLS are recorded.
        """
        self.setUp()
        self.record()
        client = self.upgrade()
        self.network.connections[-1].toServer.split(there)
        self.network.connections[-1].toClient.split(back)
        client.say(b"a\0b\0")
        self.network.flush()
        client.sayGoodbye()
        self.network.flush()
        [session] = self.finish()
        self.assertEqual(dataOf(session, "client"), b"tls\0a\0b\0")
        self.assertEqual(dataOf(session, "server"), b"go\0<a>\0<b>\0")

    def test_unbound(self) -> None:
        """
        The messages of a protocol that is not bound are recorded.
        """
        self.record()
        client = self.upgrade(Factory.forProtocol(UpgradingUnbound))
        client.say(b"a\0")
        self.network.flush()
        client.say(b"close\0")
        self.network.flush()
        [session] = self.finish()
        self.assertEqual(dataOf(session, "client"), b"tls\0a\0close\0")
        self.assertEqual(dataOf(session, "server"), b"hello\0ab\0go\0a\0close\0")
        self.assertEqual(endOf(session), "server")

    def test_afterClose(self) -> None:
        """
        Data that arrives after the server has closed TLS is not recorded.
        """
        self.record()
        client = self.upgrade()
        self.network.connections[-1].toClient.hold()
        client.say(b"close\0")
        self.network.flush()
        client.say(b"late\0")
        self.network.flush()
        self.network.connections[-1].toClient.release()
        self.network.flush()
        [session] = self.finish()
        self.assertEqual(dataOf(session, "client"), b"tls\0close\0")
        self.assertEqual(endOf(session), "server")

    @given(st.booleans())
    def test_closeNotify(self, withData: bool) -> None:
        """
        A session whose client closes TLS ends with C{client}, and the last answer is sent.
        """
        self.setUp()
        self.record()
        self.patch(AnsweringInTLS, "creator", self.certificates())
        client = self.upgrade(AnsweringInTLS)
        if withData:
            client.hold()
            client.say(b"a\0")
        client.sayGoodbye()
        client.release()
        self.network.flush()
        client.close()
        self.network.flush()
        self.assertEqual(client.decrypted, b"<a>\0" if withData else b"")
        [session] = self.finish()
        self.assertEqual(dataOf(session, "server"), b"go\0" + client.decrypted)
        self.assertEqual(endOf(session), "client")

    def test_stopped(self) -> None:
        """
        A recording that is stopped after the start of TLS leaves the connection unchanged.
        """
        self.record()
        client = self.upgrade()
        [session] = self.finish()
        self.assertEqual(endOf(session), "stopped")
        client.say(b"a\0")
        self.network.flush()
        self.assertEqual(client.decrypted, b"<a>\0")


@implementer(IHalfCloseableProtocol)
class HalfClosing(Unbound):
    """
    Answers the EOF of the client, and closes the connection later.
    """

    made: ClassVar[list["HalfClosing"]] = []

    def readConnectionLost(self) -> None:
        self.made.append(self)
        self.transport.write(b"last\0")

    def writeConnectionLost(self) -> None:
        pass


class EndTests(RecordingCase):
    """
    Tests of the end of a session.
    """

    def ends(
        self,
        do: Callable[[Any], object],
        *,
        makeClient: Callable[[], Any] = Peer,
        factory: Any = Answering,
        inTLS: tuple[bool, ...] = (False, True),
        **options: Any,
    ) -> set[str]:
        """
        Connect clients, with and without TLS, and to transports of this package and of Twisted.

        @param do: ends the connection of a client.
        @return: how the sessions have ended.
        """
        found = set()
        for isTLS, coalesce in product(inTLS, (False, True)):
            self.setUp()
            self.record(**options)
            client = self.connect(
                self.serve(factory, coalesce=coalesce, tls=isTLS), makeClient(), tls=isTLS
            )
            self.network.flush()
            isWebSocket = isinstance(client, WebSocketPeer)
            (client.say if isWebSocket else client.send)(b"x\0")
            self.network.flush()
            do(client)
            self.network.flush()
            # TLS and WebSockets close in several steps.
            self.network.advance(100)
            [session] = self.finish()
            found.add(endOf(session))
        return found

    def test_client(self) -> None:
        """
        A session ends with C{client} if the client closes the connection.
        """
        self.assertEqual(self.ends(lambda client: client.close()), {"client"})
        self.assertEqual(
            self.ends(lambda client: client.sayGoodbye(), makeClient=WebSocketPeer), {"client"}
        )

    def test_unboundClient(self) -> None:
        """
        A session of a protocol that does not support half-close ends with C{client} if the client
        closes the connection.
        """
        self.assertEqual(
            self.ends(lambda client: client.close(), factory=Factory.forProtocol(Unbound)),
            {"client"},
        )

    def test_server(self) -> None:
        """
        A session ends with C{server} if the server closes or aborts the connection.
        """
        for word in (b"close\0", b"abort\0"):
            plain = self.ends(methodcaller("send", word))
            webSocket = self.ends(methodcaller("say", word), makeClient=WebSocketPeer)
            self.assertEqual((plain, webSocket), ({"server"}, {"server"}))

    def test_lost(self) -> None:
        """
        A session ends with C{lost} if the connection is reset.
        """
        self.assertEqual(self.ends(lambda client: self.network.connections[-1].reset()), {"lost"})
        self.assertEqual(
            self.ends(
                lambda client: self.network.connections[-1].reset(), makeClient=WebSocketPeer
            ),
            {"lost"},
        )

    def test_noCloseFrame(self) -> None:
        """
        A session ends with C{client} if the client closes the connection of a WebSocket without a
        Close frame.
        """
        self.assertEqual(
            self.ends(lambda client: client.close(), makeClient=WebSocketPeer), {"client"}
        )

    def test_limits(self) -> None:
        """
        A session ends with C{server} if the server disconnects the client because of a limit.
        """
        factory = XMLSocketFactory(Answering, maxLength=10)
        self.assertEqual(
            self.ends(lambda client: client.send(b"x" * 11), factory=factory), {"server"}
        )

    def test_halfClose(self) -> None:
        """
        A session ends with C{client} if the client closes its side first, also if the server
        answers and closes the connection later.
        """
        self.patch(HalfClosing, "made", [])
        self.record()
        port = self.serve(Factory.forProtocol(HalfClosing))
        client = self.connect(port)
        client.send(b"a\0")
        self.network.flush()
        client.transport.loseWriteConnection()
        self.network.flush()
        self.assertFalse(client.closed)
        HalfClosing.made[-1].transport.loseConnection()
        self.network.flush()
        [session] = self.finish()
        self.assertEqual(dataOf(session, "server"), b"hello\0ab\0a\0last\0")
        self.assertEqual(endOf(session), "client")

    def test_stopped(self) -> None:
        """
        A session ends with C{stopped} if the recorder is stopped. Incomplete messages are
        recorded, and later messages are not.
        """
        self.record()
        client = self.connect(self.serve())
        client.send(b"a\0b")
        self.network.flush()
        [session] = self.finish()
        self.assertEqual(endOf(session), "stopped")
        self.assertEqual(session.gaps, [])
        self.assertEqual([each.isPartial for each in session.messages], [False, False, True])
        before = self.bytesOnDisk()
        client.send(b"c\0")
        self.network.flush()
        client.close()
        self.network.flush()
        self.assertEqual(client.received, b"<a>\0<bc>\0")
        self.assertEqual(self.bytesOnDisk(), before)
        later = self.connect(self.serve())
        later.send(b"d\0")
        self.network.flush()
        self.assertEqual(later.received, b"<d>\0")
        self.assertEqual(len(self.paths()), 1)

    def test_sessionLimit(self) -> None:
        """
        A session ends with C{limit} when its limit is reached, with one warning. The connection and
        other sessions continue.
        """
        self.record(sessionLimit=100)
        port = self.serve()
        client, other = self.connect(port), self.connect(port)

        def talk() -> None:
            other.send(b"b\0")
            for number in range(20):
                client.send(b"x" * 20 + b"%d\0" % number + b"rest")
                self.network.flush()

        self.assertEqual(
            self.warnings(talk), ["recording of session 1 stopped: its limit is reached"]
        )
        self.assertIn(b"19>", client.received)
        one, two = self.finish()
        self.assertEqual((endOf(one), endOf(two)), ("limit", "stopped"))
        self.assertEqual(told(two), list(pairs(["b"])))

    def test_runLimit(self) -> None:
        """
        All sessions end with C{limit} when the limit of the run is reached, with one warning. New
        connections are served, and not recorded.
        """
        self.record(limit=300_000)
        port = self.serve(XMLSocketFactory(Answering, maxLength=1_000_000))
        client, other = self.connect(port), self.connect(port)
        other.send(b"b\0c")

        def talk() -> None:
            for _ in range(4):
                client.send(b"x" * 200_000 + b"\0")
                self.network.flush()
            later = self.connect(port)
            later.send(b"d\0")
            self.network.flush()
            self.assertEqual(later.received, b"<d>\0")

        [line] = self.warnings(talk)
        self.assertEqual(line, "recording stopped: the limit of 300000 bytes is reached")
        sessions = self.finish()
        self.assertEqual([endOf(each) for each in sessions], ["limit", "limit"])
        self.assertEqual(told(sessions[1]), [*pairs(["b"]), ("client", b"c")])

    def test_runLimitInGap(self) -> None:
        """
        A gap that reaches the limit of the run is the last entry before the end.
        """
        self.record(limit=1 << 40)
        client = self.connect(self.serve())
        client.send(b"z\0")
        self.network.flush()
        self.patch(_recorder, "MAX_WAITING", -1)
        self.patch(self.recorder, "mayBeFull", True)
        client.send(b"a\0")
        self.network.flush()
        self.patch(_recorder, "MAX_WAITING", 1 << 30)
        self.patch(_recorder, "MAX_BATCH", 1)
        self.patch(self.recorder, "_limit", 1)
        client.send(b"b\0")
        self.network.flush()
        [session] = self.finish()
        self.assertEqual(endOf(session), "limit")
        self.assertEqual(told(session), list(pairs(["z"])))
        self.assertEqual([gap.length for gap in session.gaps], [len(b"a\0<a>\0")])

    def test_runLimitInHeader(self) -> None:
        """
        A connection whose header reaches the limit of the run is not recorded further.
        """
        self.record(limit=100)
        self.patch(_recorder, "MAX_BATCH", 1)
        client = self.connect(self.serve())
        client.send(b"a\0")
        self.network.flush()
        [session] = self.finish()
        self.assertEqual((told(session), endOf(session)), ([], "limit"))

    def test_closedInCallback(self) -> None:
        """
        A connection that is closed in connectionMade has a session.
        """

        class Closing(Answering):
            def connectionMade(self) -> None:
                self.sendMessage("bye")
                self.transport.loseConnection()

        self.record()
        client = self.connect(self.serve(Closing))
        client.send(b"a\0")
        self.network.flush()
        [session] = self.finish()
        self.assertEqual((told(session), endOf(session)), ([("server", b"bye\0")], "server"))


class Told(Protocol):
    """
    Records its calls, and obeys the client.
    """

    transport: Any
    made: ClassVar[list["Told"]] = []

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.made.append(self)

    def connectionMade(self) -> None:
        self.told.append(("made", type(self.transport).__name__, self.transport.getPeer().host))
        self.transport.write(b"hello\0")

    def dataReceived(self, data: bytes) -> None:
        self.told.append(data)
        for message in data.split(b"\0")[:-1]:
            match message:
                case b"close":
                    self.transport.loseConnection()
                    self.transport.write(b"after\0")
                case b"abort":
                    self.transport.abortConnection()
                case b"half":
                    self.transport.loseWriteConnection()
                case b"pause":
                    self.transport.pauseProducing()
                case b"big":
                    self.transport.write(b"x" * 500_000 + b"\0")
                case b"raise":
                    raise ValueError("an error of the user's")
                case _:
                    self.transport.writeSequence([message, b"\0"])

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.told.append(("lost", type(reason.value).__name__))


@implementer(IHalfCloseableProtocol)
class ToldHalf(Told):
    """
    Also supports half-close.
    """

    def readConnectionLost(self) -> None:
        self.told.append("EOF")
        self.transport.write(b"last\0")
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        self.told.append("write lost")


class ToldBound(Answering, Told):
    """
    A protocol that is bound to the connection.
    """

    def __init__(self) -> None:
        Told.__init__(self)

    def connectionMade(self) -> None:
        self.sendMessage("hello")

    def messageReceived(self, message: str) -> None:
        self.told.append(message)
        super().messageReceived(message)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.told.append(("lost", type(reason.value).__name__))
        super().connectionLost(reason)


STEPS = ["a", "ab", "close", "abort", "half", "pause", "big", "raise", "many"]
ACTS = ["FIN", "half-FIN", "RST", "stall", "resume", "kick", "time", "goodbye"]
steps = st.lists(st.sampled_from([*STEPS, *ACTS]), max_size=5)


class TransparencyTests(RecordingCase):
    """
    A recorded connection behaves like one that is not recorded.
    """

    def play(
        self,
        isRecorded: bool,
        kind: type[Told],
        clientType: tuple[bool, bool, bool],
        wanted: list[str],
    ) -> list[Any]:
        """
        Run a script of a client and an operator.

        @return: everything that can be observed.
        """
        self.setUp()
        self.patch(Told, "made", [])
        isTLS, coalesce, isWebSocket = clientType
        clock = self.network.reactor
        factory: Any = (
            XMLSocketFactory(ToldBound, maxQueue=100_000)
            if kind is ToldBound
            else Factory.forProtocol(kind)
        )
        self.record()
        if isRecorded:
            factory = RecordingFactory(factory, self.recorder, clock=clock)
        onePort = OnePortFactory(factory, clock=clock, tls=self.certificates() if isTLS else None)
        guard = GuardFactory(onePort, clock=clock, idleTimeout=40)
        seen: list[Any] = []
        with capturedLogs() as logs:
            client = self.connect(
                self.listen(guard, coalesce=coalesce),
                WebSocketPeer() if isWebSocket else None,
                tls=isTLS,
            )
            self.network.flush()
            self.network.advance(1)
            connection = self.network.connections[-1]
            for step in wanted:
                self.act(step, client, guard, connection, isWebSocket)
                self.network.flush()
                seen.append((step, self.receivedBy(client), guard.waiting()))
                # The length of a signature in a TLS handshake varies.
                seen.append([(info.kind, info.labels, info.waiting) for info in guard.clients()])
                seen.append(guard.traffic() if not isTLS else None)
            connection.toClient.resume()
            self.network.advance(200)
            if not client.closed:
                client.abort()
            self.network.flush()
        self.flushLoggedErrors(ValueError)
        self.network.reactor.failures.clear()
        lines = [
            re.sub(r":\d+|0x[0-9a-f]+", "", line)
            for line in linesOf(logs)
            if "recording" not in line
        ]
        toldBy = [protocol.told for protocol in Told.made]
        if isRecorded:
            self.finish()
        return [*seen, self.receivedBy(client), client.closed, guard.closed, lines, toldBy]

    def receivedBy(self, client: Any) -> bytes:
        """
        Return the received data, without the key of the WebSocket handshake.
        """
        return re.sub(rb"Accept: .*", b"", client.received)

    def act(self, step: str, client: Any, guard: Any, connection: Any, isWebSocket: bool) -> None:
        """
        Take one step of a script.
        """
        match step:
            case "stall":
                connection.toClient.stall()
            case "resume":
                connection.toClient.resume()
            case "kick":
                for info in guard.clients():
                    guard.kick(info.id, "test")
            case "time":
                self.network.advance(15)
            case "RST":
                connection.reset()
            case _ if client.closed:
                pass
            case "FIN":
                client.close()
            case "half-FIN" if isinstance(client.transport, tls.TLSMemoryBIOProtocol):
                # Twisted's TLS clients cannot half-close: they half-close the connection below TLS,
                # and then fail when the peer closes TLS.
                client.close()
            case "half-FIN":
                client.transport.loseWriteConnection()
            case "goodbye" if isWebSocket:
                with contextlib.suppress(InvalidState):
                    client.sayGoodbye()
            case "goodbye":
                client.close()
            case _ if isWebSocket:
                with contextlib.suppress(InvalidState):
                    client.say(step.encode() + b"\0")
            case _:
                client.send(step.encode() + b"\0")

    @given(
        st.sampled_from([Told, ToldHalf, ToldBound]),
        st.tuples(st.booleans(), st.booleans(), st.booleans()),
        steps,
    )
    def test_same(
        self, kind: type[Told], clientType: tuple[bool, bool, bool], wanted: list[str]
    ) -> None:
        """
        The client receives the same bytes, the protocol is called in the same order, and the guard
        counts and logs the same.
        """
        recorded, plain = (self.play(each, kind, clientType, wanted) for each in (True, False))
        for one, other in zip(recorded, plain, strict=True):
            self.assertEqual(one, other)
