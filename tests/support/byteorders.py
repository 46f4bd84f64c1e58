"""
The byte orders, with the values that are read and written in each.
"""

from openfl_twisted.wire.dataio import BIG_ENDIAN, LITTLE_ENDIAN

# The 78 bytes that Ruffle's socket tests exchange with Flash Player.
BIG = (
    bytes.fromhex(
        "01 43 FF 0A 14 41 40 BF 9A C2 8F 5C 28 F6 42 99 4C CD 84 3A 4E AE 48 65 6C 6C 6F 21"
        "FF FF 88 9E EE 73 C7 08 00 19"
    )
    + b"Hello from Ruffle Socket!Raw UTF is cool"
)
LITTLE = (
    bytes.fromhex(
        "01 43 FF 0A 14 41 F6 28 5C 8F C2 9A BF 40 CD 4C 99 42 AE 4E 3A 84 48 65 6C 6C 6F 21"
        "FF FF 9E 88 08 C7 73 EE 19 00"
    )
    + b"Hello from Ruffle Socket!Raw UTF is cool"
)
ORDERS = [(BIG_ENDIAN, BIG), (LITTLE_ENDIAN, LITTLE)]
