"""
The elements by which clients of C{--rooms xml} speak to the server, and it to
them.

What is not one of these is a message like any other.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, tostring

from openfl_twisted.rooms.room import Member, Room
from openfl_twisted.wire.messages import END
from openfl_twisted.wire.policy.rule import shown
from openfl_twisted.wire.strictxml import XMLError, readElement
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

_ANSWERS = frozenset(("welcome", "joined", "left", "error", "gap"))
"""
What only the server says.
"""

SERVER_ELEMENTS = _ANSWERS | {"say", "set", "who", "rooms"}
"""
Names of the elements that the server sends as messages. A forwarded message
contains none of them, see L{parseRequest}.
"""

# A comment, or a CDATA section with a "<" in it. HTML has neither, and a reader that removes them
# before it parses could put together a tag from the rest.
_hiding = re.compile(r"<!(?!\[CDATA\[[^<\]]*+(?:\](?!\]>)[^<\]]*+)*+\]\]>)")

# A tag of the server. Prefixes and case are ignored, as E4X and HTML do. The name ends where a
# regular expression has a word boundary: Haxe's parser ends names at characters outside ASCII.
_serverTag = re.compile(
    r"<[ \t\r\n]*+/?+(?:[^ \t\r\n<>/:]*+:)*?("
    + "|".join(sorted(SERVER_ELEMENTS))
    + r")(?![A-Za-z0-9_])",
    re.IGNORECASE,
)


# In the order in which they are replaced.
_REFERENCES = (
    ("&", "&amp;"),
    ("<", "&lt;"),
    (">", "&gt;"),
    ('"', "&quot;"),
    ("\r", "&#13;"),
    ("\n", "&#10;"),
    ("\t", "&#09;"),
)


@dataclass(frozen=True)
class Request:
    """
    What a client asks for.

    @ivar name: one of L{REQUESTS}.
    @ivar attributes: its attributes.
    @ivar content: the text between the tags, unchanged; only C{say} has
        any.
    """

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    content: str = ""


class VocabularyError(Exception):
    """
    A message is neither a correct request, nor one that can be forwarded.
    """


def parseRequest(message: str) -> Request | None:
    """
    Parse a message of a client.

    A message is text without C{<}, or exactly one well-formed element, see
    L{readElement<openfl_twisted.wire.strictxml.readElement>}.

    The forwarded text is the content of C{say}, or a whole message that is not
    a request. It contains no tag whose name is one of L{SERVER_ELEMENTS}, with
    any prefix and in any case. It contains no comment, and no C{<} within a
    CDATA section.

    @param message: the text of a message, without its end.
    @return: the request; C{None} for any other message, which is forwarded to
        the other members of the room.
    @raise VocabularyError: if the message is not accepted. The text is short,
        whatever the message contains.
    """
    if "<" not in message:
        return None
    try:
        element = readElement(encodeUTF8(message))
    except XMLError as problem:
        raise VocabularyError(f"the message cannot be read: {problem}") from None
    name = element.name
    if element.prefix or name not in REQUESTS:
        _checkForwarded(message)
        return None
    if element.declaresNamespaces:
        raise VocabularyError(f"<{name}> has a namespace")
    for attribute in element.attributes:
        if attribute not in REQUESTS[name]:
            raise VocabularyError(f"<{name}> has no attribute {shown(attribute)[1:-1]}")
    if name == "say":
        content = element.content.decode()
        _checkForwarded(content)
        return Request(name, element.attributes, content)
    if element.content.strip():
        raise VocabularyError(f"<{name}> has nothing inside")
    return Request(name, element.attributes)


def _checkForwarded(text: str) -> None:
    """
    Check that text can be forwarded to other clients.

    @raise VocabularyError: if it contains, or could hide, a tag of the server's
        vocabulary.
    """
    if "<" not in text:
        return
    found = _serverTag.search(text)
    if found is not None:
        raise VocabularyError(f"only the server says <{found[1].lower()}>")
    # The search for two characters takes re ten times as long.
    if "<!" in text and _hiding.search(text):
        raise VocabularyError("a comment, or a < in a CDATA section, is not forwarded")


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
    parts = [f'<who room="{_escaped(room.name)}">', _data(room.data)]
    for member in room.members.values():
        here = "true" if member.connected else "false"
        start = f'<member name="{_escaped(member.name)}" here="{here}"'
        parts.append(f"{start}>{_data(member.data)}</member>" if member.data else f"{start} />")
    parts += [f'<member name="{_escaped(name)}" here="true" elsewhere="true" />' for name in others]
    parts.append("</who>")
    return encodeUTF8("".join(parts)) + END


def rooms(known: dict[str, Room]) -> bytes:
    """
    List the rooms: C{<rooms><room name members/></rooms>}.

    @param known: the rooms, by name.
    @return: the message with its end.
    """
    parts = ["<rooms>" if known else "<rooms />"]
    for room in known.values():
        start = f'<room name="{_escaped(room.name)}" members="{len(room.members)}"'
        parts.append(f"{start}>{_data(room.data)}</room>" if room.data else f"{start} />")
    if known:
        parts.append("</rooms>")
    return encodeUTF8("".join(parts)) + END


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


def _escaped(text: str) -> str:
    """
    Escape text for the value of an attribute, as C{xml.etree} does.
    """
    for character, reference in _REFERENCES:
        if character in text:
            text = text.replace(character, reference)
    return text


def _data(data: dict[str, str]) -> str:
    """
    Write the attributes of a member or room. A tree of elements takes twice as
    long, and a list can have thousands.
    """
    return "".join(
        [f'<data key="{_escaped(key)}" value="{_escaped(value)}" />' for key, value in data.items()]
    )
