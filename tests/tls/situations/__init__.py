"""
What can happen to a client that connects to a server with TLS, and what it
makes of it.
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
