"""
How Sphinx builds the documentation: the words from the pages here, the API from
the docstrings, by pydoctor.
"""

import importlib.metadata
import sys
from pathlib import Path

project = "openfl-twisted"
author = "the openfl-twisted authors"
version = release = importlib.metadata.version("openfl-twisted")

sys.path.insert(0, str(Path(__file__).parent))
extensions = ["optiontables", "pydoctor.sphinx_ext.build_apidocs", "sphinx.ext.intersphinx"]
# Nothing is fetched; pydoctor's extension only wants the setting to be there.
intersphinx_mapping: dict[str, tuple[str, str | None]] = {}
exclude_patterns = ["_build"]
# Most blocks are typed into a shell; the others name their language.
highlight_language = "sh"
html_theme = "alabaster"
html_theme_options = {
    "description": "Sockets for OpenFL, AIR and Flash programs, for Python, on Twisted",
    "fixed_sidebar": True,
    "sidebar_collapse": True,
    "page_width": "1150px",
}

_root = Path(__file__).parent.parent
pydoctor_args = [
    "--project-name=openfl-twisted",
    f"--project-base-dir={_root}",
    "--docformat=epytext",
    "--warnings-as-errors",
    "--html-output={outdir}/api",
    str(_root / "openfl_twisted"),
]
pydoctor_url_path = "api/"
