"""
A model of many nodes with shared rooms: C{python -m benchmarks.scaling}. It computes the
number of nodes and brokers that a number of clients needs, and compares the model with a
simulation of many nodes in memory.
"""

import argparse
import math
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from twisted.internet.task import Clock

from openfl_twisted.rooms.distributedrooms import DistributedRooms
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.pubsub import MemoryBroker, MemoryPubSub
from openfl_twisted.rooms.room import RoomLimits

MAX_NODES = 1 << 20


@dataclass(frozen=True)
class Load:
    """
    The behavior of all clients together.

    @ivar clients: number of clients.
    @ivar room: number of members of each room.
    @ivar rate: number of messages that each client sends per second.
    @ivar size: length of a message (bytes).
    @ivar routed: whether all members of a room connect to the same node. If not, they
        connect to random nodes.
    """

    clients: int = 1_000_000
    room: int = 50
    rate: float = 2.0
    size: int = 100
    routed: bool = False

    @property
    def messages(self) -> float:
        """
        Number of messages per second.
        """
        return self.clients * self.rate

    def nodesOfRoom(self, nodes: int) -> float:
        """
        Return the mean number of nodes that have members of the same room.
        """
        if self.routed:
            return 1.0
        return nodes * (1 - (1 - 1 / nodes) ** self.room)


@dataclass(frozen=True)
class Costs:
    """
    The cost of each step: CPU time in microseconds on one core, and memory in bytes.

    @ivar receive: a node receives a message from a client.
    @ivar deliver: a node sends a message to one member.
    @ivar publish: a node sends a message to the broker.
    @ivar arrive: a node receives a message from the broker. With Redis and NATS, a node
        also receives its own messages.
    @ivar brokerIn: the broker receives a message.
    @ivar brokerOut: the broker sends a message to one node.
    @ivar memory: a client, on its node.
    @ivar overhead: length of what the broker's protocol adds to a message.
    """

    receive: float = 35.0
    deliver: float = 3.2
    publish: float = 3.8
    arrive: float = 2.5
    brokerIn: float = 0.6
    brokerOut: float = 0.16
    memory: float = 1650.0
    overhead: int = 96


REDIS = Costs()
NATS = replace(REDIS, publish=4.5, arrive=4.0, brokerIn=0.35, brokerOut=0.42, overhead=78)


class Demand(NamedTuple):
    """
    The resources that a load needs on a number of nodes.

    @ivar nodes: number of nodes.
    @ivar node: utilization of one core of each node (1 means all of its time).
    @ivar broker: number of cores of brokers that are fully used.
    @ivar brokerBytes: number of bytes that brokers send per second.
    @ivar memory: memory of each node for its clients (bytes).
    """

    nodes: int
    node: float
    broker: float
    brokerBytes: float
    memory: float


def demand(load: Load, costs: Costs, nodes: int) -> Demand:
    """
    Compute what a load demands from a number of nodes.
    """
    copies = load.nodesOfRoom(nodes)
    ofMessage = (
        costs.receive + costs.deliver * (load.room - 1) + costs.publish + costs.arrive * copies
    )
    return Demand(
        nodes,
        load.messages * ofMessage / nodes / 1e6,
        load.messages * (costs.brokerIn + costs.brokerOut * copies) / 1e6,
        load.messages * copies * (load.size + costs.overhead),
        load.clients * costs.memory / nodes,
    )


def needed(load: Load, costs: Costs, utilization: float) -> Demand:
    """
    Compute the smallest number of nodes.

    @param utilization: maximum utilization of each node.
    @raise ValueError: if L{MAX_NODES} are not enough.
    """
    low, high = 0, 1
    while demand(load, costs, high).node > utilization:
        low, high = high, high * 2
        if high > MAX_NODES:
            raise ValueError(f"more than {MAX_NODES} nodes are needed")
    while high - low > 1:
        middle = (low + high) // 2
        if demand(load, costs, middle).node > utilization:
            low = middle
        else:
            high = middle
    return demand(load, costs, high)


class Counts(NamedTuple):
    """
    Numbers of messages.

    @ivar published: messages that nodes sent to the broker.
    @ivar arrived: messages that nodes received from the broker, without their own.
    @ivar delivered: messages that members received.
    """

    published: float
    arrived: float
    delivered: float


def expected(load: Load, nodes: int) -> Counts:
    """
    Return the mean numbers if each client sends one message, according to the model.
    """
    copies = load.nodesOfRoom(nodes)
    return Counts(load.clients, load.clients * (copies - 1), load.clients * (load.room - 1))


class _SilentRecipient:
    """
    A client that counts the messages it receives.
    """

    received = 0

    def deliverMessage(self, message: bytes) -> None:
        _SilentRecipient.received += 1

    def replaced(self) -> None:
        pass

    def removed(self, reason: str) -> None:
        pass


def simulate(load: Load, nodes: int, seed: int = 1) -> Counts:
    """
    Let each client send one message, with all nodes in memory.

    @param load: C{clients} must be a multiple of C{room}.
    @param seed: seed of the random choice of nodes.
    """
    chance, broker = random.Random(seed), MemoryBroker()  # noqa: S311 - not for security
    limits = RoomLimits(maxRooms=0, maxMembers=0)
    lobbies, pubSubs = [], []
    for number in range(nodes):
        pubSub = MemoryPubSub(broker, node=b"%d" % number)
        lobby = Lobby(limits, Clock())
        DistributedRooms(lobby, pubSub)
        pubSub.start()
        lobbies.append(lobby)
        pubSubs.append(pubSub)
    members = []
    for room in range(load.clients // load.room):
        home = chance.randrange(nodes)
        for number in range(load.room):
            lobby = lobbies[home if load.routed else chance.randrange(nodes)]
            member = lobby.join(f"room {room}", _SilentRecipient(), f"member {number}")
            members.append((lobby, member))
    _SilentRecipient.received = 0
    for lobby, member in members:
        lobby.send(member, b"x" * load.size)
    return Counts(
        sum(each.published for each in pubSubs),
        sum(each.received for each in pubSubs),
        _SilentRecipient.received,
    )


def report(load: Load, costs: Costs, utilization: float) -> str:
    """
    Describe what a load needs.
    """
    found = needed(load, costs, utilization)
    copies = load.nodesOfRoom(found.nodes)
    brokers = math.ceil(found.broker / utilization)
    return (
        f"{found.nodes:,} nodes of one core, {found.node:.0%} used, "
        f"{found.memory / 1e6:,.0f} MB for clients on each\n"
        f"each message is published once and sent to {copies:.1f} nodes\n"
        f"broker: {found.broker:,.1f} cores and {found.brokerBytes / 1e6:,.0f} MB/s, "
        f"which is the work of {brokers:,} brokers\n"
        f"fails first: {'the broker' if brokers > 1 else 'the nodes'}"
    )


def main(arguments: Sequence[str]) -> int:
    """
    Run the command.

    @return: the exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--clients", type=int, default=Load.clients, help="number of clients")
    parser.add_argument("--room", type=int, default=Load.room, help="members of a room")
    parser.add_argument("--rate", type=float, default=Load.rate, help="messages of a client per s")
    parser.add_argument("--size", type=int, default=Load.size, help="bytes of a message")
    parser.add_argument(
        "--utilization", type=float, default=0.7, help="maximum utilization of a core (0 to 1)"
    )
    parser.add_argument("--nodes", type=int, default=100, help="nodes of the simulation")
    options = parser.parse_args(arguments)
    for routed in (False, True):
        load = Load(options.clients, options.room, options.rate, options.size, routed)
        where = "the same node" if routed else "random nodes"
        sys.stdout.write(f"members of a room on {where}\n")
        for name, costs in (("Redis", REDIS), ("NATS", NATS)):
            text = report(load, costs, options.utilization)
            sys.stdout.write(f"  {name}\n    " + text.replace("\n", "\n    ") + "\n")
        small = replace(load, clients=100 * load.room)
        model, found = expected(small, options.nodes), simulate(small, options.nodes)
        sys.stdout.write(f"  check: {options.nodes} nodes, {small.clients:,} messages\n")
        for field, one, other in zip(Counts._fields, model, found, strict=True):
            sys.stdout.write(f"    {field}: model {one:,.0f}, simulation {other:,.0f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
