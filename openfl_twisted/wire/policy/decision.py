"""
Access decisions based on policy files, with a reason for each rule.
"""

from dataclasses import dataclass

from openfl_twisted.wire.policy.address import Content
from openfl_twisted.wire.policy.file import MASTER_PORT, PolicyFile
from openfl_twisted.wire.policy.rule import FIRST_UNPRIVILEGED_PORT, asciiHost, shown

_MAX_REASONS = 12
"""
Maximum number of reasons in the text of a decision.
"""


@dataclass(frozen=True)
class Decision:
    """
    Whether content may connect.

    @ivar permitted: whether the content may connect.
    @ivar reasons: one line for each step of the decision.
    """

    permitted: bool
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        listed = "; ".join(self.reasons[:_MAX_REASONS])
        more = len(self.reasons) - _MAX_REASONS
        return f"{listed}; and {more} more" if more > 0 else listed


def decide(
    policy: PolicyFile, content: Content, port: int, servedFrom: int = MASTER_PORT
) -> Decision:
    """
    Make the same decision as L{PolicyFile.permits}, with the reasons.

    @param port: the port to connect to.
    @param servedFrom: the port that served the file.
    @return: the decision, with a reason for each rule of the file.
    """
    if policy.metaPolicy(servedFrom) == "none":
        control = shown(policy.siteControl or "")
        reason = f"site-control {control}: no policy file is valid on this host, including this one"
        return Decision(False, (reason,))
    reasons = []
    permitted = False
    for number, rule in enumerate(policy.rules, 1):
        refusal = rule.refusal(content.domain, port, secure=content.secure, servedFrom=servedFrom)
        permitted = permitted or refusal is None
        result = "grants access" if refusal is None else f"does not grant access: {refusal}"
        reasons.append(f"rule {number} ({rule}) {result}")
    return Decision(permitted, tuple(reasons) or ("there are no rules, so nothing is granted",))


def decideByOlderRules(content: Content, host: str, port: int) -> Decision:
    """
    Decide by the rules of Flash Player 6 to 8, which the section on C{XMLSocket} in OpenFL's
    guide still describes. No policy file is requested. A program may connect only to the host
    from which it was loaded, and only to ports 1024 and higher.

    @param host: the host to connect to, IPv6 without brackets.
    @return: the decision, with two reasons: the host and the port.
    """
    bare = content.domain.removeprefix("[").removesuffix("]")
    sameHost = bool(bare) and asciiHost(bare) == asciiHost(host)
    highPort = port >= FIRST_UNPRIVILEGED_PORT
    origin = f"the content was loaded from {content.domain!r}"
    reasons = (
        f"{origin}, the same host" if sameHost else f"{origin}, not from {host!r}",
        f"port {port} is {'not ' if highPort else ''}below {FIRST_UNPRIVILEGED_PORT}",
    )
    return Decision(sameHost and highPort, reasons)
