"""
Converts a TCP stream that Wireshark has reassembled: the output of C{tshark -z follow,tcp,yaml,N}.
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Iterator

from openfl_twisted.sessions._ruffle import addRests
from openfl_twisted.sessions._session import CLIENT, SERVER, Header, Message, Session
from openfl_twisted.wire.dialects import Dialect

# The lines of a packet: tshark writes each key on a line of its own.
_key = re.compile(r"[ ]*(?:- )?([a-z_]++):[ ]*+(.*)")
# No timestamp is later (seconds): a session cannot contain it.
_LATEST = 1e12
_base64 = re.compile(r"[A-Za-z0-9+/]++={0,2}")


def fromWireshark(lines: Iterable[str], dialectName: str, dialect: Dialect) -> Session:
    """
    Convert the output of C{tshark -q -r FILE -z follow,tcp,yaml,STREAM}. The client is the side
    that has opened the connection, which Wireshark calls peer 0.

    @param lines: the lines of the output.
    @param dialectName: the name of the dialect, for the header.
    @param dialect: the dialect, which cuts the stream into messages.
    @raise ValueError: if the lines contain no packets of a TCP stream.
    """
    session = Session(Header(dialect=dialectName), name="wireshark")
    cutters = {CLIENT: dialect.cutter(), SERVER: dialect.cutter()}
    start: float | None = None
    for number, (side, time, data) in enumerate(_packets(lines), 1):
        start = time if start is None else start
        t = max(0.0, time - start)
        for message in dialect.split(cutters[side].feed(data)):
            session.messages.append(Message(message, side, t, number))
    if start is None:
        raise ValueError(
            "no packets: expected the output of tshark -q -r FILE -z follow,tcp,yaml,0"
        )
    addRests(session, cutters)
    return session


def _packets(lines: Iterable[str]) -> Iterator[tuple[str, float, bytes]]:
    """
    Return the side, the time and the data of each packet.

    @raise ValueError: if a packet is invalid.
    """
    values: dict[str, str] = {}
    data: list[str] = []
    isPacket = False
    for line in lines:
        text = line.rstrip()
        found = _key.fullmatch(text)
        if found is None:
            if isPacket and "data" in values and _base64.fullmatch(text.strip()):
                data.append(text.strip())
            continue
        key, value = found.groups()
        if key == "packets":
            isPacket = True
        if key == "packet":
            if values:
                yield _packet(values, data)
            values, data = {}, []
        if isPacket and key != "packets":
            values[key] = value
            if key == "data" and value != "!!binary |":
                data.append(value.removeprefix("!!binary").strip(' "'))
    if values:
        yield _packet(values, data)


def _packet(values: dict[str, str], data: list[str]) -> tuple[str, float, bytes]:
    try:
        side = CLIENT if int(values["peer"]) == 0 else SERVER
        time = float(values["timestamp"])
        if not 0 <= time < _LATEST:
            raise ValueError(time)
        return side, time, b64decode("".join(data), validate=True)
    except (KeyError, ValueError, Base64Error):
        raise ValueError(f"invalid packet {values.get('packet', '')!r:.40}") from None
