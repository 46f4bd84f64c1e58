"""
The floor beneath: bytes in, values out.

Nothing in here knows Twisted, a clock or a socket, so all of it can be used,
tested and fuzzed alone.
"""
