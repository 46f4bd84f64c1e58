"""
What policy files decide, and why, rule by rule.
"""

from dataclasses import dataclass

from openfl_twisted.wire.policy.address import Content
from openfl_twisted.wire.policy.file import MASTER_PORT, PolicyFile
from openfl_twisted.wire.policy.rule import FIRST_UNPRIVILEGED_PORT, asciiHost, shown

MAX_REASONS = 12
"""
How many reasons are told in one text.
"""


@dataclass(frozen=True)
class Decision:
    """
    Whether content may connect.

    @ivar permitted: whether it may.
    @ivar reasons: how that was found, one line for each step.
    """

    permitted: bool
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        told = "; ".join(self.reasons[:MAX_REASONS])
        more = len(self.reasons) - MAX_REASONS
        return f"{told}; and {more} more" if more > 0 else told


def decide(
    policy: PolicyFile, content: Content, port: int, servedFrom: int = MASTER_PORT
) -> Decision:
    """
    Decide as L{PolicyFile.permits}, and say why.

    @param policy: the file.
    @param content: what wants to connect.
    @param port: to which port it does.
    @param servedFrom: the port from which the file came.
    @return: whether it may connect, with a reason for each rule of the file.
    """
    if policy.metaPolicy(servedFrom) == "none":
        control = shown(policy.siteControl or "")
        reason = f"site-control {control}: no policy file counts here, nor does this"
        return Decision(False, (reason,))
    reasons = []
    permitted = False
    for number, rule in enumerate(policy.rules, 1):
        refusal = rule.refusal(content.domain, port, secure=content.secure, servedFrom=servedFrom)
        permitted = permitted or refusal is None
        told = "grants" if refusal is None else f"does not grant: {refusal}"
        reasons.append(f"rule {number} ({rule}) {told}")
    return Decision(permitted, tuple(reasons) or ("there are no rules, so nothing is granted",))


def decideByOlderRules(content: Content, host: str, port: int) -> Decision:
    """
    Decide by the rules that the guide's section on C{XMLSocket} still has:
    programs connect only to ports from 1024 on, and only to the host from which
    they came. They are those of Flash Player 6 to 8; no policy file is asked for.

    @param content: what wants to connect.
    @param host: to which host it does, IPv6 without brackets.
    @param port: to which port it does.
    @return: whether it may connect, with two reasons: the host and the port.
    """
    bare = content.domain.removeprefix("[").removesuffix("]")
    sameHost = bool(bare) and asciiHost(bare) == asciiHost(host)
    highPort = port >= FIRST_UNPRIVILEGED_PORT
    origin = f"the content comes from {content.domain!r}"
    reasons = (
        f"{origin}, the same host" if sameHost else f"{origin}, not from {host!r}",
        f"port {port} is {'not ' if highPort else ''}below {FIRST_UNPRIVILEGED_PORT}",
    )
    return Decision(sameHost and highPort, reasons)
