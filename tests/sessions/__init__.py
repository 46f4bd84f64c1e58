"""
Tests for L{openfl_twisted.sessions}.
"""
