"""
Public names of packages whose modules are imported when a name is used. A server imports
only the modules that it needs, and starts faster.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazyImporter(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """
    Make a module's C{__getattr__} (PEP 562) that imports public names when they are used.

    @param package: the dotted name of the package.
    @param modules: the module of each public name, without the package.
    @return: the C{__getattr__} of the package.
    """

    def importName(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return importName
