"""
Hypothesis strategies for sessions, and for the masks and values in them.
"""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from openfl_twisted.sessions._masks import Masks, Variable
from openfl_twisted.sessions._session import (
    CLIENT,
    ENDS,
    SIDES,
    End,
    Gap,
    Header,
    Message,
    Session,
    compilePattern,
)
from openfl_twisted.wire.dialects import DIALECTS
from tests.sessions.sessioncase import sessions, sides
from tests.support.messages import messages


def variable(name: str, pattern: str, **more: Any) -> Variable:
    """
    Create a variable with a pattern.
    """
    return Variable(name, compilePattern(pattern), **more)


def masksOf(**patterns: str) -> Masks:
    """
    Create masks of captured variables.
    """
    return Masks([variable(name, pattern) for name, pattern in patterns.items()])


@st.composite
def rawSessions(draw: Any) -> Session:
    """
    A strategy for sessions of the dialect raw.
    """
    lines = draw(st.lists(st.tuples(sides, st.binary(min_size=1, max_size=9)), max_size=8))
    found = [Message(data, side, n / 8, n, n + 1) for n, (side, data) in enumerate(lines, 1)]
    return Session(Header(), found, End(CLIENT))


@st.composite
def endingSessions(draw: Any) -> Session:
    """
    A strategy for sessions that end with incomplete messages.
    """
    found: Session = draw(sessions)
    for side in draw(st.lists(sides, unique=True)):
        last = next((each for each in reversed(found.messages) if each.side == side), None)
        if last is not None and last.data[:-1]:
            n = len(found.messages) + 1
            found.messages.append(Message(last.data[:-1], side, n / 8, n, isPartial=True))
    return found


anyText = st.text(st.characters(), max_size=10)
headers = st.builds(
    Header,
    st.sampled_from(sorted(DIALECTS)),
    st.sampled_from(["plain", "websocket"]),
    anyText,
    anyText,
    anyText,
    anyText,
    st.dictionaries(anyText, anyText, max_size=2),
)
times = st.integers(0, 10**9).map(lambda t: t / 10_000)
jsonValues = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(st.characters(), max_size=8),
        st.sampled_from([1, "client", "server", "QQ==", "lost", "xml", 1e300, -1, 10**30]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(anyText, inner, max_size=3)
    ),
    max_leaves=4,
)


@st.composite
def fullSessions(draw: Any) -> Session:
    """
    A strategy for sessions with any header, gaps, and incomplete messages at the end.
    """
    dialect = draw(st.sampled_from(sorted(messages)))
    found: list[Message] = []
    gaps: list[Gap] = []
    n = 0
    for _ in range(draw(st.integers(0, 6))):
        n += draw(st.integers(1, 3))
        if draw(st.booleans()) and draw(st.booleans()):
            gaps.append(Gap(draw(st.integers(0)), draw(anyText), draw(times), n))
        else:
            data, side = draw(messages[dialect]), draw(st.sampled_from(SIDES))
            found.append(Message(data, side, draw(times), n))
    for side in draw(st.lists(st.sampled_from(SIDES), unique=True)):
        data = draw(messages[dialect])[:-1]
        if data:
            found.append(Message(data, side, draw(times), n + 1, isPartial=True))
    end = draw(
        st.one_of(st.none(), st.builds(End, st.sampled_from(ENDS), times, st.integers(0, 99)))
    )
    header = replace(draw(headers), dialect=dialect)
    return Session(header, found, end, gaps, "x.session")
