"""
XML readers that clients may use, from strict to lenient. Each returns the local names of
the elements in a text, in lower case.
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
    # Some non-ASCII letters have ASCII capitals, hence both conversions.
    return name.rpartition("}")[2].rpartition(":")[2].upper().casefold()


def elementTree(text: str) -> list[str]:
    """
    Strict reader with namespaces: C{xml.etree}.
    """
    try:
        root = ET.fromstring(text)
    except (ET.ParseError, ValueError):
        return []
    return [_local(element.tag) for element in root.iter() if isinstance(element.tag, str)]


def elementTreeOfBytes(text: str) -> list[str]:
    """
    C{xml.etree} for bytes, which applies a declared encoding.
    """
    try:
        root = ET.fromstring(text.encode())
    except (ET.ParseError, ValueError, LookupError):
        return []
    return [_local(element.tag) for element in root.iter() if isinstance(element.tag, str)]


def dom(text: str) -> list[str]:
    """
    C{xml.dom.minidom}, which expands entities.
    """
    try:
        document = minidom.parseString(text.encode())
    except (expat.ExpatError, ValueError, LookupError):
        return []
    return [_local(element.tagName) for element in document.getElementsByTagName("*")]


def recovering(text: str) -> list[str]:
    """
    Event parser without namespaces: reports the elements before the first error.
    """
    names: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: names.append(_local(name))
    with contextlib.suppress(expat.ExpatError, ValueError, LookupError):
        parser.Parse(text.encode(), True)
    return names


def recoveringFromAnywhere(text: str) -> list[str]:
    """
    Like L{recovering}, but restarts at every C{<}.
    """
    return [name for found in re.finditer("<", text) for name in recovering(text[found.start() :])]


class _HTML(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.names.append(_local(tag))


def html(text: str) -> list[str]:
    """
    HTML parser, similar to C{DOMParser} of browsers. Python's parser rejects some
    declarations.
    """
    parser = _HTML()
    with contextlib.suppress(AssertionError):
        parser.feed(text)
        parser.close()
    return parser.names


# The delimiters of comments and other sections.
_skipped = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"), ("<!", ">"))


def e4x(text: str) -> list[str]:
    """
    Tokenizer similar to E4X of ActionScript. It accepts text and several elements at the
    top level, mismatched tags and unquoted attributes.
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
    Tokenizer with the rules of Haxe's C{Xml}: white space may follow C{<}, and a name
    ends at the first character not in a small ASCII set.
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
    Regular expression for tags, also inside comments and sections.
    """
    return [_local(name) for name in re.findall(r"<\s*([^\s/>!?<]+)", text)]


def anyWord(text: str) -> list[str]:
    """
    Regular expression for the word after each C{<}.
    """
    return [name.lower() for name in re.findall(r"<\s*(\w+)\b", text, re.ASCII)]


def withoutComments(text: str) -> list[str]:
    """
    Like L{anyTag}, with comments removed.
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
