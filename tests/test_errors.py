"""
Tests for L{openfl_twisted.errors}.
"""

import builtins

from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import errors


class ErrorTests(SynchronousTestCase):
    """
    OpenFL's errors.
    """

    def test_numbered(self) -> None:
        """
        A numbered error has Flash's text, with its parameters.
        """
        error = errors.IOError.numbered(2002)
        self.assertEqual(str(error), "Error #2002: Operation attempted on invalid socket.")
        self.assertEqual((error.message, error.errorID), (str(error), 2002))
        error = errors.SecurityError.numbered(2048, "a.swf", "b:80")  # type: ignore[assignment]
        self.assertEqual(
            str(error),
            "Error #2048: Security sandbox violation: a.swf cannot load data from b:80.",
        )

    def test_plain(self) -> None:
        """
        An error can have any text, and then no number.
        """
        error = errors.Error("some text")
        self.assertEqual((str(error), error.errorID, error.name), ("some text", 0, "Error"))
        self.assertEqual(str(errors.Error()), "")

    def test_endOfFile(self) -> None:
        """
        The end of the file has its text and number by itself.
        """
        error = errors.EOFError()
        self.assertEqual(
            (str(error), error.errorID), ("Error #2030: End of file was encountered.", 2030)
        )
        self.assertEqual(str(errors.EOFError("text")), "text")

    def test_builtins(self) -> None:
        """
        Python programmers catch what they expect.
        """
        for own, builtin in [
            (errors.ArgumentError, builtins.ValueError),
            (errors.RangeError, builtins.ValueError),
            (errors.TypeError, builtins.TypeError),
            (errors.MemoryError, builtins.MemoryError),
            (errors.IOError, builtins.OSError),
            (errors.EOFError, builtins.EOFError),
            (errors.EOFError, errors.IOError),
        ]:
            self.assertTrue(issubclass(own, builtin))
        for own in (errors.SecurityError, errors.IllegalOperationError):
            self.assertTrue(issubclass(own, errors.Error))

    def test_stackTrace(self) -> None:
        """
        The stack trace names the error and its text.
        """
        self.assertIn("SecurityError: some text", errors.SecurityError("some text").getStackTrace())
