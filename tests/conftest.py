"""
Pytest settings for all tests.
"""

import gc
from collections.abc import Iterator
from typing import Any

import pytest


def pytest_collection_finish() -> None:
    """
    Freeze the imported modules for the garbage collector. Many tests call
    C{gc.collect}, which then only visits objects of the tests.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def noDelayedCalls() -> Iterator[None]:
    """
    Fail a test that leaves a delayed call in the reactor, where it could run during
    another test.
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
