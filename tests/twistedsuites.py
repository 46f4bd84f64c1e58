"""
Twisted's own tests, from the Twisted that is installed, on the transports and on
the reactor of this package: C{python -m tests.twistedsuites reactor}.

  - C{stock}: as they are, on Twisted's epoll reactor; to compare with.
  - C{transport}: the same, with the ports of every reactor joining their writes.
  - C{reactor}: on C{openfl}, which is also the only one that the tests build.
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

# What moves bytes, and what is built on it.
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

# Tests that cannot pass, and why. A name that ends so, in whatever class a reactor's tests are.
EXCEPTIONS = {
    "ReactorFDSetTestsBuilder_OpenFLReactorTests.test_lostFileDescriptor": (
        "Twisted leaves it out for EPollReactor, whom it knows by its class's name:"
        " who closes a descriptor takes it out of epoll without an event"
    ),
}
if os.geteuid() == 0:
    for _name in ("ReactorTests.test_changeUID", "StaticFileTests.test_forbiddenResource"):
        EXCEPTIONS[_name] = "root has rights that this test takes away, on any reactor"


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
    Have the tests run on what is to be tested, before they are imported.
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

    # What is said of Twisted's epoll reactor by name goes for it too.
    epollreactor.EPollReactor = OpenFLReactor  # type: ignore[misc]
    ReactorBuilder._reactors = ["openfl_twisted.reactors.epoll.OpenFLReactor"]


def main(mode: str, *names: str) -> int:
    """
    Run the suites.

    @return: the process's status.
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
