"""
The memory that a server keeps for long messages.
"""

import ctypes
import subprocess
import sys
from unittest import skipUnless
from unittest.mock import Mock, patch

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.services.memory import MAX_KEPT, keepFreedMemory
from openfl_twisted.services.xmlserver import Options

LENGTH = 8 * 1024**2

# Prints the number of pages that the kernel provides for the third of three long messages.
PROGRAM = f"""
import resource
from openfl_twisted.services import memory

if {{keeps}}:
    memory.keepFreedMemory()

def handle():
    text = (b"x" * {LENGTH}).decode()
    return len(text.encode())

handle()
handle()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
handle()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages(*, keeps: bool) -> int:
    """
    Return the number of pages that the kernel provides for a long message.

    @param keeps: whether freed memory is kept.
    """
    program = [sys.executable, "-c", PROGRAM.format(keeps=keeps)]
    return int(subprocess.run(program, stdout=subprocess.PIPE, check=True).stdout)


def hasMallopt() -> bool:
    """
    Return whether the C library has C{mallopt}.
    """
    return sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt")


class MemoryTests(SynchronousTestCase):
    """
    L{keepFreedMemory}.
    """

    @skipUnless(hasMallopt(), "only the GNU C library has mallopt")
    def test_kept(self) -> None:
        """
        The copies of a long message use the memory of the previous message.
        """
        self.assertLess(pages(keeps=True), 100)
        self.assertGreater(pages(keeps=False), 1000)

    def test_limit(self) -> None:
        """
        The limits are set.
        """
        library = Mock()
        with patch("sys.platform", "linux"), patch("ctypes.CDLL", return_value=library):
            keepFreedMemory()
        self.assertEqual(
            [call.args for call in library.mallopt.mock_calls],
            [(-1, MAX_KEPT), (-3, MAX_KEPT // 2)],
        )

    def test_otherLibraries(self) -> None:
        """
        Nothing happens on other systems and with other C libraries.
        """
        with patch("sys.platform", "darwin"), patch("ctypes.CDLL") as load:
            keepFreedMemory()
        load.assert_not_called()
        with patch("sys.platform", "linux"), patch("ctypes.CDLL", return_value=object()):
            keepFreedMemory()

    def test_command(self) -> None:
        """
        Only the commands keep freed memory, and not programs that read their options.
        """
        with patch("openfl_twisted.services.options.keepFreedMemory") as keep:
            for parent, calls in ((None, 0), (Options(), 1)):
                options = Options()
                options.parent = parent
                # An unknown option ends the parser before it changes the settings of the process.
                with self.assertRaises((UsageError, SystemExit)):
                    options.parseOptions(["--unknown"])
                self.assertEqual(keep.call_count, calls)
