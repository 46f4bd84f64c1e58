"""
Connects the rooms of several servers through a broker: Redis or NATS.

  - L{brokerurl<openfl_twisted.brokers.brokerurl>} creates pub/sub and presence objects from a
    URL: C{redis://host}, C{nats://host} and the like.
  - L{redispubsub<openfl_twisted.brokers.redispubsub>} and
    L{natspubsub<openfl_twisted.brokers.natspubsub>} implement
    L{IPubSub<openfl_twisted.rooms.pubsub.IPubSub>}, on
    L{queuedpubsub<openfl_twisted.brokers.queuedpubsub>} (envelopes, queue) and
    L{brokerpubsub<openfl_twisted.brokers.brokerpubsub>} (connection).
  - L{redispresence<openfl_twisted.brokers.redispresence>} implements
    L{IPresence<openfl_twisted.rooms.presence.IPresence>}.
  - L{brokerlink<openfl_twisted.brokers.brokerlink>} keeps one connection to a
    broker.

The interfaces, and the rooms that use them, are in L{openfl_twisted.rooms}.
"""
