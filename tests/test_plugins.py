"""
The plugins that C{twistd} finds.
"""

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

from tests.support.commands import COMMANDS


class PluginTests(SynchronousTestCase):
    """
    The plugins of this package.
    """

    def test_found(self) -> None:
        """
        Each command is found once, with its options and C{makeService}.
        """
        makers = {
            maker.tapname: maker
            for maker in getPlugins(IServiceMaker)
            if maker.tapname.startswith("openfl-")
        }
        self.assertEqual(set(makers), COMMANDS)
        for maker in makers.values():
            self.assertTrue(callable(maker.options))
            self.assertTrue(callable(maker.makeService))
            self.assertTrue(maker.description.endswith("."))
