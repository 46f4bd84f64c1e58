"""
Fixtures for pytest, which finds them automatically if this package is installed.

Importing this module imports nothing else of this package, and no reactor.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from openfl_twisted.testing import CertificateMaker, MemoryNetwork


@pytest.fixture
def memoryNetwork() -> Iterator["MemoryNetwork"]:
    """
    A network in memory, a new one for each test. At the end of a test it raises the
    first exception of a call or a protocol, which a reactor only logs.

    @return: the network; its time is 0.
    """
    from openfl_twisted.testing import MemoryNetwork

    network = MemoryNetwork()
    yield network
    network.check()


@pytest.fixture(scope="session")
def certificateMaker() -> "CertificateMaker":
    """
    A maker of certificates for C{localhost}, with the same CA for all tests.

    @return: the maker.
    """
    from openfl_twisted.testing import CertificateMaker

    return CertificateMaker()
