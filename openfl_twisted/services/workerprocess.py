"""
The program of a worker: C{python -m openfl_twisted.services.workerprocess NUMBER PORTS
ARGUMENTS}, with the arguments of C{twistd}. Only the supervisor starts it.
"""

import os
import sys
from collections.abc import Sequence

from openfl_twisted.services.options import ServerOptions
from openfl_twisted.workers.worker import WorkerSide


def main(arguments: Sequence[str]) -> None:
    """
    Run C{twistd} as a worker.

    @param arguments: the number of the worker, the number of inherited ports, and the
        arguments of C{twistd}.
    """
    number, ports, *rest = arguments
    # Use a separate process group: signals from a terminal are for the supervisor, which stops the
    # workers.
    os.setpgid(0, 0)
    ServerOptions.worker = WorkerSide(int(number), int(ports))
    sys.argv[:] = ["twistd", *rest]
    from twisted.scripts.twistd import run

    run()


if __name__ == "__main__":
    main(sys.argv[1:])
