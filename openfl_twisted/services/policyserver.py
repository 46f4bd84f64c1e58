"""
C{twistd openfl-policy}: a server for a policy file.
"""

import sys
from pathlib import Path
from typing import ClassVar, NoReturn

from twisted.application.service import IService
from twisted.python import usage

from openfl_twisted.commandline import Group, Option
from openfl_twisted.endpoints import readPolicyFile, seconds
from openfl_twisted.protocols.policyfile import REQUEST_TIMEOUT, PolicyFileFactory
from openfl_twisted.services.options import (
    ServerOptions,
    count,
    listenOption,
    oneOf,
    readPolicy,
    size,
)
from openfl_twisted.services.serving import ServerService, supportsWorkers
from openfl_twisted.wire.policy.address import Content
from openfl_twisted.wire.policy.decision import decide
from openfl_twisted.wire.policy.file import MASTER_PORT, SITE_CONTROLS, PolicyFile
from openfl_twisted.wire.policy.request import MAX_REQUEST_LENGTH
from openfl_twisted.wire.policy.rule import AccessRule, PolicyError

# The exit status of --check if the policy file does not permit the connection.
_REFUSED = 1

_QUESTIONS = ("for", "port", "served-from", "secure")


def portNumber(text: str) -> int:
    """
    Parse a port number.

    @param text: at most five ASCII digits.
    @raise ValueError: if the text is not a number from 1 to 65535.
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
        "Serve a socket policy file, which Flash programs request before they connect. A file "
        "served from a port above 1023 cannot grant access to a port below 1024."
    )

    options: ClassVar[list[Option]] = [
        listenOption(defaultEndpoint),
        Option(Group.ACCESS, "policy", "FILE", "Policy file to serve."),
        Option(
            Group.ACCESS,
            "allow",
            "DOMAIN:PORTS",
            (
                "Instead of --policy: grant a domain access to ports, such as "
                "*.a.example:80,90-99; can be repeated."
            ),
        ),
        Option(
            Group.ACCESS,
            "site-control",
            "POLICY",
            f"With --allow: the valid policy files on this host: {', '.join(SITE_CONTROLS)}.",
        ),
        Option(
            Group.LIMITS, "max-message", "BYTES", "Maximum request size.", MAX_REQUEST_LENGTH, size
        ),
        Option(
            Group.LIMITS,
            "idle-timeout",
            "SECONDS",
            "Time within which a client must send its request.",
            REQUEST_TIMEOUT,
            seconds,
        ),
        Option(
            Group.CHECK,
            "check",
            "FILE",
            (
                "Check a policy file, print the decision of each rule, and exit. The exit status "
                "is 0 if the file permits the connection of --for and --port, otherwise 1. "
                "Without --for, it is 0 if the file permits any connection at all."
            ),
        ),
        Option(
            Group.CHECK,
            "for",
            "DOMAIN",
            "Domain or URL from which the content (the Flash program) is loaded.",
        ),
        Option(Group.CHECK, "port", "N", "Port to which the content connects.", parse=portNumber),
        Option(Group.CHECK, "secure", "", "The content is loaded over HTTPS, not HTTP."),
        Option(
            Group.CHECK,
            "served-from",
            "N",
            "Port that serves the policy file.",
            parse=portNumber,
            shown=str(MASTER_PORT),
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self["allow"] = []

    def opt_allow(self, rule: str) -> None:
        """
        Grant a domain access to ports; can be repeated.
        """
        domain, colon, ports = rule.rpartition(":")
        if not colon:
            raise usage.UsageError(
                f"--allow={rule}: must be DOMAIN:PORTS, such as *.a.example:80,90-99"
            )
        access = AccessRule(domain, ports)
        if access.problem is not None:
            raise usage.UsageError(f"--allow={rule}: the rule grants nothing: {access.problem}")
        self["allow"].append(access)

    def postOptions(self) -> None:
        """
        Read the policy file, or create one from the rules.

        @raise usage.UsageError: if a value is invalid, two options cannot be used
            together, or the policy grants nothing.
        @raise SystemExit: with C{--check}; the status is 0 if the file permits the connection,
            otherwise 1.
        """
        if self["check"] is not None:
            self._check(self["check"])
        for option in _QUESTIONS:
            if self[option]:
                raise usage.UsageError(f"--{option} requires --check")
        super().postOptions()
        if (self["policy"] is None) == (not self["allow"]):
            raise usage.UsageError("one of --policy and --allow is required")
        if self["policy"] is None:
            control = self["site-control"]
            if control is not None:
                oneOf("site-control", control, SITE_CONTROLS)
            self["policy"] = PolicyFile(tuple(self["allow"]), control)
        elif self["site-control"] is not None:
            raise usage.UsageError(
                "--site-control requires --allow: a policy file contains its own site-control"
            )
        else:
            self["policy-file"] = self["policy"]
            self["policy"] = readPolicy(self["policy"], readPolicyFile)

    def _check(self, path: str) -> NoReturn:
        """
        Print the decision of a policy file, and exit.
        """
        if (self["for"] is None) != (self["port"] is None):
            raise usage.UsageError("--for and --port must be used together")
        if self["secure"] and self["for"] is None:
            raise usage.UsageError("--secure requires --for")
        served, content = self["served-from"] or MASTER_PORT, self._content(self["for"])
        try:
            policy = PolicyFile.fromXML(Path(path).read_bytes())
            permitted, lines = _explain(policy, served, content, self["port"] or 0)
        except OSError as problem:
            permitted, lines = False, [f"{path}: {problem.strerror}"]
        except PolicyError as problem:
            permitted, lines = False, [f"{path}: not a policy file: {problem}"]
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


def _explain(
    policy: PolicyFile, served: int, content: Content | None, port: int
) -> tuple[bool, list[str]]:
    """
    Decide whether a policy file served on port C{served} permits content to connect to a port.
    Without content, decide whether the file can grant any access to the port.

    @return: the decision, and the lines that explain it.
    """
    problems = [f"note: {problem}" for problem in policy.problems(served)]
    if content is None:
        lines = [f"rule {number}: {rule}" for number, rule in enumerate(policy.rules, 1)]
        permitted = not policy.grantsNothing and policy.metaPolicy(served) != "none"
        verdict = "this file can grant access" if permitted else "this file grants nothing"
        return permitted, [*lines, *problems, verdict]
    decision = decide(policy, content, port, served)
    scheme = "https" if content.secure else "http"
    verdict = (
        f"{'permitted' if decision.permitted else 'refused'}: content loaded from "
        f"{content.domain!r} over {scheme} connects to port {port}; "
        f"this file is served on port {served}"
    )
    return decision.permitted, [*decision.reasons, *problems, verdict]


@supportsWorkers
def makeService(options: Options) -> IService:
    """
    Create the service of C{twistd openfl-policy}.

    @return: a L{ServerService}, which opens its ports when it is started.
    """
    factory = PolicyFileFactory(
        options["policy"], timeout=options["idle-timeout"], maxLength=options["max-message"]
    )
    return ServerService(options, factory, tls=options["tls"])
