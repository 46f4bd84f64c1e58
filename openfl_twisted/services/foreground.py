"""
Adapts C{twistd} to containers and service managers: no pid file in the foreground, no log lines
about a read-only file system, and a log in JSON.
"""

from typing import Any, cast

from twisted.logger import FileLogObserver, ILogObserver, globalLogBeginner

from openfl_twisted.logs import formatJSON

_CACHE_ERROR = "Unable to write to plugin cache"


def avoidPidFile(twistd: Any) -> None:
    """
    Let C{twistd} write no pid file in the foreground, unless C{--pidfile} was given. The file would
    stop a second server in the same directory. A container can leave a file with the process ID 1,
    which is also that of the first process of the next container.

    @param twistd: the options of C{twistd} or C{twist}, which call the options of a command before
        they read the name of the pid file. C{twist}, and C{twistd} on Windows, write no pid file.
    """
    default = getattr(twistd, "defaults", {}).get("pidfile")
    # A name from the command line is another object, even if it has the same text.
    if default is not None and twistd.get("nodaemon") and twistd["pidfile"] is default:
        twistd["pidfile"] = ""


def dropCacheErrors() -> None:
    """
    Drop the errors about Twisted's plugin cache from the events that are logged when logging
    begins. Without the cache, only the start of the server takes longer.
    """
    # Twisted has no public name for these events.
    buffer: Any = getattr(globalLogBeginner, "_initialBuffer", None)
    events: Any = getattr(buffer, "_buffer", None)
    if events is None:
        return
    kept = [each for each in events if not str(each.get("format", "")).startswith(_CACHE_ERROR)]
    if len(kept) < len(events):
        events.clear()
        events.extend(kept)


# The options of twistd, which calls makeObserver without arguments.
_options: dict[str, Any] = {}


def makeObserver() -> ILogObserver:
    """
    Create the log observer of C{twistd} that writes JSON. It writes to the same output, and rotates
    the same file on SIGUSR1, as the observer that it replaces.

    @return: the observer.
    """
    from twisted.scripts import twistd

    # Twisted has no public function that opens the log file.
    scripts: Any = twistd
    runner = scripts._SomeApplicationRunner  # noqa: SLF001 - see above
    logger = runner.loggerFactory({**_options, "logger": None})
    observer = logger._getLogObserver()  # noqa: SLF001 - see above
    observer.formatEvent = formatJSON
    return cast("ILogObserver", observer)


def _jsonObserver(output: Any) -> FileLogObserver:
    return FileLogObserver(output, formatJSON)


def logAsJSON(options: Any) -> None:
    """
    Let C{twistd} or C{twist} write the log as JSON, see L{formatJSON}.

    @param options: the options of C{twistd} or C{twist}, which call the options of a command before
        they open the log.
    @raise ValueError: if the options select a log that cannot be written as JSON.
    """
    if "logger" not in options:
        # The option of twist.
        options["fileLogObserverFactory"] = _jsonObserver
        return
    for name in ("logger", "syslog"):
        if options.get(name):
            raise ValueError(f"cannot be used together with twistd --{name}")
    _options.clear()
    _options.update(options)
    options["logger"] = f"{__name__}.{makeObserver.__name__}"
