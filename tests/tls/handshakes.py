"""
TLS handshakes in memory, between a client with L{Judge} and a scripted server.
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
from tests.laboratory import HOST, Identity, PrivateKey
from tests.support.flights import flight

TLS12 = SSL.TLS1_2_VERSION
TLS13 = SSL.TLS1_3_VERSION
VERSIONS = {"TLS 1.2": TLS12, "TLS 1.3": TLS13}

GREETING = b"a password, say"
"""
Data that the client sends as soon as possible, which an untrusted server must not
receive.
"""


@implementer(IOpenSSLContextFactory)
@dataclass(frozen=True)
class Presenting:
    """
    The configuration of a TLS server.

    @ivar chain: the certificates that it sends, its own first.
    @ivar key: its private key.
    @ivar staple: the OCSP response that it sends.
    @ivar ciphers: its cipher suites, in OpenSSL's format.
    @ivar version: its TLS version; C{None} for the version of the test.
    @ivar asks: whether it requests a client certificate.
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
        Return the configuration of a correct server.

        @param more: additional certificates to send.
        """
        return cls((*identity.chain, *more), identity.key, **others)

    def getContext(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_METHOD)
        # The server can be less secure than OpenSSL permits by default.
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
    A server without TLS.

    @ivar line: the data that it sends.
    @ivar banner: whether it sends before it receives.
    @ivar closes: whether it closes the connection afterwards.
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
    Create a TLS 1.2 server that sends arbitrary certificates, without a private key.

    @param chain: the certificates in DER, or other data.
    """
    return Script(flight(list(chain), 0xC02B), closes=False)


@dataclass
class Outcome:
    """
    The result of a handshake.

    @ivar verdict: the client's verdict about the server.
    @ivar reason: why the connection was lost; C{None} while it is open.
    @ivar received: the application data that the server received.
    @ivar answered: the application data that the client received.
    """

    verdict: Verdict = field(default_factory=Verdict)
    reason: BaseException | None = None
    received: bytes = b""
    answered: bytes = b""


class _Server(Protocol):
    """
    Answers, and records received data.
    """

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.outcome.received += data
        self.transport.write(b"welcome")


class _Client(Protocol):
    """
    Writes immediately when it is connected, and records the result.
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
    Create the factory of a server that records received data.

    @param version: the TLS version, if the server has none.
    @param clock: the clock (default: the global reactor).
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
    Connect a client to a server, and exchange data until both are idle.

    @param version: the TLS version, if the server has none.
    @param garble: changes the server's data; returns chunks. If data is missing, the
        server closes the connection.
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
        receive = hearing.bufferReceived

        def hearPieces(data: bytes) -> None:
            pieces = list(garble(data))
            for piece in pieces:
                # A real transport does not read after loseConnection().
                if piece and not hearing.disconnecting:
                    receive(piece)
            if sum(map(len, pieces)) < len(data):
                sending.loseConnection()

        hearing.bufferReceived = hearPieces
    pump = connect(serving, sending, calling, hearing, clock=clock, greet=False)
    # A transport drops its connection when it is lost.
    connection = calling.getHandle()
    pump.flush()
    outcome.verdict = connection.verdict
    return outcome


def newClient(trust: Trust, host: str = HOST) -> Any:
    """
    Create a client connection without Twisted.
    """
    protocol: Any = None
    connection = SecureConnectionCreator(host, trust).clientConnectionForTLS(protocol)
    connection.set_connect_state()
    return connection


def pour(source: SSL.Connection, target: SSL.Connection) -> int:
    """
    Transfer all written data to the other side.

    @return: the number of bytes.
    """
    data = written(source)
    if data:
        target.bio_write(data)
    return len(data)


def written(source: SSL.Connection) -> bytes:
    """
    Return all data that a side has written.
    """
    data = b""
    with contextlib.suppress(SSL.WantReadError):
        while True:
            data += source.bio_read(1 << 15)
    return data


def converse(calling: Any, serving: SSL.Connection) -> list[Verdict]:
    """
    Perform a handshake between a client and a server.

    @return: the client's verdict after each step.
    @raise SSL.Error: if either side aborts the handshake.
    """
    verdicts: list[Verdict] = []
    for _ in range(10):
        for end, other in ((calling, serving), (serving, calling)):
            with contextlib.suppress(SSL.WantReadError):
                end.do_handshake()
            pour(end, other)
        verdicts.append(calling.verdict)
        if calling.verdict != Verdict():
            break
    return verdicts
