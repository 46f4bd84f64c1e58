"""
Strict JSON parsing with limits, for messages from untrusted peers.

The parsing time is proportional to the length of the message.
"""

import json
import re
from typing import Any, NoReturn

MAX_DEPTH = 100
"""
Maximum number of nested objects and arrays in a message.
"""

MAX_NUMBER = 64
"""
Maximum length of a number in a message (characters).
"""

# A string, or one bracket outside of strings.
_token = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


class JSONError(ValueError):
    """
    The message is not accepted as JSON. The text of the exception is short, and contains no data
    from the peer.
    """


def _checkDepth(text: str) -> None:
    # Most messages contain few brackets, and need no tokenizing.
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for found in _token.finditer(text):
        character = found[0][0]
        if character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise JSONError(f"more than {MAX_DEPTH} nested objects and arrays")
        elif character != '"':
            depth -= 1


def _checkLength(text: str) -> None:
    if len(text) > MAX_NUMBER:
        raise JSONError(f"a number has more than {MAX_NUMBER} characters")


def _parseInt(text: str) -> int:
    _checkLength(text)
    return int(text)


def _parseFloat(text: str) -> float:
    _checkLength(text)
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise JSONError("a number is too large")
    return value


def _refuseConstant(text: str) -> NoReturn:
    raise JSONError("NaN and Infinity are not allowed")


def _makeObject(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise JSONError("an object contains the same name twice")
    return made


_decoder = json.JSONDecoder(
    object_pairs_hook=_makeObject,
    parse_int=_parseInt,
    parse_float=_parseFloat,
    parse_constant=_refuseConstant,
)


def readObject(text: str) -> dict[str, Any]:
    """
    Parse a JSON object (RFC 8259).

    C{NaN} and C{Infinity}, numbers outside the range of a C{float}, and objects that contain
    the same name twice are refused.

    @param text: the message.
    @raise JSONError: if the text is anything else, contains a number longer than L{MAX_NUMBER},
        or contains more than L{MAX_DEPTH} nested objects and arrays.
    """
    _checkDepth(text)
    try:
        found = _decoder.decode(text)
    except JSONError:
        raise
    except ValueError as problem:
        where = f": character {problem.pos}" if isinstance(problem, json.JSONDecodeError) else ""
        raise JSONError(f"not valid JSON{where}") from None
    if not isinstance(found, dict):
        raise JSONError("the message is not a JSON object")
    return found
