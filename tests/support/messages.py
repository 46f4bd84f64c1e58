"""
Hypothesis strategies for the messages of all dialects.
"""

from typing import Any

from hypothesis import strategies as st

from openfl_twisted.wire.amf.codec import encode

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**28), 2**28 - 1),
        st.floats(allow_nan=False),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(keys, inner, max_size=4),
    ),
    max_leaves=8,
)


def prefixed(size: int, isSelf: bool) -> Any:
    """
    Return a function that puts the length before a message.
    """
    own = size if isSelf else 0
    return lambda content: (len(content) + own).to_bytes(size, "big") + content


def encoded(encoding: int) -> st.SearchStrategy[bytes]:
    """
    A strategy for encoded AMF values.
    """
    return values.map(lambda value: encode(value, objectEncoding=encoding))


contents = st.binary(max_size=30)
messages = {
    "xml": contents.map(lambda data: data.replace(b"\0", b"") + b"\0"),
    "lines": contents.map(lambda data: data.replace(b"\n", b"") + b"\n"),
    "u16": contents.map(prefixed(2, False)),
    "u16self": contents.map(prefixed(2, True)),
    "u32": contents.map(prefixed(4, False)),
    "u32self": contents.map(prefixed(4, True)),
    "amf0": encoded(0),
    "amf3": encoded(3),
}
"""
Strategies for a message of each dialect with messages.
"""
