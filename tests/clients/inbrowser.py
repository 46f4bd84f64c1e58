"""
Markers of the tests that run in a browser, and the values that all clients exchange.
"""

import functools
from pathlib import Path

import pytest

from tests.live import live

# Longer than the timeout of a report, since its error has more details.
inBrowser = functools.partial(live, patience=600)

inBoth = pytest.mark.parametrize("player", ["html5", "ruffle"])

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "web"
ENDIANS = ["bigEndian", "littleEndian"]
GREETING = "Connected.Echo -- "
NUMBERS = [True, -2, -30562, -2076553554, 0.5, 8090.76, "\u00e9!"]
