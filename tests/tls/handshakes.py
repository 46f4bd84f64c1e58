"""
Handshakes in memory, between a client of ours that judges and a server that
sends whatever it is told to.
"""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.test.iosim import connect, makeFakeClient, makeFakeServer
from zope.interface import implementer

from openfl_twisted.tls import SecureConnectionCreator, Trust
from openfl_twisted.wire.x509.certificates import Verdict
from tests.conformance.test_limbo import flight
from tests.laboratory import HOST, Identity, PrivateKey

TLS12 = SSL.TLS1_2_VERSION
TLS13 = SSL.TLS1_3_VERSION
VERSIONS = {"TLS 1.2": TLS12, "TLS 1.3": TLS13}

GREETING = b"a password, say"
"""
What the client sends as soon as it may, which the wrong server must not get.
"""


@implementer(IOpenSSLContextFactory)
@dataclass(frozen=True)
class Presenting:
    """
    A TLS server: what it shows of itself.

    @ivar chain: the certificates it sends, its own first.
    @ivar key: the private key it has.
    @ivar staple: the OCSP response it sends along.
    @ivar ciphers: what it encrypts with, in OpenSSL's words.
    @ivar version: the version of TLS that it speaks; C{None} for that which the
        test is about.
    @ivar asks: whether it wants a certificate of the client.
    """

    chain: Sequence[x509.Certificate]
    key: PrivateKey
    staple: bytes = b""
    ciphers: bytes = b"ALL:@SECLEVEL=0"
    version: int | None = None
    asks: bool = False

    @classmethod
    def of(cls, identity: Identity, *more: x509.Certificate, **others: Any) -> "Presenting":
        """
        Present an identity as a good server does.

        @param more: certificates to send besides.
        """
        return cls((*identity.chain, *more), identity.key, **others)

    def getContext(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_METHOD)
        # A server may be worse than this library likes it.
        context.set_cipher_list(self.ciphers)
        if self.version is not None:
            context.set_min_proto_version(self.version)
            context.set_max_proto_version(self.version)
        context.use_certificate(self.chain[0])
        for certificate in self.chain[1:]:
            context.add_extra_chain_cert(certificate)
        context.use_privatekey(self.key)
        context.set_ocsp_server_callback(lambda connection, data: self.staple)
        if self.asks:
            wanted = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
            context.set_verify(wanted, lambda *arguments: False)
        return context


class Script(Protocol):
    """
    A server that does not speak TLS.

    @ivar line: what it says.
    @ivar banner: whether it does so before it is spoken to.
    @ivar closes: whether it closes the connection then.
    """

    def __init__(self, line: bytes, *, banner: bool = False, closes: bool = True) -> None:
        self.line = line
        self.banner = banner
        self.closes = closes

    def connectionMade(self) -> None:
        if self.banner:
            self.speak()

    def dataReceived(self, data: bytes) -> None:
        if not self.banner:
            self.speak()

    def speak(self) -> None:
        assert self.transport is not None
        self.transport.write(self.line)
        if self.closes:
            self.transport.loseConnection()


def showing(*chain: bytes) -> Script:
    """
    Make a server of TLS 1.2 that sends certificates which no other would, and
    has no key.

    @param chain: the certificates in DER, if they are that.
    """
    return Script(flight(list(chain), 0xC02B), closes=False)


@dataclass
class Outcome:
    """
    What has come of a handshake.

    @ivar verdict: what the client thinks of the server.
    @ivar reason: why the connection was lost; C{None} while it is not.
    @ivar received: what the server got of the application.
    @ivar answered: what the client got of it.
    """

    verdict: Verdict = field(default_factory=Verdict)
    reason: BaseException | None = None
    received: bytes = b""
    answered: bytes = b""


class _Server(Protocol):
    """
    Answers, and notes what it got.
    """

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.outcome.received += data
        self.transport.write(b"welcome")


class _Client(Protocol):
    """
    Writes at once, as bad programs do, and notes what has come of it.
    """

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(GREETING)

    def dataReceived(self, data: bytes) -> None:
        self.outcome.answered += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.outcome.reason = reason.value


def serve(
    server: Presenting | Script,
    outcome: Outcome,
    version: int | None = None,
    clock: Clock | None = None,
) -> Any:
    """
    Make the factory of a server, which notes what it gets.

    @param version: the version of TLS, if the server has no own.
    @param clock: measures the time; C{None} for the reactor.
    """
    if isinstance(server, Script):
        return Factory.forProtocol(lambda: server)
    if server.version is None:
        server = replace(server, version=version)
    answering = Factory.forProtocol(lambda: _Server(outcome))
    return TLSMemoryBIOFactory(server, False, answering, clock)


def shakeHands(
    server: Presenting | Script,
    trust: Trust,
    host: str = HOST,
    version: int | None = None,
    garble: Callable[[bytes], Iterable[bytes]] | None = None,
) -> Outcome:
    """
    Have a client connect to a server, and let them talk until both are silent.

    @param version: the version of TLS, if the server has no own.
    @param garble: what becomes of what the server sends: pieces. If some of it is
        missing, the server closes the connection.
    """
    outcome, clock = Outcome(), Clock()
    serving: Any = serve(server, outcome, version, clock).buildProtocol(None)
    calling: Any = TLSMemoryBIOFactory(
        SecureConnectionCreator(host, trust),
        True,
        Factory.forProtocol(lambda: _Client(outcome)),
        clock,
    ).buildProtocol(None)
    sending, hearing = makeFakeServer(serving), makeFakeClient(calling)
    if garble is not None:
        hear = hearing.bufferReceived

        def hearPieces(data: bytes) -> None:
            pieces = list(garble(data))
            for piece in pieces:
                # A real transport reads no more when it is to be closed.
                if piece and not hearing.disconnecting:
                    hear(piece)
            if sum(map(len, pieces)) < len(data):
                sending.loseConnection()

        hearing.bufferReceived = hearPieces
    pump = connect(serving, sending, calling, hearing, clock=clock, greet=False)
    # A transport forgets its connection when that is lost.
    connection = calling.getHandle()
    pump.flush()
    outcome.verdict = connection.verdict
    return outcome


def newClient(trust: Trust, host: str = HOST) -> Any:
    """
    Make a connection that judges, without anything of Twisted around it.
    """
    protocol: Any = None
    connection = SecureConnectionCreator(host, trust).clientConnectionForTLS(protocol)
    connection.set_connect_state()
    return connection


def pour(source: SSL.Connection, target: SSL.Connection) -> int:
    """
    Bring all that one end has written to the other.

    @return: how many bytes that were.
    """
    data = written(source)
    if data:
        target.bio_write(data)
    return len(data)


def written(source: SSL.Connection) -> bytes:
    """
    Take all that an end has written.
    """
    data = b""
    with contextlib.suppress(SSL.WantReadError):
        while True:
            data += source.bio_read(1 << 15)
    return data


def converse(calling: Any, serving: SSL.Connection) -> list[Verdict]:
    """
    Have a client and a server shake hands until both are done.

    @return: what the client said of the server, after each step.
    @raise SSL.Error: if one of them breaks it off.
    """
    said: list[Verdict] = []
    for _ in range(10):
        for end, other in ((calling, serving), (serving, calling)):
            with contextlib.suppress(SSL.WantReadError):
                end.do_handshake()
            pour(end, other)
        said.append(calling.verdict)
        if calling.verdict != Verdict():
            break
    return said
