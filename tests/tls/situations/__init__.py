"""
Situations: a TLS server, a client that connects to it, and the client's expected
verdict.
"""

from tests.tls.situations import (
    chains,
    costly,
    names,
    ranking,
    refused,
    revoking,
    strangers,
    trusted,
)
from tests.tls.situations.scenes import Scene, Situation

SITUATIONS = [
    *trusted.SITUATIONS,
    *names.SITUATIONS,
    *chains.SITUATIONS,
    *refused.SITUATIONS,
    *costly.SITUATIONS,
    *revoking.SITUATIONS,
    *strangers.SITUATIONS,
    *ranking.SITUATIONS,
]

__all__ = ["SITUATIONS", "Scene", "Situation"]
