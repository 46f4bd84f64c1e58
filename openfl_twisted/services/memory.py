"""
The memory that a server keeps for long messages.
"""

import ctypes
import sys

MAX_KEPT = 64 * 1024**2
"""
Maximum length of the freed memory that a process keeps (bytes).
"""

# The parameters of mallopt, from malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def keepFreedMemory() -> None:
    """
    Let the GNU C library keep up to L{MAX_KEPT} bytes of freed memory. Nothing happens with other C
    libraries.

    By default, the C library returns the memory of a long message to the kernel as soon as it is
    freed. The kernel must then provide and clear new memory for each copy of the next message, and
    this takes longer than copying the message.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, MAX_KEPT)
        # Each longer block has its own memory, which is returned when the block is freed.
        mallopt(_M_MMAP_THRESHOLD, MAX_KEPT // 2)
