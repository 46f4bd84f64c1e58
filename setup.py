"""
The only dynamic metadata: the README with absolute links, for a package index. Everything else is
in C{setup.cfg}. The links stay relative until C{setup.cfg} contains the C{url} of the repository.
"""

import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import setup

_root = Path(__file__).parent
_configuration = ConfigParser(interpolation=None)
_configuration.read(_root / "setup.cfg", encoding="utf-8")
_source = _configuration["metadata"].get("url")
_readme = (_root / "README.md").read_text(encoding="utf-8")
if _source is not None:
    _readme = re.sub(r"(!\[[^]]*\]\()(?!https?:)", rf"\1{_source}/raw/main/", _readme)
    _readme = re.sub(r"(\]\()(?!https?:|#)", rf"\1{_source}/blob/main/", _readme)
setup(long_description=_readme)
