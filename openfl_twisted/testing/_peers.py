"""
Peers: test doubles for the other end of a connection.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Self, TypeVar, cast

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from openfl_twisted.protocols.securesocket import SecureEndpoint
from openfl_twisted.sessions._ruffle import fromRuffle
from openfl_twisted.sessions._script import Difference, Script
from openfl_twisted.sessions._session import CLIENT, SERVER, Message, Session
from openfl_twisted.testing._attempts import ObservedFactory
from openfl_twisted.testing._certificates import Credentials
from openfl_twisted.testing._flow import MemoryConnection
from openfl_twisted.testing._network import MemoryNetwork

_Client = TypeVar("_Client", bound=Protocol)
_Server = TypeVar("_Server", bound=Protocol)

# Maximum number of bytes shown in an error message.
_SHOWN = 80


class Peer(Protocol):
    """
    A protocol that records received data, and sends data on behalf of a test.

    Data is sent and received while the test runs iterations of the network. C{transport} is a
    Twisted transport: it can be paused, and accepts a producer.

    @ivar segments: the received data, with one item for each call of C{dataReceived}.
    @ivar reason: the reason passed to C{connectionLost}; C{None} before the connection is
        lost.
    @ivar transport: the transport; C{None} before the peer is connected.
    """

    transport: Any

    def __init__(self) -> None:
        self.segments: list[bytes] = []
        self.reason: BaseException | None = None

    @property
    def received(self) -> bytes:
        """
        All received data.
        """
        return b"".join(self.segments)

    @property
    def closed(self) -> bool:
        """
        Whether the connection is lost.
        """
        return self.reason is not None

    def send(self, data: bytes) -> None:
        """
        Send data.

        @raise TypeError: if the data is not bytes.
        @raise RuntimeError: if the peer is not connected yet, or the connection is lost.
        """
        data = checkBytes("send", data)
        if self.transport is None:
            raise RuntimeError("the peer is not connected yet: call network.flush() first")
        if self.closed:
            raise RuntimeError(f"the connection is lost: {self.reason}")
        self.transport.write(data)

    def close(self) -> None:
        """
        Send the pending data, then close the connection.
        """
        self.transport.loseConnection()

    def abort(self) -> None:
        """
        Reset the connection. Pending data is lost.
        """
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        self.segments.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reason = reason.value


# The steps after which the connection is closed.
_LAST = ("close", "abort", "waitForClose")


class _Step(NamedTuple):
    """
    A step of a script: the method of L{ScriptedPeer} that has added the step, and the data.
    """

    kind: str
    data: bytes = b""

    def __str__(self) -> str:
        return f"{self.kind}({_show(self.data)})" if self.data else f"{self.kind}()"


class ScriptedPeer(Factory["_ScriptProtocol"]):
    r"""
    A peer that follows a script on one connection. It compares the bytes of the stream; the
    segmentation does not matter::

        peer = ScriptedPeer().expect(b"<hello/>\0").send(b"<welcome/>\0").close()
        peer.listen(network, 8080)
        ...
        peer.verify()

    The peer is a factory, so other factories can wrap it, and endpoints can use it. The peer
    aborts the connection when unexpected data is received.
    """

    noisy = False

    def __init__(self) -> None:
        self._steps: list[_Step] = []
        self._done = 0
        self._problem = ""
        self._received = bytearray()
        # Compares the received data with that of all steps.
        self._script = Script(Session(), SERVER)
        self._isDifferent = False
        self._protocol: _ScriptProtocol | None = None
        self._closed = self._closing = False
        self._isVerified = False
        self._isStarted = False

    # The script

    def expect(self, data: bytes) -> Self:
        """
        Add a step: wait for the given bytes. Any other bytes are an error.

        @param data: the bytes, in any number of segments.
        @raise TypeError: if the data is not bytes.
        @raise ValueError: if the data is empty, or the script has closed the connection.
        """
        if not checkBytes("expect", data):
            raise ValueError("expect() needs at least one byte; to wait, use waitForClose()")
        return self._add("expect", data)

    def send(self, data: bytes) -> Self:
        """
        Add a step: send bytes.

        @raise TypeError: if the data is not bytes.
        @raise ValueError: if the script has closed the connection.
        """
        return self._add("send", checkBytes("send", data))

    def close(self) -> Self:
        """
        Add a step: send the pending data, then close the connection.
        """
        return self._add("close")

    def abort(self) -> Self:
        """
        Add a step: reset the connection.
        """
        return self._add("abort")

    def waitForClose(self) -> Self:
        """
        Add a step: wait until the other side closes the connection, without
        receiving data.
        """
        return self._add("waitForClose")

    @classmethod
    def fromRuffle(cls, script: str | bytes) -> Self:
        """
        Read a script from Ruffle's socket tests, a file C{socket.json}. The script is a list
        of objects whose C{type} is C{Receive} (with the bytes C{expected}), C{Send} (with the
        bytes C{payload}), C{WaitForDisconnect}, or C{Disconnect}. Bytes are lists of integers.

        Source: C{ruffle_socket_format::SocketEvent} in Ruffle's tests. In Ruffle, C{Receive}
        compares the bytes of one flush; in this class, C{Receive} compares the next bytes.

        @param script: the content of the file.
        @raise ValueError: if the script is invalid.
        """
        session = fromRuffle(script)
        peer = cls()
        for message in session.messages:
            peer._add("expect" if message.side == CLIENT else "send", message.data)
        if session.end is not None:
            peer._add("waitForClose" if session.end.how == CLIENT else "close")
        return peer

    def _add(self, kind: str, data: bytes = b"") -> Self:
        if self._steps and self._steps[-1].kind in _LAST:
            raise ValueError(
                f"{kind}() cannot follow {self._steps[-1]}: the connection is closed by then"
            )
        self._steps.append(_Step(kind, bytes(data)))
        return self

    # The connection

    def listen(self, network: MemoryNetwork, port: int, interface: str = "127.0.0.1") -> Any:
        """
        Listen as a server.

        @param port: the port; 0 for any free port.
        @param interface: the IP address.
        @return: the listening port, as from C{listenTCP}.
        @raise TypeError: if C{network} is not a L{MemoryNetwork}, or C{port} is not an integer.
        """
        self._addTo("listen", network, port)
        return network.reactor.listenTCP(port, self, interface=interface)

    def connect(self, network: MemoryNetwork, port: int, host: str = "127.0.0.1") -> Any:
        """
        Connect as a client.

        @param port: the port of the server.
        @param host: the IPv4 address of the server.
        @return: a C{Deferred} that fires when the peer is connected.
        @raise TypeError: if C{network} is not a L{MemoryNetwork}, or C{port} is not an integer.
        """
        self._addTo("connect", network, port)
        return TCP4ClientEndpoint(network.reactor, host, port).connect(self)

    def _addTo(self, method: str, network: Any, port: Any) -> None:
        """
        Check the arguments of L{listen} and L{connect}, and let the network verify this peer.
        """
        if not isinstance(network, MemoryNetwork):
            raise TypeError(f"{method}(network, port) needs a MemoryNetwork, not {network!r:.80}")
        if not isinstance(port, int):
            raise TypeError(f"{method}(network, port) needs an integer port, not {port!r:.80}")
        network.checks.append(self._verifyOnce)

    def _verifyOnce(self) -> None:
        if not self._isVerified:
            self.verify()

    def doStart(self) -> None:
        self._isStarted = True
        super().doStart()

    def buildProtocol(self, addr: object) -> "_ScriptProtocol | None":
        """
        Build the protocol of the first connection, and refuse further connections.
        """
        if self._protocol is not None:
            self._fail("a second client has connected")
            return None
        expected = [Message(step.data, CLIENT) for step in self._steps if step.kind == "expect"]
        self._script = Script(Session(messages=expected), SERVER)
        self._protocol = _ScriptProtocol(self._proceed, self._dataReceived, self._connectionLost)
        return self._protocol

    # The result

    @property
    def done(self) -> bool:
        """
        Whether the script is complete, and no unexpected data was received.
        """
        return not self._problem and self._done == len(self._steps)

    def verify(self) -> None:
        """
        Check that the script is complete, and that no unexpected data was received. For a peer
        that was started with L{listen} or L{connect} and not verified,
        L{MemoryNetwork.check<openfl_twisted.testing.MemoryNetwork.check>} calls this method.

        @raise AssertionError: if the check fails. The text contains the failed or pending
            step, the expected data, and the received data.
        """
        self._isVerified = True
        if self._problem:
            raise AssertionError(self._problem)
        if self._done < len(self._steps):
            state = (
                self._describeData()
                if self._protocol is not None
                else "no client has connected; call network.flush() before verify()"
                if self._isStarted
                else "the peer was not started; call listen() or connect()"
            )
            raise AssertionError(f"{self._describeStep()} is pending: {state}")

    def _describeStep(self) -> str:
        return f"step {self._done + 1} of {len(self._steps)}, {self._steps[self._done]},"

    def _describeData(self) -> str:
        return f"received {_show(bytes(self._received))}"

    def _fail(self, problem: str) -> None:
        """
        Record the first problem, and abort the connection.
        """
        if not self._problem:
            self._problem = problem
            if self._protocol is not None and not self._closed:
                self._protocol.transport.abortConnection()

    # Following the script

    def _proceed(self) -> None:
        while not self._problem and self._done < len(self._steps) and self._take():
            self._done += 1
        if not self._problem and self._done == len(self._steps) and self._received:
            self._fail(f"the script is complete, then {self._describeData()}")

    def _dataReceived(self, data: bytes) -> None:
        self._received += data
        try:
            self._script.receive(data)
        except Difference:
            self._isDifferent = True
        self._proceed()

    @property
    def _end(self) -> int:
        """
        The number of bytes that are expected up to the end of the current step.
        """
        steps = self._steps[: self._done + 1]
        return sum(len(step.data) for step in steps if step.kind == "expect")

    def _connectionLost(self) -> None:
        self._closed = True
        self._proceed()
        if not self._problem and not self._closing and self._done < len(self._steps):
            step, data = self._describeStep(), self._describeData()
            self._fail(f"{step} failed: the connection was closed; {data}")

    def _take(self) -> bool:
        """
        Try to complete the current step.

        @return: whether the step is complete.
        """
        assert self._protocol is not None  # noqa: S101 - for the type checker
        kind, data = self._steps[self._done]
        if kind == "expect":
            return self._arrived(data)
        if kind == "waitForClose":
            if self._received:
                self._fail(f"{self._describeStep()} failed: {self._describeData()}")
            return self._closed and not self._problem
        if kind == "send":
            self._protocol.transport.write(data)
        elif kind == "close":
            self._closing = True
            self._protocol.transport.loseConnection()
        else:
            self._closing = True
            self._protocol.transport.abortConnection()
        return True

    def _arrived(self, expected: bytes) -> bool:
        """
        Return whether the data of the current step, C{expect}, has been received.
        """
        missing = self._end - self._script.got
        if missing <= 0:
            del self._received[: len(expected)]
            return True
        if self._isDifferent:
            place = len(expected) - missing
            self._fail(f"{self._describeStep()} failed at byte {place}: {self._describeData()}")
        return False


class _ScriptProtocol(Protocol):
    transport: Any

    def __init__(
        self,
        made: Callable[[], object],
        received: Callable[[bytes], object],
        lost: Callable[[], object],
    ) -> None:
        self._made = made
        self._received = received
        self._lost = lost

    def connectionMade(self) -> None:
        self._made()

    def dataReceived(self, data: bytes) -> None:
        self._received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost()


def checkBytes(method: str, data: Any) -> bytes:
    """
    Return data.

    @param method: the name of the called method, for the error.
    @raise TypeError: if the data is not bytes.
    """
    if isinstance(data, str):
        raise TypeError(f"{method}() needs bytes, not {data!r:.80}: encode the text")
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"{method}() needs bytes, not {data!r:.80}")
    return bytes(data)


def _show(data: bytes) -> str:
    if not data:
        return "nothing"
    if len(data) <= _SHOWN:
        return repr(data)
    return f"{data[:_SHOWN]!r} and {len(data) - _SHOWN} more bytes"


@dataclass(frozen=True)
class ConnectedPair(Generic[_Client, _Server]):
    """
    Two connected protocols.

    @ivar client: the protocol of the client.
    @ivar server: the protocol of the server.
    @ivar network: the network.
    @ivar connection: the connection, whose flows a test can split and hold.
    """

    client: _Client
    server: _Server
    network: MemoryNetwork
    connection: MemoryConnection


def connectedPair(
    client: _Client | Factory[_Client],
    server: _Server | Factory[_Server],
    *,
    network: MemoryNetwork | None = None,
    tls: Credentials | None = None,
) -> ConnectedPair[_Client, _Server]:
    """
    Connect two protocols, and run iterations until both are idle.

    @param network: the network (default: a new network).
    @param tls: the credentials of the server (default: no TLS). The client verifies the
        certificate as a C{SecureSocket} does.
    @return: the protocols. C{server} is the protocol that the server's factory has built,
        which may be a wrapper.
    @raise TypeError: if an argument has a wrong type.
    @raise HandshakeFailed: if the client does not trust the server; see
        L{openfl_twisted.tls}.
    @raise TimeoutError: Twisted's C{TimeoutError}, if the server does not use TLS.
    """
    network = MemoryNetwork() if network is None else network
    if not isinstance(network, MemoryNetwork):
        raise TypeError(f"connectedPair() needs a MemoryNetwork, not {network!r:.80}")
    observed = ObservedFactory(_factoryOf(server))
    listening: Any = observed if tls is None else tls.serverFactory(observed, network.reactor)
    port = network.reactor.listenTCP(0, listening, interface="127.0.0.1")
    endpoint: IStreamClientEndpoint = TCP4ClientEndpoint(
        network.reactor, "127.0.0.1", port.getHost().port
    )
    if tls is not None:
        endpoint = SecureEndpoint(endpoint, tls.host, tls.trust, clock=network.reactor)
    made: Any = network.run(endpoint.connect(_factoryOf(client)))
    port.stopListening()
    network.flush()
    built: Any = observed.built[-1]
    return ConnectedPair(made, built, network, network.connections[-1])


def _factoryOf(given: Any) -> IProtocolFactory:
    if IProtocolFactory.providedBy(given):
        return given
    if not IProtocol.providedBy(given):
        words = ": create an instance, or a factory" if isinstance(given, type) else ""
        raise TypeError(f"connectedPair() needs protocols or factories, not {given!r:.80}{words}")
    made: IProtocolFactory = Factory.forProtocol(cast("Any", lambda: given))
    return made
