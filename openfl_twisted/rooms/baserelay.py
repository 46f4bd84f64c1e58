"""
What all relays have in common: envelopes, counters, and what waits.
"""

import os
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import packageLogger
from openfl_twisted.rooms.gathering import Gathering
from openfl_twisted.rooms.outbox import Outbox, RelayLimits, Waiting
from openfl_twisted.rooms.relay import Callback, IRelay, IRelayListener, RelayState
from openfl_twisted.wire.envelope import (
    NODE_LENGTH,
    OVERHEAD,
    Envelope,
    EnvelopeError,
    LossCounter,
    Sequencer,
    decode,
)

MAX_TOPIC = 1024
"""
The longest topic, in bytes of UTF-8.
"""

# Parts of the queue above which senders are slowed down, and below which they continue.
_CONGESTED, _DRAINED = 0.5, 0.25

_log = packageLogger()
_taken = _log.failureHandler("while a message of the relay was taken")
_told = _log.failureHandler("while a listener of the relay was told")


class _Subscription:
    """
    What is known of a topic that is subscribed to.
    """

    __slots__ = ("callback", "losses")

    def __init__(self, callback: Callback) -> None:
        self.callback = callback
        self.losses = LossCounter()


@implementer(IRelay)
class Relay:
    """
    A relay without a way to carry envelopes, which a subclass has.

    @ivar node: the name of this node: 16 bytes.
    @ivar description: where the broker is, for people; without passwords.
    @ivar limits: what it may take.
    @ivar clock: measures the time.
    @ivar state: how it is with it.
    @ivar problem: why it is down, or what the broker has refused; empty if
        there is nothing.
    @ivar published: how many messages were handed to the broker.
    @ivar received: how many messages of other nodes were given to callbacks.
    @ivar dropped: how many messages were not handed to the broker.
    @ivar gaps: how often messages of another node were missing.
    @ivar missed: how many messages were missing, in all gaps.
    @ivar duplicates: how many messages came again or too late, and were
        dropped.
    @ivar malformed: how many messages were not of a node, and were dropped.
    @ivar refused: how often the broker has refused something.
    @ivar reconnects: how often it was up again.
    """

    log = _log

    def __init__(
        self,
        description: str,
        *,
        node: bytes | None = None,
        limits: RelayLimits | None = None,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param description: where the broker is, for people; without passwords.
        @param node: the name of this node; C{None} for one that nobody else has.
            A node that starts anew needs a new one.
        @param limits: what the relay may take; C{None} for the usual.
        @param clock: measures the time; C{None} for the reactor.
        """
        self.node = node or os.urandom(NODE_LENGTH)
        self.description = description
        self.limits = limits or RelayLimits()
        self.clock = clockOrReactor(clock)
        self.state = RelayState.STOPPED
        self.problem = ""
        self.published = self.received = self.dropped = self.gaps = self.missed = 0
        self.duplicates = self.malformed = self.refused = self.reconnects = 0
        self._listeners: list[IRelayListener] = []
        self._subscriptions: dict[str, _Subscription] = {}
        self._sequencer = Sequencer(self.node)
        self._outbox = Outbox(self.limits)
        self._dropping = False
        self._wasUp = False
        self._congested = False
        self._gathering = Gathering(
            self.node, self.limits.gatherTimeout, self.clock, self._sendControl, self.flush
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.description} {self.state.value}>"

    # What a subclass is

    def start(self) -> Deferred[bool]:
        """
        Connect, and stay connected.

        @return: see L{IRelay}.
        """
        raise NotImplementedError

    def stop(self) -> Deferred[None]:
        """
        Close the connection.

        @return: see L{IRelay}.
        """
        raise NotImplementedError

    def isWritable(self) -> bool:
        """
        Check whether something can be transmitted now.

        @return: whether the broker reads; if not, what is published waits.
        """
        raise NotImplementedError

    def transmit(self, topic: str, data: bytes) -> bool:
        """
        Hand an envelope to the broker; only asked for while L{isWritable}.

        @param topic: a topic that can be one: 1 to L{MAX_TOPIC} bytes of UTF-8.
        @param data: the envelope, see L{openfl_twisted.wire.envelope.encode}.
        @return: C{False} if the broker does not take anything like it.
        """
        raise NotImplementedError

    def listen(self, topic: str) -> None:
        """
        Ask the broker for a topic, if it is connected. Once it is, a subclass asks
        for all of L{channels}.

        @param topic: the topic; it is in L{topics} already.
        """
        raise NotImplementedError

    def ignore(self, topic: str) -> None:
        """
        Ask the broker for a topic no more.

        @param topic: the topic; it is no more in L{topics}.
        """
        raise NotImplementedError

    # What its users call

    @property
    def waiting(self) -> int:
        """
        How many messages wait to be sent.
        """
        return len(self._outbox)

    @property
    def topics(self) -> list[str]:
        """
        The topics that users have subscribed to.
        """
        return list(self._subscriptions)

    @property
    def channels(self) -> list[str]:
        """
        The topics to ask the broker for: those of users, and those of the
        relay itself.
        """
        return [*self._subscriptions, *self._gathering.topics]

    @property
    def congested(self) -> bool:
        """
        Whether the broker takes messages more slowly than they are published, see
        L{IRelay}.
        """
        if not self._mayBlock():
            return False
        self._congested = self._congested or self._outbox.exceeds(_CONGESTED)
        return self._congested

    def _mayBlock(self) -> bool:
        """
        Check whether senders are held back: the broker is connected, and so will
        read again.
        """
        return self.state is RelayState.UP and not self._gathering.waiting

    def addListener(self, listener: IRelayListener) -> None:
        """
        Tell somebody how it is with the relay.
        """
        self._listeners.append(listener)

    def publish(self, topic: str, payload: bytes) -> bool:
        """
        Send something to the others.
        """
        # One that is dropped has a number too: so the others know that it is missing.
        data = self._sequencer.seal(_checked(topic), payload)
        if self._send(topic, data):
            self._dropping = False
            return True
        self._drop(1, "it is too large, or the relay is down, or too much waits already")
        return False

    def _send(self, topic: str, data: bytes) -> bool:
        if len(data) > self.limits.maxPayload + OVERHEAD:
            return False
        if self.isWritable() and not self._outbox and not self._gathering.waiting:
            taken = self.transmit(topic, data)
            self.published += taken
            return taken
        if self.state is RelayState.STOPPED:
            return False
        now = self.clock.seconds()
        self._drop(self._outbox.dropOld(now), "it has waited for too long")
        # A sender is held back only before its next message.
        return self._outbox.offer(Waiting(now, topic, data), exceeding=self._mayBlock())

    def subscribe(self, topic: str, callback: Callback) -> None:
        """
        Hear what others publish.

        @raise ValueError: if the topic is none, or is subscribed to already.
        """
        if _checked(topic) in self._subscriptions:
            raise ValueError(f"{topic!r} is subscribed to already")
        self._subscriptions[topic] = _Subscription(callback)
        self.listen(topic)

    def unsubscribe(self, topic: str) -> None:
        """
        Hear nothing more.
        """
        if self._subscriptions.pop(topic, None) is not None:
            self.ignore(topic)

    # What a subclass calls

    def wentUp(self) -> None:
        """
        The broker is reached, and knows what is subscribed to.
        """
        self.state = RelayState.UP
        self.problem = ""
        self.reconnects += self._wasUp
        self._wasUp = True
        self.log.info("the relay {relay} is up", relay=self.description)
        self._gathering.connected()
        if self._gathering.waiting and self._outbox:
            self.log.info(
                "{count} messages to {relay} are held until {nodes} nodes are connected again",
                count=len(self._outbox),
                relay=self.description,
                nodes=len(self._gathering.expected),
            )
        self.flush()
        self._tell(lambda listener: listener.up())

    def wentDown(self, reason: str) -> None:
        """
        The broker cannot be reached, again or still.

        @param reason: why, for people. If it is the same as before nobody is
            told, nor is it logged.
        """
        if self.state is RelayState.DOWN and self.problem == reason:
            return
        told, self.state, self.problem = self.state, RelayState.DOWN, reason
        if told is RelayState.UP:
            self._gathering.disconnected()
        self.log.warn("the relay {relay} is down: {reason}", relay=self.description, reason=reason)
        if told is not RelayState.DOWN:
            self._tell(lambda listener: listener.down(reason))
        self._tellDrained()

    def wasStopped(self) -> None:
        """
        The relay has stopped.
        """
        self._gathering.stop()
        self.state = RelayState.STOPPED
        self.problem = ""
        self._wasUp = False
        self._drop(self._outbox.clear(), "the relay was stopped")
        self._tellDrained()

    def flush(self) -> None:
        """
        Send the queued messages, as far as the broker takes them.
        """
        outbox = self._outbox
        self._drop(outbox.dropOld(self.clock.seconds()), "it has waited for too long")
        while outbox and self.isWritable() and not self._gathering.waiting:
            message = outbox.take()
            if self.transmit(message.topic, message.data):
                self.published += 1
            else:
                self._drop(1, "the broker does not take it")
        if not outbox.exceeds(_DRAINED):
            self._tellDrained()

    def _tellDrained(self) -> None:
        """
        Tell the listeners that messages can be published again.
        """
        if self._congested:
            self._congested = False
            self._tell(lambda listener: listener.drained())

    def _sendControl(self, topic: str, data: bytes) -> None:
        """
        Send a message of the gathering, which is not counted. It does not wait
        until the broker reads: another node holds its messages until it is there.
        """
        if self.state is RelayState.UP:
            self.transmit(topic, data)

    def arrived(self, topic: str, data: bytes) -> None:
        """
        An envelope has come.

        @param topic: where it was published. One that is not subscribed to is
            passed over.
        @param data: the envelope. One that is none is counted as malformed, one
            of this node is passed over.
        """
        if topic in self._gathering.topics:
            self.malformed += not self._gathering.arrived(data)
            return
        subscription = self._subscriptions.get(topic)
        if subscription is None:
            # It was under way while the topic was unsubscribed from.
            return
        try:
            envelope = decode(data)
        except EnvelopeError:
            self.malformed += 1
            return
        if envelope.node == self.node:
            return
        self._accept(topic, subscription, envelope)

    def _accept(self, topic: str, subscription: _Subscription, envelope: Envelope) -> None:
        """
        Take the envelope of another node.
        """
        missed = subscription.losses.note(envelope)
        if missed is None:
            self.duplicates += 1
            return
        if missed:
            self.gaps += 1
            self.missed += missed
            self._tell(lambda listener: listener.gap(topic, envelope.node, missed))
        self.received += 1
        with _taken:
            subscription.callback(envelope.payload)

    def wasRefused(self, reason: str) -> None:
        """
        The broker has refused something, and is still there.

        @param reason: why, for people. It becomes C{problem}, and is logged
            when it is another than before.
        """
        self.refused += 1
        # Each message may be refused, and one line says it all.
        if self.problem != reason:
            self.problem = reason
            self.log.warn(
                "the relay {relay} refuses: {reason}", relay=self.description, reason=reason
            )

    def _drop(self, count: int, reason: str) -> None:
        """
        Count messages that are not sent.
        """
        self.dropped += count
        if count and not self._dropping:
            self._dropping = True
            self.log.warn(
                "a message was not sent to {relay}: {reason}; there may be more",
                relay=self.description,
                reason=reason,
            )

    def _tell(self, what: Callable[[IRelayListener], object]) -> None:
        """
        Tell all listeners.
        """
        for listener in list(self._listeners):
            with _told:
                what(listener)


def _checked(topic: str) -> str:
    """
    Make sure that a topic can be one.
    """
    try:
        length = len(topic.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{topic!r} is no text") from None
    if not 0 < length <= MAX_TOPIC:
        raise ValueError(f"a topic has from 1 to {MAX_TOPIC} bytes, and not {length}")
    return topic
