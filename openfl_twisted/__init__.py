"""
Sockets for OpenFL, Adobe AIR and Flash programs, for Python, on Twisted.

There are two doors, and one floor beneath them:

  - L{openfl_twisted.net}, L{openfl_twisted.events}, L{openfl_twisted.utils} and
    L{openfl_twisted.errors}: B{OpenFL's door}. The module names of C{openfl}.
  - L{openfl_twisted.protocols}: B{Twisted's door}. One module, one
    Protocol/Factory pair.
  - L{openfl_twisted.services}: the C{twistd} commands, built on the protocols.
  - L{openfl_twisted.wire}: B{the floor}. Bytes in, values out; it knows
    nothing of Twisted.
"""
