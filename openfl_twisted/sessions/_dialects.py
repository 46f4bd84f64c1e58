"""
The dialects and pairs that options name.
"""

from twisted.python import usage

from openfl_twisted.commandline import loadObject
from openfl_twisted.wire.dialects import DIALECTS, Dialect, isDialectName


def dialectOf(option: str, name: str) -> Dialect:
    """
    Return the dialect that an option names.

    @param option: the name of the option, without the dashes.
    @param name: the name of a dialect, or C{module:object}.
    @raise usage.UsageError: if there is no such dialect.
    """
    if name in DIALECTS:
        return DIALECTS[name]
    if not isDialectName(name):
        raise usage.UsageError(
            f"--{option}={name}: must be one of {', '.join(DIALECTS)}, or module:object"
        )
    found = loadObject(option, name)
    if isinstance(found, type):
        found = found()
    if not isinstance(found, Dialect):
        raise usage.UsageError(
            f"--{option}={name}: must have the members of a dialect: cutter, split, show,"
            " hasMessages and isText"
        )
    return found


def pairOf(option: str, text: str, form: str = "NAME=VALUE") -> tuple[str, str]:
    """
    Split the value of an option at its first equals sign.

    @param form: the form of the value, for the error.
    @raise usage.UsageError: if there is no name before an equals sign.
    """
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise usage.UsageError(f"--{option}={text}: must have the form {form}")
    return name, value
