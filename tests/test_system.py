"""
Tests for L{openfl_twisted.system}.
"""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import errors
from openfl_twisted.system import _MAX_POLICY_URLS, Security


class SecurityTests(SynchronousTestCase):
    """
    The methods and attributes of L{Security}.
    """

    def test_application(self) -> None:
        """
        In the sandbox C{application}, other domains cannot be allowed.
        """
        for call in (Security.allowDomain, Security.allowInsecureDomain):
            for arguments in [("a.example",), (), (None,)]:
                refused: Any = call
                error = self.assertRaises(errors.SecurityError, refused, *arguments)
                self.assertEqual(
                    (error.errorID, str(error)),
                    (
                        3207,
                        (
                            "Error #3207: Application-sandbox content cannot access this feature. "
                            "(Security.sandboxType is 'application')"
                        ),
                    ),
                )

    def test_policyFiles(self) -> None:
        """
        Each policy file is stored once, for any URL, up to a maximum number.
        """
        self.addCleanup(Security.policyFiles.clear)
        for url in ("xmlsocket://a.example:843", "http://a.example/", "nonsense"):
            Security.loadPolicyFile(url)
            Security.loadPolicyFile(url)
        self.assertEqual(
            list(Security.policyFiles),
            ["xmlsocket://a.example:843", "http://a.example/", "nonsense"],
        )
        for number in range(_MAX_POLICY_URLS):
            Security.loadPolicyFile(f"xmlsocket://a.example:{number + 1}")
        self.assertEqual(len(Security.policyFiles), _MAX_POLICY_URLS)
        self.assertNotIn("nonsense", Security.policyFiles)
        refused: Any = Security.loadPolicyFile
        error = self.assertRaises(errors.TypeError, refused, None)
        self.assertEqual(error.errorID, 2007)

    def test_otherSandboxes(self) -> None:
        """
        In other sandboxes domains are accepted; values that are not text are refused.
        """
        for sandbox in (
            Security.REMOTE,
            Security.LOCAL_WITH_FILE,
            Security.LOCAL_WITH_NETWORK,
            Security.LOCAL_TRUSTED,
        ):
            self.patch(Security, "sandboxType", sandbox)
            for call in (Security.allowDomain, Security.allowInsecureDomain):
                call()
                call("a.example", "*")
                for wrong in (None, 1, b"a.example", ["a.example"]):
                    refused: Any = call
                    error = self.assertRaises(errors.ArgumentError, refused, "a.example", wrong)
                    self.assertEqual(error.errorID, 2052)
