"""
Tests for L{openfl_twisted.transports}.
"""
