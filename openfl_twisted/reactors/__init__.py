"""
Reactors and ports with less work per message: a reactor that coalesces writes, UDP
ports that check each address once, and a longer listen backlog.

Any Twisted program can use this package; it does not depend on OpenFL.
"""
