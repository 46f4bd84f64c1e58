"""
The files of the modules that a process has imported.
"""

import sys
import traceback

from openfl_twisted.commandline import isLibrary


def applicationFiles() -> list[str]:
    """
    Return the files of all imported modules that belong neither to this package nor to an
    installed library.

    @return: the paths, sorted.
    """
    # Other threads can import modules during the loop.
    modules = list(sys.modules.values())
    return sorted({file for each in modules if (file := _fileOf(each)) and not isLibrary(file)})


def _fileOf(module: object) -> str | None:
    # An object in sys.modules can have any class, and even __getattr__ can raise.
    try:
        file = vars(module).get("__file__")
    except TypeError:
        return None
    return file if isinstance(file, str) else None


def filesOfError(problem: BaseException) -> list[str]:
    """
    Return the files of an exception that the import of a module has raised: those of its
    traceback, and of a syntax error. The failed modules are no longer in C{sys.modules}.

    @param problem: the exception. Its causes and contexts are included.
    @return: the paths, sorted.
    """
    files: set[str] = set()
    seen: set[int] = set()
    current: BaseException | None = problem
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        files.update(frame.filename for frame in traceback.extract_tb(current.__traceback__))
        if isinstance(current, SyntaxError) and current.filename is not None:
            files.add(current.filename)
        current = current.__cause__ or current.__context__
    return sorted(file for file in files if not file.startswith("<") and not isLibrary(file))
