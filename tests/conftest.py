"""
Settings of pytest for all tests.
"""

import gc
from collections.abc import Iterator
from typing import Any

import pytest


def pytest_collection_finish() -> None:
    """
    Take the modules that are imported by now out of the garbage collector. Many
    tests call C{gc.collect}, which then looks only at objects of the tests.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def noDelayedCalls() -> Iterator[None]:
    """
    Fail a test that leaves a delayed call in the reactor. It could run during another
    test.
    """
    from twisted.internet import reactor

    own: Any = reactor
    before = {*own.getDelayedCalls()}
    yield
    left = [call for call in own.getDelayedCalls() if call not in before]
    described = [repr(call) for call in left]
    for call in left:
        call.cancel()
    assert not described, f"left in the reactor: {described}"
