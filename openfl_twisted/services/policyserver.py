"""
C{twistd openfl-policy}: a server for the policy file.
"""

import sys
from pathlib import Path
from typing import Any, NoReturn

from twisted.application.service import IService
from twisted.python import usage

from openfl_twisted.endpoints import readPolicyFile, seconds
from openfl_twisted.protocols.policyfile import REQUEST_TIMEOUT, PolicyFileFactory
from openfl_twisted.services.options import ServerOptions, count, oneOf, readPolicy, size
from openfl_twisted.services.policycheck import Question, explain
from openfl_twisted.services.serving import ServerService
from openfl_twisted.wire.policy.address import Content
from openfl_twisted.wire.policy.file import MASTER_PORT, SITE_CONTROLS, PolicyFile
from openfl_twisted.wire.policy.request import MAX_REQUEST_LENGTH
from openfl_twisted.wire.policy.rule import AccessRule, PolicyError

_REFUSED = 1
"""
The status with which C{--check} ends if the connection is refused.
"""

_QUESTIONS = ("for", "port", "served-from", "secure")


def portNumber(text: str) -> int:
    """
    Read a port.

    @param text: decimal digits of ASCII, at most five.
    @raise ValueError: if it is no number from 1 to 65535.
    """
    number = count(text) if len(text) <= 5 else 0
    if not 1 <= number <= 65535:
        raise ValueError(f"{text!r} is not a port from 1 to 65535")
    return number


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

    optFlags = [["secure", None, "With --for: the content came by https."]]

    optParameters: list[list[Any]] = [
        ["check", None, None, "Say what this policy file decides, and why, and exit."],
        ["for", None, None, "With --check: the domain or the URL from which the content came."],
        ["port", None, None, "With --for: the port to which it wants to connect.", portNumber],
        [
            "served-from",
            None,
            None,
            f"With --check: the port that serves the file; {MASTER_PORT} if not given.",
            portNumber,
        ],
        ["policy", None, None, "The policy file to serve."],
        [
            "site-control",
            None,
            None,
            "With --allow: which policy files count on this host: "
            + ", ".join(SITE_CONTROLS)
            + ".",
        ],
        [
            "max-message",
            None,
            MAX_REQUEST_LENGTH,
            "Maximum request size in bytes; 0 for no limit.",
            size,
        ],
        [
            "idle-timeout",
            None,
            REQUEST_TIMEOUT,
            "Seconds in which a client must send its request; 0 for no limit.",
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

        @raise usage.UsageError: if a value is wrong, if two options do not go
            together, or if the policy grants nothing.
        @raise SystemExit: with C{--check}, when it is answered: with 0, or
            1.
        """
        if self["check"] is not None:
            self._check(self["check"])
        for option in _QUESTIONS:
            if self[option]:
                raise usage.UsageError(f"--{option} goes with --check")
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
            self["policy-file"] = self["policy"]
            self["policy"] = readPolicy(self["policy"], readPolicyFile)

    def _check(self, path: str) -> NoReturn:
        """
        Answer a question about a file, and exit.
        """
        if (self["for"] is None) != (self["port"] is None):
            raise usage.UsageError("--for and --port go together")
        if self["secure"] and self["for"] is None:
            raise usage.UsageError("--secure goes with --for")
        question = Question(
            self["served-from"] or MASTER_PORT, self._content(self["for"]), self["port"] or 0
        )
        try:
            permitted, lines = explain(PolicyFile.fromXML(Path(path).read_bytes()), question)
        except OSError as problem:
            permitted, lines = False, [f"{path}: {problem.strerror}"]
        except PolicyError as problem:
            permitted, lines = False, [f"{path}: this is no policy file: {problem}"]
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.exit(0 if permitted else _REFUSED)

    def _content(self, origin: str | None) -> Content | None:
        if origin is None:
            return None
        host = f"[{origin}]" if origin.count(":") > 1 and origin[0] != "[" else origin
        try:
            content = Content.fromURL(origin if "://" in origin else f"http://{host}/")
        except ValueError as problem:
            raise usage.UsageError(f"--for={origin}: {problem}") from None
        return Content(content.domain, content.secure or bool(self["secure"]))


def makeService(options: Options) -> IService:
    """
    Make the service of C{twistd openfl-policy}.

    @param options: the options, parsed.
    @return: a L{ServerService}, which opens its ports when it is started.
    """
    factory = PolicyFileFactory(
        options["policy"], timeout=options["idle-timeout"], maxLength=options["max-message"]
    )
    return ServerService(options, factory, tls=options["tls"])
