"""
The way from one process of a server to the others: what is published on a topic
here is heard by all that have subscribed to it there.
"""

# The methods of an interface have no self.
# ruff: noqa: N805

import enum
from collections.abc import Callable

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

Callback = Callable[[bytes], object]
"""
Takes what others have published.
"""


class RelayState(enum.Enum):
    """
    How it is with a relay.
    """

    STOPPED = "stopped"
    """
    It was not started, or was stopped.
    """

    CONNECTING = "connecting"
    """
    It was started, and connects for the first time.
    """

    UP = "up"
    """
    What is published goes out.
    """

    DOWN = "down"
    """
    The broker cannot be reached. It is tried again and again.
    """


class IRelay(Interface):
    """
    A way to the other nodes.

    Messages come B{at most once}: one that is lost on its way is not sent again.
    Losses are counted where the message does not come, and told to listeners as
    soon as the next one of the same node comes on the same topic. The messages
    of one node on one topic come in order, and none comes back to the node that
    has published it. So what happens inside a node does not need the relay, and
    goes on without it.
    """

    node: bytes = Attribute("The name of this node: 16 bytes, by chance.")
    description: str = Attribute("Where the broker is, for people; without passwords.")
    state: RelayState = Attribute("How it is with the relay.")
    problem: str = Attribute(
        "Why it is down, or what the broker has refused; empty if there is nothing."
    )
    waiting: int = Attribute("How many messages wait to be sent.")
    congested: bool = Attribute(
        "Whether the broker is connected, and takes messages more slowly than they are published."
        " Publish nothing more until listeners are told that it is drained."
    )
    published: int = Attribute("How many messages were handed to the broker.")
    received: int = Attribute("How many messages of other nodes were given to callbacks.")
    dropped: int = Attribute("How many messages were not handed to the broker.")
    gaps: int = Attribute("How often messages of another node were missing.")
    missed: int = Attribute("How many messages were missing, in all gaps.")
    duplicates: int = Attribute("How many messages came again or too late, and were dropped.")
    malformed: int = Attribute("How many messages were not of a node, and were dropped.")
    refused: int = Attribute("How often the broker has refused something.")
    reconnects: int = Attribute("How often the relay was up again.")

    def start() -> Deferred[bool]:
        """
        Connect, and stay connected.

        @return: fires when the first attempt has ended, with whether the relay
            is up; if not, it goes on trying.
        """

    def stop() -> Deferred[None]:
        """
        Close the connection. What was written goes out, what waits is dropped.

        @return: fires when it is closed.
        """

    def publish(topic: str, payload: bytes) -> bool:
        """
        Send something to all other nodes that have subscribed to a topic.

        @param topic: 1 to 1024 bytes of UTF-8.
        @param payload: any bytes, up to C{RelayLimits.maxPayload}.
        @return: whether it goes out, now or when the broker can be reached;
            C{False} if it is dropped, since too much waits already or the
            payload is too large. The others count that as a loss.
        @raise ValueError: if the topic is empty or too long.
        """

    def subscribe(topic: str, callback: Callback) -> None:
        """
        Hear what others publish on a topic, until L{unsubscribe}.

        @param topic: 1 to 1024 bytes of UTF-8.
        @param callback: called with each payload. What it raises is logged.
        @raise ValueError: if it is subscribed to already, is empty or too long.
        """

    def unsubscribe(topic: str) -> None:
        """
        Hear nothing more of a topic; it is no error if nothing was heard.

        @param topic: what L{subscribe} was given.
        """

    def addListener(listener: "IRelayListener") -> None:
        """
        Tell somebody how it is with the relay.

        @param listener: is told from now on, and as long as the relay lives.
        """


class IRelayListener(Interface):
    """
    Who wants to know how it is with a relay.
    """

    def up() -> None:
        """
        The relay is up.
        """

    def down(reason: str) -> None:
        """
        The relay is down.

        @param reason: why, for people.
        """

    def drained() -> None:
        """
        The relay was congested, and can be published to again.
        """

    def gap(topic: str, node: bytes, missed: int) -> None:
        """
        Messages are missing.

        @param topic: where they were published.
        @param node: who has published them.
        @param missed: how many they are.
        """
