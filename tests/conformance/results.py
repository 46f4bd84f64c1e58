"""
The results of the conformance tests.
"""

results: list[str] = []
"""
The results, for the summary of the tests.
"""
