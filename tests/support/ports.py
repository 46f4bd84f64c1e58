"""
Unused ports.
"""

import random
import socket
from contextlib import suppress

from tests.live.peers import HOST


def freePort() -> int:
    """
    Return an unused port. A broker must get it again after a restart, so it is below
    the range of ephemeral ports: otherwise a reconnecting client could bind it.
    """
    while True:
        port = random.randrange(10_000, 30_000)
        with socket.socket() as found, suppress(OSError):
            found.bind((HOST, port))
            return port
