"""
Tests for L{openfl_twisted.similar}.
"""

from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.similar import misspellingOf, similarTo


class SimilarTests(SynchronousTestCase):
    """
    Suggestions for wrong names.
    """

    def test_similarTo(self) -> None:
        """
        The most similar name, in any case.
        """
        names = ("policy", "accept", "tlsKey")
        self.assertEqual(similarTo("plicy", names), "policy")
        self.assertEqual(similarTo("TLSKEY", names), "tlsKey")
        self.assertIsNone(similarTo("x", names))
        self.assertIsNone(similarTo("ply", names, 0.9))

    def test_right(self) -> None:
        """
        A right name is no misspelling of another one.
        """
        self.assertIsNone(misspellingOf("messageReceived", ["messagesReceived", "messageReceived"]))

    @given(st.text("abcd", min_size=4), st.data())
    def test_edits(self, name: str, data: st.DataObject) -> None:
        """
        One missing, additional, changed or swapped character.
        """
        at = data.draw(st.integers(0, len(name) - 1))
        other = data.draw(st.sampled_from("abcd"))
        before, after = name[:at], name[at:]
        for wrong in (
            before + after[1:],
            before + other + after,
            before + other + after[1:],
            before + after[1::-1] + after[2:],
        ):
            if wrong != name and len(wrong) > 3:
                self.assertEqual(misspellingOf(wrong, [name]), name)

    @given(st.text("abcd", min_size=4), st.text("efgh", min_size=2))
    def test_different(self, name: str, addition: str) -> None:
        """
        Two additional characters make another name.
        """
        self.assertIsNone(misspellingOf(name + addition, [name]))

    @given(st.text("abcd", min_size=4), st.text("efgh", min_size=4))
    def test_unrelated(self, one: str, other: str) -> None:
        """
        Names without common characters.
        """
        assume(one != other)
        self.assertIsNone(misspellingOf(one, [other]))
