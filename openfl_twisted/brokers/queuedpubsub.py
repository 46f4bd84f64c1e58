"""
Pub/sub through a broker. Messages are sent in envelopes that reveal lost messages. Messages
that the broker does not accept yet are queued.
"""

from openfl_twisted.brokers.gathering import Gathering
from openfl_twisted.brokers.outbox import BrokerLimits, Outbox, Waiting
from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.rooms.pubsub import BasePubSub, Callback, PubSubState, checkTopic
from openfl_twisted.types import AnyClock
from openfl_twisted.wire.envelope import (
    OVERHEAD,
    Envelope,
    EnvelopeError,
    LossCounter,
    Sequencer,
    decode,
)

# Parts of the queue's limits: senders are slowed down above the first, and continue below the
# second.
_CONGESTED, _DRAINED = 0.5, 0.25
_NOT_ACCEPTED = "the broker does not accept it"
_STOPPED = "the connection to the broker was stopped"


class QueuedPubSub(BasePubSub):
    """
    Base class of L{IPubSub} implementations. A subclass sends the envelopes to its
    broker.

    @ivar limits: the limits of the queue, and timeouts.
    @ivar clock: the clock.
    """

    def __init__(
        self,
        description: str,
        *,
        node: bytes | None = None,
        limits: BrokerLimits | None = None,
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param description: the address of the broker as shown in logs, without
            passwords.
        @param node: the name of this node; C{None} for a random name. A node that is restarted
            needs a new name.
        @param limits: the limits; C{None} for the defaults.
        @param clock: the clock; C{None} for the reactor.
        """
        super().__init__(description, node)
        self.limits = limits or BrokerLimits()
        self.clock = clockOrReactor(clock)
        self._losses: dict[str, LossCounter] = {}
        self._sequencer = Sequencer(self.node)
        self._outbox = Outbox(self.limits)
        self._dropping = False
        self._wasUp = False
        self._congested = False
        self._gathering = Gathering(
            self.node, self.limits.gatherTimeout, self.clock, self._sendControl, self.flush
        )

    # Implemented by subclasses

    def isWritable(self) -> bool:
        """
        Check whether an envelope can be sent now.

        @return: C{False} while the broker does not read the data already sent; messages are
            queued in the meantime.
        """
        raise NotImplementedError

    def transmit(self, topic: str, data: bytes) -> bool:
        """
        Send an envelope to the broker. Called only while L{isWritable} returns C{True}.

        @param topic: a valid topic.
        @param data: the envelope, see L{openfl_twisted.wire.envelope.encode}.
        @return: C{False} if the broker would always refuse the envelope.
        """
        raise NotImplementedError

    def listen(self, topic: str) -> None:
        """
        Subscribe to a topic at the broker, if the broker is connected. After a connection is
        opened, a subclass subscribes to all C{channels}.

        @param topic: the topic; C{topics} already contains this topic.
        """
        raise NotImplementedError

    def ignore(self, topic: str) -> None:
        """
        Unsubscribe from a topic at the broker.

        @param topic: the topic; C{topics} no longer contains this topic.
        """
        raise NotImplementedError

    # Called by users

    @property
    def waiting(self) -> int:
        return len(self._outbox)

    @property
    def channels(self) -> list[str]:
        """
        The topics to subscribe to at the broker: all topics with a callback, and the topics on
        which nodes announce themselves.
        """
        return [*self._callbacks, *self._gathering.topics]

    @property
    def congested(self) -> bool:
        if not self._mayBlock():
            return False
        self._congested = self._congested or self._outbox.exceeds(_CONGESTED)
        return self._congested

    def _mayBlock(self) -> bool:
        """
        Check whether senders must wait when the queue is full. They must wait while the broker
        is connected, because a connected broker will read again.
        """
        return self.state is PubSubState.UP and not self._gathering.waiting

    def publish(self, topic: str, payload: bytes) -> bool:
        # A dropped message also gets a sequence number, so that other nodes notice its loss.
        data = self._sequencer.seal(checkTopic(topic), payload)
        problem = self._send(topic, data)
        if problem:
            self._drop(1, problem)
            return False
        self._dropping = False
        return True

    def _send(self, topic: str, data: bytes) -> str:
        """
        Send an envelope to the broker, or queue it.

        @return: the reason why the message must be dropped; empty otherwise.
        """
        if len(data) > self.limits.maxPayload + OVERHEAD:
            return f"the payload is longer than {self.limits.maxPayload} bytes"
        if self.isWritable() and not self._outbox and not self._gathering.waiting:
            taken = self.transmit(topic, data)
            self.published += taken
            return "" if taken else _NOT_ACCEPTED
        if self.state is PubSubState.STOPPED:
            return _STOPPED
        now = self.clock.seconds()
        self._dropOld(now)
        # The message is accepted even if the queue is now too full: the sender waits before its
        # next message.
        if self._outbox.offer(Waiting(now, topic, data), exceeding=self._mayBlock()):
            return ""
        return "the queue is full"

    def subscribe(self, topic: str, callback: Callback) -> None:
        super().subscribe(topic, callback)
        self._losses[topic] = LossCounter()
        self.listen(topic)

    def unsubscribe(self, topic: str) -> None:
        super().unsubscribe(topic)
        if self._losses.pop(topic, None) is not None:
            self.ignore(topic)

    # Called by subclasses

    def wentUp(self) -> None:
        """
        Set the state to C{UP}, and flush the queue. A subclass calls this method when the
        broker is connected and has all subscriptions.
        """
        self.state = PubSubState.UP
        self.problem = ""
        self.reconnects += self._wasUp
        self._wasUp = True
        self.log.info("connected to the broker {broker}", broker=self.description)
        self._gathering.connected()
        if self._gathering.waiting and self._outbox:
            self.log.info(
                "{count} queued messages are held until {nodes} other nodes have reconnected to"
                " the broker {broker} (at most {seconds:g} s)",
                count=len(self._outbox),
                broker=self.description,
                nodes=len(self._gathering.expected),
                seconds=self.limits.gatherTimeout,
            )
        self.flush()
        self.notify(lambda listener: listener.up())

    def wentDown(self, reason: str) -> None:
        """
        Set the state to C{DOWN}. A subclass calls this method when the broker cannot be
        reached.

        @param reason: the reason, as human-readable text. While the state is already C{DOWN},
            a call with the same reason is ignored.
        """
        if self.state is PubSubState.DOWN and self.problem == reason:
            return
        told, self.state, self.problem = self.state, PubSubState.DOWN, reason
        if told is PubSubState.UP:
            self._gathering.disconnected()
        self.log.warn(
            "no connection to the broker {broker}: {reason}", broker=self.description, reason=reason
        )
        if told is not PubSubState.DOWN:
            self.notify(lambda listener: listener.down(reason))
        self._notifyDrained()

    def wasStopped(self) -> None:
        """
        Drop all queued messages, and notify the other nodes that this node stops.
        """
        self._gathering.stop()
        self.state = PubSubState.STOPPED
        self.problem = ""
        self._wasUp = False
        self._drop(self._outbox.clear(), _STOPPED)
        self._notifyDrained()

    def flush(self) -> None:
        """
        Send as many queued messages as the broker accepts.
        """
        outbox = self._outbox
        self._dropOld(self.clock.seconds())
        while outbox and self.isWritable() and not self._gathering.waiting:
            message = outbox.take()
            if self.transmit(message.topic, message.data):
                self.published += 1
            else:
                self._drop(1, _NOT_ACCEPTED)
        if not outbox.exceeds(_DRAINED):
            self._notifyDrained()

    def _notifyDrained(self) -> None:
        if self._congested:
            self._congested = False
            self.notify(lambda listener: listener.drained())

    def _sendControl(self, topic: str, data: bytes) -> None:
        """
        Send a message of the L{Gathering<openfl_twisted.brokers.gathering.Gathering>}. The
        message has no sequence number, and is sent even while the broker does not read,
        because other nodes hold their messages until they receive it.
        """
        if self.state is PubSubState.UP:
            self.transmit(topic, data)

    def arrived(self, topic: str, data: bytes) -> None:
        """
        Handle a received envelope.

        @param topic: the topic of the envelope. If the topic is not subscribed to, the
            envelope is ignored.
        @param data: the envelope. Bytes that are not an envelope are counted as malformed. An
            envelope from this node is ignored.
        """
        if topic in self._gathering.topics:
            self.malformed += not self._gathering.arrived(data)
            return
        losses = self._losses.get(topic)
        if losses is None:
            # The topic was unsubscribed from while the message was on the way.
            return
        try:
            envelope = decode(data)
        except EnvelopeError:
            self.malformed += 1
            return
        if envelope.node != self.node:
            self._accept(topic, losses, envelope)

    def _accept(self, topic: str, losses: LossCounter, envelope: Envelope) -> None:
        missed = losses.note(envelope)
        if missed is None:
            self.duplicates += 1
            return
        if missed:
            self.gaps += 1
            self.missed += missed
            self.notify(lambda listener: listener.gap(topic, envelope.node, missed))
        self.deliver(topic, envelope.payload)

    def wasRefused(self, reason: str) -> None:
        """
        Count an operation that the broker has refused without closing the connection.

        @param reason: the reason, as human-readable text. The reason is assigned to
            C{problem}, and is logged if it differs from the last reason.
        """
        self.refused += 1
        # The broker may refuse each message for the same reason, and one log line is enough.
        if self.problem != reason:
            self.problem = reason
            self.log.warn(
                "the broker {broker} refused an operation: {reason}",
                broker=self.description,
                reason=reason,
            )

    def _dropOld(self, now: float) -> None:
        dropped = self._outbox.dropOld(now)
        self._drop(dropped, f"it was queued for more than {self.limits.maxAge:g} s")

    def _drop(self, count: int, reason: str) -> None:
        self.dropped += count
        if count and not self._dropping:
            self._dropping = True
            self.log.warn(
                "message to {broker} dropped: {reason};"
                " further drops are not logged until a message is accepted",
                broker=self.description,
                reason=reason,
            )
