"""
Readers of XML that clients may use, from strict to careless. Each returns the
names of the elements that it finds in a text, without prefixes and in small
letters.
"""

import contextlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from xml.dom import minidom
from xml.etree import ElementTree as ET
from xml.parsers import expat

Reader = Callable[[str], list[str]]


def _local(name: str) -> str:
    # Some letters outside ASCII have capitals within.
    return name.rpartition("}")[2].rpartition(":")[2].upper().casefold()


def elementTree(text: str) -> list[str]:
    """
    C{xml.etree} is strict, and knows namespaces.
    """
    try:
        root = ET.fromstring(text)
    except (ET.ParseError, ValueError):
        return []
    return [_local(element.tag) for element in root.iter() if isinstance(element.tag, str)]


def elementTreeOfBytes(text: str) -> list[str]:
    """
    C{xml.etree} of bytes: a declared encoding counts.
    """
    try:
        root = ET.fromstring(text.encode())
    except (ET.ParseError, ValueError, LookupError):
        return []
    return [_local(element.tag) for element in root.iter() if isinstance(element.tag, str)]


def dom(text: str) -> list[str]:
    """
    C{xml.dom.minidom} expands entities.
    """
    try:
        document = minidom.parseString(text.encode())
    except (expat.ExpatError, ValueError, LookupError):
        return []
    return [_local(element.tagName) for element in document.getElementsByTagName("*")]


def recovering(text: str) -> list[str]:
    """
    A parser that calls handlers until the first error, without namespaces.
    """
    names: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: names.append(_local(name))
    with contextlib.suppress(expat.ExpatError, ValueError, LookupError):
        parser.Parse(text.encode(), True)
    return names


def recoveringFromAnywhere(text: str) -> list[str]:
    """
    A parser that begins anew at each C{<} at which it has failed.
    """
    return [name for found in re.finditer("<", text) for name in recovering(text[found.start() :])]


class _HTML(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """
        Note the tag.
        """
        self.names.append(_local(tag))


def html(text: str) -> list[str]:
    """
    HTML, as a browser's C{DOMParser} reads it; Python's parser may refuse some
    declarations.
    """
    parser = _HTML()
    with contextlib.suppress(AssertionError):
        parser.feed(text)
        parser.close()
    return parser.names


# The beginnings and ends of comments and other sections.
_skipped = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"), ("<!", ">"))


def e4x(text: str) -> list[str]:
    """
    A tokenizer like those of ActionScript: text and several elements at the top,
    tags that do not fit, and attributes without quotation marks are all accepted.
    """
    names = []
    at = text.find("<")
    while at >= 0:
        for begin, end in _skipped:
            if text.startswith(begin, at):
                after = text.find(end, at + len(begin))
                at = len(text) if after < 0 else after
                break
        else:
            found = re.compile(r"<\s*([^\s/>]+)").match(text, at)
            if found is not None:
                names.append(_local(found[1]))
        at = text.find("<", at + 1)
    return names


_HAXE_SPACE = " \t\r\n"


def _isHaxeName(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character in ":._-")


def haxe(text: str) -> list[str]:
    """
    The tags that Haxe's C{Xml} sees: white space may follow the C{<}, and a name
    ends at the first character that is not one of a few of ASCII.
    """
    names = []
    at = text.find("<")
    while at >= 0:
        start = at + 1
        while start < len(text) and text[start] in _HAXE_SPACE:
            start += 1
        rest = "<" + text[start : start + 8].upper()
        for begin, end in (*_skipped[:3], ("<!DOCTYPE"[:9], ">")):
            if rest.startswith(begin):
                after = text.find(end, start)
                at = len(text) if after < 0 else after
                break
        else:
            stop = start
            while stop < len(text) and _isHaxeName(text[stop]):
                stop += 1
            names.append(_local(text[start:stop]))
        at = text.find("<", at + 1)
    return names


def anyTag(text: str) -> list[str]:
    """
    A regular expression for tags, which knows nothing of comments and sections.
    """
    return [_local(name) for name in re.findall(r"<\s*([^\s/>!?<]+)", text)]


def anyWord(text: str) -> list[str]:
    """
    A regular expression for the word after a C{<}.
    """
    return [name.lower() for name in re.findall(r"<\s*(\w+)\b", text, re.ASCII)]


def withoutComments(text: str) -> list[str]:
    """
    A reader that removes comments first.
    """
    return anyTag(re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL))


READERS: list[Reader] = [
    elementTree,
    elementTreeOfBytes,
    dom,
    recovering,
    recoveringFromAnywhere,
    html,
    e4x,
    haxe,
    anyTag,
    anyWord,
    withoutComments,
]
