"""
Python servers and clients for OpenFL, Adobe AIR and Flash programs that use sockets. The
package is based on Twisted.

The packages, from the highest layer to the lowest. A package imports only packages of its own
and lower layers:

  - L{openfl_twisted.services}: the C{twistd} commands.
    L{openfl_twisted.telnetclient}: C{openfl-telnet}.
    L{openfl_twisted.load}: C{openfl-load}.
  - L{openfl_twisted.dashboard}: metrics and the dashboard.
    L{openfl_twisted.brokers}: connects the rooms of several servers.
    L{openfl_twisted.sessions}: records and replays what clients and servers say.
    L{openfl_twisted.testing}: an in-memory network for tests.
  - L{openfl_twisted.net}, L{openfl_twisted.events}, L{openfl_twisted.utils} and
    L{openfl_twisted.errors}: the B{OpenFL-compatible API}, with the module names
    of C{openfl}. L{openfl_twisted.rooms}: chat rooms and the like.
    L{openfl_twisted.run<openfl_twisted.running.run>} runs a program that uses them.
  - L{openfl_twisted.protocols}: the B{Twisted API}, with a Protocol and its Factory
    in each module.
  - L{openfl_twisted.reactors} and L{openfl_twisted.tls}: transports, and
    certificate verification.
  - L{openfl_twisted.wire}: parsers and serializers, without Twisted.
"""

from typing import TYPE_CHECKING

from openfl_twisted.lazyimports import lazyImporter

if TYPE_CHECKING:
    from openfl_twisted.running import run

__all__ = ["run"]

__getattr__ = lazyImporter(__name__, {"run": "running"})
