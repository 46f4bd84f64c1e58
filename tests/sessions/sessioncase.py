"""
Sessions for the tests of L{openfl_twisted.sessions}.
"""

from typing import Any

from hypothesis import strategies as st

from openfl_twisted.sessions._session import CLIENT, SERVER, End, Header, Message, Session
from tests.support.messages import messages

sides = st.sampled_from([CLIENT, SERVER])


def session(
    *lines: str | bytes,
    dialect: str = "xml",
    end: str | None = None,
    name: str = "a.session",
    **header: Any,
) -> Session:
    """
    Create a session.

    @param lines: the messages: C{>} or C{<} for the side that sends it, and the message without
        its terminator. A message that ends with C{~} is incomplete.
    @param end: see L{End}.
    """
    found = []
    for n, line in enumerate(lines, 1):
        data = line.encode() if isinstance(line, str) else line
        isPartial = data.endswith(b"~")
        ended = data[1:-1] if isPartial else data[1:] + (b"\0" if dialect == "xml" else b"")
        side = CLIENT if data[:1] == b">" else SERVER
        found.append(Message(ended, side, n * 1.0, n, n + 1, isPartial))
    last = len(found) + 1
    return Session(
        Header(dialect=dialect, **header),
        found,
        None if end is None else End(end, last * 1.0, last),
        name=name,
    )


def sessionsOf(dialect: str) -> st.SearchStrategy[Session]:
    """
    A strategy for sessions of a dialect with messages.
    """
    return st.lists(st.tuples(sides, messages[dialect]), max_size=8).map(
        lambda pairs: Session(
            Header(dialect=dialect),
            [Message(data, side, n / 8, n) for n, (side, data) in enumerate(pairs, 1)],
            End(CLIENT, len(pairs) + 1.0, len(pairs) + 1),
        )
    )


sessions = st.sampled_from(sorted(messages)).flatmap(sessionsOf)
