"""
The tests of L{openfl_twisted}; they mirror the package. Nearly all run in memory
and under C{trial} too; C{live} and C{clients} need pytest.
"""

import os

from hypothesis import HealthCheck, settings

# No test depends on the speed of the machine: Hypothesis has no deadline and no health checks. CI
# uses the same examples in each run, so that a failure is caused by the change; other runs use new
# ones.
settings.register_profile(
    "house",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("house")
