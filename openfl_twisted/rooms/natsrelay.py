"""
A relay through NATS. It needs no library.

Names and passwords are sent only when the server is trusted, if TLS is wanted.
"""

from collections.abc import Iterable
from typing import Any

from twisted.internet.interfaces import IHandshakeListener, IReactorTime, IStreamClientEndpoint
from zope.interface import implementer

from openfl_twisted.rooms.brokerlink import BrokerLink
from openfl_twisted.rooms.brokerrelay import PREFIX, BrokerRelay, RelayConnection
from openfl_twisted.rooms.outbox import RelayLimits
from openfl_twisted.tls import SecureConnectionCreator
from openfl_twisted.wire import nats
from openfl_twisted.wire.envelope import OVERHEAD


class NATSLogin:
    """
    Who we are for NATS. Its text has no password in it.
    """

    def __init__(self, user: str | None = None, password: str | None = None) -> None:
        """
        @param user: the user, or a token; C{None} for nobody special.
        @param password: the user's password; C{None} for a token.
        """
        self._user = user
        self._password = password

    def options(self) -> dict[str, str]:
        """
        Make what is said of it in the first command.

        @return: C{user} and C{pass}, C{auth_token}, or nothing: options of
            C{CONNECT}.
        """
        if self._user is None:
            return {}
        if self._password is None:
            return {"auth_token": self._user}
        return {"user": self._user, "pass": self._password}


@implementer(IHandshakeListener)
class NATSConnection(RelayConnection):
    """
    One connection to NATS.

    The server introduces itself, TLS begins, if it is wanted, and we introduce
    ourselves and ask for all topics. When it answers a C{PING} behind all that,
    it has let us in.
    """

    def __init__(self, link: BrokerLink, relay: "NATSRelay") -> None:
        """
        @param link: see
            L{BrokerConnection<openfl_twisted.rooms.brokerlink.BrokerConnection>}.
        @param relay: gets what comes, and has the topics, the login and TLS.
        """
        super().__init__(link)
        self._relay = relay
        self._reader = nats.NATSReader(link.limits.maxPayload + OVERHEAD)
        self._maxPayload = 0
        self._securing = False
        self._numbers: dict[str, int] = {}
        self._topics: dict[int, str] = {}
        self._number = 0

    def read(self, data: bytes) -> Iterable[object]:
        """
        Read what the server has sent.
        """
        yield from self._reader.receive(data)
        if self._securing and self._reader.pending:
            self.fail("the broker says more before TLS than it may")

    def eventReceived(self, event: Any) -> None:
        """
        The server has said something.
        """
        if self._securing:
            self.fail("the broker says more before TLS than it may")
            return
        match event:
            case nats.Delivery(number, payload):
                topic = self._topics.get(number)
                if topic is not None:
                    self._relay.arrived(topic, payload)
            case nats.Word("PING"):
                self.transport.write(nats.PONG)
            case nats.Word("PONG"):
                if self.link.connection is None and self.speaking:
                    self.ready()
            case nats.Word("-ERR", text):
                self._refused(text)
            case nats.ServerInfo():
                self._introduced(event)

    def _refused(self, text: str) -> None:
        """
        The server refuses something. It closes the connection itself, unless it
        was only a subject that is not for us.
        """
        if text.lower().startswith("permissions violation"):
            self._relay.wasRefused(f"the broker says: {text}")
        else:
            self.fail(f"the broker says: {text}")

    def _introduced(self, info: nats.ServerInfo) -> None:
        """
        The server has introduced itself, for the first time or again.
        """
        self._maxPayload = info.maxPayload
        if self.speaking:
            return
        if self._relay.tls is None:
            if info.tlsRequired:
                self.fail("the broker wants TLS: its address begins with nats+tls://")
            else:
                self._introduce()
        elif info.tlsRequired or info.tlsAvailable:
            self._securing = True
            self.transport.startTLS(self._relay.tls)
        else:
            self.fail("the broker has no TLS, and nothing is sent without")

    def handshakeCompleted(self) -> None:
        """
        The server is trusted.
        """
        self._securing = False
        self._introduce()

    def _introduce(self) -> None:
        relay = self._relay
        options = {
            "verbose": False,
            "pedantic": False,
            "tls_required": relay.tls is not None,
            "lang": "python-openfl-twisted",
            "version": "1",
            "protocol": 1,
            # What we publish need not come back.
            "echo": False,
            **relay.login.options(),
        }
        self.transport.write(nats.connect(options))
        self.speaking = True
        relay.speaker = self
        for topic in relay.channels:
            self.subscribe(topic)
        self.writePing()

    def writePing(self) -> None:
        """
        Ask for a sign of life.
        """
        self.transport.write(nats.PING)

    def publish(self, topic: str, data: bytes) -> bool:
        """
        Publish something, unless it is larger than the server takes: then that
        would close the connection.
        """
        if len(data) > self._maxPayload:
            return False
        self.transport.write(nats.publish(nats.subjectOf(self._relay.prefix, topic), data))
        return True

    def subscribe(self, topic: str) -> None:
        """
        Ask for a topic.
        """
        self._number += 1
        self._numbers[topic] = self._number
        self._topics[self._number] = topic
        self.transport.write(
            nats.subscribe(nats.subjectOf(self._relay.prefix, topic), self._number)
        )

    def unsubscribe(self, topic: str) -> None:
        """
        Ask for it no more.
        """
        number = self._numbers.pop(topic)
        del self._topics[number]
        self.transport.write(nats.unsubscribe(number))


class NATSRelay(BrokerRelay[NATSConnection]):
    """
    A relay through NATS.

    @ivar tls: makes the connections in TLS; C{None} for none.
    @ivar login: who we are.
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        description: str,
        *,
        login: NATSLogin | None = None,
        tls: SecureConnectionCreator | None = None,
        prefix: str = PREFIX,
        node: bytes | None = None,
        limits: RelayLimits | None = None,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param endpoint: how to get to the server, without TLS.
        @param description: see L{BrokerRelay}.
        @param login: who we are; C{None} for nobody special.
        @param tls: makes the connection in TLS; C{None} for none.
        @param prefix: see L{BrokerRelay}.
        @param node: see L{BrokerRelay}.
        @param limits: see L{BrokerRelay}.
        @param clock: see L{BrokerRelay}.
        """
        super().__init__(
            endpoint, description, prefix=prefix, node=node, limits=limits, clock=clock
        )
        self.tls = tls
        self.login = login or NATSLogin()

    def build(self, link: BrokerLink) -> NATSConnection:
        """
        Make a connection.
        """
        return NATSConnection(link, self)
