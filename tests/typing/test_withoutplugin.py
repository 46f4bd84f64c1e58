"""
C{mypy --strict} accepts the programs of users, without the plugin for Twisted's interfaces.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

HERE = Path(__file__).parent


class WithoutPluginTests(SynchronousTestCase):
    """
    A program is checked in another directory, so that mypy regards this package as installed.
    """

    def check(self, *programs: str) -> str:
        """
        Return the errors of mypy.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        for name, text in enumerate(programs):
            (folder / f"program{name}.py").write_text(text)
        # Twisted itself has functions without types, such as serverFromString.
        options = ("--strict", "--allow-untyped-calls", "--config-file=", "--cache-dir=cache")
        ended = subprocess.run(
            [sys.executable, "-m", "mypy", *options, "."],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": "", "MYPYPATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(ended.stderr, "")
        shutil.rmtree(folder)
        return "" if ended.returncode == 0 else ended.stdout

    def test_programs(self) -> None:
        """
        Servers, clients, rooms, bots and tests have no errors.
        """
        programs = [(HERE / name).read_text() for name in ("project.py", "users.py")]
        self.assertEqual(self.check(*programs), "")

    def test_mistakes(self) -> None:
        """
        Wrong arguments are errors: the types are not all C{Any}.
        """
        errors = self.check(
            "from openfl_twisted.events import ServerSocketConnectEvent\n"
            "from openfl_twisted.protocols import XMLSocketFactory, XMLSocketProtocol\n"
            "from openfl_twisted.transports.guard import GuardFactory\n"
            "class Game(XMLSocketProtocol):\n"
            "    pass\n"
            "GuardFactory(Game)\n"
            "XMLSocketFactory(Game, clock=7)\n"
            "[each.nick for each in XMLSocketFactory(Game).connections]\n"
            "def connected(event: ServerSocketConnectEvent) -> None:\n"
            "    event.socket.sendd()\n"
        )
        for line in (6, 7, 8, 10):
            self.assertIn(f"program0.py:{line}: error:", errors)
        self.assertEqual(errors.count(": error:"), 4, errors)
