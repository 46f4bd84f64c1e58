"""
Parsers and serializers with limits.

The modules need no Twisted, no clock and no I/O, so each module can be used, tested and fuzzed
separately. A format with several modules has a subpackage, such as L{openfl_twisted.wire.amf}.
The C{__init__} modules of the subpackages import nothing, so that a program imports only the
modules that it uses.
"""
