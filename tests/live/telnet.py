"""
The Telnet client as a program.
"""

import sys
from pathlib import Path

from tests.live.peers import Process, run

TELNET = str(Path(sys.executable).parent / "openfl-telnet")


def telnet(*arguments: object, typed: str = "") -> Process:
    """
    Start the program with the given input in a pipe.
    """
    process = run(TELNET, *map(str, arguments))
    process.transport.write(typed.encode())
    process.transport.closeStdin()
    return process


async def ended(process: Process, status: int = 0) -> list[str]:
    """
    Wait for the exit of the program, and check its status.

    @return: the printed lines; those of standard error can be anywhere between the
        others.
    """
    assert await process.ended == status, process.printed
    printed = process.printed.decode()
    assert "Traceback" not in printed
    return printed.splitlines()
