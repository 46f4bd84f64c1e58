"""
Tests for L{openfl_twisted.transports.declarations}.
"""

from typing import Any

from twisted.internet.interfaces import ITLSTransport, ITransport
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface, alsoProvides, providedBy
from zope.interface.interface import InterfaceClass

from openfl_twisted.transports import declarations
from openfl_twisted.transports.buffered import BufferedTransport
from openfl_twisted.transports.declarations import declare
from tests.effort import callsOf


class DeclarationTests(SynchronousTestCase):
    """
    L{declare}.
    """

    def test_interfaces(self) -> None:
        """
        An object provides the interfaces of its transport without those that are excluded.
        A transport with further interfaces has another declaration.
        """
        one, two = StringTransport(), StringTransport()
        alsoProvides(two, ITLSTransport)
        for transport, provides in ((one, False), (two, True), (one, False), (two, True)):
            connection = BufferedTransport(transport, None)
            self.assertTrue(ITransport.providedBy(connection))
            self.assertEqual(ITLSTransport.providedBy(connection), provides)

        class Other:
            pass

        declared = declare(Other, providedBy(two), ITLSTransport)
        self.assertNotIn(ITLSTransport, declared.flattened())
        self.assertIn(ITransport, declared.flattened())

    def test_cost(self) -> None:
        """
        A declaration is computed once. The number of cached declarations is limited.
        """

        class Other:
            pass

        its: Any = providedBy(StringTransport())
        first = declare(Other, its)
        self.assertIs(declare(Other, its), first)
        self.assertLess(callsOf(lambda: declare(Other, its)), 10)
        for number in range(100):
            transport = StringTransport()
            alsoProvides(transport, InterfaceClass(f"IOther{number}", (Interface,)))
            declare(Other, providedBy(transport))
            self.assertLessEqual(len(declarations._declarations), declarations._MAX_DECLARATIONS)
