"""
The documentation says what the programs do.
"""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.console import telnet
from openfl_twisted.services import bridge, echoserver, policyserver, xmlserver

ROOT = Path(__file__).parent.parent
# What Twisted adds to every command, and what it has before the command.
STANDARD = {"--help", "--version"}
TWISTD = {"--pidfile"}


def optionsIn(text: str) -> set[str]:
    """
    Find the options in a text.
    """
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))


class ReferenceTests(SynchronousTestCase):
    """
    The reference of the commands.
    """

    def test_options(self) -> None:
        """
        It has every option, and no other.
        """
        text = (ROOT / "docs" / "reference" / "commands.rst").read_text()
        programs = {
            option
            for module in (xmlserver, echoserver, policyserver, bridge, telnet)
            for option in optionsIn(str(module.Options()))
        }
        self.assertEqual(optionsIn(text) - TWISTD, programs - STANDARD)

    def test_example(self) -> None:
        """
        The server of one's own in the README is the example that is tested.
        """
        found = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
        assert found is not None
        example = (ROOT / "docs" / "examples" / "shouting.py").read_text()
        code = re.sub(r'^ *""".*?"""\n+', "", example, flags=re.DOTALL | re.MULTILINE)
        self.assertEqual(found[1].split(), code.split())
