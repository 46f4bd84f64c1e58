"""
The reactors listed by C{twistd --help-reactors}. The plugins contain only strings, so
listing them imports nothing.
"""

from twisted.application.reactors import Reactor

openfl = Reactor(
    "openfl",
    "openfl_twisted.reactors.epoll",
    "epoll(7) with a faster loop and coalesced writes, for many small messages (Linux).",
)
