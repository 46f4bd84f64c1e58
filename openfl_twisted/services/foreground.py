"""
Adapts C{twistd} to containers and service managers: no pid file in the foreground, and no log lines
about a read-only file system.
"""

from typing import Any

from twisted.logger import globalLogBeginner

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
