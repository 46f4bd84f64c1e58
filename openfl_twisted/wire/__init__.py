"""
Parsers and serializers with limits.

They need no Twisted, no clock and no I/O, so each can be used, tested and fuzzed
alone. A format with several modules has a sub-package, such as
L{openfl_twisted.wire.amf}. These packages import nothing: a program imports only
the modules that it uses.
"""
