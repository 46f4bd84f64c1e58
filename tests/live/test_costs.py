"""
How many calls of the system a message is, on real sockets.
"""

import socket

from twisted.internet.threads import deferToThread

from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from tests.costs import Costs, counted
from tests.live import live
from tests.live.peers import HOST, serving

MESSAGE = b"<move x='10'/>\0"
TIMES = 100

# What the thread of the client makes the reactor's do when it begins and ends.
SLACK = 10


def converse(port: int, block: bytes) -> None:
    """
    Send a block of messages and wait until all has come back, again and again.
    """
    with socket.create_connection((HOST, port)) as client:
        for _ in range(TIMES):
            client.sendall(block)
            rest = len(block)
            while rest:
                rest -= len(client.recv(rest))


async def costsOf(block: bytes) -> Costs:
    """
    Count what a server of everything does for it.
    """
    async with serving(OnePortFactory(XMLSocketFactory(EchoProtocol))) as (port, _):
        with counted() as costs:
            await deferToThread(converse, port, block)
    return costs


@live
async def test_pingPong() -> None:
    """
    A message that comes alone is one C{recv}; its answer is one C{send}, and
    at most twice the events are changed that are waited for.
    """
    system = (await costsOf(MESSAGE)).system
    assert system["recv"] <= TIMES + SLACK
    assert system["send"] <= TIMES + SLACK
    assert system["modify"] + system["register"] + system["unregister"] <= 2 * TIMES + SLACK


@live
async def test_pipelined() -> None:
    """
    Many messages that come together are not more C{recv} than one, and their
    answers not more C{send}.
    """
    system = (await costsOf(MESSAGE * 50)).system
    assert system["recv"] <= TIMES + SLACK
    assert system["send"] <= TIMES + SLACK
