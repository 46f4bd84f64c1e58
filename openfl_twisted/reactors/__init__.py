"""
Reactors and ports with less overhead per message: a reactor that coalesces writes,
UDP ports that validate each destination address once, and a longer listen backlog.

Any Twisted program can use this package; it does not depend on OpenFL.
"""
