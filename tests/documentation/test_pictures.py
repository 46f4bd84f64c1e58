"""
The pictures show what is there.
"""

import importlib.util
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

import openfl_twisted

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def drawing() -> ModuleType:
    """
    Import the program that draws them.
    """
    spec = importlib.util.spec_from_file_location("draw", IMAGES / "draw.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class PictureTests(SynchronousTestCase):
    """
    C{docs/images/draw.py}.
    """

    def test_current(self) -> None:
        """
        Each picture is as it would be drawn now, the life of a Socket from its
        machine. After a change: C{python docs/images/draw.py}.
        """
        for name, draw in drawing().PICTURES.items():
            self.assertEqual((IMAGES / name).read_text(encoding="utf-8"), draw(), name)

    def test_rooms(self) -> None:
        """
        The picture of the house has every room, and none that is not there.
        """
        package = Path(openfl_twisted.__file__).parent
        rooms = {path.stem for path in package.iterdir() if (path / "__init__.py").exists()}
        modules = {path.stem for path in package.glob("*.py")} - {"__init__"}
        drawn = {
            room
            for _, _, floor in drawing().FLOORS
            for names, _ in floor
            for room in names.split()
            if "/" not in room
        }
        self.assertEqual((rooms | modules) - drawn, set())
