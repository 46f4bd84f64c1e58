"""
Options in environment variables, such as C{OPENFL_MAX_MESSAGE} for C{--max-message}.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from twisted.python import usage

from openfl_twisted.commandline import Group, Option
from openfl_twisted.similar import similarTo

_PREFIX = "OPENFL_"
_FLAGS = {"true": True, "yes": True, "on": True, "1": True}
_FLAGS |= {"false": False, "no": False, "off": False, "0": False}
# Options that end the program after they have printed something.
_ACTIONS = {"help", "show-config", "show-ruffle-config", "version"}


def variableOf(name: str) -> str:
    """
    Return the environment variable of an option.

    @param name: the name of the option, without the dashes.
    """
    return _PREFIX + name.upper().replace("-", "_")


def _settings(options: Iterable[Option]) -> dict[str, Option]:
    """
    Return the options that can be set by an environment variable, by variable.
    """
    return {
        variableOf(each.name): each
        for each in options
        # Kubernetes sets OPENFL_PORT in the containers beside a service that is named openfl.
        if each.group is not Group.CHECK and each.name not in _ACTIONS
    }


def argumentsFrom(
    environment: Mapping[str, str], options: Iterable[Option], repeatable: Collection[str]
) -> Iterator[tuple[str, str]]:
    """
    Convert environment variables to command-line arguments. A variable without text is ignored,
    since Compose files can only set variables, but not omit them.

    @param options: the options of the command.
    @param repeatable: the names of the options that can be repeated. Spaces separate their values.
    @return: for each argument, the name of the option, and the argument.
    @raise usage.UsageError: if the value of a flag is invalid.
    """
    for variable, option in _settings(options).items():
        text = environment.get(variable, "").strip()
        if not text:
            continue
        if option.value:
            for value in text.split() if option.name in repeatable else [text]:
                yield option.name, f"--{option.name}={value}"
        elif text.lower() not in _FLAGS:
            raise usage.UsageError(f"{variable}={text}: must be true or false")
        elif _FLAGS[text.lower()]:
            yield option.name, f"--{option.name}"


def misspelt(environment: Mapping[str, str], options: Iterable[Option]) -> Iterator[str]:
    """
    Find environment variables whose names are similar to that of an option.

    @param options: the options of the command.
    @return: a warning for each variable.
    """
    known = _settings(options)
    for variable in sorted(environment):
        if variable.startswith(_PREFIX) and variable not in known:
            # Without the prefix, which all names have in common.
            names = [each.removeprefix(_PREFIX) for each in known]
            similar = similarTo(variable.removeprefix(_PREFIX), names, 0.8)
            if similar:
                yield (
                    f"{variable} is not an environment variable of this command "
                    f"(did you mean {_PREFIX}{similar}?)"
                )
