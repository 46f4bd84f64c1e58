"""
AMF, the format in which Flash and OpenFL programs serialize values.

  - L{codec<openfl_twisted.wire.amf.codec>}: reads and writes one value.
  - L{values<openfl_twisted.wire.amf.values>}: the values in Python, registered
    classes and limits.
  - L{amf0<openfl_twisted.wire.amf._amf0>}, L{amf3<openfl_twisted.wire.amf._amf3>} and
    L{amf3writer<openfl_twisted.wire.amf._amf3writer>}: the two formats. Both writers use
    L{members<openfl_twisted.wire.amf._members>}.
  - L{flex<openfl_twisted.wire.amf.flex>}: the classes of Flex and BlazeDS.
"""
