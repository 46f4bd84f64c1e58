"""
Fixtures for pytest, which loads them automatically if this package is installed.

Importing this module imports no other module of this package, and no reactor.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from openfl_twisted.testing import CertificateMaker, MemoryNetwork


@pytest.fixture
def memoryNetwork() -> Iterator["MemoryNetwork"]:
    """
    An in-memory network, created for each test. At the end of the test, the fixture raises the
    first exception of a delayed call or protocol, which a reactor would only log.

    @return: the network; its clock starts at 0.
    """
    from openfl_twisted.testing import MemoryNetwork

    network = MemoryNetwork()
    yield network
    network.check()


@pytest.fixture(scope="session")
def certificateMaker() -> "CertificateMaker":
    """
    A certificate maker for C{localhost}, with one CA for all tests.
    """
    from openfl_twisted.testing import CertificateMaker

    return CertificateMaker()
