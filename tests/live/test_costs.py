"""
Number of system calls for a message, on real sockets.
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

# Calls caused by the start and the end of the client's thread.
SLACK = 10


def converse(port: int, block: bytes) -> None:
    """
    Send blocks of messages, each after the answer to the previous one.
    """
    with socket.create_connection((HOST, port)) as client:
        for _ in range(TIMES):
            client.sendall(block)
            rest = len(block)
            while rest:
                rest -= len(client.recv(rest))


async def costsOf(block: bytes) -> Costs:
    """
    Count the work of a server for all client types.
    """
    async with serving(OnePortFactory(XMLSocketFactory(EchoProtocol))) as (port, _):
        with counted() as costs:
            await deferToThread(converse, port, block)
    return costs


@live
async def test_pingPong() -> None:
    """
    A single message takes one C{recv}, its answer one C{send}, and at most two changes
    of the events of the reactor.
    """
    system = (await costsOf(MESSAGE)).system
    assert system["recv"] <= TIMES + SLACK
    assert system["send"] <= TIMES + SLACK
    assert system["modify"] + system["register"] + system["unregister"] <= 2 * TIMES + SLACK


@live
async def test_pipelined() -> None:
    """
    Messages received together take one C{recv}, and their answers one C{send}.
    """
    system = (await costsOf(MESSAGE * 50)).system
    assert system["recv"] <= TIMES + SLACK
    assert system["send"] <= TIMES + SLACK
