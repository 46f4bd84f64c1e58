"""
Twisted's own test suites, from the installed Twisted, on the transports and the reactor
of this package: C{python -m tests.twistedsuites reactor}.

  - C{stock}: unchanged, on Twisted's epoll reactor, for comparison.
  - C{transport}: the same, with write coalescing on the ports of all reactors.
  - C{reactor}: on C{openfl}, which is then the only reactor that the tests create.
"""

import os
import sys
from collections.abc import Iterator
from tempfile import TemporaryDirectory
from unittest import TestCase, TestSuite

from twisted.application.reactors import installReactor
from twisted.internet import tcp
from twisted.trial.reporter import TreeReporter
from twisted.trial.runner import TestLoader, TrialRunner

from openfl_twisted.transports.tcp import ServerTransport

# The suites of the transports, and of the protocols that use them.
SUITES = [
    "twisted.internet.test",
    "twisted.protocols.haproxy",
    "twisted.protocols.test",
    "twisted.test.test_abstract",
    "twisted.test.test_amp",
    "twisted.test.test_application",
    "twisted.test.test_factories",
    "twisted.test.test_ftp",
    "twisted.test.test_internet",
    "twisted.test.test_iosim",
    "twisted.test.test_loopback",
    "twisted.test.test_pcp",
    "twisted.test.test_policies",
    "twisted.test.test_process",
    "twisted.test.test_protocols",
    "twisted.test.test_sni",
    "twisted.test.test_ssl",
    "twisted.test.test_sslverify",
    "twisted.test.test_stdio",
    "twisted.test.test_strports",
    "twisted.test.test_task",
    "twisted.test.test_tcp",
    "twisted.test.test_tcp_internals",
    "twisted.test.test_threads",
    "twisted.test.test_udp",
    "twisted.test.test_unix",
    "twisted.web.test",
]

# Tests that cannot pass, by the end of their names, with the reason.
EXCEPTIONS = {
    "ReactorFDSetTestsBuilder_OpenFLReactorTests.test_lostFileDescriptor": (
        "epoll reports no event for a closed descriptor; Twisted skips the test for EPollReactor, "
        "by the name of the class"
    ),
}
if os.geteuid() == 0:
    for _name in ("ReactorTests.test_changeUID", "StaticFileTests.test_forbiddenResource"):
        EXCEPTIONS[_name] = (
            "the test removes permissions, which do not restrict root; it fails on any reactor"
        )


def testsOf(suite: TestSuite) -> Iterator[TestCase]:
    """
    Find the tests in a suite.
    """
    for test in suite:
        if isinstance(test, TestSuite):
            yield from testsOf(test)
        else:
            yield test


def prepare(mode: str) -> None:
    """
    Patch Twisted for a variant, before the tests are imported.
    """
    if mode != "reactor":
        installReactor("epoll")
        if mode == "transport":
            tcp.Port.transport = ServerTransport
        return
    installReactor("openfl")
    from twisted.internet import epollreactor
    from twisted.internet.test.reactormixins import ReactorBuilder

    from openfl_twisted.reactors.epoll import OpenFLReactor

    # Tests that name Twisted's epoll reactor apply to this one too.
    epollreactor.EPollReactor = OpenFLReactor  # type: ignore[misc]
    ReactorBuilder._reactors = ["openfl_twisted.reactors.epoll.OpenFLReactor"]


def main(mode: str, *names: str) -> int:
    """
    Run the suites.

    @return: the exit status.
    """
    prepare(mode)
    found = testsOf(TestLoader().loadByNames([*names] or SUITES, recurse=True))
    tests = TestSuite(test for test in found if not test.id().endswith((*EXCEPTIONS,)))
    with TemporaryDirectory() as folder:
        result = TrialRunner(TreeReporter, workingDirectory=f"{folder}/trial").run(tests)
    for name, reason in EXCEPTIONS.items():
        sys.stdout.write(f"not run: {name}: {reason}\n")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
