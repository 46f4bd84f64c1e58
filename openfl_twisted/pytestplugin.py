"""
Fixtures for pytest, which finds them by itself where this package is installed.

Importing this module imports nothing else of this package, and no reactor: who
uses none of the fixtures pays for none.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from openfl_twisted.testing import CertificateMaker, MemoryNetwork


@pytest.fixture
def memoryNetwork() -> Iterator["MemoryNetwork"]:
    """
    A network in memory. Each test has one of its own, and fails at its end if a
    call or a protocol has failed in it, which a reactor only logs.

    @return: the network; its time is 0.
    """
    from openfl_twisted.testing import MemoryNetwork

    network = MemoryNetwork()
    yield network
    network.check()


@pytest.fixture(scope="session")
def certificateMaker() -> "CertificateMaker":
    """
    Makes certificates for C{localhost}; the same authority for all tests of a run.

    @return: what makes them.
    """
    from openfl_twisted.testing import CertificateMaker

    return CertificateMaker()
