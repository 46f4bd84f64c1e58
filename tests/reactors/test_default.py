"""
Tests of the reactor that the commands use by default.
"""

import sys
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.reactors import epoll, installDefault


class InstallDefaultTests(SynchronousTestCase):
    """
    Tests of L{installDefault}.
    """

    def setUp(self) -> None:
        self.installed: list[Any] = []
        self.patch(epoll, "install", lambda: self.installed.append(epoll))

    def removeReactor(self, *missing: str) -> None:
        """
        Let no reactor be installed, and let the given modules be missing.
        """
        patch = mock.patch.dict(sys.modules, dict.fromkeys(missing))
        patch.start()
        self.addCleanup(patch.stop)
        del sys.modules["twisted.internet.reactor"]

    def test_noReactor(self) -> None:
        """
        The C{openfl} reactor is installed if no reactor is.
        """
        self.removeReactor()
        installDefault()
        self.assertEqual(self.installed, [epoll])

    def test_reactor(self) -> None:
        """
        An installed reactor stays.
        """
        import twisted.internet.reactor as installed

        installDefault()
        self.assertEqual(self.installed, [])
        self.assertIs(sys.modules["twisted.internet.reactor"], installed)

    def test_noEpoll(self) -> None:
        """
        On a system without C{epoll}, Twisted's own default is used.
        """
        self.removeReactor("openfl_twisted.reactors.epoll")
        installDefault()
        self.assertNotIn("twisted.internet.reactor", sys.modules)
