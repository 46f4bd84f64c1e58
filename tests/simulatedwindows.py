"""
Imports the package on a simulated Windows, in a process of its own: without the modules, functions
and constants that Python and Twisted have only on POSIX systems. Prints what does not work.
"""

import asyncio  # noqa: F401 (these modules choose their implementation when they are imported)
import importlib
import os
import pkgutil
import select
import signal
import socket
import subprocess  # noqa: F401
import sys
from typing import Any

from twisted.internet import asyncioreactor, tcp, udp  # noqa: F401
from twisted.python import lockfile, runtime  # noqa: F401

_MISSING_MODULES = (
    "fcntl", "grp", "pwd", "resource", "syslog", "termios", "tty", "win32api",
    "twisted.internet.epollreactor", "twisted.internet.fdesc", "twisted.internet.process",
    "twisted.internet.stdio", "twisted.internet.unix",
)  # fmt: skip
_MISSING_NAMES: dict[Any, tuple[str, ...]] = {
    os: (
        "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "fchmod", "fork", "geteuid", "getuid", "killpg",
        "set_blocking", "setsid",
    ),
    select: ("epoll", "poll"),
    signal: ("SIGHUP", "SIGKILL", "SIGPIPE", "SIGUSR1", "SIGUSR2"),
    socket: ("AF_UNIX", "MSG_DONTWAIT", "SO_REUSEPORT", "TCP_DEFER_ACCEPT", "TCP_USER_TIMEOUT"),
}  # fmt: skip


def removePOSIX() -> None:
    """
    Remove what Windows does not have.
    """
    for module in _MISSING_MODULES:
        sys.modules[module] = None  # type: ignore[assignment]
    for owner, names in _MISSING_NAMES.items():
        for name in names:
            if hasattr(owner, name):
                delattr(owner, name)
    runtime.platformType = "win32"
    runtime.platform = runtime.Platform("nt", "win32")


def main() -> None:
    """
    Import all modules, and print one line for each that cannot be imported.
    """
    removePOSIX()
    import openfl_twisted
    from openfl_twisted.services.programs import twistdArguments

    for each in pkgutil.walk_packages(openfl_twisted.__path__, "openfl_twisted."):
        try:
            importlib.import_module(each.name)
        except ImportError as problem:
            print(f"{each.name}: {problem}")  # noqa: T201
    given = ["--reactor=iocp", "--logfile", "log", "--echo"]
    print(*twistdArguments("openfl-xml", given))  # noqa: T201


if __name__ == "__main__":
    main()
