"""
Suggestions for misspelt names.
"""

from collections.abc import Iterable
from difflib import get_close_matches


def similarTo(name: str, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    """
    Return the name that is most similar to a wrong name.

    @param names: the right names.
    @param cutoff: the minimum similarity, from 0 to 1.
    @return: the name; C{None} if no name is similar.
    """
    known = list(names)
    lower = {each.lower(): each for each in known}
    matches = get_close_matches(name, known, 1, cutoff)
    matches += [lower[each] for each in get_close_matches(name.lower(), lower, 1, cutoff)]
    return matches[0] if matches else None


def misspellingOf(name: str, names: Iterable[str]) -> str | None:
    """
    Return the name of which another name is certainly a misspelling: the names differ in one
    character, in the order of two characters, or only in case and underscores.

    @param names: the right names.
    @return: the right name; C{None} if no name is similar enough, or C{name} itself is right.
    """
    known = [*names]
    if name in known:
        return None
    plain = _plain(name)
    for each in known:
        right = _plain(each)
        if right == plain or (len(plain) > 3 and _isOneEdit(plain, right)):
            return each
    return None


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _isOneEdit(one: str, other: str) -> bool:
    if abs(len(one) - len(other)) > 1:
        return False
    start = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    if start is None:
        return True
    left, right = one[start:], other[start:]
    swapped = left[1::-1] + left[2:]
    return left[1:] == right or left == right[1:] or left[1:] == right[1:] or swapped == right
