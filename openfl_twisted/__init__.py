"""
Sockets for OpenFL, Adobe AIR and Flash programs, for Python, on Twisted.

There are two doors, and one floor beneath them:

  - L{openfl_twisted.protocols}: B{Twisted's door}. One module, one
    Protocol/Factory pair.
  - L{openfl_twisted.services}: the C{twistd} commands, built on the protocols.
  - L{openfl_twisted.wire}: B{the floor}. Bytes in, values out; it knows
    nothing of Twisted.
"""
