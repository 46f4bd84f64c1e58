"""
The tests of L{openfl_twisted}; they mirror the package. Nearly all run in memory
and under C{trial} too; C{live} and C{clients} need pytest.
"""

import os

from hypothesis import HealthCheck, settings

# No test depends on how fast the machine is: neither a deadline nor slow generation of examples
# fails a test. In CI each run tries the same examples, so that a failure there comes from the
# change; elsewhere each run tries new ones.
settings.register_profile(
    "house",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("house")
