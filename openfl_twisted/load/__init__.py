"""
C{openfl-load}: a load test of a server, with many simulated clients (bots).

  - L{Bot}: the interface of a bot: a protocol with a method C{act}.
  - L{TimedBot}: the base class of bots that decide which data is an answer.

The modules of this package are internal.
"""

from openfl_twisted.load._bots import Bot, TimedBot

__all__ = ["Bot", "TimedBot"]
