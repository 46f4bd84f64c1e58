"""
Hypothesis strategies for the replies of Redis.
"""

from hypothesis import strategies as st

# Parts of replies, and announcements that exceed the limit.
parts = st.sampled_from(
    [
        b"+OK\r\n", b"-ERR no\r\n", b":12\r\n", b":-1\r\n", b":x\r\n", b"$3\r\nabc\r\n",
        b"$-1\r\n", b"$9999\r\n", b"*0\r\n", b"*2\r\n", b"*-1\r\n", b"%1\r\n", b"%1000\r\n",
        b"~1\r\n", b">2\r\n", b">0\r\n", b"*999\r\n", b"*1000\r\n", b"*6000\r\n", b"*",
        b">100000000\r\n", b"$4294967294\r\n", b"*18446744073709551616\r\n", b"_\r\n", b"$",
        b"$0\r\n\r\n", b"$1\r\n", b"+\xff\r\n", b"?\r\n", b"\r\n", b"|1\r\n", b"#f\r\n", b",1\r\n",
        b"=5\r\ntxt:a\r\n", b"=1\r\na\r\n", b"(12\r\n", b"$2000\r\n" + b"\r\n" * 1001, b"1000\r",
    ]
)  # fmt: skip

streams = st.lists(st.one_of(parts, st.binary(max_size=3))).map(b"".join)
