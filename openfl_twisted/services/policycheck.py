"""
C{twistd openfl-policy --check}: what a policy file decides, and why.
"""

from dataclasses import dataclass

from openfl_twisted.wire.policy.address import Content
from openfl_twisted.wire.policy.decision import decide
from openfl_twisted.wire.policy.file import PolicyFile


@dataclass(frozen=True)
class Question:
    """
    What is asked about a policy file.

    @ivar servedFrom: the port from which the file is served.
    @ivar content: what wants to connect; C{None} to look at the file alone.
    @ivar port: the port to which it wants to connect.
    """

    servedFrom: int
    content: Content | None = None
    port: int = 0


def explain(policy: PolicyFile, question: Question) -> tuple[bool, list[str]]:
    """
    Answer a question about a policy file.

    @param policy: the file, whether it grants anything or not.
    @param question: who wants to connect where; without C{content} the file
        alone is looked at.
    @return: whether the connection is permitted, or if there is none in
        question, whether the file can grant any; and the lines that say why.
    """
    served = question.servedFrom
    problems = [f"note: {problem}" for problem in policy.problems(served)]
    if question.content is None:
        lines = [f"rule {number}: {rule}" for number, rule in enumerate(policy.rules, 1)]
        permitted = not policy.grantsNothing and policy.metaPolicy(served) != "none"
        verdict = "this file can grant something" if permitted else "this file grants nothing"
        return permitted, [*lines, *problems, verdict]
    decision = decide(policy, question.content, question.port, served)
    came = "https" if question.content.secure else "http"
    verdict = (
        f"{'permitted' if decision.permitted else 'refused'}: content of "
        f"{question.content.domain!r} by {came}, to port {question.port}, with this file from "
        f"port {served}"
    )
    return decision.permitted, [*decision.reasons, *problems, verdict]
