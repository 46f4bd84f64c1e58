"""
Tests for L{openfl_twisted.wire.policy}.
"""

from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire import (
    policy,
    policyaddress,
    policydecision,
    policyfile,
    policyrequest,
    policyrule,
)


class FrontTests(SynchronousTestCase):
    """
    One module has the names of all that are about policy files.
    """

    def test_names(self) -> None:
        """
        What the modules behind it define and do not hide is there, and nothing
        else.
        """
        modules = (policyaddress, policydecision, policyfile, policyrequest, policyrule)
        defined = {
            name
            for module in modules
            for name, value in vars(module).items()
            if not name.startswith("_")
            and (getattr(value, "__module__", None) == module.__name__ or name.isupper())
        }
        self.assertEqual(set(policy.__all__), defined)
        self.assertTrue(all(hasattr(policy, name) for name in policy.__all__))
