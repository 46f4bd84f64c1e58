"""
Settings of pytest for all tests.
"""

import gc


def pytest_collection_finish() -> None:
    """
    Take the modules that are imported by now out of the garbage collector. Many
    tests call C{gc.collect}, which then looks only at objects of the tests.
    """
    gc.collect()
    gc.freeze()
