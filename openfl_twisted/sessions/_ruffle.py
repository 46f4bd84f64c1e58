"""
Converts sessions from and to the scripts of Ruffle's socket tests, C{socket.json}.
"""

import json
from collections.abc import Mapping
from typing import Any

from openfl_twisted.sessions._session import CLIENT, SERVER, End, Header, Message, Session
from openfl_twisted.wire.dialects import Dialect
from openfl_twisted.wire.framing import Cutter


def fromRuffle(
    text: str | bytes, dialectName: str = "raw", dialect: Dialect | None = None
) -> Session:
    """
    Convert a script. In Ruffle's scripts, the client is the SWF.

    @param text: the content of C{socket.json}: a list of objects whose C{type} is C{Receive}
        (the client sends the bytes C{expected}), C{Send} (the server sends the bytes
        C{payload}), C{WaitForDisconnect} (the client closes the connection), or C{Disconnect}
        (the server closes it). Source: C{SocketEvent} in Ruffle's tests.
    @param dialectName: the name of the dialect, for the header.
    @param dialect: the dialect, which cuts the bytes of each side into messages (default: the
        dialect of this name, or C{raw} if it is not part of this package).
    @raise ValueError: if the script is invalid.
    """
    try:
        events = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise ValueError(f"invalid Ruffle script: {problem}") from None
    if not isinstance(events, list):
        raise ValueError("invalid Ruffle script: must be a list")
    session = Session(Header(dialect=dialectName), name="socket.json")
    dialect = session.dialect if dialect is None else dialect
    cutters = {CLIENT: dialect.cutter(), SERVER: dialect.cutter()}
    for number, event in enumerate(events, 1):
        try:
            _addEvent(session, event, number, dialect, cutters)
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"invalid Ruffle script: event {number} is {event!r:.100}") from None
    addRests(session, cutters)
    return session


def addRests(session: Session, cutters: Mapping[str, Cutter]) -> None:
    """
    Add the incomplete messages of both sides to the end of a session.
    """
    last = session.messages[-1] if session.messages else Message(b"", CLIENT)
    for side, cutter in cutters.items():
        rest = cutter.rest()
        if rest:
            session.messages.append(Message(rest, side, last.t, last.n, isPartial=True))


def _addEvent(
    session: Session, event: Any, number: int, dialect: Dialect, cutters: Mapping[str, Cutter]
) -> None:
    kind = event["type"]
    if session.end is not None:
        raise ValueError(kind)
    if kind in ("WaitForDisconnect", "Disconnect"):
        session.end = End(CLIENT if kind == "WaitForDisconnect" else SERVER, 0.0, number)
        return
    side, key = {"Receive": (CLIENT, "expected"), "Send": (SERVER, "payload")}[kind]
    if not isinstance(event[key], list):
        raise TypeError(key)
    for data in dialect.split(cutters[side].feed(bytes(event[key]))):
        session.messages.append(Message(data, side, 0.0, number))


def toRuffle(session: Session) -> str:
    """
    Convert a session.

    @return: the content of C{socket.json}. Messages of one side that follow each other are
        separate events. An end other than that of the client is C{Disconnect}.
    """
    events: list[dict[str, Any]] = [
        {"type": "Receive", "expected": list(message.data)}
        if message.side == CLIENT
        else {"type": "Send", "payload": list(message.data)}
        for message in session.messages
    ]
    if session.end is not None:
        isClient = session.end.how == CLIENT
        events.append({"type": "WaitForDisconnect" if isClient else "Disconnect"})
    lines = ",\n".join(f"  {json.dumps(event)}" for event in events)
    return f"[\n{lines}\n]\n" if events else "[]\n"
