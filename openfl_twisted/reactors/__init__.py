"""
Reactors and ports with less overhead per message: a reactor that coalesces writes,
UDP ports that validate each destination address once, and a longer listen backlog.

Any Twisted program can use this package; it does not depend on OpenFL.
"""

import sys
from typing import Any

from twisted.python import runtime


def installDefault() -> None:
    """
    Install the C{openfl} reactor if the system has C{epoll}. Nothing happens if a reactor is
    already installed, for example by C{--reactor}.
    """
    if "twisted.internet.reactor" in sys.modules:
        return
    try:
        from openfl_twisted.reactors.epoll import install
    except ImportError:
        return
    install()


def socketLimit(reactor: Any) -> int | None:
    """
    Return the maximum number of sockets that a reactor can watch; C{None} if there is no limit.
    C{select} has a limit, and on Windows, asyncio's event loop also uses C{select}.

    @param reactor: the reactor.
    """
    isWindows = runtime.platform.isWindows()
    names = {each.__name__ for each in type(reactor).__mro__}
    limited = {"SelectReactor", "AsyncioSelectorReactor"} if isWindows else {"SelectReactor"}
    if not names & limited:
        return None
    return 512 if isWindows else 1024
