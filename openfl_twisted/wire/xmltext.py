"""
XML elements as text, with all values escaped.
"""

import re
from enum import Enum
from math import isfinite
from typing import TypeAlias

from openfl_twisted.wire.text import describeValue

Value: TypeAlias = str | int | float | Enum
"""
A value that can be sent as text.
"""

_name = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# Surrogates are not in this set: they are replaced when the message is encoded.
_forbidden = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
# The characters to escape, in the order of replacement.
_REFERENCES = (
    ("&", "&amp;"),
    ("<", "&lt;"),
    (">", "&gt;"),
    ("\r", "&#13;"),
)
_ATTRIBUTE_REFERENCES = (*_REFERENCES, ('"', "&quot;"), ("\n", "&#10;"), ("\t", "&#9;"))


def formatValue(value: Value) -> str:
    """
    Format a value as text: C{true} or C{false} for a C{bool}, and the value of an enum member.

    @raise ValueError: if the value is an infinite C{float} or NaN.
    @raise TypeError: if the value has another type.
    """
    if isinstance(value, Enum):
        return formatValue(value.value)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not isfinite(value):
            raise ValueError(f"{value!r} cannot be sent: the number must be finite")
        return repr(value)
    raise TypeError(
        f"a value of type {type(value).__name__} cannot be sent as text: pass a str, int, float,"
        " bool or Enum"
    )


def _escape(text: str, references: tuple[tuple[str, str], ...]) -> str:
    if _forbidden.search(text):
        raise ValueError("the value contains a character that XML does not allow")
    for character, reference in references:
        if character in text:
            text = text.replace(character, reference)
    return text


def _checkName(name: str) -> None:
    if not _name.fullmatch(name):
        raise ValueError(f"{name!r} is not a name of ASCII letters, digits and the signs . _ -")


def element(name: str, /, *children: str, text: Value = "", **attributes: Value | None) -> str:
    """
    Format an XML element.

    @param name: the name of the element.
    @param children: the child elements, as XML. They are not escaped: pass results of this
        function.
    @param text: the text of the element; it precedes the child elements.
    @param attributes: the attributes. An attribute whose value is C{None} is omitted.
    @raise ValueError: if a name is not valid, or a value contains a control character or is not
        a finite number.
    @raise TypeError: if a value cannot be formatted, see L{formatValue}.
    """
    _checkName(name)
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is not None:
            _checkName(key)
            parts.append(f' {key}="{_escape(formatValue(value), _ATTRIBUTE_REFERENCES)}"')
    content = _escape(formatValue(text), _REFERENCES)
    try:
        content += "".join(children)
    except TypeError:
        wrong = next(each for each in children if not isinstance(each, str))
        raise TypeError(
            f"a child element must be XML text, not {describeValue(wrong)}: pass a parameter by"
            " name, such as x=3"
        ) from None
    parts.append(f">{content}</{name}>" if content else "/>")
    return "".join(parts)
