"""
Analysis of a policy file for C{twistd openfl-policy --check}.
"""

from dataclasses import dataclass

from openfl_twisted.wire.policy.address import Content
from openfl_twisted.wire.policy.decision import decide
from openfl_twisted.wire.policy.file import PolicyFile


@dataclass(frozen=True)
class Question:
    """
    A question about a policy file.

    @ivar servedFrom: the port that serves the file.
    @ivar content: the program that connects; C{None} to analyze the file alone.
    @ivar port: the port to which the program connects.
    """

    servedFrom: int
    content: Content | None = None
    port: int = 0


def explain(policy: PolicyFile, question: Question) -> tuple[bool, list[str]]:
    """
    Analyze a policy file.

    @param policy: the file, which may grant nothing.
    @param question: the connection to check; without C{content}, the file alone is
        analyzed.
    @return: whether the connection is permitted, or without C{content}, whether the
        file can grant any; and the lines that explain the result.
    """
    served = question.servedFrom
    problems = [f"note: {problem}" for problem in policy.problems(served)]
    if question.content is None:
        lines = [f"rule {number}: {rule}" for number, rule in enumerate(policy.rules, 1)]
        permitted = not policy.grantsNothing and policy.metaPolicy(served) != "none"
        verdict = "this file can grant access" if permitted else "this file grants nothing"
        return permitted, [*lines, *problems, verdict]
    decision = decide(policy, question.content, question.port, served)
    scheme = "https" if question.content.secure else "http"
    verdict = (
        f"{'permitted' if decision.permitted else 'refused'}: content loaded from "
        f"{question.content.domain!r} over {scheme} connects to port {question.port}; "
        f"this file is served on port {served}"
    )
    return decision.permitted, [*decision.reasons, *problems, verdict]
