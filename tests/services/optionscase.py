"""
Common parts of the tests of options.
"""

import tempfile
from pathlib import Path
from typing import Any

from twisted.logger import LogLevel
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.logs import setLogLevel
from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol
from openfl_twisted.rooms.roomprotocol import RoomProtocol, XMLRoomProtocol


class Table(RoomProtocol):
    """
    A room protocol with its own commands.
    """

    def handleLine(self, line: bytes) -> None: ...


class Board(XMLRoomProtocol):
    """
    A room protocol with XML commands.
    """


class OptionsTestCase(SynchronousTestCase):
    """
    Parses options.
    """

    def setUp(self) -> None:
        """
        Restore the log level after the test.
        """
        self.addCleanup(setLogLevel, LogLevel.info)

    def parse(self, module: Any, *arguments: str) -> Any:
        """
        Parse the arguments of a command.
        """
        options = module.Options()
        options.parseOptions(list(arguments))
        return options

    def assertUsage(self, module: Any, arguments: list[str], *words: str) -> None:
        """
        Check that the arguments are a usage error of one line that contains the texts.
        """
        error = self.assertRaises(UsageError, self.parse, module, *arguments)
        self.assertNotIn("\n", str(error))
        for word in words:
            self.assertIn(word, str(error))

    def path(self, content: bytes) -> str:
        path = self.folder() / "file"
        path.write_bytes(content)
        return str(path)

    def folder(self) -> Path:
        """
        Create a directory that is removed after the test.
        """
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return Path(folder.name)


class App(XMLSocketProtocol):
    """
    A protocol for C{--app}.
    """

    def messageReceived(self, message: str) -> None: ...
