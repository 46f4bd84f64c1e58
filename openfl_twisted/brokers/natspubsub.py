"""
Pub/sub through NATS. No client library is needed.

With TLS, names and passwords are sent only after the server is verified.
"""

from collections.abc import Iterable
from typing import Any

from twisted.internet.interfaces import IHandshakeListener
from zope.interface import implementer

from openfl_twisted.brokers.brokerlink import BrokerLink
from openfl_twisted.brokers.brokerpubsub import PREFIX, BrokerPubSub, PubSubConnection
from openfl_twisted.brokers.outbox import BrokerLimits
from openfl_twisted.tls import SecureConnectionCreator
from openfl_twisted.types import AnyClock, AnyEndpoint
from openfl_twisted.wire import nats
from openfl_twisted.wire.envelope import OVERHEAD


class NATSLogin:
    """
    The login for a NATS server. The C{repr} contains no password.
    """

    def __init__(self, user: str | None = None, password: str | None = None) -> None:
        """
        @param user: the user, or a token; C{None} for no login.
        @param password: the password of the user; C{None} for a token.
        """
        self._user = user
        self._password = password

    def options(self) -> dict[str, str]:
        """
        Return the login options of the C{CONNECT} command.

        @return: C{user} and C{pass}, or C{auth_token}; empty without a login.
        """
        if self._user is None:
            return {}
        if self._password is None:
            return {"auth_token": self._user}
        return {"user": self._user, "pass": self._password}


@implementer(IHandshakeListener)
class _NATSConnection(PubSubConnection):
    """
    One connection to NATS.

    The server sends C{INFO}, TLS starts if it is configured, and the client sends C{CONNECT},
    all subscriptions, and C{PING}. The login has succeeded when the server answers the
    C{PING}.
    """

    def __init__(self, link: BrokerLink, pubSub: "NATSPubSub") -> None:
        super().__init__(link)
        self._pubSub = pubSub
        self._reader = nats.NATSReader(link.limits.maxPayload + OVERHEAD)
        self._maxPayload = 0
        self._securing = False
        self._numbers: dict[str, int] = {}
        self._topics: dict[int, str] = {}
        self._number = 0

    def read(self, data: bytes) -> Iterable[object]:
        yield from self._reader.receive(data)
        if self._securing and self._reader.pending:
            self.fail("the broker has sent other data than INFO before the TLS handshake")

    def eventReceived(self, event: Any) -> None:
        if self._securing:
            self.fail("the broker has sent other data than INFO before the TLS handshake")
            return
        match event:
            case nats.Delivery(number, payload):
                topic = self._topics.get(number)
                if topic is not None:
                    self._pubSub.arrived(topic, payload)
            case nats.ControlMessage("PING"):
                self.transport.write(nats.PONG)
            case nats.ControlMessage("PONG"):
                if self.link.connection is None and self.speaking:
                    self.ready()
            case nats.ControlMessage("-ERR", text):
                self._refused(text)
            case nats.ServerInfo():
                self._introduced(event)

    def _refused(self, text: str) -> None:
        """
        Handle C{-ERR}. If only the permission for a subject is missing, the server keeps the
        connection open. After any other error, the server closes the connection.
        """
        if text.lower().startswith("permissions violation"):
            self._pubSub.wasRefused(f"error reply: {text}")
        else:
            self.fail(f"error reply: {text}")

    def _introduced(self, info: nats.ServerInfo) -> None:
        """
        Handle C{INFO}, which the server sends as its first message, and possibly again later.
        """
        self._maxPayload = info.maxPayload
        if self.speaking:
            return
        if self._pubSub.tls is None:
            if info.tlsRequired:
                self.fail("the broker requires TLS: use nats+tls://")
            else:
                self._introduce()
        elif info.tlsRequired or info.tlsAvailable:
            self._securing = True
            self.transport.startTLS(self._pubSub.tls)
        else:
            self.fail("the broker does not support TLS, which nats+tls:// requires")

    def handshakeCompleted(self) -> None:
        self._securing = False
        self._introduce()

    def _introduce(self) -> None:
        pubSub = self._pubSub
        options = {
            "verbose": False,
            "pedantic": False,
            "tls_required": pubSub.tls is not None,
            "lang": "python-openfl-twisted",
            "version": "1",
            "protocol": 1,
            # The server must not send our own messages back to us.
            "echo": False,
            **pubSub.login.options(),
        }
        self.transport.write(nats.connect(options))
        self.speaking = True
        pubSub.speaker = self
        for topic in pubSub.channels:
            self.subscribe(topic)
        self.writePing()

    def writePing(self) -> None:
        self.transport.write(nats.PING)

    def publish(self, topic: str, data: bytes) -> bool:
        """
        Publish an envelope. An envelope above the server's maximum size is not sent, because
        the server would close the connection.
        """
        if len(data) > self._maxPayload:
            return False
        self.transport.write(nats.publish(nats.subjectOf(self._pubSub.prefix, topic), data))
        return True

    def subscribe(self, topic: str) -> None:
        self._number += 1
        self._numbers[topic] = self._number
        self._topics[self._number] = topic
        self.transport.write(
            nats.subscribe(nats.subjectOf(self._pubSub.prefix, topic), self._number)
        )

    def unsubscribe(self, topic: str) -> None:
        number = self._numbers.pop(topic)
        del self._topics[number]
        self.transport.write(nats.unsubscribe(number))


class NATSPubSub(BrokerPubSub[_NATSConnection]):
    """
    Pub/sub through NATS.

    @ivar tls: creates the TLS connections; C{None} for no TLS.
    @ivar login: the login.
    """

    def __init__(
        self,
        endpoint: AnyEndpoint,
        description: str,
        *,
        login: NATSLogin | None = None,
        tls: SecureConnectionCreator | None = None,
        prefix: str = PREFIX,
        node: bytes | None = None,
        limits: BrokerLimits | None = None,
        clock: AnyClock | None = None,
    ) -> None:
        """
        All other parameters are described in L{BrokerPubSub}.

        @param endpoint: the endpoint of the server, without TLS.
        """
        super().__init__(
            endpoint, description, prefix=prefix, node=node, limits=limits, clock=clock
        )
        self.tls = tls
        self.login = login or NATSLogin()

    def build(self, link: BrokerLink) -> _NATSConnection:
        return _NATSConnection(link, self)
