"""
A stream that C{tshark} followed.
"""

FOLLOWED = """\
peers:
  - peer: 0
    host: "127.0.0.1"
    port: 50412
  - peer: 1
    host: ::1
    port: 9339
packets:
  - packet: 4
    peer: 0
    index: 0
    timestamp: 1792000000.250000
    data: !!binary |
      PGE+
  - packet: 6
    peer: 1
    index: 0
    timestamp: 1792000001.500000
    data: !!binary |
      eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4
      eHgA
  - packet: 7
    peer: 0
    index: 1
    timestamp: 1792000001.000000
    data: !!binary AGI=
"""
