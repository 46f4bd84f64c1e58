"""
The elements by which clients of C{--rooms xml} speak to the server, and it to
them.

What is not one of these is a message like any other.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from openfl_twisted.rooms.room import Member, Room
from openfl_twisted.wire.messages import END
from openfl_twisted.wire.text import encodeUTF8

REQUESTS = {
    "join": {"room", "name"},
    "leave": set[str](),
    "say": {"to"},
    "who": set[str](),
    "rooms": set[str](),
    "set": {"key", "value"},
    "resume": {"token"},
}
"""
What a client can ask for, and with which attributes.
"""

ANSWERS = frozenset(("welcome", "joined", "left", "error", "gap"))
"""
What only the server says.
"""

# What an XML parser passes over before the first element, and the name of that.
_first = re.compile(r"(?:\ufeff|\s|<!--.*?-->|<\?.*?\?>)*<([A-Za-z]+)(?=[\s/>])", re.DOTALL)


@dataclass(frozen=True)
class Request:
    """
    What a client asks for.

    @ivar name: one of L{REQUESTS}.
    @ivar attributes: its attributes.
    @ivar content: what stands inside the element, as it was written; only
        C{say} has something there.
    """

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    content: str = ""


class VocabularyError(Exception):
    """
    An element has a name of ours, and is not written as it should be.
    """


def parseRequest(message: str) -> Request | None:
    """
    Read what a client asks for.

    @param message: the text of a message, without its end.
    @return: that; C{None} for a message that is none of L{REQUESTS}, which is
        for the others in the room.
    @raise VocabularyError: if it is one of them, and something is wrong with it.
    """
    found = _first.match(message)
    name = "" if found is None else found[1]
    if name in ANSWERS:
        raise VocabularyError(f"only the server says <{name}>")
    if name not in REQUESTS:
        return None
    element = _parse(name, message)
    unknown = set(element.attrib) - REQUESTS[name]
    if unknown:
        raise VocabularyError(f"<{name}> has no attribute {', '.join(sorted(unknown))}")
    inside = name == "say"
    if not inside and (len(element) or (element.text or "").strip()):
        raise VocabularyError(f"<{name}> has nothing inside")
    try:
        return Request(name, dict(element.attrib), _inside(element) if inside else "")
    except RecursionError:
        raise VocabularyError(f"<{name}> has too many elements in each other") from None


def _parse(name: str, message: str) -> Element:
    """
    Read an element. There are no namespaces: a long one would be copied for each
    name that is in it.
    """

    def refuse(prefix: str, uri: str) -> NoReturn:
        raise VocabularyError(f"<{name}> has a namespace")

    parser = DefusedXMLParser(forbid_dtd=True)
    parser.parser.StartNamespaceDeclHandler = refuse
    try:
        parser.feed(message)
        element: Element = parser.close()
    except (ParseError, DefusedXmlException, ValueError) as problem:
        raise VocabularyError(f"<{name}> is not well-formed: {problem}") from None
    return element


def _inside(element: Element) -> str:
    """
    Write what stands inside an element.
    """
    # The parser has elements of another class than the module's own.
    outside = type(element)("x")
    outside.text = element.text
    outside.extend(element)
    written = tostring(outside, "unicode")
    return "" if written == "<x />" else written.removeprefix("<x>").removesuffix("</x>")


def write(element: Element) -> bytes:
    """
    Write an element as a message.

    @param element: the element, as C{xml.etree} has it.
    @return: UTF-8, with the zero byte that ends a message.
    """
    return encodeUTF8(tostring(element, "unicode")) + END


def welcome(member: Member, room: Room, *, lost: int | None = None) -> bytes:
    """
    Tell a member that it is in a room: C{<welcome room name token members/>}.

    @param member: the member; it is told its token, with which it can come
        back.
    @param room: its room.
    @param lost: how many messages it has missed for good, if it takes its place
        again; then there is C{lost}.
    @return: the message with its end.
    """
    attributes = {"room": room.name, "name": member.name, "token": member.token}
    if lost is not None:
        attributes["lost"] = str(lost)
    return write(Element("welcome", attributes))


def joined(member: Member) -> bytes:
    """
    Tell the others that somebody has come: C{<joined name/>}.

    @param member: who has come.
    @return: the message with its end.
    """
    return write(Element("joined", {"name": member.name}))


def left(member: Member) -> bytes:
    """
    Tell the others that somebody has gone: C{<left name/>}.

    @param member: who has gone.
    @return: the message with its end.
    """
    return write(Element("left", {"name": member.name}))


def said(member: Member, content: str, *, alone: bool = False) -> bytes:
    """
    Hand on what somebody has said: C{<say from>…</say>}.

    @param member: who has said it.
    @param content: XML, which goes out as it is.
    @param alone: whether only one hears it: then there is C{private="true"}.
    @return: the message with its end.
    """
    attributes = {"from": member.name, **({"private": "true"} if alone else {})}
    opening = tostring(Element("say", attributes), "unicode").removesuffix(" />")
    return encodeUTF8(f"{opening}>{content}</say>") + END


def who(room: Room, others: Iterable[str] = ()) -> bytes:
    """
    List a room: C{<who room><member name here><data key value/></member></who>}.

    @param room: the room of this machine. C{here} is C{false} for a member that
        was cut off and may come back.
    @param others: the names of those who are there on other machines.
    @return: the message with its end.
    """
    element = Element("who", {"room": room.name})
    _data(element, room.data)
    for member in room.members.values():
        attributes = {"name": member.name, "here": "true" if member.here else "false"}
        _data(SubElement(element, "member", attributes), member.data)
    for name in others:
        SubElement(element, "member", {"name": name, "here": "true", "elsewhere": "true"})
    return write(element)


def rooms(known: dict[str, Room]) -> bytes:
    """
    List the rooms: C{<rooms><room name members/></rooms>}.

    @param known: the rooms, by name.
    @return: the message with its end.
    """
    element = Element("rooms")
    for room in known.values():
        attributes = {"name": room.name, "members": str(len(room.members))}
        _data(SubElement(element, "room", attributes), room.data)
    return write(element)


def described(member: Member, key: str, value: str) -> bytes:
    """
    Tell the others what somebody says of itself: C{<set name key value/>}.

    @param member: who says it.
    @param key: what it is about.
    @param value: what is said; empty if it is taken back.
    @return: the message with its end.
    """
    return write(Element("set", {"name": member.name, "key": key, "value": value}))


def gap(missed: int) -> bytes:
    """
    Tell that messages from other machines were lost: C{<gap missed/>}.

    @param missed: how many messages.
    @return: the message with its end.
    """
    return write(Element("gap", {"missed": str(missed)}))


def refusal(code: str, text: str) -> bytes:
    """
    Tell that something cannot be done: C{<error code>…</error>}.

    @param code: one word, see
        L{LobbyError<openfl_twisted.rooms.room.LobbyError>}; C{xml}, C{rate} or
        C{message}.
    @param text: why, for people.
    @return: the message with its end.
    """
    element = Element("error", {"code": code})
    element.text = text
    return write(element)


def _data(element: Element, data: dict[str, str]) -> None:
    for key, value in data.items():
        SubElement(element, "data", {"key": key, "value": value})
