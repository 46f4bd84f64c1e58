"""
Rooms: groups of clients that send messages to each other, on one server or on
several.

  - L{openfl_twisted.rooms.lobby}: the rooms of a server, and their members.
  - L{openfl_twisted.rooms.roomprotocol}: the protocols of clients in rooms.
    L{openfl_twisted.rooms.vocabulary} defines the XML elements that they send and
    receive.
  - L{openfl_twisted.rooms.distributedrooms}: connects the rooms of several nodes, through the
    interfaces in L{openfl_twisted.rooms.pubsub} (messages) and
    L{openfl_twisted.rooms.presence} (lists of members). Both modules contain an in-memory
    implementation. The implementations for Redis and NATS are in L{openfl_twisted.brokers}.
"""
