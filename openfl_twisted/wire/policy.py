"""
Socket policy files: the request, the file, and what it permits.

A Flash program may open a socket only if a policy file permits it. The player
asks for the file on a connection of its own: it sends
C{<policy-file-request/>} and a zero byte, gets the file and a zero byte, and the
connection is closed. OpenFL and Ruffle never ask.

The rules are those of Adobe's I{Cross Domain Policy File Specification} 2.0 and
of Flash Player 10, for socket policy files only. They are in the modules beside
this one, whose names are all here.
"""

from openfl_twisted.wire.policyaddress import Content, policyAddress
from openfl_twisted.wire.policydecision import (
    MAX_REASONS,
    Decision,
    decide,
    decideByOlderRules,
)
from openfl_twisted.wire.policyfile import (
    MASTER_PORT,
    MAX_POLICY_LENGTH,
    SITE_CONTROLS,
    XML_LIMITS,
    PolicyFile,
)
from openfl_twisted.wire.policyrequest import (
    MAX_REQUEST_LENGTH,
    REQUEST,
    isRequest,
    startsRequest,
)
from openfl_twisted.wire.policyrule import (
    FIRST_UNPRIVILEGED_PORT,
    NULL_ORIGIN,
    AccessRule,
    PolicyError,
    asciiHost,
    parsePorts,
    portsMask,
    shown,
)

__all__ = [
    "FIRST_UNPRIVILEGED_PORT",
    "MASTER_PORT",
    "MAX_POLICY_LENGTH",
    "MAX_REASONS",
    "MAX_REQUEST_LENGTH",
    "NULL_ORIGIN",
    "REQUEST",
    "SITE_CONTROLS",
    "XML_LIMITS",
    "AccessRule",
    "Content",
    "Decision",
    "PolicyError",
    "PolicyFile",
    "asciiHost",
    "decide",
    "decideByOlderRules",
    "isRequest",
    "parsePorts",
    "policyAddress",
    "portsMask",
    "shown",
    "startsRequest",
]
