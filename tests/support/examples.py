"""
The examples of the documentation.
"""

from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
