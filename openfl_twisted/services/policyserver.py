"""
C{twistd openfl-policy}: a server for the policy file.
"""

from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from openfl_twisted.endpoints import readPolicyFile
from openfl_twisted.protocols.policyfile import REQUEST_TIMEOUT, PolicyFileFactory
from openfl_twisted.services.options import ServerOptions, oneOf, readPolicy, seconds, size
from openfl_twisted.services.serving import ServerService
from openfl_twisted.wire.policy import (
    MASTER_PORT,
    MAX_REQUEST_LENGTH,
    SITE_CONTROLS,
    AccessRule,
    PolicyFile,
)


class Options(ServerOptions):
    """
    The options of C{twistd openfl-policy}. After parsing, C{policy} is the
    L{PolicyFile}.
    """

    defaultEndpoint = f"tcp:{MASTER_PORT}:interface=127.0.0.1"

    longdesc = (
        "A server for the policy file, which Flash programs ask for before they open a socket. "
        f"Listens on {defaultEndpoint} if not told otherwise; a file that is served from a port "
        "from 1024 on cannot grant a port below."
    )

    optParameters: list[list[Any]] = [
        ["policy", None, None, "The policy file to serve."],
        [
            "site-control",
            None,
            None,
            "With --allow: which policy files count on this host: "
            + ", ".join(SITE_CONTROLS)
            + ".",
        ],
        ["max-message", None, MAX_REQUEST_LENGTH, "The longest request in bytes.", size],
        [
            "idle-timeout",
            None,
            REQUEST_TIMEOUT,
            "How many seconds a client gets to ask, however many bytes it sends.",
            seconds,
        ],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["allow"] = []

    def opt_allow(self, rule: str) -> None:
        """
        Who may connect where: DOMAIN:PORTS, say *.a.example:80,90-99; several times if you like.
        """
        domain, colon, ports = rule.rpartition(":")
        if not colon:
            raise usage.UsageError(f"--allow={rule}: write DOMAIN:PORTS")
        access = AccessRule(domain, ports)
        if access.problem is not None:
            raise usage.UsageError(f"--allow={rule}: this grants nothing: {access.problem}")
        self["allow"].append(access)

    def postOptions(self) -> None:
        """
        Make the policy file, or read it.
        """
        super().postOptions()
        if (self["policy"] is None) == (not self["allow"]):
            raise usage.UsageError("give --policy or --allow, one of them")
        if self["policy"] is None:
            control = self["site-control"]
            if control is not None:
                oneOf("site-control", control, SITE_CONTROLS)
            self["policy"] = PolicyFile(tuple(self["allow"]), control)
        elif self["site-control"] is not None:
            raise usage.UsageError("--site-control goes with --allow; a file has its own")
        else:
            self["policy"] = readPolicy(self["policy"], readPolicyFile)


def makeService(options: Options) -> IService:
    """
    Make the service of C{twistd openfl-policy}.
    """
    factory = PolicyFileFactory(
        options["policy"], timeout=options["idle-timeout"], maxLength=options["max-message"]
    )
    return ServerService(options, factory, tls=options["tls"])
