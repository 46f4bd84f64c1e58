"""
Tests that the pictures are current.
"""

import importlib.util
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

import openfl_twisted
from tests.support.layers import LAYERS

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def drawing() -> ModuleType:
    """
    Import the drawing program.
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
        Each picture equals the output of the drawing program. After a change, run
        C{python docs/images/draw.py}.
        """
        for name, draw in drawing().PICTURES.items():
            self.assertEqual((IMAGES / name).read_text(encoding="utf-8"), draw(), name)

    def test_layers(self) -> None:
        """
        The picture of the architecture contains every package in its layer.
        """
        package = Path(openfl_twisted.__file__).parent
        packages = {path.stem for path in package.iterdir() if (path / "__init__.py").exists()}
        modules = {path.stem for path in package.glob("*.py")} - {"__init__"}
        drawn = [
            {name for names, _ in layer for name in names.split() if "/" not in name}
            for _, _, layer in drawing().LAYERS
        ]
        self.assertEqual((packages | modules) - set().union(*drawn), set())
        self.assertEqual(drawn, [set().union(*rows) for rows in LAYERS.values()])
