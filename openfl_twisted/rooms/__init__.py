"""
Who is connected, who hears what, and the way to other processes and machines.

  - L{openfl_twisted.rooms.lobby}: the rooms of a server.
    L{openfl_twisted.rooms.roomprotocol} has clients in them.
  - L{openfl_twisted.rooms.relay}: what is published on a topic in one process is
    heard in the others. L{openfl_twisted.rooms.brokerurl} makes a relay of a URL.
  - L{openfl_twisted.rooms.presence}: who is where, on all of them together.
"""
