"""
C{twistd openfl-echo}: the two servers of the guide's chapter on sockets.
"""

import re
from typing import Any, cast

from twisted.application.service import IService
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IReactorCore
from twisted.python import usage

from openfl_twisted.protocols import serversocketexample, simpleserver
from openfl_twisted.protocols.datagram import DatagramEchoProtocol
from openfl_twisted.protocols.lineecho import TERMINATORS
from openfl_twisted.protocols.serversocketexample import ServerSocketExampleFactory
from openfl_twisted.protocols.simpleserver import FaithfulServerFactory, SimpleServerFactory
from openfl_twisted.services.options import DataServerOptions, oneOf, size
from openfl_twisted.services.serving import DatagramService, serveData
from openfl_twisted.wire.lines import MAX_LINE_LENGTH, Framing

_STYLES = {
    "server-socket-example": (ServerSocketExampleFactory, serversocketexample.PORT),
    "simple-server": (SimpleServerFactory, simpleserver.PORT),
}
_FRAMINGS = tuple(framing.value for framing in Framing)


_ANY_ADDRESS = "0.0.0.0"  # noqa: S104 It is who writes the option that wants this.
_udp = re.compile(r"udp:([0-9]+)(?::interface=(.+))?")


def _udpAddress(description: str) -> tuple[int, str]:
    """
    Read where to listen for datagrams: C{udp:PORT:interface=ADDRESS}. In an
    IPv6 address the colons can be escaped, as Twisted's endpoints want them.

    @raise usage.UsageError: if it is no such description, or the port or the
        address is none.
    """
    found = _udp.fullmatch(description)
    if found is not None:
        port = int(found[1][:6])
        address = (found[2] or _ANY_ADDRESS).replace("\\:", ":")
        if port <= 65535 and (isIPAddress(address) or isIPv6Address(address)):
            return port, address
    raise usage.UsageError(f"--listen={description}: try for example udp:8087:interface=127.0.0.1")


class Options(DataServerOptions):
    """
    The options of C{twistd openfl-echo}. After parsing, C{framing} is a
    L{Framing}, or C{None} for that of the style; with C{udp}, C{listen} is a list
    of ports with their IP addresses.
    """

    longdesc = (
        "The echo servers of OpenFL's guide to sockets. server-socket-example (the default, on "
        "port 8087) greets "
        "with 'Connected.' and answers 'Echo -- ' and what came. simple-server (on port 8080) "
        "greets with 'Enter EXIT to exit.', answers 'Echo: ' and the line, and closes after EXIT. "
        "Both listen on 127.0.0.1 if not told otherwise. With --udp datagrams are answered, as by "
        "the first. "
        "A message is what arrives together (none, the default of the first), a line, what a zero "
        "byte ends (nul), or what either ends (auto, the default of the second)."
    )

    optFlags = [
        ["udp", None, "Answer datagrams instead; --listen then takes udp:PORT:interface=ADDRESS."],
        [
            "faithful",
            None,
            "With simple-server: greet twice, serve one client and one line, and end, as printed.",
        ],
    ]

    optParameters: list[list[Any]] = [
        ["style", None, "server-socket-example", "Which server: " + " or ".join(_STYLES) + "."],
        [
            "framing",
            None,
            None,
            f"What ends a message: {', '.join(_FRAMINGS)}; the default depends on the style.",
        ],
        [
            "terminator",
            None,
            "same",
            "What ends an answer: none, nul, newline, or same (what the message had).",
        ],
        [
            "max-message",
            None,
            MAX_LINE_LENGTH,
            "Maximum message size in bytes (suffixes K and M allowed); 0 for no limit.",
            size,
        ],
    ]

    def opt_listen(self, description: str) -> None:
        """
        Where to listen, as a Twisted endpoint; can be given several times.
        """
        if description.startswith("udp:"):
            self["listen"].append(_udpAddress(description))
        else:
            super().opt_listen(description)

    opt_l = opt_listen

    def postOptions(self) -> None:
        style = oneOf("style", self["style"], tuple(_STYLES))
        if any(isinstance(address, tuple) != bool(self["udp"]) for address in self["listen"]):
            raise usage.UsageError("--udp and --listen=udp:PORT:interface=ADDRESS go together")
        kind, port = (
            ("udp", serversocketexample.PORT) if self["udp"] else ("tcp", _STYLES[style][1])
        )
        self.defaultEndpoint = f"{kind}:{port}:interface=127.0.0.1"
        super().postOptions()
        if self["udp"] and self["tls"] is not None:
            raise usage.UsageError("--udp and --tls-certificate: there is no TLS for datagrams")
        for site in ("metrics", "dashboard"):
            if self["udp"] and self[site] is not None:
                raise usage.UsageError(f"--udp and --{site}: there are no connections to show")
        oneOf("terminator", self["terminator"], tuple(TERMINATORS))
        if self["faithful"] and (
            style != "simple-server" or self["framing"] or self["terminator"] != "same"
        ):
            raise usage.UsageError(
                "--faithful goes with --style=simple-server, and without --framing and --terminator"
            )
        if self["framing"] is not None:
            self["framing"] = Framing(oneOf("framing", self["framing"], _FRAMINGS))


def makeService(options: Options) -> IService:
    """
    Make the service of C{twistd openfl-echo}.

    @param options: the options, parsed.
    @return: a service, which opens its ports when it is started. With
        C{faithful} the reactor is stopped when the one client has gone.
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
    # It may be ending already, for another reason.
    faithful.ended.addErrback(lambda failure: failure.trap(ReactorNotRunning))
    return serveData(options, faithful)
