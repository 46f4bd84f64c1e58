"""
Tests for L{openfl_twisted.wire.xt}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.xt import _MAX_FIELDS, XtError, join, split


class XtTests(SynchronousTestCase):
    """
    Fields between percent signs.
    """

    def test_split(self) -> None:
        """
        The fields between C{%xt%} and the last percent sign are returned; they can be empty.
        """
        for message, fields in (
            ("%xt%s%j#jr%-1%100%330%300%", ["s", "j#jr", "-1", "100", "330", "300"]),
            ("%xt%%", [""]),
            ("%xt%a%%b%", ["a", "", "b"]),
        ):
            self.assertEqual(split(message), fields)

    def test_refused(self) -> None:
        """
        Any other message is refused, with a short text that contains nothing of the message.
        """
        for message in ("", "%", "%xt%", "%xt%a", "%XT%a%", "xt%a%", " %xt%a%", "<secret/>"):
            problem = self.assertRaises(XtError, split, message)
            self.assertNotIn("secret", str(problem))
        split("%xt%" + "a%" * _MAX_FIELDS)
        self.assertRaises(XtError, split, "%xt%" + "a%" * (_MAX_FIELDS + 1))

    def test_join(self) -> None:
        """
        A message has at least one field, and no field contains a percent sign or NUL.
        """
        self.assertEqual(join(["jr", "-1", ""]), "%xt%jr%-1%%")
        for fields in ([], ["a%"], ["a", "\0"]):
            self.assertRaises(ValueError, join, fields)

    @given(st.lists(st.text(st.characters(exclude_characters="%\0")), min_size=1))
    def test_roundTrip(self, fields: list[str]) -> None:
        """
        Splitting returns the joined fields.
        """
        self.assertEqual(split(join(fields)), fields)

    @given(st.text(st.sampled_from("%xt%a\0")))
    def test_any(self, message: str) -> None:
        """
        A message is either split into fields that can be joined again, or refused.
        """
        try:
            fields = split(message)
        except XtError:
            return
        if "\0" not in message:
            self.assertEqual(join(fields), message)
