"""
Programs in a network namespace of their own.
"""

import subprocess

APART = ["unshare", "--net", "--pid", "--fork", "--kill-child"]
"""
Command that runs a page in a separate network namespace and stops its processes.
"""


def apart() -> list[str]:
    """
    Return the command that creates a network namespace on this system.
    """
    for command in (APART, [*APART, "--map-root-user"]):
        try:
            subprocess.run([*command, "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return command
    return []
