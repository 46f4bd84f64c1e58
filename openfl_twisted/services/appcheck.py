"""
The program that checks an application for C{--reload}: C{python -m
openfl_twisted.services.appcheck NAME}. It imports the application, and writes the result to
L{RESULT<openfl_twisted.workers.watching.RESULT>}.
"""

import json
import os
import sys
from typing import Any

from twisted.python import usage

from openfl_twisted.reactors import installDefault
from openfl_twisted.services.xmlserver import loadProtocol
from openfl_twisted.workers.modules import applicationFiles, filesOfError
from openfl_twisted.workers.watching import RESULT


def check(name: str) -> dict[str, Any]:
    """
    Import the application.

    @param name: the value of C{--app}.
    @return: the result: C{problem}, the error or C{None}, and C{files}, the imported files.
    """
    problem, files = None, set()
    try:
        loadProtocol(name)
    except usage.UsageError as error:
        problem = str(error)
        files.update(filesOfError(error))
    files.update(applicationFiles())
    return {"problem": problem, "files": sorted(files)}


def main(name: str) -> None:
    """
    Import the application, write the result, and end the process.

    @param name: the value of C{--app}.
    """
    # The modules of the application are probably changed again soon, even within the precision
    # of the time in a bytecode file.
    sys.dont_write_bytecode = True
    installDefault()
    result = json.dumps(check(name)).encode()
    while result:
        result = result[os.write(RESULT, result) :]
    # Do not wait for threads that the application has started.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
