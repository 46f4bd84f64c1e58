"""
C{twistd openfl-xml}: a server for C{XMLSocket} programs.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from twisted.application.service import IService
from twisted.internet.interfaces import IAddress
from twisted.python import usage

from openfl_twisted.commandline import Group, Option, loadObject
from openfl_twisted.endpoints import seconds
from openfl_twisted.protocols.allowing import hookOf
from openfl_twisted.protocols.broadcast import BroadcastProtocol, EchoProtocol
from openfl_twisted.protocols.streamprotocol import checkApplication
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.rooms.distributedrooms import DistributedRooms
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.presence import IPresence
from openfl_twisted.rooms.pubsub import IPubSub
from openfl_twisted.rooms.room import RoomLimits
from openfl_twisted.rooms.roomprotocol import (
    PathRoomProtocol,
    RoomFactory,
    RoomProtocol,
    XMLRoomProtocol,
)
from openfl_twisted.services.options import count, listenOption, messageRate, oneOf, rate, size
from openfl_twisted.services.playoptions import PlayOptions
from openfl_twisted.services.serving import serveData, supportsWorkers
from openfl_twisted.transports.buffered import MAX_QUEUE
from openfl_twisted.wire.dialects import dialectOfFraming
from openfl_twisted.wire.firstbytes import ClientType
from openfl_twisted.wire.framing import FRAMINGS, NUL
from openfl_twisted.wire.messages import MAX_LENGTH


def loadProtocol(name: str) -> type[XMLSocketProtocol]:
    """
    Import the protocol class of C{--app}.

    @param name: C{module:Class}.
    @return: the class.
    @raise usage.UsageError: if the class is missing, unsuitable or incomplete.
    """
    found = loadObject("app", name)
    if isinstance(found, type) and issubclass(found, XMLSocketProtocol):
        try:
            checkApplication(found)
            hookOf(found)
        except TypeError as incomplete:
            raise usage.UsageError(f"--app={name}: {incomplete}") from None
        return found
    base = "openfl_twisted.protocols.XMLSocketProtocol"
    if isinstance(found, type):
        problem = f"the class must be a subclass of {base}"
    else:
        kind = type(found).__name__
        problem = f"must be a subclass of {base}, but is an object of the class {kind}"
    if isinstance(found, XMLSocketProtocol):
        problem += f"; use the class {type(found).__name__}"
    raise usage.UsageError(f"--app={name}: {problem}")


_ROOMS: dict[str, type[XMLSocketProtocol]] = {
    "none": BroadcastProtocol,
    "path": PathRoomProtocol,
    "xml": XMLRoomProtocol,
}


# The attribute of the protocol class for each option whose default is a limit of the class.
_LIMITS = {
    "max-message": "MAX_LENGTH",
    "max-queue": "maxQueue",
    "message-rate": "messageRate",
    "byte-rate": "byteRate",
}


def _limit(
    name: str, value: str, meaning: str, default: float, parse: Callable[[str], Any]
) -> Option:
    """
    Create an option for a limit. Without the option, the limit of the protocol class applies.

    @param default: the limit of a class that does not set the limit.
    """
    option = Option(Group.LIMITS, name, value, meaning, default, parse)
    return option._replace(default=None, shown=option.writtenDefault)


class Options(PlayOptions):
    """
    The options of C{twistd openfl-xml}. After parsing, C{app} is the protocol class, and
    C{reload} the name of the class to reload, or a false value.
    """

    defaultEndpoint = "tcp:8080:interface=127.0.0.1"

    @property
    def serverDialect(self) -> str:  # type: ignore[override]
        """
        The dialect of the framing.
        """
        return dialectOfFraming(self["framing"] or self["app"].framing)

    longdesc = (
        "Serve XMLSocket clients: NUL-terminated text messages over TCP, WebSocket and TLS. By "
        "default, each message is forwarded to all other clients. Policy requests are answered on "
        "the same port."
    )

    options: ClassVar[list[Option]] = [
        listenOption(defaultEndpoint),
        Option(
            Group.APPLICATION,
            "app",
            "MODULE:CLASS",
            (
                "Your subclass of XMLSocketProtocol or RoomProtocol, such as game:Player for the "
                "class Player in game.py in the current directory."
            ),
        ),
        Option(
            Group.APPLICATION,
            "framing",
            "FRAMING",
            (
                "How to divide the data into messages: nul, lines, crlf (lines that end with CR "
                "LF), u16 or u32 (a length before each) or raw (as received)."
            ),
            shown="nul, or that of the application",
        ),
        Option(
            Group.APPLICATION,
            "reload",
            "",
            "For development: restart the application when one of its modules changes.",
        ),
        Option(Group.APPLICATION, "echo", "", "Send each message back to its sender."),
        Option(
            Group.APPLICATION,
            "rooms",
            "MODE",
            (
                "Room mode: none, path (the request path or the first message names the room) or "
                "xml (clients join rooms with XML messages)."
            ),
            "none",
        ),
        _limit("max-message", "BYTES", "Maximum message size.", MAX_LENGTH, size),
        _limit(
            "max-queue",
            "BYTES",
            "Maximum size of a client's send queue; beyond it, the client is disconnected.",
            MAX_QUEUE,
            size,
        ),
        _limit(
            "message-rate",
            "N",
            "Maximum number of messages per second from one client.",
            0.0,
            messageRate,
        ),
        _limit(
            "byte-rate",
            "BYTES",
            "Maximum number of bytes per second from one client.",
            0,
            rate,
        ),
        Option(
            Group.ROOMS,
            "max-rooms",
            "N",
            "Maximum number of rooms; 0 for no limit.",
            RoomLimits.maxRooms,
            count,
        ),
        Option(
            Group.ROOMS,
            "max-members",
            "N",
            "Maximum number of members per room; 0 for no limit.",
            RoomLimits.maxMembers,
            count,
        ),
        Option(
            Group.ROOMS,
            "room-members",
            "NAME=N",
            "Maximum number of members of one room; 0 for no limit; can be repeated.",
        ),
        Option(
            Group.ROOMS,
            "max-name",
            "N",
            "Maximum length of room and member names, in characters; 0 for no limit.",
            RoomLimits.maxName,
            count,
        ),
        Option(
            Group.ROOMS,
            "resume",
            "SECONDS",
            (
                "Time within which a disconnected member can resume its membership; requires "
                "--rooms=xml; 0 for off."
            ),
            RoomLimits.resume,
            seconds,
        ),
        Option(
            Group.ROOMS,
            "max-kept",
            "N",
            "Maximum number of disconnected members that can resume; 0 for no limit.",
            RoomLimits.maxKept,
            count,
        ),
        Option(
            Group.BROKER,
            "broker",
            "URL",
            "Broker for rooms shared between servers: redis://, rediss://, nats:// or nats+tls://.",
        ),
        Option(
            Group.SHUTDOWN,
            "farewell",
            "TEXT",
            "Message sent to every client when the server shuts down.",
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self["room-members"] = {}

    def opt_room_members(self, limit: str) -> None:
        """
        Limit the members of one room; can be repeated.
        """
        name, _, number = limit.rpartition("=")
        if not (name and number.isascii() and number.isdecimal()):
            raise usage.UsageError(f"--room-members={limit}: must be NAME=N, such as chess=2")
        self["room-members"][name] = int(number)

    def readApplication(self) -> None:
        oneOf("rooms", self["rooms"], tuple(_ROOMS))
        if self["reload"]:
            self._checkReload()
        if self["rooms"] != "none" and (self["app"] is not None or self["echo"]):
            raise usage.UsageError("--rooms cannot be used with --app or --echo")
        if self["app"] is None:
            self["app"] = EchoProtocol if self["echo"] else _ROOMS[self["rooms"]]
        elif self["echo"]:
            raise usage.UsageError("--echo and --app cannot be used together")
        else:
            self["app"] = loadProtocol(self["app"])
        if self["framing"] is not None:
            oneOf("framing", self["framing"], tuple(FRAMINGS))
        framing = self["framing"] or self["app"].framing
        if issubclass(self["app"], RoomProtocol) and framing != NUL.name:
            where = "--framing" if self["framing"] else f"--app: {self['app'].__name__}.framing"
            raise usage.UsageError(f"{where}={framing}: rooms require nul")
        for name, attribute in _LIMITS.items():
            if self[name] is None:
                self[name] = getattr(self["app"], attribute)
        if self["broker"] is not None and not issubclass(self["app"], RoomProtocol):
            raise usage.UsageError(
                "--broker requires --rooms=path, --rooms=xml or an --app that is a RoomProtocol"
            )
        if self["resume"] and not issubclass(self["app"], XMLRoomProtocol):
            raise usage.UsageError(
                "--resume requires --rooms=xml or an --app that is an XMLRoomProtocol"
            )
        if self["workers"] > 1:
            self._checkShared()
        if self["broker"] is not None:
            self["broker"], self["presence"] = _usingBroker(self["broker"])

    def describePorts(self, hosts: Sequence[IAddress]) -> list[str]:
        lines = super().describePorts(hosts)
        app = self["app"]
        acceptsOthers = self["plain"] or ClientType.PLAIN in self["accept"]
        if acceptsOthers and hookOf(app) is not None:
            lines.append(
                f"{app.__name__}.allow is called for WebSockets only; to refuse other clients, use"
                " --accept=websocket,tls"
            )
        return lines

    def _checkReload(self) -> None:
        """
        Check that the application can be reloaded.

        @raise usage.UsageError: if there is no application, or the system cannot pass ports to
            worker processes.
        """
        if self["app"] is None:
            raise usage.UsageError(
                "--reload requires --app: it reloads the modules of your application"
            )
        if os.name != "posix":
            raise usage.UsageError("--reload requires Linux or another POSIX system")
        # Python compares a source file with its bytecode file by size and time in seconds, so it
        # can miss the second of two changes.
        sys.dont_write_bytecode = True
        self["reload"] = self["app"] if self.worker is None else None

    def _checkShared(self) -> None:
        """
        Check that the options work with several workers: only rooms with a broker can
        forward messages between clients of different workers.

        @raise usage.UsageError: if an option does not work with several workers.
        """
        if issubclass(self["app"], BroadcastProtocol):
            raise usage.UsageError(
                "--workers cannot forward messages between workers: use --rooms=path or "
                "--rooms=xml with --broker, or --echo, or an --app without broadcasts"
            )
        if issubclass(self["app"], RoomProtocol) and self["broker"] is None:
            raise usage.UsageError(
                "--workers with rooms requires --broker, such as --broker=redis://127.0.0.1:6379"
            )
        if self["resume"]:
            raise usage.UsageError(
                "--workers and --resume cannot be used together: the new connection of a "
                "client can reach another worker"
            )


def _usingBroker(url: str) -> tuple[IPubSub, IPresence | None]:
    """
    Create the pub/sub and presence connections to the broker of C{--broker}.

    @raise usage.UsageError: if the URL is invalid, or a library is not installed.
    """
    from twisted.internet import reactor

    # Import the modules here: few servers use a broker, and the modules and their libraries take
    # long to import.
    from openfl_twisted.brokers.brokerurl import presenceFromURL, pubSubFromURL

    try:
        pubSub = pubSubFromURL(url, reactor)
        return pubSub, presenceFromURL(url, reactor, pubSub.node)
    except (ValueError, ImportError) as problem:
        # The URL can contain a password.
        raise usage.UsageError(f"--broker: {problem}") from None


def _sendFarewell(factory: XMLSocketFactory, farewell: str | None) -> None:
    if farewell is not None:
        factory.broadcast(farewell)


@supportsWorkers
def makeService(options: Options) -> IService:
    """
    Create the service of C{twistd openfl-xml}.

    @return: a L{ServerService<openfl_twisted.services.serving.ServerService>}, which
        opens its ports and connects to the broker when it is started.
    """
    settings = {
        "maxLength": options["max-message"],
        "maxQueue": options["max-queue"],
        "messageRate": options["message-rate"],
        "byteRate": options["byte-rate"],
        "framing": options["framing"],
        "policy": options["policy"],
        "passThrough": options["pass-through"],
    }
    farewell = options["farewell"]
    protocol = options["app"]
    if not issubclass(protocol, RoomProtocol):
        factory = XMLSocketFactory(protocol, **settings)
        service = serveData(options, factory)
        service.farewell = partial(_sendFarewell, factory, farewell)
        return service
    announces = issubclass(protocol, XMLRoomProtocol)
    limits = RoomLimits(
        maxRooms=options["max-rooms"],
        maxMembers=options["max-members"],
        maxName=options["max-name"],
        maxKept=options["max-kept"],
        resume=options["resume"],
    )
    roomLimits = {
        name: replace(limits, maxMembers=members)
        for name, members in options["room-members"].items()
    }
    lobby, pubSub = Lobby(limits, roomLimits=roomLimits), options["broker"]
    factory = RoomFactory(protocol, lobby, announces=announces, **settings)
    service = serveData(options, factory)
    service.farewell = partial(_sendFarewell, factory, farewell)
    service.lobby = lobby
    if pubSub is not None:
        service.pubSub, presence = pubSub, options["presence"]
        DistributedRooms(lobby, pubSub, presence, announces=announces)
        service.brokers = [each for each in (pubSub, presence) if each is not None]
    return service
