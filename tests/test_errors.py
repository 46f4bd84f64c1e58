"""
Tests for L{openfl_twisted.errors}.
"""

import builtins
import copy
import pickle

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
        An error without a number can have any text.
        """
        error = errors.Error("some text")
        self.assertEqual((str(error), error.errorID, error.name), ("some text", 0, "Error"))
        self.assertEqual(str(errors.Error()), "")

    def test_endOfFile(self) -> None:
        """
        L{EOFError} has its text and number by default.
        """
        error = errors.EOFError()
        self.assertEqual(
            (str(error), error.errorID), ("Error #2030: End of file was encountered.", 2030)
        )
        self.assertEqual(str(errors.EOFError("text")), "text")

    def test_builtins(self) -> None:
        """
        The errors are also subclasses of the matching built-in exceptions.
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

    def test_everyClass(self) -> None:
        """
        Each class has its name, text and number, also in a copy. Number and name are
        read-only.
        """
        for cls in (
            errors.Error,
            errors.ArgumentError,
            errors.RangeError,
            errors.TypeError,
            errors.SecurityError,
            errors.MemoryError,
            errors.IllegalOperationError,
            errors.IOError,
            errors.EOFError,
        ):
            made = cls.numbered(2004)
            for error in (made, copy.copy(made), pickle.loads(pickle.dumps(made))):
                self.assertIs(type(error), cls)
                self.assertEqual(
                    (error.name, error.message, error.errorID),
                    (cls.__name__, "Error #2004: One of the parameters is invalid.", 2004),
                )
                self.assertEqual(str(error), error.message)
                for name in ("errorID", "name"):
                    self.assertRaises(AttributeError, setattr, error, name, 1)

    def test_messages(self) -> None:
        """
        Each number in the reference has a text, with all its parameters. Other numbers
        have none.
        """
        for errorID in (
            1000, 2002, 2003, 2004, 2006, 2007, 2008, 2010, 2011, 2030, 2031, 2044, 2048, 2052,
            2058, 2085, 2094, 2173, 3207,
        ):  # fmt: skip
            message = errors.messageOf(errorID, "one", "two")
            self.assertTrue(message.startswith(f"Error #{errorID}: "))
            self.assertNotIn("%", message)
        self.assertRaises(KeyError, errors.messageOf, 1)

    def test_stackTrace(self) -> None:
        """
        The stack trace contains the class and the text.
        """
        self.assertIn("SecurityError: some text", errors.SecurityError("some text").getStackTrace())
