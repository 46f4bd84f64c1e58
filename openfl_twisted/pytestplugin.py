"""
Fixtures for pytest, which loads them automatically if this package is installed.

Importing this module imports no other module of this package, and no reactor.
"""

from collections.abc import Callable
from functools import partial
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from openfl_twisted.testing import CertificateMaker, MemoryNetwork


@pytest.fixture
def memoryNetwork(request: pytest.FixtureRequest) -> "MemoryNetwork":
    """
    An in-memory network, created for each test. At the end of the test, the fixture raises the
    first exception of a delayed call or protocol, which a reactor would only log. During the
    test, sockets that are created without a reactor raise an exception.

    @return: the network; its clock starts at 0.
    """
    if iscoroutinefunction(request.function):
        # Under pytest-twisted, the test would wait for the clock of the network for ever.
        pytest.fail(
            "an async test cannot use memoryNetwork: define the test with def, and pass a"
            " coroutine to memoryNetwork.run()",
            pytrace=False,
        )
    from openfl_twisted.testing import MemoryNetwork

    return MemoryNetwork.forTest(request.addfinalizer)


@pytest.fixture
def replay(memoryNetwork: "MemoryNetwork") -> "Callable[..., None]":
    """
    The function L{openfl_twisted.testing.replay}, on the network of C{memoryNetwork}.

    @return: the function, without its parameter C{network}.
    """
    from openfl_twisted.testing import replay

    return partial(replay, network=memoryNetwork)


@pytest.fixture(scope="session")
def certificateMaker() -> "CertificateMaker":
    """
    A certificate maker for C{localhost}, with one CA for all tests.
    """
    from openfl_twisted.testing import CertificateMaker

    return CertificateMaker()
