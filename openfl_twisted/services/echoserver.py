"""
C{twistd openfl-echo}: the two servers of the chapter on sockets in OpenFL's guide.
"""

import re
from typing import ClassVar, cast

from twisted.application.service import IService
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IReactorCore
from twisted.python import usage

from openfl_twisted.commandline import Group, Option
from openfl_twisted.protocols import serversocketexample, simpleserver
from openfl_twisted.protocols.datagram import DatagramEchoProtocol
from openfl_twisted.protocols.lineecho import FRAMINGS, TERMINATORS
from openfl_twisted.protocols.serversocketexample import ServerSocketExampleFactory
from openfl_twisted.protocols.simpleserver import FaithfulServerFactory, SimpleServerFactory
from openfl_twisted.services.options import DataServerOptions, listenOption, oneOf, size
from openfl_twisted.services.serving import DatagramService, serveData, supportsWorkers
from openfl_twisted.wire.lines import MAX_LINE_LENGTH

_STYLES = {
    "server-socket-example": (ServerSocketExampleFactory, serversocketexample.PORT),
    "simple-server": (SimpleServerFactory, simpleserver.PORT),
}


_ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - also the default of Twisted's endpoints
_udp = re.compile(r"udp:([0-9]+)(?::interface=(.+))?")


def _udpAddress(description: str) -> tuple[int, str]:
    """
    Parse the description of a UDP port: C{udp:PORT:interface=ADDRESS}. The colons of
    an IPv6 address can be escaped, as in Twisted's endpoints.

    @return: the port and the IP address.
    @raise usage.UsageError: if the description is invalid.
    """
    found = _udp.fullmatch(description)
    if found is not None:
        port = int(found[1][:6])
        address = (found[2] or _ANY_ADDRESS).replace("\\:", ":")
        if port <= 65535 and (isIPAddress(address) or isIPv6Address(address)):
            return port, address
    raise usage.UsageError(
        f"--listen={description}: must be udp:PORT, such as udp:8087:interface=127.0.0.1"
    )


class Options(DataServerOptions):
    """
    The options of C{twistd openfl-echo}. After parsing, C{framing} is one of L{FRAMINGS}, or
    C{None} for the style's default. With C{udp}, C{listen} is a list of (port, IP address) pairs.
    """

    longdesc = (
        "Run one of the echo servers of OpenFL's guide to sockets. server-socket-example sends "
        "'Connected.', and returns each message with the prefix 'Echo -- '. Its default port is "
        "8087. simple-server sends 'Enter EXIT to exit.', returns each line with the prefix "
        "'Echo: ', and closes the connection after EXIT. Its default port is 8080."
    )

    options: ClassVar[list[Option]] = [
        listenOption(f"tcp:{serversocketexample.PORT}:interface=127.0.0.1"),
        Option(
            Group.APPLICATION,
            "style",
            "NAME",
            f"Server to run: {' or '.join(_STYLES)}.",
            "server-socket-example",
        ),
        Option(
            Group.APPLICATION,
            "framing",
            "FRAMING",
            (
                "How to split received data into messages: raw (as received), lines, nul, or auto "
                "(lines or NUL bytes)."
            ),
            shown="raw; auto for simple-server",
        ),
        Option(
            Group.APPLICATION,
            "terminator",
            "TERMINATOR",
            "End of an answer: none, nul, newline or same (as the message).",
            "same",
        ),
        Option(
            Group.APPLICATION,
            "faithful",
            "",
            (
                "With simple-server: greet twice, serve one client and one line, and exit, like "
                "the program in the guide."
            ),
        ),
        Option(
            Group.LISTENING,
            "udp",
            "",
            "Serve UDP instead of TCP; --listen must be udp:PORT:interface=ADDRESS.",
        ),
        Option(
            Group.LIMITS, "max-message", "BYTES", "Maximum message size.", MAX_LINE_LENGTH, size
        ),
    ]

    def opt_listen(self, description: str) -> None:
        """
        Listen on a Twisted endpoint or a UDP port; can be repeated.
        """
        if description.startswith("udp:"):
            self["listen"].append(_udpAddress(description))
        else:
            super().opt_listen(description)

    opt_l = opt_listen

    def postOptions(self) -> None:
        style = oneOf("style", self["style"], tuple(_STYLES))
        if any(isinstance(address, tuple) != bool(self["udp"]) for address in self["listen"]):
            raise usage.UsageError(
                "--udp requires --listen=udp:PORT:interface=ADDRESS, and vice versa"
            )
        kind, port = (
            ("udp", serversocketexample.PORT) if self["udp"] else ("tcp", _STYLES[style][1])
        )
        self.defaultEndpoint = f"{kind}:{port}:interface=127.0.0.1"
        super().postOptions()
        if self["udp"] and self["tls"] is not None:
            raise usage.UsageError(
                "--udp and --tls-certificate cannot be used together: TLS requires TCP"
            )
        for site in ("metrics", "dashboard"):
            if self["udp"] and self[site] is not None:
                raise usage.UsageError(
                    f"--udp and --{site} cannot be used together: UDP has no connections"
                )
        if self["udp"] and self["record"] is not None:
            raise usage.UsageError(
                "--udp and --record cannot be used together: UDP has no connections"
            )
        for option in ("udp", "faithful"):
            if self[option] and self["workers"] > 1:
                raise usage.UsageError(f"--{option} and --workers cannot be used together")
        oneOf("terminator", self["terminator"], tuple(TERMINATORS))
        if self["faithful"] and (
            style != "simple-server" or self["framing"] or self["terminator"] != "same"
        ):
            raise usage.UsageError(
                "--faithful requires --style=simple-server;"
                " --framing and --terminator cannot be used with it"
            )
        if self["framing"] is not None:
            oneOf("framing", self["framing"], FRAMINGS)


@supportsWorkers
def makeService(options: Options) -> IService:
    """
    Create the service of C{twistd openfl-echo}.

    @return: a service, which opens its ports when it is started. With C{faithful}, the service
        stops the reactor when the client has disconnected.
    """
    if options["udp"]:
        return DatagramService(options["listen"], DatagramEchoProtocol)
    if not options["faithful"]:
        factory, _ = _STYLES[options["style"]]
        return serveData(
            options,
            factory(
                framing=options["framing"],
                terminator=options["terminator"],
                maxLength=options["max-message"],
                passThrough=options["pass-through"],
            ),
        )
    from twisted.internet import reactor

    faithful = FaithfulServerFactory(maxLength=options["max-message"])
    faithful.ended.addCallback(lambda _: cast("IReactorCore", reactor).stop())
    # The reactor may already be stopped.
    faithful.ended.addErrback(lambda failure: failure.trap(ReactorNotRunning))
    return serveData(options, faithful)
