"""
The default limits of recordings.
"""

MAX_SESSION = 64 * 1024 * 1024
"""
Default maximum number of recorded bytes of one connection: 64 MiB.
"""

MAX_RUN = 1024 * 1024 * 1024
"""
Default maximum number of recorded bytes of a run: 1 GiB.
"""
