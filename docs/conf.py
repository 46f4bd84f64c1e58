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
extensions = [
    "checklinks",
    "optiontables",
    "pydoctor.sphinx_ext.build_apidocs",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
]
# Nothing is fetched; pydoctor's extension only wants the setting to be there.
intersphinx_mapping: dict[str, tuple[str, str | None]] = {}
exclude_patterns = ["_build"]
# Most blocks are typed into a shell; the others name their language.
highlight_language = "sh"
# Quotes and ellipses are typographic, but "--" is the beginning of an option.
smartquotes_action = "qe"
html_theme = "furo"
html_title = f"openfl-twisted {version}"
html_show_sourcelink = False
html_static_path = ["static"]
html_css_files = ["manual.css"]
# Readers copy the input of Python's prompt without the prompt and the output.
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

_root = Path(__file__).parent.parent
pydoctor_args = [
    "--project-name=openfl-twisted",
    f"--project-base-dir={_root}",
    "--docformat=epytext",
    "--warnings-as-errors",
    "--theme=readthedocs",
    f"--template-dir={Path(__file__).parent / 'apitheme'}",
    "--project-url=../index.html",
    "--html-output={outdir}/api",
    str(_root / "openfl_twisted"),
]
pydoctor_url_path = "api/"
