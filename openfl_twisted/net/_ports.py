"""
Port numbers as ActionScript converts them.
"""

import math
import re

_decimal = re.compile(r"\s*[+-]?(?:[0-9]{1,15}(?:\.[0-9]*)?|\.[0-9]{1,15})\s*")
_hexadecimal = re.compile(r"\s*0[xX][0-9a-fA-F]{1,8}\s*")


def toPort(value: object) -> int:
    """
    Convert a port as ActionScript converts a value to C{int}: numeric text is parsed,
    and fractions are dropped.

    @param value: the port, such as C{8080}, C{"8080"} or C{8080.0}.
    @return: the number, which can be an invalid port; -1 for a value that is not a
        number. (ActionScript returns 0, which would hide the mistake.)
    """
    match value:
        case bool() | int():
            return int(value)
        case float() if math.isfinite(value):
            return int(value)
        case str() if _hexadecimal.fullmatch(value):
            return int(value, 16)
        case str() if _decimal.fullmatch(value):
            return int(float(value))
        case _:
            return -1
