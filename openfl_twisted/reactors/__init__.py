"""
Reactors and ports with less overhead per message: a reactor that coalesces writes,
UDP ports that validate each destination address once, and a longer listen backlog.

Any Twisted program can use this package; it does not depend on OpenFL.
"""

import sys


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
