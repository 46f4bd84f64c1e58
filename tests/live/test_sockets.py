"""
The protocols on real sockets.
"""

from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint

from openfl_twisted.protocols.broadcast import BroadcastProtocol, EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.policyfile import PolicyFileFactory
from openfl_twisted.protocols.serversocketexample import ServerSocketExampleFactory
from openfl_twisted.protocols.simpleserver import SimpleServerFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.request import REQUEST
from openfl_twisted.wire.policy.rule import AccessRule
from tests.live import live
from tests.live.peers import (
    HOST,
    connectThrough,
    dial,
    pause,
    readFromClients,
    serving,
    theReactor,
    until,
)


@live
async def test_relay() -> None:
    """
    Messages are forwarded to the other clients, and not to the sender.
    """
    async with serving(OnePortFactory(XMLSocketFactory(BroadcastProtocol))) as (port, _):
        one, two = await dial(port), await dial(port)
        one.send(b"from one\0")
        two.send(b"from two\0")
        # A client joins with its first byte, so the first messages may be too early for the other.
        await connectThrough(one, two)
        one.send(b"h\xc3")
        one.send(b"\xa9llo\0")
        assert (await two.until("héllo\0".encode())).endswith("héllo\0".encode())
        two.send(b"bye\0")
        await one.until(b"bye\0")
        assert b"from one" not in one.received
        await one.close()
        await two.close()


@live
async def test_policyOnTheDataPort() -> None:
    """
    A policy request is answered on the port of a server that greets. A client that
    sends nothing receives the greeting.
    """
    async with serving(OnePortFactory(ServerSocketExampleFactory(), greetingDelay=1000)) as (
        port,
        _,
    ):
        asking = await dial(port)
        for byte in REQUEST:
            asking.send(bytes([byte]))
        assert await asking.untilLost() == PolicyFile.forPort(port).toXML() + b"\0"
    async with serving(OnePortFactory(ServerSocketExampleFactory(), greetingDelay=0.05)) as (
        port,
        guard,
    ):
        waiting = await dial(port)
        assert await waiting.until(b"Connected.") == b"Connected."
        assert guard.connections == 1
        await waiting.close()


@live
async def test_policyPort() -> None:
    """
    A policy port answers and closes the connection.
    """
    policy = PolicyFile((AccessRule("a.example", "80"),))
    async with serving(PolicyFileFactory(policy)) as (port, _):
        asking = await dial(port)
        asking.send(REQUEST)
        assert await asking.untilLost() == policy.toXML() + b"\0"


@live
async def test_halfClose() -> None:
    """
    A client that sends and half-closes receives its answers.
    """
    async with serving(OnePortFactory(SimpleServerFactory())) as (port, _):
        client = await dial(port)
        client.send(b"one\ntwo")
        assert client.transport is not None
        client.transport.loseWriteConnection()  # type: ignore[attr-defined]
        answer = b"Enter EXIT to exit.\r\nEcho: one\r\nEcho: two\r\n"
        assert await client.untilLost() == answer
    async with serving(OnePortFactory(XMLSocketFactory(EchoProtocol))) as (port, _):
        client = await dial(port)
        client.send(b"one\0tw")
        assert client.transport is not None
        client.transport.loseWriteConnection()  # type: ignore[attr-defined]
        assert await client.untilLost() == b"one\0"


@live
async def test_largeMessages() -> None:
    """
    A client that sends much and reads late receives all data in order. The server
    pauses reading in the meantime.
    """
    messages = [bytes([65 + number]) * 900_000 + b"\0" for number in range(8)]
    async with serving(OnePortFactory(XMLSocketFactory(EchoProtocol))) as (port, guard):
        client = await dial(port)
        transport: Any = client.transport
        transport.pauseProducing()
        for message in messages:
            client.send(message)
        await until(lambda: not readFromClients())
        transport.resumeProducing()
        await client.until(messages[-1])
        assert client.received == b"".join(messages)
        assert guard.connections == 1
        await client.close()


@live
async def test_slowReader() -> None:
    """
    A client that does not read is disconnected; other clients are unaffected.
    """
    factory = XMLSocketFactory(BroadcastProtocol, maxQueue=100_000)
    async with serving(OnePortFactory(factory)) as (port, guard):
        sender, reader, slow = await dial(port), await dial(port), await dial(port)
        for client in (reader, slow):
            await connectThrough(sender, client)
        transport: Any = slow.transport
        transport.pauseProducing()
        sent = 0
        while guard.connections == 3:
            sender.send(b"x" * 50_000 + b"\0")
            sent += 1
            await pause(0)
        sender.send(b"last\0")
        await reader.until(b"last\0")
        assert reader.received.count(b"x" * 50_000 + b"\0") == sent
        transport.resumeProducing()
        await slow.untilLost()
        await sender.close()
        await reader.close()


@live
async def test_tooManyClients() -> None:
    """
    A client over the connection limit is refused. After another one has disconnected,
    it is accepted.
    """
    guard = GuardFactory(ServerSocketExampleFactory(), maxConnections=1)
    port = await TCP4ServerEndpoint(theReactor(), 0, interface=HOST).listen(guard)
    number = port.getHost().port
    one = await dial(number)
    await one.until(b"Connected.")
    two = await dial(number)
    assert await two.untilLost() == b""
    await one.close()
    await until(lambda: not guard.connections)
    three = await dial(number)
    await three.until(b"Connected.")
    await three.close()
    await port.stopListening()
    await guard.closeAll(1)
