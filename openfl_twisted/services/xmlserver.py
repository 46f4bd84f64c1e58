"""
C{twistd openfl-xml}: a server for C{XMLSocket} programs.
"""

import os
import sys
from typing import Any

from twisted.application.service import IService
from twisted.python import usage
from twisted.python.reflect import namedModule

from openfl_twisted.protocols.relay import EchoProtocol, RelayProtocol
from openfl_twisted.protocols.sendqueue import MAX_QUEUE
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.services.options import DataServerOptions, size
from openfl_twisted.services.serving import serveData
from openfl_twisted.wire.messages import MAX_LENGTH


def loadProtocol(name: str) -> type[XMLSocketProtocol]:
    """
    Find the protocol that C{--app} names. Modules are looked for in the current
    folder too.

    @param name: C{package.module:Class}.
    @raise usage.UsageError: if there is no such class, in one line.
    """
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise usage.UsageError(f"--app={name}: write package.module:Class")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = getattr(namedModule(module), attribute)
    except Exception as problem:
        # The module is the user's: importing it can raise anything.
        raise usage.UsageError(f"--app={name}: {type(problem).__name__}: {problem}") from None
    if not (isinstance(found, type) and issubclass(found, XMLSocketProtocol)):
        raise usage.UsageError(
            f"--app={name}: this is not a subclass of "
            f"{XMLSocketProtocol.__module__}.{XMLSocketProtocol.__name__}"
        )
    return found


class Options(DataServerOptions):
    """
    The options of C{twistd openfl-xml}. After parsing, C{app} is the class of
    the protocol.
    """

    defaultEndpoint = "tcp:8080:interface=127.0.0.1"

    longdesc = (
        "A server for XMLSocket programs: text messages, each ended by a zero byte. Each message "
        "that a client sends goes to every other client. Policy requests are answered on the "
        f"same port. Listens on {defaultEndpoint} if not told otherwise."
    )

    optFlags = [["echo", None, "Send each message back to its sender instead."]]

    optParameters: list[list[Any]] = [
        [
            "app",
            None,
            None,
            "Your own server: package.module:Class, a subclass of XMLSocketProtocol.",
        ],
        [
            "max-message",
            None,
            MAX_LENGTH,
            "The longest message, in bytes; K and M are known.",
            size,
        ],
        [
            "max-queue",
            None,
            MAX_QUEUE,
            "How many bytes wait for a client that does not read; beyond that it is cut off.",
            size,
        ],
    ]

    def postOptions(self) -> None:
        """
        Find the protocol.
        """
        super().postOptions()
        if self["app"] is None:
            self["app"] = EchoProtocol if self["echo"] else RelayProtocol
        elif self["echo"]:
            raise usage.UsageError("--echo and --app: there can be one of them")
        else:
            self["app"] = loadProtocol(self["app"])


def makeService(options: Options) -> IService:
    """
    Make the service of C{twistd openfl-xml}.
    """
    factory = XMLSocketFactory(
        options["app"],
        maxLength=options["max-message"],
        maxQueue=options["max-queue"],
        policy=options["policy"],
    )
    return serveData(options, factory)
