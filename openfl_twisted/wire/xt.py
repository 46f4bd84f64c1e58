"""
The C{%xt%} messages of SmartFox 1.x and Club Penguin: text fields between percent signs.

A client sends C{%xt%EXTENSION%COMMAND%…%}, and a server sends C{%xt%COMMAND%…%}. The format
cannot escape a percent sign.
"""

from collections.abc import Iterable

_MAX_FIELDS = 1000
"""
Maximum number of fields of a received message.
"""

_START = "%xt%"


class XtError(ValueError):
    """
    The message is not a valid C{%xt%} message. The text of the exception is short, and contains
    no data from the peer.
    """


def split(message: str) -> list[str]:
    """
    Split a C{%xt%} message into its fields.

    @param message: the message without its terminator.
    @return: the fields between C{%xt%} and the last percent sign; at least one.
    @raise XtError: if the message does not begin with C{%xt%}, does not end with a percent sign,
        or contains more than L{_MAX_FIELDS} fields.
    """
    if not message.startswith(_START):
        raise XtError("the message does not begin with %xt%")
    if len(message) == len(_START) or message[-1] != "%":
        raise XtError("the message does not end with %")
    # The first sign and the one after "xt" do not end a field.
    if message.count("%") > _MAX_FIELDS + 2:
        raise XtError(f"more than {_MAX_FIELDS} fields")
    return message[len(_START) : -1].split("%")


def join(fields: Iterable[str]) -> str:
    """
    Join fields to a C{%xt%} message.

    @param fields: the fields; at least one.
    @return: the message without its terminator.
    @raise ValueError: if there is no field, or a field contains a percent sign or a NUL
        character.
    """
    joined: list[str] = []
    for field in fields:
        if "%" in field or "\0" in field:
            raise ValueError(
                f"field {len(joined) + 1} of an %xt% message contains a percent sign or a NUL"
                " character, which cannot be escaped"
            )
        joined.append(field)
    if not joined:
        raise ValueError("an %xt% message must have at least one field")
    return f"{_START}{'%'.join(joined)}%"
