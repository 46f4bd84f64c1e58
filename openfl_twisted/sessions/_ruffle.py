"""
Converts sessions from and to the scripts of Ruffle's socket tests, C{socket.json}.
"""

import json
from typing import Any

from openfl_twisted.sessions._session import CLIENT, SERVER, End, Header, Message, Session


def fromRuffle(text: str | bytes, dialect: str = "raw") -> Session:
    """
    Convert a script. In Ruffle's scripts, the client is the SWF.

    @param text: the content of C{socket.json}: a list of objects whose C{type} is C{Receive}
        (the client sends the bytes C{expected}), C{Send} (the server sends the bytes
        C{payload}), C{WaitForDisconnect} (the client closes the connection), or C{Disconnect}
        (the server closes it). Source: C{SocketEvent} in Ruffle's tests.
    @param dialect: the dialect of the session.
    @raise ValueError: if the script is invalid.
    """
    try:
        events = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise ValueError(f"invalid Ruffle script: {problem}") from None
    if not isinstance(events, list):
        raise ValueError("invalid Ruffle script: must be a list")
    session = Session(Header(dialect=dialect), name="socket.json")
    for number, event in enumerate(events, 1):
        try:
            _addEvent(session, event, number)
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"invalid Ruffle script: event {number} is {event!r:.100}") from None
    return session


def _addEvent(session: Session, event: Any, number: int) -> None:
    kind = event["type"]
    if session.end is not None:
        raise ValueError(kind)
    if kind in ("WaitForDisconnect", "Disconnect"):
        session.end = End(CLIENT if kind == "WaitForDisconnect" else SERVER, 0.0, number)
        return
    side, key = {"Receive": (CLIENT, "expected"), "Send": (SERVER, "payload")}[kind]
    if not isinstance(event[key], list):
        raise TypeError(key)
    session.messages.append(Message(bytes(event[key]), side, 0.0, number, number))


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
        isClient = session.end.how in (CLIENT, "lost")
        events.append({"type": "WaitForDisconnect" if isClient else "Disconnect"})
    lines = ",\n".join(f"  {json.dumps(event)}" for event in events)
    return f"[\n{lines}\n]\n" if events else "[]\n"
